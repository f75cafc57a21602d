"""How long NP6 wants a client to wait.

Documented: over the limit, ``429``; the headers ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset`` *may*
come. Unknown: the unit of Reset, so that epoch seconds, epoch milliseconds and seconds from now are told
apart by their size. ``Retry-After``, which NP6 never mentions, may come from a proxy.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

EPOCH_SECONDS = 1e9
"""From here on a Reset counts seconds since the epoch, below it seconds from now."""
EPOCH_MILLISECONDS = 1e11
"""From here on it counts milliseconds since the epoch."""


class RateLimit:
    """What the answers so far said of the limit."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take note of an answer's headers: with nothing remaining, the next request waits for the reset."""
        if _is_used_up(headers):
            wait = _reset(headers)
            if wait is not None:
                self._free_at = time.time() + wait

    def wait(self) -> float:
        """Seconds until a request may be sent."""
        return max(0.0, self._free_at - time.time())


def requested_delay(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer of status 429 or 503 asks to wait, or None if it does not say; with nothing
    remaining, not less than until the reset, before which no request is sent."""
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is None and value:
        date = _date(value)
        seconds = None if date is None else date - server_time(headers)
    reset = _reset(headers)
    if seconds is None:
        return reset
    return max(0.0, seconds, reset or 0.0 if _is_used_up(headers) else 0.0)


def server_time(headers: Mapping[str, str]) -> float:
    """Seconds since the epoch by the server's clock, from ``Date``, else by this machine's."""
    date = _date(headers.get("Date", ""))
    return time.time() if date is None else date


def server_date(headers: Mapping[str, str]) -> int | None:
    """``Date`` in ms since the epoch, None if it is missing or unreadable."""
    date = _date(headers.get("Date", ""))
    return None if date is None else int(date * 1_000)


def _is_used_up(headers: Mapping[str, str]) -> bool:
    return _number(headers.get("X-RateLimit-Remaining")) == 0


def _reset(headers: Mapping[str, str]) -> float | None:
    value = _number(headers.get("X-RateLimit-Reset"))
    if value is None:
        return None
    if value >= EPOCH_MILLISECONDS:
        value = value / 1_000 - server_time(headers)
    elif value >= EPOCH_SECONDS:
        value -= server_time(headers)
    return max(0.0, value)


def _number(text: str | None) -> float | None:
    try:
        number = float((text or "").strip())
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    # HTTP's dates are in UTC, also in the old form of C's asctime, which names no zone.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
