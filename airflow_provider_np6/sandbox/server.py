"""The sandbox's HTTP server."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, urlsplit

from airflow_provider_np6.sandbox.account import FakeAccount
from airflow_provider_np6.sandbox.behavior import RateLimit, RefusedError, ServerBehavior
from airflow_provider_np6.sandbox.faults import Fault, Plan
from airflow_provider_np6.sandbox.responses import Responses

_BLOCK = 64 * 1024
_LIMITED = Fault(status=429, framing="length")


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the sandbox received.

    :param path: its path.
    :param parameters: its query parameters.
    :param authorized: whether its key was right; the key itself is not kept.
    :param uncached: whether it said ``Cache-Control: no-cache``.
    """

    path: str
    parameters: dict[str, str]
    authorized: bool
    uncached: bool


@dataclass(frozen=True)
class CachedBody:
    """A response that is sent again.

    :param body: its body before compression.
    :param sent_at: when it was sent first, in s since the epoch.
    """

    body: bytes
    sent_at: float


class Sandbox:
    """An NP6 on loopback, in a thread: ``with Sandbox() as sandbox: … sandbox.url``.

    :param account: its actions and events; None for the default account.
    :param key: the API key that it accepts.
    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param packed: whether to compress responses for clients that accept gzip.
    """

    def __init__(
        self,
        account: FakeAccount | None = None,
        *,
        key: str = "sandbox-key",
        host: str = "127.0.0.1",
        port: int = 0,
        packed: bool = False,
    ) -> None:
        self.account = account or FakeAccount()
        self.key = key
        self.packed = packed
        self.behavior = ServerBehavior()
        self.limit: RateLimit | None = None
        """Limit on the requests per second; None for no limit."""
        self.plan = Plan()
        self.received: list[ReceivedRequest] = []
        """Requests, in the order in which they came."""
        self.random = Random()  # noqa: S311 - disorder, not secret
        """Where the order of events without ``sort`` comes from; seed it for the same one again."""
        self.cache: dict[str, CachedBody] = {}
        """Responses to URLs, for a behavior with ``cached``."""
        self._server = ThreadingHTTPServer((host, port), type("_Bound", (_Handler,), {"sandbox": self}))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its URL, for a client on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        """Respond to requests until stopped."""
        self._server.serve_forever(poll_interval=0.05)

    def __enter__(self) -> Sandbox:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    sandbox: Sandbox
    protocol_version = "HTTP/1.1"
    wbufsize = _BLOCK
    disable_nagle_algorithm = True
    _clock = 0.0
    _sent_at: float | None = None
    _age: int | None = None
    _limit_headers: dict[str, str]

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client closed the connection
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Stay silent: paths hold ids."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parameters = {
            name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()
        }
        authorized = self.headers.get("X-Key") == self.sandbox.key
        self._sent_at = None
        uncached = "no-cache" in self.headers.get("Cache-Control", "")
        self.sandbox.received.append(ReceivedRequest(url.path, parameters, authorized, uncached))
        self._age = None if uncached else self.sandbox.behavior.age
        granted, self._limit_headers = self.sandbox.limit.take() if self.sandbox.limit else (True, {})
        fault = (self.sandbox.plan.take(self.path) if granted else _LIMITED) or Fault()
        if fault.stall and fault.ending != "stall":
            time.sleep(fault.stall)
        try:
            if not authorized:
                raise RefusedError(401)
            body = self._body(url.path, parameters, fault)
            if self.sandbox.behavior.cached and fault.status == HTTPStatus.OK:
                body = self._cached(body, renew=uncached)
        except RefusedError as refused:
            body = iter([self.sandbox.behavior.error_body])
            fault = Fault(status=refused.status, framing="length")
        with suppress(ConnectionError):
            self._send(body, fault)

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Date" or self.sandbox.behavior.dated:
            super().send_header(keyword, value)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The ``Date`` header, from the sandbox's own clock."""
        return super().date_time_string((timestamp or self._sent_at or time.time()) + self._clock)

    def _body(self, path: str, parameters: dict[str, str], fault: Fault) -> Iterator[bytes]:
        if fault.status != HTTPStatus.OK or fault.body is not None:
            return iter([fault.body or b""])
        responses = Responses(self.sandbox.account, self.sandbox.behavior, self.sandbox.random)
        return responses.body(path, parameters, fault.change)

    def _cached(self, body: Iterator[bytes], *, renew: bool) -> Iterator[bytes]:
        """The first response to this URL, which is this one if none was sent before, or if it is renewed."""
        cache, now = self.sandbox.cache, time.time()
        if renew or self.path not in cache:
            cache[self.path] = CachedBody(b"".join(body), now)
        else:
            self._sent_at = cache[self.path].sent_at
            self._age = int(now - self._sent_at) + (self._age or 0)
        return iter([cache[self.path].body])

    def _send(self, body: Iterator[bytes], fault: Fault) -> None:
        packed = self.sandbox.packed and "gzip" in self.headers.get("Accept-Encoding", "")
        blocks: Iterable[bytes] = _packed(_blocks(body)) if packed else _blocks(body)
        headers = {"Content-Type": "application/json"}
        if self.sandbox.behavior.request_ids:
            headers["x-request-id"] = str(uuid.uuid4())
        if packed:
            headers["Content-Encoding"] = "gzip"
        if fault.framing == "length":
            blocks = [b"".join(blocks)]
            headers["Content-Length"] = str(len(blocks[0]) + fault.longer)
        elif fault.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Connection"] = "close"
        if self._age is not None:
            headers["Age"] = str(self._age)
        self._clock = fault.clock
        self.send_response(fault.status)
        for name, value in {**headers, **self._limit_headers, **fault.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(_dripping(blocks, fault.drip), fault)

    def _write(self, blocks: Iterable[bytes], fault: Fault) -> None:
        left = fault.cut
        for block in blocks:
            piece = block if left is None else block[:left]
            if piece:
                chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if fault.framing == "chunked" else piece
                self.wfile.write(chunk)
            if left is not None:
                left -= len(piece)
                if left == 0:
                    self._end(fault)
                    return
        if fault.framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        if fault.longer:
            self.close_connection = True

    def _end(self, fault: Fault) -> None:
        """End the response before its end."""
        self.close_connection = True
        self.wfile.flush()
        if fault.ending == "stall":
            time.sleep(fault.stall)
        elif fault.ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _dripping(blocks: Iterable[bytes], pause: float) -> Iterator[bytes]:
    for block in blocks:
        if not pause:
            yield block
            continue
        for at in range(0, len(block), 1_024):
            yield block[at : at + 1_024]
            time.sleep(pause)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _packed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        yield gzip.compress(block, 1)
