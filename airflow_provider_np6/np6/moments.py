"""Moments as users write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import to_ms

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_FRACTION = re.compile(r"[.,]\d{3}(\d+)")


def parse_moment(name: str, value: object) -> int:
    """Milliseconds since the epoch of an aware datetime, a text with an offset, or a date (midnight UTC).

    :param name: what the value is called, for the error.
    :raises Np6InputError: if it is none of these, or finer than 1 ms.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time(), UTC)
    elif isinstance(value, str):
        moment = _parse_text(name, value.strip())
    else:
        raise Np6InputError(
            f"{name} is of type {type(value).__name__}", cure="Give a datetime or an ISO text."
        )
    try:
        return to_ms(moment)
    except Np6InputError as error:
        error.what = f"{name} {error.what}"
        raise


def _parse_text(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Np6InputError(
            f"{name} {text!r} is not a moment", cure="Write 2026-11-22, or 2026-11-22T06:00:00+01:00."
        ) from None
    if _DATE.fullmatch(text):
        return moment.replace(tzinfo=UTC)
    fraction = _FRACTION.search(text)
    if fraction and fraction[1].strip("0"):
        raise Np6InputError(
            f"{name} {text!r} is finer than 1 ms", cure="NP6 counts milliseconds: round the bound."
        )
    return moment
