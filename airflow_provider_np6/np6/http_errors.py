"""Maps HTTP statuses and transport errors to Np6Error classes.

The documentation lists 401, 404 and 429; older material of the vendor also has 400, 403, 409, 410, 500 and
503. What an error's body contains is unknown, so bodies of errors are not read.
"""

from __future__ import annotations

import re
import socket
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import urllib3

from airflow_provider_np6.np6.errors import (
    Np6AuthenticationError,
    Np6ConnectionError,
    Np6Error,
    Np6NotFoundError,
    Np6PermissionError,
    Np6RateLimitError,
    Np6RefusedError,
    Np6ResponseError,
    Np6ServerError,
    Np6TimeoutError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.rate_limit import requested_delay

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_MAX_REQUEST_ID = 64  # characters

_SLOW_NETWORK = "Check the worker's network; the connection's extras set the timeouts."


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise our error for one of requests, urllib3, zlib or the socket.

    Sending a request raises errors of requests, reading a body raises those of urllib3. Their messages may
    contain a URL, so only their class is kept, as the cause.

    :raises Np6ConnectionError: if no response arrives.
    :raises Np6TimeoutError: if no byte arrives within ``read_timeout``.
    :raises Np6TruncatedError: if the body breaks off.
    """
    try:
        yield
    except Np6Error:
        raise
    except requests.exceptions.SSLError as error:
        raise Np6ConnectionError(
            "the TLS connection could not be trusted",
            hint="Check the host's name; behind an inspecting proxy, set the extra ca_bundle.",
        ) from _without_message(error)
    except requests.exceptions.ProxyError as error:
        raise Np6ConnectionError(
            "the proxy did not let the request through",
            hint="Check HTTPS_PROXY and NO_PROXY in the worker's environment.",
        ) from _without_message(error)
    except requests.exceptions.ConnectTimeout as error:
        raise Np6ConnectionError(
            "no connection came about within connect_timeout", hint=_SLOW_NETWORK
        ) from _without_message(error)
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise Np6TimeoutError("no byte came within read_timeout", hint=_SLOW_NETWORK) from _without_message(
            error
        )
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError, zlib.error) as error:
        raise Np6TruncatedError("the response broke off") from _without_message(error)
    except (requests.exceptions.RequestException, OSError) as error:
        raise Np6ConnectionError(
            "the host's name is unknown" if _is_name_error(error) else "the host could not be reached",
            hint="Check the connection's host and the worker's network.",
        ) from _without_message(error)


def _without_message(error: BaseException) -> Exception:
    """The error's class without its message, which may contain a URL or an address."""
    return RuntimeError(type(error).__name__)


def _is_name_error(error: BaseException | None) -> bool:
    """Whether an error, or one that it wraps, says that the host's name is unknown."""
    while error is not None:
        if isinstance(error, socket.gaierror | urllib3.exceptions.NameResolutionError):
            return True
        reason = error.args[0] if error.args else None
        inner = getattr(reason, "reason", None) or getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return False


def facts(response: requests.Response) -> dict[str, Any]:
    """Status and request id of a response, as arguments of an :class:`~.errors.Np6Error`.

    NP6's support needs ``x-request-id`` (reported by another client, undocumented).

    :param response: any response; its headers are not trusted.
    """
    request_id = _UNPRINTABLE.sub("", response.headers.get("x-request-id", ""))[:_MAX_REQUEST_ID]
    return {"status": response.status_code, "request_id": request_id or None}


@contextmanager
def add_facts(response: requests.Response) -> Iterator[None]:
    """Add status and request id to the errors that are raised about a response.

    :param response: the response that is read meanwhile.
    :raises Np6Error: the same object.
    """
    try:
        yield
    except Np6Error as error:
        known = facts(response)
        error.status = error.status or known["status"]
        error.request_id = error.request_id or known["request_id"]
        raise


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
    410: (Np6NotFoundError, "NP6 no longer has this resource", "Check the action's id and the event type."),
    429: (Np6RateLimitError, "NP6 limits the rate of requests", "Give the API's pool fewer slots."),
}


def refusal(response: requests.Response) -> Np6Error:
    """Return the error that a status stands for; raising it is left to the caller.

    :param response: one with any status other than 200.
    """
    status = response.status_code
    if status in _REFUSALS:
        error_class, what, hint = _REFUSALS[status]
    elif status >= 500:
        error_class, what, hint = (
            Np6ServerError,
            "NP6 failed",
            "If it lasts, give NP6's support the request id.",
        )
    elif status >= 400:
        error_class, what, hint = (
            Np6RefusedError,
            "NP6 refused the request",
            "NP6's support can look up the request id.",
        )
    else:
        error_class, what, hint = (
            Np6ResponseError,
            "NP6 responded neither with events nor with an error",
            "Check that the connection's host is NP6's API.",
        )
    if status in (429, 503):
        return error_class(what, hint=hint, delay=requested_delay(response.headers), **facts(response))
    return error_class(what, hint=hint, **facts(response))
