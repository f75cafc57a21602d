"""What time it is by the server's clock, as far as that can be believed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from airflow_provider_np6.np6.window import DAY, SECOND

_MAX_AGE = 10 * 365 * DAY


def parse_date(value: str) -> float | None:
    """Seconds since the epoch of a date in any form that HTTP allows; None if it has another form.

    :param value: of a header.
    """
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    # HTTP's dates are in UTC, also in the old form of C's asctime, which names no zone.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def server_date(headers: Mapping[str, str]) -> int | None:
    """The server's ``Date`` in ms since the epoch; None if it is missing or unreadable.

    :param headers: those of a response; names are case-insensitive.
    """
    date = parse_date(headers.get("Date", ""))
    return None if date is None else int(date * SECOND)


def server_time(headers: Mapping[str, str]) -> float:
    """Seconds since the epoch by the server's ``Date``, or by this machine's clock if that is missing or
    differs by more than a day.

    :param headers: those of a response; names are case-insensitive.
    """
    date, now = server_date(headers), time.time()
    return date / SECOND if date is not None and _is_plausible(date, now * SECOND) else now


def content_time(headers: Mapping[str, str], now: int) -> int | None:
    """When the content of a response was made, in ms since the epoch; None if the response does not show it.

    That is its ``Date``, if that is within one day of this machine's clock, less its ``Age``, which caches
    send: one cache sends the ``Date`` of the origin, another its own, so the earlier time counts.

    :param headers: of the response.
    :param now: this machine's clock, in ms since the epoch.
    """
    date, age = server_date(headers), content_age(headers)
    if date is not None and (_is_plausible(date, now) or _is_plausible(date + age, now)):
        return date - age
    return now - age if age else None


def content_age(headers: Mapping[str, str]) -> int:
    """How long caches have kept a response, in ms; 0 without a usable ``Age``.

    :param headers: of the response.
    """
    text = headers.get("Age", "").strip()
    return min(int(text) * SECOND, _MAX_AGE) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _is_plausible(date: float, now: float) -> bool:
    """Whether a server's time is within a day of this machine's clock, both in ms since the epoch."""
    return abs(date - now) <= DAY
