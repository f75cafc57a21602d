"""What is stored of a range of time, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from airflow_provider_np6.np6.window import DAY, Window, from_ms, iso, to_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.inventory import Series, StoredWindow
    from airflow_provider_np6.np6.query import EventQuery


@dataclass(frozen=True)
class CountedWindow:
    """What one pull stored of one window.

    :param events: events stored.
    :param invalid: invalid events that were set aside.
    :param is_expired: whether its events were removed by ``expire``.
    """

    window: Window
    events: int
    invalid: int
    is_expired: bool = False


@dataclass(frozen=True)
class UtcWindow:
    """A half-open window.

    :param start: aware datetime, UTC.
    :param end: aware datetime, UTC (exclusive).
    """

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"[{iso(to_ms(self.start))}, {iso(to_ms(self.end))})"

    @classmethod
    def from_window(cls, window: Window) -> UtcWindow:
        return cls(from_ms(window.start), from_ms(window.end))


@dataclass(frozen=True)
class Coverage:
    """What is stored of one event type and action over a range of time.

    :param event_type: path of the event type.
    :param action_id: the action's id, or ``"*"`` for what was pulled for all actions at once.
    :param classification: classes of robots, for hits only; "" for none.
    :param events: number of events in the stored windows that the range touches.
    :param missing: windows within the range that were never pulled, or whose data is gone, in order of time;
        joined where they touch.
    :param invalid: stored windows with invalid events that were set aside.
    :param expired: stored windows whose events were removed by ``expire``; they are not missing.
    """

    event_type: str
    action_id: str
    classification: str
    events: int
    missing: list[UtcWindow]
    invalid: list[UtcWindow]
    expired: list[UtcWindow] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def missing_windows(self) -> list[dict[str, str | None]]:
        """What is missing as arguments of ``Np6EventsOperator``, ready for ``expand_kwargs``.

        :return: ``event_type``, ``action_id``, ``classification`` (None for none), ``window_start`` and
            ``window_end`` (ISO strings, UTC) of each missing window: plain JSON.
        """
        return [
            {
                "event_type": self.event_type,
                "action_id": self.action_id,
                "classification": self.classification or None,
                "window_start": iso(to_ms(window.start)),
                "window_end": iso(to_ms(window.end)),
            }
            for window in self.missing
        ]


def to_coverage(query: EventQuery, stored: Iterable[CountedWindow]) -> Coverage:
    """How stored windows cover a query's window.

    :param query: event type, action and range.
    :param stored: the windows that the range touches, in order of time.
    """
    span = query.window
    missing: list[Window] = []
    invalid: list[Window] = []
    expired: list[Window] = []
    events = 0
    covered = span.start
    for counted in stored:
        events += counted.events
        if counted.invalid:
            invalid.append(counted.window)
        if counted.is_expired:
            expired.append(counted.window)
        begin, end = max(counted.window.start, span.start), min(counted.window.end, span.end)
        if begin > covered:
            missing.append(Window(covered, begin))
        covered = max(covered, end)
    if covered < span.end:
        missing.append(Window(covered, span.end))
    return Coverage(
        query.event_type,
        query.action_id,
        query.classification,
        events,
        [UtcWindow.from_window(window) for window in missing],
        [UtcWindow.from_window(window) for window in invalid],
        [UtcWindow.from_window(window) for window in expired],
    )


State = Literal["complete", "empty", "partial", "missing", "invalid", "expired"]
"""``complete``: the whole day is stored, with events; ``empty``: the whole day, without events;
``partial``: a part of the day; ``missing``: nothing of the day, for it was never pulled or its data is gone;
``invalid``: the whole day, and events were set aside; ``expired``: events were removed by ``expire``."""


def states_by_day(span: Window, stored: Iterable[StoredWindow]) -> dict[Series, list[State]]:
    """The state of each UTC day of ``span``, for each series that has a stored window.

    :param span: the range of days; the first and the last may be parts of days.
    :param stored: windows of any series, in any order.
    """
    by_series: dict[Series, list[StoredWindow]] = {}
    for window in stored:
        by_series.setdefault(window.series, []).append(window)
    return {series: day_states(span, by_series[series]) for series in sorted(by_series)}


def day_states(span: Window, stored: Iterable[StoredWindow]) -> list[State]:
    """The state of each UTC day of ``span``.

    :param span: the range of days; the first and the last may be parts of days.
    :param stored: windows of one series, in any order. A window of several days that has any event makes each
        of them complete, because it does not say on which days its events are.
    """
    days = list(span.days())
    first = span.start // DAY
    by_day: list[list[StoredWindow]] = [[] for _ in days]
    for pulled in sorted(stored):
        begin, end = max(pulled.window.start, span.start), min(pulled.window.end, span.end)
        for day in range(begin // DAY, (end - 1) // DAY + 1 if begin < end else 0):
            by_day[day - first].append(pulled)
    return [_state(day, windows) for day, windows in zip(days, by_day, strict=True)]


def _state(day: Window, stored: Sequence[StoredWindow]) -> State:
    """The state of one day.

    :param stored: the windows that touch it, in order of time.
    """
    if not stored:
        return "missing"
    covered = day.start
    for pulled in stored:
        if pulled.window.start > covered:
            return "partial"
        covered = max(covered, pulled.window.end)
    if covered < day.end:
        return "partial"
    if any(pulled.expired for pulled in stored):
        return "expired"
    if any(pulled.invalid for pulled in stored):
        return "invalid"
    return "empty" if all(pulled.empty for pulled in stored) else "complete"
