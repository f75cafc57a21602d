"""Half-open windows of time, exact to the millisecond.

The ``timestamp`` of an event is its publication time in milliseconds since 1970-01-01 UTC, and a response has
the events with ``start <= timestamp < end`` (both documented). So windows tile: no event is between two
windows that share a bound, and none is in both.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from airflow_provider_np6.np6.errors import Np6InputError

SECOND = 1_000
"""A second, in ms."""
DAY = 86_400 * SECOND
"""A UTC day, in ms."""
_MINUTE = 60 * SECOND

# Millions of times are written: joining these strings is faster than formatting each time.
_SECONDS = [f"{second:02d}" for second in range(60)]
_FRACTIONS = [f".{ms:03d}Z" for ms in range(SECOND)]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEM = re.compile(r"(\d{8}T\d{6}(?:\.\d{3})?Z)_(\d{8}T\d{6}(?:\.\d{3})?Z)")


def to_ms(value: datetime) -> int:
    """Convert a datetime to milliseconds since the epoch.

    :param value: an aware datetime.
    :raises Np6InputError: if it is naive or finer than 1 ms, the resolution of NP6's timestamps.
    """
    if value.utcoffset() is None:
        raise Np6InputError(
            f"{value.isoformat()} has no time zone",
            hint="Give an offset, such as +00:00, or tzinfo=timezone.utc.",
        )
    ms, microseconds = divmod(value.microsecond, 1_000)
    if microseconds:
        raise Np6InputError(
            f"{value.isoformat()} is finer than 1 ms", hint="NP6 counts milliseconds: round the bound."
        )
    return timegm(value.utctimetuple()) * SECOND + ms


def from_ms(ms: int) -> datetime:
    """Convert milliseconds since the epoch to a datetime in UTC.

    :param ms: in the years 1 to 9999.
    """
    return _EPOCH + timedelta(milliseconds=ms)


def iso(ms: int) -> str:
    """Format a time as ``2026-11-22T00:00:00.000Z``: strings of one width sort as the times do.

    :param ms: milliseconds since the epoch.
    """
    return _to_the_minute(ms // _MINUTE) + _SECONDS[ms // SECOND % 60] + _FRACTIONS[ms % SECOND]


@lru_cache(4_096)  # millions of events share few minutes
def _to_the_minute(minute: int) -> str:
    return from_ms(minute * _MINUTE).isoformat()[:17]


def iso_seconds(ms: int) -> str:
    """Format a time as ``2026-11-22T00:00:00Z``, as NP6 documents it for ``start`` and ``end``.

    :param ms: milliseconds since the epoch; a part of a second is cut off.
    """
    return from_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _compact(ms: int) -> str:
    fraction = f".{ms % SECOND:03d}" if ms % SECOND else ""
    return from_ms(ms).strftime("%Y%m%dT%H%M%S") + fraction + "Z"


def _from_compact(value: str) -> int:
    return to_ms(datetime.fromisoformat(value))


@dataclass(frozen=True, order=True, repr=False)
class Window:
    """``[start, end)``.

    :param start: ms since the epoch, UTC.
    :param end: ms since the epoch, UTC (exclusive).
    :raises Np6InputError: unless ``start < end``.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise Np6InputError(
                f"the window ends at {iso(self.end)}, not after its start {iso(self.start)}",
                hint="Give an end after the start: a window is half-open, [start, end).",
            )

    def __repr__(self) -> str:
        return f"[{iso(self.start)}, {iso(self.end)})"

    def contains(self, other: Window) -> bool:
        """Whether all of another window is in this one.

        :param other: the other window.
        """
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Window) -> bool:
        """Whether some of another window is in this one; windows that share only a bound do not overlap.

        :param other: the other window.
        """
        return self.start < other.end and other.start < self.end

    def union(self, other: Window) -> Window:
        """The smallest window that contains this one and another.

        :param other: the other window.
        """
        return Window(min(self.start, other.start), max(self.end, other.end))

    def in_whole_seconds(self) -> Window:
        """The smallest window of whole seconds that contains this one.

        NP6's documentation shows no fraction of a second in ``start`` and ``end``.
        """
        return Window(self.start // SECOND * SECOND, -(-self.end // SECOND) * SECOND)

    def days(self) -> Iterator[Window]:
        """Yield the parts of this window, which is cut at each UTC midnight."""
        start = self.start
        while start < self.end:
            end = min(self.end, (start // DAY + 1) * DAY)
            yield Window(start, end)
            start = end

    @property
    def date(self) -> str:
        """The UTC day of the window's start, such as ``2026-11-22``."""
        return from_ms(self.start).strftime("%Y-%m-%d")

    @property
    def stem(self) -> str:
        """The window as a file name without suffix, such as ``20261122T000000Z_20261123T000000Z``."""
        return f"{_compact(self.start)}_{_compact(self.end)}"

    @classmethod
    def from_name(cls, name: str) -> Window | None:
        """The window of a file.

        :param name: the file's name, which begins with a :attr:`stem`.
        :returns: None if it does not.
        """
        match = _STEM.match(name)
        if match is None:
            return None
        try:
            return cls(_from_compact(match[1]), _from_compact(match[2]))
        except ValueError:
            return None


def halves(window: Window) -> tuple[Window, Window]:
    """Split a window in half, at a whole second.

    :param window: longer than one second.
    """
    middle = (window.start + window.end) // (2 * SECOND) * SECOND
    middle = middle if middle > window.start else window.start // SECOND * SECOND + SECOND
    return Window(window.start, middle), Window(middle, window.end)


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_FRACTION = re.compile(r"[.,]\d{3}(\d+)")


def parse_time(name: str, value: object) -> int:
    """Convert a time as users write it to milliseconds since the epoch.

    :param name: what an error calls the value.
    :param value: an aware datetime, an ISO string with an offset, or a date, which means midnight UTC.
    :raises Np6InputError: if it is anything else, or finer than 1 ms.
    """
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, date):
        parsed = datetime.combine(value, time(), UTC)
    elif isinstance(value, str):
        parsed = _parse_string(name, value.strip())
    else:
        raise Np6InputError(
            f"{name} is of type {type(value).__name__}", hint="Give a datetime or an ISO string."
        )
    try:
        return to_ms(parsed)
    except Np6InputError as error:
        error.what = f"{name} {error.what}"
        raise


def _parse_string(name: str, value: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise Np6InputError(
            f"{name} {value!r} is not a time", hint="Write 2026-11-22, or 2026-11-22T06:00:00+01:00."
        ) from None
    if _DATE.fullmatch(value):
        return parsed.replace(tzinfo=UTC)
    fraction = _FRACTION.search(value)  # fromisoformat() cuts off what is finer than 1 µs
    if fraction and fraction[1].strip("0"):
        raise Np6InputError(
            f"{name} {value!r} is finer than 1 ms", hint="NP6 counts milliseconds: round the bound."
        )
    return parsed


def join_windows(windows: Iterable[Window]) -> list[Window]:
    """Windows, joined where they touch.

    :param windows: in order of time.
    """
    joined: list[Window] = []
    for window in windows:
        if joined and joined[-1].end == window.start:
            joined[-1] = joined[-1].union(window)
        else:
            joined.append(window)
    return joined
