"""Runs one contender in a process of its own: its seconds, and its peak memory above its imports.

A contender is a generator. It imports and connects, yields, does its work, and yields its figures.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TIMEOUT = 900

Figures = dict[str, Any]


class ContenderError(Exception):
    """A contender failed, or lost, doubled or invented events."""


@dataclass(frozen=True)
class Job:
    """What a contender reads, and where it writes.

    :param url: of the server on loopback that sends the events.
    :param body: the file that it sends.
    :param folder: an empty folder.
    """

    url: str
    body: Path
    folder: Path


def measure(contender: str, job: Job, python: str = sys.executable) -> Figures:
    """Run one contender in a new process.

    :param contender: a module of this package, its function, and the function's further arguments.
    :param python: of the environment that has what the contender needs.
    :raises ContenderError: if it fails, or takes too long.
    """
    arguments = [*contender.split(), job.url, str(job.body), str(job.folder)]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages are compiled
    try:
        done = subprocess.run(
            [python, "-W", "ignore", "-m", "benchmarks.process", *arguments],
            capture_output=True, text=True, check=False, cwd=ROOT, timeout=TIMEOUT, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ContenderError(f"did not end within {TIMEOUT} s") from None
    if done.returncode:
        raise ContenderError(f"{done.stdout[-4_000:]}{done.stderr[-4_000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def read_megabytes(field: str) -> int:
    """Memory of this process alone: ``VmHWM`` (its peak) or ``VmRSS``; ``ru_maxrss`` would count its
    parent's too."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(match[1]) // 1024 if match else 0


def main() -> None:
    module, function, *arguments, url, body, folder = sys.argv[1:]
    contender = getattr(import_module(f"benchmarks.{module}"), function)
    steps = contender(Job(url, Path(body), Path(folder)), *arguments)
    next(steps)
    before = read_megabytes("VmRSS")
    begun, begun_cpu = time.perf_counter(), time.process_time()
    figures = next(steps)
    figures |= {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - begun_cpu}
    figures |= {"peak": read_megabytes("VmHWM"), "above": read_megabytes("VmHWM") - before}
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
