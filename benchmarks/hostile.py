"""What hostile and huge responses cost: the time of one and of one twice as large, and peak memory.

``python -m benchmarks.hostile [GIGABYTES]`` prints a table; it fails if memory or time grow more than the
provider promises: 300 MB, and 2.3 times for twice the response.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.ours import client_and_query
from benchmarks.process import Job, measure
from benchmarks.source import START, serve, write_body

MB = 1024 * 1024
MAX_MEGABYTES = 300
MAX_RATIO = 2.3

_EVENT = b'[{"id":"a","timestamp":%d,' % START
CASES = {
    # name: begin, what is repeated up to a size, end, that size, max_event_bytes
    "an event of 64 MB": (_EVENT + b'"x":"', b"x", b'"}]', 64 * MB, 16 * MB),
    "an endless string": (b'[{"id":"', b'},{\\"', b"", 256 * MB, 16 * MB),
    "a gzip bomb": (b"[", b" ", b"", 512 * MB, 16 * MB),
    "a million nested arrays": (b"", b"[", b"", MB, 16 * MB),
    "an event full of nested objects": (_EVENT + b'"data":[{}', b',{"},{":[{},{}]}', b"]}]", 8 * MB, 64 * MB),
    "an event of lawful size": (_EVENT + b'"x":"', b"x", b'"}]', 8 * MB, 64 * MB),
}


def pull(job: Job, max_event_bytes: str) -> Iterator[Any]:
    """A pull whose events are counted."""
    from airflow_provider_np6.np6.errors import Np6Error
    from airflow_provider_np6.np6.pull import count

    client, query = client_and_query(job, max_attempts=1, max_event_bytes=int(max_event_bytes))
    yield
    try:
        yield {"outcome": f"{count(client, query).events} events"}
    except Np6Error as error:
        yield {"outcome": error.what}


def _pull_case(name: str, times: int, size: int, folder: Path) -> tuple[str, float, int]:
    """Outcome, least seconds and most megabytes of three pulls, or of one of very much; ``size`` is that of
    lawful events."""
    begin, piece, end, size, max_event_bytes = CASES.get(name, (b"", b"", b"", size, 16 * MB))
    path, is_packed = folder / "body", name == "a gzip bomb"
    if piece:
        block = piece * (64 * 1024 // len(piece))
        with gzip.open(path, "wb") if is_packed else path.open("wb") as body:
            body.write(begin)
            for _ in range(times * size // len(block)):
                body.write(block)
            body.write(end)
    else:
        write_body(path, times * size // 680)
    job = Job(serve(path, b"Content-Encoding: gzip\r\n" if is_packed else b""), path, folder)
    rounds = 1 if times * size > 1024 * MB else 3
    runs = [measure(f"hostile pull {max_event_bytes}", job) for _ in range(rounds)]
    return runs[0]["outcome"], min(run["seconds"] for run in runs), max(run["peak"] for run in runs)


def main() -> int:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print("| response | outcome | s | s of twice as much | ratio | peak MB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    failed = False
    with tempfile.TemporaryDirectory(prefix="np6-bench-") as folder:
        for name in (*CASES, f"{gigabytes:g} GB of lawful events"):
            (_, once, _), (outcome, twice, peak) = (
                _pull_case(name, times, int(gigabytes * 1e9 / 2), Path(folder)) for times in (1, 2)
            )
            ratio = twice / once
            failed |= peak > MAX_MEGABYTES or (ratio > MAX_RATIO and twice > 0.2)
            print(f"| {name} | {outcome} | {once:.2f} | {twice:.2f} | {ratio:.2f} | {peak} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
