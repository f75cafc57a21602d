"""Requests to NP6 and what their outcomes mean, without Airflow."""

from __future__ import annotations

import re
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import requests
import urllib3

from airflow_provider_np6.np6.errors import (
    Np6AnswerError,
    Np6AuthenticationError,
    Np6ConnectionError,
    Np6Error,
    Np6NotFoundError,
    Np6PermissionError,
    Np6RateLimitError,
    Np6RefusedError,
    Np6ServerError,
    Np6TimeoutError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.rate_limit import RateLimit, asked_delay
from airflow_provider_np6.np6.retrying import Attempts, wait_for_limit
from airflow_provider_np6.np6.scanning import SPACE
from airflow_provider_np6.np6.session import Np6Session

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.settings import Np6Settings

CHUNK = 256 * 1024
"""Bytes read from the socket, and unpacked, at a time."""

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


class Np6Client:
    """Asks one NP6 account.

    :param settings: where, with which key and how patiently.
    """

    def __init__(self, settings: Np6Settings) -> None:
        self.settings = settings
        self.session = Np6Session(settings)
        self.limit = RateLimit()
        self.requests = 0
        """Requests sent so far."""

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    @contextmanager
    def response(
        self, path: str, parameters: Mapping[str, str] | None = None, *, timeout: Any = None
    ) -> Iterator[requests.Response]:
        """One GET, whatever its status; its body is still to be read, and the connection given up at the end.

        :raises Np6TransientError: if no answer came, or a rate limit is to be waited for too long.
        """
        wait_for_limit(self.limit.wait(), self.settings.max_wait)
        self.requests += 1
        with translated():
            response = self.session.get(
                self.settings.base_url + path, params=parameters, stream=True, timeout=timeout
            )
        self.limit.learn(response.headers)
        try:
            yield response
        finally:
            response.close()

    @contextmanager
    def answer(
        self, path: str, parameters: Mapping[str, str] | None = None, *, timeout: Any = None
    ) -> Iterator[requests.Response]:
        """Likewise, of status 200.

        :raises Np6Error: of the class that the outcome stands for.
        """
        with self.response(path, parameters, timeout=timeout) as response:
            if response.status_code != requests.codes.ok:
                raise refusal(response)
            yield response

    def get_json(
        self, path: str, parameters: Mapping[str, str] | None = None, *, tries: int | None = None
    ) -> Any:
        """The whole, decoded answer to one GET, tried again while failures may pass.

        :param tries: how often at most; None leaves it to the settings.
        :raises Np6Error: of the class that the outcome stands for.
        """
        attempts = Attempts(self.settings if tries is None else replace(self.settings, max_attempts=tries))
        while True:
            try:
                with self.answer(path, parameters) as response:
                    body = b"".join(chunks(response))
                    return msgspec.json.decode(body)
            except Np6Error as error:
                attempts.wait_or_raise(error.at(path))
            except msgspec.DecodeError:
                raise Np6AnswerError("the answer is not JSON", where=path, **facts(response)) from None

    def has_events(self, query: EventQuery) -> bool:
        """Whether there is any event of ``query``: reads the first bytes of the answer and hangs up."""
        asked = query.parameters(query.window)
        del asked["sort"]  # order costs NP6 time, and means nothing here
        attempts = Attempts(self.settings)
        while True:
            try:
                with self.answer(query.path, asked) as response:
                    return _begins_with_element(response)
            except Np6Error as error:
                attempts.wait_or_raise(error.at(query.where))

    def list_actions(self, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """``GET /actions``: documented, yet marked deprecated without a replacement.

        :raises Np6NotFoundError: if this account has it no more.
        """
        path = "/actions"
        try:
            actions = self.get_json(path, parameters)
        except Np6NotFoundError as error:
            error.cure = "NP6 marks this listing deprecated: give the ids of your actions by hand, or '*'."
            raise
        if not isinstance(actions, list) or not all(
            isinstance(action, dict) and isinstance(action.get("id"), str) for action in actions
        ):
            raise Np6AnswerError("the answer is not a list of actions with ids", where=path)
        return actions

    def get_action(self, action_id: str) -> dict[str, Any]:
        """``GET /actions/{id}`` (documented): the action with its settings and content."""
        path = f"/actions/{action_id}"
        action = self.get_json(path)
        if not isinstance(action, dict):
            raise Np6AnswerError("the answer is not an action", where=path)
        return action

    def get_statistics(self, action_id: str, *, tries: int | None = None) -> dict[str, Any] | None:
        """``GET /actions/{id}/statistics`` (older vendor material): counters, or None where it is gone."""
        path = f"/actions/{action_id}/statistics"
        try:
            counters = self.get_json(path, tries=tries)
        except Np6NotFoundError:
            return None
        if not isinstance(counters, dict):
            raise Np6AnswerError("the answer is no set of counters", where=path)
        return counters


def _begins_with_element(response: requests.Response) -> bool:
    begun = b""
    for piece in chunks(response):
        begun = (begun + piece).lstrip(SPACE)
        if begun[:1] not in (b"", b"["):
            raise Np6AnswerError("the answer is not the array that NP6 documents", **facts(response))
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
            raise Np6AnswerError(f"the answer is packed as {encoding[:40]!r}, not as gzip", **facts(response))


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


@contextmanager
def translated() -> Iterator[None]:
    """Tell the errors of requests, urllib3, zlib and the socket by what they mean.

    Reading a body raises urllib3's errors, sending a request raises those of requests; their texts may
    hold a URL, so only their kind is told.
    """
    try:
        yield
    except Np6Error:
        raise
    except requests.exceptions.SSLError as error:
        raise Np6ConnectionError(
            "the TLS connection could not be trusted",
            cure="Check the host's name; behind an inspecting proxy, set the extra ca_bundle.",
        ) from _bare(error)
    except requests.exceptions.ProxyError as error:
        raise Np6ConnectionError(
            "the proxy did not let the request through",
            cure="Check HTTPS_PROXY and NO_PROXY in the worker's environment.",
        ) from _bare(error)
    except requests.exceptions.ConnectTimeout as error:
        raise Np6ConnectionError(
            "no connection came about within connect_timeout",
            cure="Check the way from the worker to the host; the connection's extras set the limit.",
        ) from _bare(error)
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise Np6TimeoutError(
            "no byte came within read_timeout",
            cure="Check the way from the worker to the host; the connection's extras set the limit.",
        ) from _bare(error)
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError, zlib.error) as error:
        raise Np6TruncatedError("the answer broke off") from _bare(error)
    except (requests.exceptions.RequestException, OSError) as error:
        raise Np6ConnectionError(
            "the host's name is unknown" if _is_name_error(error) else "the host could not be reached",
            cure="Check the connection's host and the way from the worker to it.",
        ) from _bare(error)


def _bare(error: BaseException) -> Exception:
    """The error's kind without its text, which may hold a URL or an address."""
    return RuntimeError(type(error).__name__)


def _is_name_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, socket.gaierror | urllib3.exceptions.NameResolutionError):
            return True
        reason = error.args[0] if error.args else None
        inner = getattr(reason, "reason", None) or getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return False


