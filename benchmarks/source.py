"""The same bytes for every contender: a day of bounces in a file, and a server that sends it."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

DAY = 86_400_000
START = 20_000 * DAY


def write_body(path: Path, events: int) -> None:
    """One day of bounces as NP6 would send them."""
    from airflow_provider_np6.sandbox import World

    world = World(events_per_day=events)
    mark = b"["
    with path.open("wb") as body:
        for event in world.events("bounces", world.action_ids[0], START, START + DAY):
            body.write(mark + event.json)
            mark = b","
        body.write(b"]")


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
