"""The same bytes for every contender: a day of bounces in a file, and a server that sends it."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

DAY = 86_400_000
START = 20_000 * DAY

DISTINCT = 500_000
"""Beyond so many, the same events come again, under other ids and times."""

_ENVELOPE = re.compile(rb'(.*?"id":")[0-9a-f]{8}(.*?"timestamp":)\d{13}(.*)', re.DOTALL)


def write_body(path: Path, events: int) -> int:
    """One day of bounces as NP6 would send them, in order of time; returns how many, about ``events``.

    Their number is never a multiple of 100: a pull would ask once more then, for what came after the last
    event, and this server has but one answer.
    """
    written = 0
    with path.open("wb") as body:
        for event in _events(events):
            body.write((b"," if written else b"[") + event)
            written += 1
        if written % 100 == 0:
            body.write(b"," + event.replace(b'"id":"', b'"id":"last-', 1))
            written += 1
        body.write(b"]")
    return written


def _events(count: int) -> Iterator[bytes]:
    from airflow_provider_np6.sandbox import FakeAccount

    account = FakeAccount(events_per_day=min(count, DISTINCT))
    made = (event.json for event in account.events("bounces", account.action_ids[0], START, START + DAY))
    if count <= DISTINCT:
        yield from made
        return
    parts = [match.groups() for match in map(_ENVELOPE.fullmatch, made) if match]
    for number in range(count):
        head, middle, tail = parts[number % len(parts)]
        yield b"%b%08x%b%d%b" % (head, number, middle, START + number * DAY // count, tail)


def ids_in(path: Path) -> set[str]:
    """The ids of all events that a body holds."""
    found = re.findall(rb'"type":"bounce","id":"([^"]+)"', path.read_bytes())
    return {id_.decode() for id_ in found}


def serve(path: Path) -> int:
    """Answer each request with the file, from the kernel's own cache; returns the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        with closing(connection), path.open("rb") as body:
            connection.recv(65_536)
            connection.sendall(head % os.fstat(body.fileno()).st_size)
            connection.sendfile(body)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def drain(port: int) -> float:
    """Seconds that the server needs for one answer to a client that does nothing with it."""
    buffer = bytearray(1 << 20)
    begun = time.perf_counter()
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while connection.recv_into(buffer):
            pass
    return time.perf_counter() - begun
