"""What became of a request that brought no events: an error of ours for each way in which it can fail."""

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
            hint="Check the host's name; behind an inspecting proxy, set the extra ca_bundle.",
        ) from _bare(error)
    except requests.exceptions.ProxyError as error:
        raise Np6ConnectionError(
            "the proxy did not let the request through",
            hint="Check HTTPS_PROXY and NO_PROXY in the worker's environment.",
        ) from _bare(error)
    except requests.exceptions.ConnectTimeout as error:
        raise Np6ConnectionError(
            "no connection came about within connect_timeout",
            hint="Check the way from the worker to the host; the connection's extras set the limit.",
        ) from _bare(error)
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise Np6TimeoutError(
            "no byte came within read_timeout",
            hint="Check the way from the worker to the host; the connection's extras set the limit.",
        ) from _bare(error)
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError, zlib.error) as error:
        raise Np6TruncatedError("the answer broke off") from _bare(error)
    except (requests.exceptions.RequestException, OSError) as error:
        raise Np6ConnectionError(
            "the host's name is unknown" if _is_name_error(error) else "the host could not be reached",
            hint="Check the connection's host and the way from the worker to it.",
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
        kind, what, hint = _REFUSALS[status]
    elif status >= 500:
        kind, what, hint = Np6ServerError, "NP6 failed", "If it lasts, give NP6's support the request id."
    elif status >= 400:
        kind, what, hint = (
            Np6RefusedError,
            "NP6 refused the request",
            "NP6's support can look up the request id.",
        )
    else:
        kind, what, hint = Np6ResponseError, "NP6 answered neither with events nor with an error", ""
    if status in (429, 503):
        return kind(what, hint=hint, delay=requested_delay(response.headers), **facts(response))
    return kind(what, hint=hint, **facts(response))
