"""One contender at a time, in a process of its own: seconds, and peak memory above what it had imported."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIMEOUT = 900

Figures = dict[str, float]


@dataclass(frozen=True)
class Place:
    """Where a contender finds its events and leaves what it makes of them.

    :param port: of the server on loopback.
    :param body: the file that it sends.
    :param folder: an empty folder.
    """

    port: int
    body: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Contender = Callable[[Place], Iterator[Any]]
"""Yields twice: once it is ready to begin, and its figures (``events`` and more) once it is done."""


class FailedError(Exception):
    """A contender's process failed; the text is the end of what it said."""


def measured(module: str, name: str, place: Place, python: str = sys.executable) -> Figures:
    """Run one contender in a new process.

    :param python: of the environment that it is installed in.
    :raises FailedError: if it did not come to its end.
    """
    where = (str(place.port), str(place.body), str(place.folder))
    figures: Figures = asked_of(python, "benchmarks.measuring", module, name, *where)
    return figures


def asked_of(python: str, module: str, *arguments: str) -> Any:
    """What a module, run in a new process, says in its last line.

    :raises FailedError: if it did not come to its end.
    """
    command = [python, "-W", "ignore", "-m", module, *arguments]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=TIMEOUT,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"did not end within {TIMEOUT} s") from None
    if done.returncode:
        raise FailedError(f"{done.stdout[-4_000:]}{done.stderr[-4_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def medians(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def peak_megabytes() -> int:
    """Of this process alone; ``ru_maxrss`` would count its parent's memory too."""
    return _status("VmHWM")


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


def main() -> None:
    module, name, port, body, folder = sys.argv[1:]
    contenders: Mapping[str, Contender] = import_module(f"benchmarks.{module}").CONTENDERS
    contender = contenders[name](Place(int(port), Path(body), Path(folder)))
    next(contender)
    before = _status("VmRSS")
    begun = time.perf_counter()
    figures = next(contender)
    seconds = time.perf_counter() - begun
    peak = peak_megabytes()
    print("\n" + json.dumps({"seconds": seconds, "peak": peak, "above": peak - before, **figures}))


if __name__ == "__main__":
    main()
