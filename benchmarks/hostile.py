"""What hostile and huge answers cost: time of an input and of one twice as large, and peak memory.

``python benchmarks/hostile.py [--gigabytes 10]`` prints a table; it fails if memory or time grow more
than the provider promises: 300 MB, and 2.3 times for twice the input.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.measuring import peak_megabytes

MB = 1024 * 1024
MAX_MEGABYTES = 300
MAX_RATIO = 2.3
EPOCH = 20_000 * 86_400_000

Body = Callable[[int], Iterator[bytes]]


def lawful(size: int) -> Iterator[bytes]:
    """Events as they should be, as many as fill ``size`` bytes."""
    filler = "x" * 560
    events = [
        f'{{"id":"{n:08x}-1b4d-4c6e-8f2a-0123456789ab","timestamp":{"T" * 13},"x":"{filler}"}}'
        for n in range(1_500)
    ]
    block = ",".join(events).encode()
    yield b"["
    sent = 0
    second = EPOCH
    while sent < size:
        yield (b"," if sent else b"") + block.replace(b"T" * 13, b"%d" % second)
        sent += len(block)
        second += 1_000
    # One more, for a round count would be looked into by a second request.
    yield b',{"id":"last","timestamp":%d}]' % second


def nested(size: int) -> Iterator[bytes]:
    """One lawful event with an array of small objects that look like a boundary."""
    yield b'[{"id":"a","timestamp":%d,"data":[{}' % EPOCH
    piece = b',{"},{":[{},{}]}' * 4_096
    for _ in range(max(1, size // len(piece))):
        yield piece
    yield b"]}]"


def deep(size: int) -> Iterator[bytes]:
    """Nested arrays and nothing else."""
    yield from _repeated(b"[", size)


def endless_string(size: int) -> Iterator[bytes]:
    """A string that does not end."""
    yield b'[{"id":"'
    yield from _repeated(b'},{\\"', size)


def one_event(size: int) -> Iterator[bytes]:
    """One event of that size."""
    yield b'[{"id":"a","timestamp":%d,"x":"' % EPOCH
    yield from _repeated(b"x", size)
    yield b'"}]'


def bomb(size: int) -> Iterator[bytes]:
    """White space without end, packed a thousand to one."""
    packer = zlib.compressobj(wbits=31)
    yield packer.compress(b"[")
    for piece in _repeated(b" ", size):
        yield packer.compress(piece)
    yield packer.flush()


def _repeated(text: bytes, size: int) -> Iterator[bytes]:
    piece = text * (64 * 1024 // len(text))
    for _ in range(max(1, size // len(piece))):
        yield piece


CASES: dict[str, tuple[Body, int, int]] = {
    # name: body, bytes, max_event_bytes
    "an event of 64 MB": (one_event, 64 * MB, 16 * MB),
    "an endless string": (endless_string, 256 * MB, 16 * MB),
    "a gzip bomb": (bomb, 512 * MB, 16 * MB),
    "a million nested arrays": (deep, MB, 16 * MB),
    "an event full of nested objects": (nested, 8 * MB, 64 * MB),
    "an event of lawful size": (one_event, 8 * MB, 64 * MB),
}


def serve(body: Body, size: int) -> int:
    """Answer each request with ``body`` on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            connection, _ = listener.accept()
            try:
                connection.recv(65_536)
                packed = b"Content-Encoding: gzip\r\n" if body is bomb else b""
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + packed + b"Connection: close\r\n\r\n")
                for piece in body(size):
                    connection.sendall(piece)
            except OSError:
                pass  # the client has seen enough
            finally:
                connection.close()

    threading.Thread(target=answer, daemon=True).start()
    return int(listener.getsockname()[1])


def pull_once(port: int, max_event_bytes: int) -> None:
    """Pull in this process, and print outcome, seconds and peak memory."""
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.errors import Np6Error
    from airflow_provider_np6.np6.pull import count
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.window import Window

    settings = Np6Config(
        base_url=f"http://127.0.0.1:{port}",
        api_key="key",
        account="bench",
        max_attempts=1,
        max_event_bytes=max_event_bytes,
    )
    query = EventQuery.checked("bounces", "000PE4", Window(EPOCH, EPOCH + 365 * 86_400_000))
    begun = time.perf_counter()
    try:
        outcome = f"{count(Np6Client(settings), query).events} events"
    except Np6Error as error:
        outcome = error.what
    seconds = time.perf_counter() - begun
    print(json.dumps([outcome, seconds, peak_megabytes()]))


def measure(body: Body, size: int, max_event_bytes: int) -> tuple[str, float, int]:
    """The best of three pulls, each in a process of its own."""
    port = serve(body, size)
    command = [sys.executable, __file__, "--pull", str(port), str(max_event_bytes)]
    rounds = 1 if size > 1024 * MB else 3
    runs = [
        json.loads(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        )
        for _ in range(rounds)
    ]
    return runs[0][0], min(run[1] for run in runs), max(run[2] for run in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--gigabytes", type=float, default=1.0, help="size of the lawful answer (%(default)s)"
    )
    parser.add_argument("--pull", nargs=2, metavar=("PORT", "MAX_EVENT_BYTES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pull:
        pull_once(int(given.pull[0]), int(given.pull[1]))
        return 0
    cases = {
        **CASES,
        f"{given.gigabytes:g} GB of lawful events": (lawful, int(given.gigabytes * 1e9 / 2), 16 * MB),
    }
    print("| answer | outcome | s | s of twice as much | ratio | peak MB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    failed = False
    for name, (body, size, max_event_bytes) in cases.items():
        _, once, _ = measure(body, size, max_event_bytes)
        outcome, twice, peak = measure(body, 2 * size, max_event_bytes)
        ratio = twice / once
        failed |= peak > MAX_MEGABYTES or (ratio > MAX_RATIO and twice > 0.2)
        print(f"| {name} | {outcome} | {once:.2f} | {twice:.2f} | {ratio:.2f} | {peak} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
