"""The same bytes for every contender: a day of bounces in a file, and a server that sends it."""

from __future__ import annotations

import mmap
import os
import re
import socket
import threading
from contextlib import closing, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

DAY = 86_400_000
START = 20_000 * DAY

TEMPLATES = 50_000
"""The sandbox makes so many bounces, which come again with other ids and times: too far apart, 35 MB, for
any format to profit."""

_ENVELOPE = re.compile(rb'(.*?"id":")[0-9a-f]{8}(.*?"timestamp":)\d{13}(.*)', re.DOTALL)
_EVENT = b'{"type":"bounce","id":"'
_TIMESTAMP = re.compile(rb'"timestamp":(\d{13})')
_ID = re.compile(rb'"type":"bounce","id":"([^"]+)"')


def write_body(path: Path, events: int) -> None:
    """One day of bounces as NP6 would send them, in order of time.

    :param events: how many.
    """
    from airflow_provider_np6.sandbox import FakeAccount

    distinct = min(events, TEMPLATES)
    account = FakeAccount(events_per_day=distinct)
    bounces = islice(account.events("bounces", account.action_ids[0], START, START + 366 * DAY), distinct)
    templates = [match.groups() for match in (_ENVELOPE.fullmatch(event.json) for event in bounces) if match]
    with path.open("wb") as body:
        for number in range(events):
            head, middle, tail = templates[number % len(templates)]
            timestamp = START + number * DAY // events
            body.write(b"%c%b%08x%b%d%b" % (b"," if number else b"[", head, number, middle, timestamp, tail))
        body.write(b"]")


def read_ids(path: Path) -> set[str]:
    """The ids of all events in a body."""
    return {id_.decode() for id_ in _ID.findall(path.read_bytes())}


def serve(path: Path, header: bytes = b"") -> str:
    """A server on loopback that sends a file, out of the kernel's cache; of one with events, those of the
    window that is requested. Returns its URL.

    :param header: a further one of its responses, with its line end.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)

    def respond(connection: socket.socket) -> None:
        with closing(connection), path.open("rb") as body, suppress(OSError):  # the client has seen enough
            window = _requested(connection.recv(65_536))
            head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n"
            if window is None or (window[0] <= START and window[1] >= START + DAY):
                connection.sendall(head % (header, os.fstat(body.fileno()).st_size))
                connection.sendfile(body)
                return
            with mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ) as events:
                begin, end = (_find(events, time) for time in window)
                part = b"[" + events[begin:end].rstrip(b",]") + b"]"
            connection.sendall(head % (header, len(part)) + part)

    def accept() -> None:
        while True:
            threading.Thread(target=respond, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _requested(request: bytes) -> tuple[int, int] | None:
    """The window of a request, in ms; None if it has none."""
    query = parse_qs(urlsplit(request.split(b" ", 2)[1].decode()).query)
    if not {"start", "end"} <= set(query):
        return None
    start, end = (
        round(datetime.fromisoformat(query[name][0]).timestamp() * 1_000) for name in ("start", "end")
    )
    return start, end


def _find(events: mmap.mmap, time: int) -> int:
    """Where the first event at or after a time begins."""
    low, high = 1, len(events)
    while low < high:
        middle = (low + high) // 2
        match = _TIMESTAMP.search(events, middle)
        if match is None or int(match[1]) >= time:
            high = middle
        else:
            low = middle + 1
    match = _TIMESTAMP.search(events, low)
    return len(events) if match is None else events.rfind(_EVENT, 0, match.start())
