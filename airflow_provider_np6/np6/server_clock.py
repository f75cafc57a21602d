"""What time it is by the server's clock, as far as that can be believed."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_np6.np6.rate_limit import server_date
from airflow_provider_np6.np6.window import DAY, SECOND

_MAX_AGE = 10 * 365 * DAY


def content_time(headers: Mapping[str, str], now: int) -> int | None:
    """When the content of a response was made, in ms since the epoch; None if the response does not show it.

    That is its ``Date``, if that is within one day of this machine's clock, less its ``Age``, which caches
    send: one cache sends the ``Date`` of the origin, another its own, so the earlier time counts.

    :param headers: of the response.
    :param now: this machine's clock, in ms since the epoch.
    """
    date, age = server_date(headers), content_age(headers)
    if date is not None and min(abs(date - now), abs(date + age - now)) <= DAY:
        return date - age
    return now - age if age else None


def content_age(headers: Mapping[str, str]) -> int:
    """How long caches have kept a response, in ms; 0 without a usable ``Age``.

    :param headers: of the response.
    """
    text = headers.get("Age", "").strip()
    return min(int(text) * SECOND, _MAX_AGE) if text.isascii() and text.isdigit() and len(text) < 20 else 0
