"""Half-open windows of time, exact to the millisecond.

NP6 stamps an event with its publication time in milliseconds since 1970-01-01 UTC, and its ``start``
and ``end`` parameters keep ``start <= timestamp < end`` (both documented): windows that share an edge
tile, and no event falls between them or into both.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from airflow_provider_np6.np6.errors import Np6InputError

SECOND = 1_000
DAY = 86_400 * SECOND
_MINUTE = 60 * SECOND

# Texts of moments are put together from these: millions of them are written.
_SECONDS = [f"{second:02d}" for second in range(60)]
_FRACTIONS = [f".{ms:03d}Z" for ms in range(SECOND)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEM = re.compile(r"(\d{8}T\d{6}(?:\.\d{3})?Z)_(\d{8}T\d{6}(?:\.\d{3})?Z)")


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware ``timestamp``.

    :raises Np6InputError: if it is naive or finer than 1 ms, the resolution of the API's timestamps.
    """
    if moment.utcoffset() is None:
        raise Np6InputError(
            f"{moment.isoformat()} has no time zone",
            hint="Give an offset, such as +00:00, or tzinfo=timezone.utc.",
        )
    ms, rest = divmod(moment.microsecond, 1_000)
    if rest:
        raise Np6InputError(
            f"{moment.isoformat()} is finer than 1 ms", hint="NP6 counts milliseconds: round the bound."
        )
    return timegm(moment.utctimetuple()) * SECOND + ms


def from_ms(ms: int) -> datetime:
    """The moment ``ms`` milliseconds after the epoch, in UTC."""
    return _EPOCH + timedelta(milliseconds=ms)


def iso(ms: int) -> str:
    """``2026-11-22T00:00:00.000Z``: fixed width, so that it sorts as text."""
    return _to_the_minute(ms // _MINUTE) + _SECONDS[ms // SECOND % 60] + _FRACTIONS[ms % SECOND]


@lru_cache(4_096)  # millions of events share few minutes
def _to_the_minute(minute: int) -> str:
    return from_ms(minute * _MINUTE).isoformat()[:17]


def iso_seconds(ms: int) -> str:
    """``2026-11-22T00:00:00Z``: the form that NP6's documentation shows for its parameters."""
    return from_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _compact(ms: int) -> str:
    fraction = f".{ms % SECOND:03d}" if ms % SECOND else ""
    return from_ms(ms).strftime("%Y%m%dT%H%M%S") + fraction + "Z"


def _from_compact(text: str) -> int:
    return to_ms(datetime.fromisoformat(text))


@dataclass(frozen=True, order=True, repr=False)
class Window:
    """``[start, end)`` in milliseconds since the epoch, UTC.

    :raises Np6InputError: unless ``start < end``.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise Np6InputError(
                f"the window ends at {iso(self.end)}, not after its start {iso(self.start)}",
                hint="A window is half-open: [start, end).",
            )

    def __repr__(self) -> str:
        return f"[{iso(self.start)}, {iso(self.end)})"

    def contains(self, other: Window) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Window) -> bool:
        return self.start < other.end and other.start < self.end

    def union(self, other: Window) -> Window:
        """The smallest window that contains both."""
        return Window(min(self.start, other.start), max(self.end, other.end))

    def in_whole_seconds(self) -> Window:
        """Itself, rounded outward to whole seconds: what is requested of NP6, whose documentation shows
        no fraction of a second in ``start`` and ``end``."""
        return Window(self.start // SECOND * SECOND, -(-self.end // SECOND) * SECOND)

    def days(self) -> Iterator[Window]:
        """Itself, cut at UTC midnight."""
        start = self.start
        while start < self.end:
            end = min(self.end, (start // DAY + 1) * DAY)
            yield Window(start, end)
            start = end

    @property
    def date(self) -> str:
        """The UTC day in which the window starts, ``2026-11-22``."""
        return from_ms(self.start).strftime("%Y-%m-%d")

    @property
    def stem(self) -> str:
        """The window as a file name without suffix, ``20261122T000000Z_20261123T000000Z``."""
        return f"{_compact(self.start)}_{_compact(self.end)}"

    @classmethod
    def from_name(cls, name: str) -> Window | None:
        """The window that a file is named after, or None if it is not named after one."""
        match = _STEM.match(name)
        if match is None:
            return None
        try:
            return cls(_from_compact(match[1]), _from_compact(match[2]))
        except ValueError:
            return None


def halves(window: Window) -> tuple[Window, Window]:
    """``window`` cut in its middle, on a whole second; it must be longer than one."""
    middle = (window.start + window.end) // (2 * SECOND) * SECOND
    middle = middle if middle > window.start else window.start // SECOND * SECOND + SECOND
    return Window(window.start, middle), Window(middle, window.end)


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_FRACTION = re.compile(r"[.,]\d{3}(\d+)")


def parse_time(name: str, value: object) -> int:
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
            f"{name} is of type {type(value).__name__}", hint="Give a datetime or an ISO text."
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
            f"{name} {text!r} is not a moment", hint="Write 2026-11-22, or 2026-11-22T06:00:00+01:00."
        ) from None
    if _DATE.fullmatch(text):
        return moment.replace(tzinfo=UTC)
    fraction = _FRACTION.search(text)
    if fraction and fraction[1].strip("0"):
        raise Np6InputError(
            f"{name} {text!r} is finer than 1 ms", hint="NP6 counts milliseconds: round the bound."
        )
    return moment