def facts(response: requests.Response) -> dict[str, Any]:
    """Status and ``x-request-id`` of an answer, fit for a message."""
    request_id = _UNPRINTABLE.sub("", response.headers.get("x-request-id", ""))[:64]
    return {"status": response.status_code, "request_id": request_id or None}


_REFUSALS: dict[int, tuple[Callable[..., Np6Error], str, str]] = {
    401: (
        Np6AuthenticationError,
        "NP6 does not accept the API key",
        "Put a valid key into the connection's password field.",
    ),
    403: (
        Np6PermissionError,
        "the API key's user may not read this",
        "Give that user the right in NP6, or use another key.",
    ),
    404: (Np6NotFoundError, "NP6 knows no such resource", "Check the action's id and the event type."),
    410: (Np6NotFoundError, "NP6 has this resource no more", "Check the action's id and the event type."),
    429: (Np6RateLimitError, "NP6 limits the rate of requests", "Give the API's pool fewer slots."),
}


def refusal(response: requests.Response) -> Np6Error:
    """The error that a status other than 200 stands for; bodies of errors are unknown and not read."""
    status = response.status_code
    if status in _REFUSALS:
        kind, what, cure = _REFUSALS[status]
    elif status >= 500:
        kind, what, cure = Np6ServerError, "NP6 failed", "If it lasts, give NP6's support the request id."
    elif status >= 400:
        kind, what, cure = (
            Np6RefusedError,
            "NP6 refused the request",
            "NP6's support can look up the request id.",
        )
    else:
        kind, what, cure = Np6AnswerError, "NP6 answered neither with events nor with an error", ""
    if status in (429, 503):
        return kind(what, cure=cure, delay=asked_delay(response.headers), **facts(response))
    return kind(what, cure=cure, **facts(response))
