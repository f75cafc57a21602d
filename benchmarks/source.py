"""The same bytes for every contender: a day of bounces in a file, and a server that sends it."""

from __future__ import annotations

import os
import re
import socket
import threading
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

DAY = 86_400_000
START = 20_000 * DAY

TEMPLATES = 50_000
"""The sandbox makes so many bounces, which come again with other ids and times: too far apart, 35 MB, for
any format to profit."""

_ENVELOPE = re.compile(rb'(.*?"id":")[0-9a-f]{8}(.*?"timestamp":)\d{13}(.*)', re.DOTALL)
_ID = re.compile(rb'"type":"bounce","id":"([^"]+)"')


def write_body(path: Path, events: int) -> int:
    """One day of bounces as NP6 would send them, in order of time.

    :param events: how many; one more if that is a multiple of 100: a pull would send a second request then,
        for more events, and this server has but one response.
    :returns: their number.
    """
    from airflow_provider_np6.sandbox import FakeAccount

    count = events + (events % 100 == 0)
    distinct = min(count, TEMPLATES)
    account = FakeAccount(events_per_day=distinct)
    bounces = islice(account.events("bounces", account.action_ids[0], START, START + 366 * DAY), distinct)
    templates = [match.groups() for match in (_ENVELOPE.fullmatch(event.json) for event in bounces) if match]
    with path.open("wb") as body:
        for number in range(count):
            head, middle, tail = templates[number % len(templates)]
            timestamp = START + number * DAY // count
            body.write(b"%c%b%08x%b%d%b" % (b"," if number else b"[", head, number, middle, timestamp, tail))
        body.write(b"]")
    return count


def read_ids(path: Path) -> set[str]:
    """The ids of all events in a body."""
    return {id_.decode() for id_ in _ID.findall(path.read_bytes())}


def serve(path: Path, header: bytes = b"") -> str:
    """A server on loopback that sends a file, out of the kernel's cache; returns its URL.

    :param header: a further one of its responses, with its line end.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)

    def respond(connection: socket.socket) -> None:
        with closing(connection), path.open("rb") as body, suppress(OSError):  # the client has seen enough
            connection.recv(65_536)
            head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n"
            connection.sendall(head % (header, os.fstat(body.fileno()).st_size))
            connection.sendfile(body)

    def accept() -> None:
        while True:
            threading.Thread(target=respond, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
