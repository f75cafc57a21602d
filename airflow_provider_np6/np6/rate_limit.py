"""How long NP6 wants a client to wait.

Documented: over the limit, NP6 responds with ``429``, and the headers ``X-RateLimit-Remaining`` and
``X-RateLimit-Reset`` may be present. The unit of Reset is unknown: its size distinguishes seconds since the
epoch, milliseconds since the epoch, seconds from now, and milliseconds from now. NP6 never mentions
``Retry-After``, but a proxy may send it. No response makes a task wait for more than a day.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from airflow_provider_np6.np6.server_clock import parse_date, server_time

EPOCH_SECONDS = 1e9
"""From this value on, a Reset is in seconds since the epoch; below it, in seconds from now."""
EPOCH_MILLISECONDS = 1e11
"""From this value on, a Reset is in milliseconds since the epoch."""
LONGEST_RESET = 3_600
"""Beyond this value, a Reset from now is in milliseconds: if that is wrong, the next response shows it, while
too long a wait would show nothing."""
MAX_DELAY = 86_400.0
"""The longest delay that is taken from a response, in s."""


class RateLimit:
    """Remembers until when NP6 lets no request through."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take note of a response: if no request remains, the next one waits for the reset.

        :param headers: those of the response; names are case-insensitive.
        """
        if _is_used_up(headers):
            seconds = _seconds_until_reset(headers)
            if seconds is not None:
                self._free_at = time.time() + seconds

    def wait(self) -> float:
        """Seconds until a request may be sent."""
        return max(0.0, self._free_at - time.time())


def requested_delay(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait that a response of status 429 or 503 names; None if it names no delay.

    If no request remains, it is at least the time until the reset, because no request is sent before.

    :param headers: those of the response; names are case-insensitive.
    """
    value = headers.get("Retry-After", "").strip()
    number = _parse_number(value)
    seconds = None if number is None else _since_epoch_or_now(number, headers)
    if number is None and (date := parse_date(value)) is not None:
        seconds = _bounded(date - server_time(headers))
    reset = _seconds_until_reset(headers)
    if seconds is None:
        return reset
    return max(seconds, reset or 0.0 if _is_used_up(headers) else 0.0)


def _is_used_up(headers: Mapping[str, str]) -> bool:
    return _parse_number(headers.get("X-RateLimit-Remaining")) == 0


def _seconds_until_reset(headers: Mapping[str, str]) -> float | None:
    value = _parse_number(headers.get("X-RateLimit-Reset"))
    if value is None:
        return None
    return _since_epoch_or_now(value / 1_000 if LONGEST_RESET < value < EPOCH_SECONDS else value, headers)


def _since_epoch_or_now(value: float, headers: Mapping[str, str]) -> float:
    """Seconds from now of a number that may count from the epoch."""
    if value >= EPOCH_MILLISECONDS:
        value /= 1_000
    return _bounded(value - server_time(headers) if value >= EPOCH_SECONDS else value)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), MAX_DELAY)


def _parse_number(value: str | None) -> float | None:
    """A finite number that is not negative; None if the header has none."""
    try:
        number = float((value or "").strip())
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
