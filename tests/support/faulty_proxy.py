"""A proxy in front of an HTTP server that lets it fail."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

WRITES = ("PUT", "POST", "DELETE")


class FaultyProxy:
    """``with FaultyProxy(url) as proxy: proxy.url …``

    ``proxy.plan`` is called before each request that writes, with its number from 0 on: ``"500"`` responds
    so, ``"cut"`` reads half of the request and hangs up, ``"lost"`` hangs up once it was carried out.
    ``proxy.refuse`` is called with method and path of each request, and returns a status and a code of S3 for
    those that are refused.
    """

    def __init__(self, url: str) -> None:
        self._upstream = urlsplit(url).netloc
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.plan: Callable[[int], str | None] = lambda _: None
        self.refuse: Callable[[str, str], tuple[int, str] | None] = lambda *_: None
        self.writes: list[str] = []

    def __enter__(self) -> FaultyProxy:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        fault = None
        if request.command in WRITES:
            with self._lock:
                self.writes.append(f"{request.command} {request.path}")
                fault = self.plan(len(self.writes) - 1)
        size = int(request.headers.get("Content-Length", 0))
        body = request.rfile.read(size // 2 if fault == "cut" else size)
        refused = self.refuse(request.command, request.path)
        if refused is not None:
            status, code = refused
            error = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            request.send_response(status)
            request.send_header("Content-Type", "application/xml")
            request.send_header("Content-Length", str(len(error)))
            request.end_headers()
            request.wfile.write(b"" if request.command == "HEAD" else error)
            return
        if fault == "500":
            request.send_response(500)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if fault == "cut":
            request.close_connection = True
            return
        upstream = http.client.HTTPConnection(self._upstream)
        upstream.request(request.command, request.path, body or None, dict(request.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if fault == "lost":
            request.close_connection = True
            return
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                request.send_header(name, value)
        if "Content-Length" not in answer.headers:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
