"""Requests to NP6, without Airflow."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests

from airflow_provider_np6 import __version__
from airflow_provider_np6.np6.errors import (
    Np6Error,
    Np6NotFoundError,
    Np6RefusedError,
    Np6ResponseError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.http_errors import facts, refusal, translated
from airflow_provider_np6.np6.json_stream import SPACE
from airflow_provider_np6.np6.rate_limit import RateLimit
from airflow_provider_np6.np6.retry import Attempts, wait_for_limit

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.query import EventQuery


class Np6Session(requests.Session):
    """Sends ``X-Key`` (documented) with every request, always with time-outs.

    ``requests`` follows redirects to any host with custom headers kept, so that a redirect would hand
    the key to whoever is at its end: here a request that leaves the connection's origin (scheme, host
    and port), by a redirect or by its own URL, raises :class:`Np6RefusedError` before it is sent.
    """

    def __init__(self, config: Np6Config) -> None:
        super().__init__()
        self._origin = _origin(config.base_url)
        self._timeout = (config.connect_timeout, config.read_timeout)
        self._ca_bundle = config.ca_bundle
        self.max_redirects = 5
        self.headers.update(
            {
                "X-Key": config.api_key,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"airflow-provider-np6/{__version__}",
            }
        )

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request; every hop of a redirect comes through here too.

        :raises Np6RefusedError: if the request would leave the connection's origin.
        """
        target = _origin(request.url or "")
        if target != self._origin:
            raise Np6RefusedError(
                f"a request to {_named(target)} was stopped, for it would carry the API key away"
                f" from {_named(self._origin)}",
                hint="If NP6 moved, set the new address as the connection's host.",
            )
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        if self._ca_bundle is not None:
            # The environment's REQUESTS_CA_BUNDLE would win over the session's own setting.
            kwargs["verify"] = self._ca_bundle
        return super().send(request, **kwargs)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def _named(origin: tuple[str, str, int]) -> str:
    scheme, host, port = origin
    return f"{scheme}://{host}:{port}"


CHUNK = 256 * 1024
"""Bytes read from the socket, and unpacked, at a time."""


class Np6Client:
    """Asks one NP6 account.

    :param config: where, with which key and how patiently.
    """

    def __init__(self, config: Np6Config) -> None:
        self.config = config
        self.session = Np6Session(config)
        self.limit = RateLimit()
        self.requests = 0
        """Requests sent so far."""

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    @contextmanager
    def get(
        self,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        timeout: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """One GET, whatever its status; its body is still to be read. The connection is closed at the end.

        :param path: below the connection's host.
        :param parameters: of the query string.
        :param timeout: for connecting and between bytes, in s; None means the connection's own.
        :param headers: beside those of every request.
        :raises Np6TransientError: if no answer came, or a rate limit is to be waited for too long.
        """
        wait_for_limit(self.limit.wait(), self.config.max_wait)
        self.requests += 1
        with translated():
            response = self.session.get(
                self.config.base_url + path, params=parameters, stream=True, timeout=timeout, headers=headers
            )
        self.limit.learn(response.headers)
        try:
            yield response
        finally:
            response.close()

    @contextmanager
    def get_ok(
        self,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        timeout: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """Likewise, of status 200.

        :raises Np6Error: of the class that the outcome stands for.
        """
        with self.get(path, parameters, timeout=timeout, headers=headers) as response:
            if response.status_code != requests.codes.ok:
                raise refusal(response)
            yield response

    def get_json(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The whole, decoded answer to one GET, tried again while failures may pass.

        :raises Np6Error: of the class that the outcome stands for.
        """
        attempts = Attempts(self.config)
        while True:
            try:
                with self.get_ok(path, parameters) as response:
                    body = b"".join(chunks(response))
                    return msgspec.json.decode(body)
            except Np6Error as error:
                attempts.wait_or_raise(error.at(path))
            except msgspec.DecodeError:
                raise Np6ResponseError("the answer is not JSON", context=path, **facts(response)) from None

    def has_events(self, query: EventQuery) -> bool:
        """Whether there is any event of ``query``: reads the first bytes of the answer and hangs up."""
        requested = query.parameters(query.window)
        del requested["sort"]  # order costs NP6 time, and means nothing here
        attempts = Attempts(self.config)
        while True:
            try:
                with self.get_ok(query.path, requested) as response:
                    return _begins_with_element(response)
            except Np6Error as error:
                attempts.wait_or_raise(error.at(query.description))

    def list_actions(self, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """``GET /actions``: documented, yet marked deprecated without a replacement.

        :raises Np6NotFoundError: if this account has it no more.
        """
        path = "/actions"
        try:
            actions = self.get_json(path, parameters)
        except Np6NotFoundError as error:
            error.hint = "NP6 marks this listing deprecated: give the ids of your actions by hand, or '*'."
            raise
        if not isinstance(actions, list) or not all(
            isinstance(action, dict) and isinstance(action.get("id"), str) for action in actions
        ):
            raise Np6ResponseError("the answer is not a list of actions with ids", context=path)
        return actions

    def get_action(self, action_id: str) -> dict[str, Any]:
        """``GET /actions/{id}`` (documented): the action with its settings and content."""
        path = f"/actions/{action_id}"
        action = self.get_json(path)
        if not isinstance(action, dict):
            raise Np6ResponseError("the answer is not an action", context=path)
        return action


def _begins_with_element(response: requests.Response) -> bool:
    begun = b""
    for piece in chunks(response):
        begun = (begun + piece).lstrip(SPACE)
        if begun[:1] not in (b"", b"["):
            raise Np6ResponseError("the answer is not the array that NP6 documents", **facts(response))
        inside = begun[1:].lstrip(SPACE)
        if inside:
            return inside[:1] != b"]"
    raise Np6TruncatedError("the answer ends before its first event", **facts(response))


def chunks(response: requests.Response) -> Iterator[bytes]:
    """The body, unpacked, in pieces of at most :data:`CHUNK` bytes.

    Whether NP6 compresses is unknown: gzip is offered, and plain bytes are as welcome. Unpacking is done
    here because urllib3 accepts a gzip stream that lacks its checksum.

    :raises Np6TruncatedError: if it breaks off, by any sign that the framing gives.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    with translated():
        pieces = _pieces(response)
        if encoding in ("", "identity"):
            yield from pieces
        elif encoding in ("gzip", "x-gzip"):
            yield from _gunzip(pieces)
        else:
            raise Np6ResponseError(
                f"the answer is packed as {encoding[:40]!r}, not as gzip", **facts(response)
            )


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives: ``read`` would gather a whole chunk, and lose it all when the rest stalls."""
    while piece := response.raw.read1(CHUNK, decode_content=False):
        yield piece


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    started = False
    for piece in pieces:
        started = True
        rest = piece
        while rest:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=31)
            yield unpacker.decompress(rest, CHUNK)
            rest = unpacker.unconsumed_tail or unpacker.unused_data
    if started and not unpacker.eof:
        raise Np6TruncatedError("the packed answer ends before its checksum")
