"""What a destination holds of a range of time, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from airflow_provider_np6.destinations.inventory import Scope, Series, StoredWindow
from airflow_provider_np6.np6.window import DAY, Window, from_ms, iso, to_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination
    from airflow_provider_np6.np6.query import EventQuery


@dataclass(frozen=True)
class CountedWindow:
    """What one pull stored of one window.

    :param events: events stored.
    :param invalid: invalid events that were set aside.
    """

    window: Window
    events: int
    invalid: int


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
    """What a destination holds of one event type and action over a range of time.

    :param event_type: path of the event type.
    :param action_id: the action's id, or ``"*"`` for what was pulled for all actions at once.
    :param classification: classes of robots, for hits only; "" for none.
    :param events: number of events in the stored windows that the range touches.
    :param missing: windows within the range that were never pulled, or whose data is gone, in order of time;
        joined where they touch.
    :param invalid: stored windows with invalid events that were set aside.
    """

    event_type: str
    action_id: str
    classification: str
    events: int
    missing: list[UtcWindow]
    invalid: list[UtcWindow]

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
    events = 0
    covered = span.start
    for counted in stored:
        events += counted.events
        if counted.invalid:
            invalid.append(counted.window)
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
    )


State = Literal["complete", "empty", "missing", "invalid"]
"""``complete``: all of the day was pulled, and there are events; ``empty``: all of it, and there are none;
``missing``: a part of it was never pulled, or its data is gone; ``invalid``: all of it, and events were set
aside."""


def states_by_day(destination: Destination, scope: Scope) -> dict[Series, list[State]]:
    """The state of each UTC day of the span, for all that is recorded and all that is asked for.

    What is asked for by event type and action, and was never pulled, is missing on every day. An action and
    ``"*"`` are told apart, as they are when they are pulled.

    :raises Np6InputError: if nothing was ever pulled into the destination, or it cannot be used.
    :raises Np6DestinationError: if it cannot be read.
    """
    found: dict[Series, list[StoredWindow]] = {}
    for record in destination.stored_windows(scope):
        found.setdefault(record.series, []).append(record)
    known = {(series.event_type, series.action_id) for series in found}
    for event_type in scope.event_types:
        for action_id in scope.action_ids:
            if (event_type, action_id) not in known:
                found[Series(event_type, "", action_id)] = []
    return {series: day_states(scope.span, found[series]) for series in sorted(found)}


def day_states(span: Window, records: Iterable[StoredWindow]) -> list[State]:
    """The state of each UTC day of ``span``, whose first and last may be parts of days.

    :param records: of one series, in any order. A window of several days that holds any event makes each
        of them complete, for it does not tell on which they are.
    """
    days = list(span.days())
    first = span.start // DAY
    touching: list[list[StoredWindow]] = [[] for _ in days]
    for record in sorted(records):
        begin, stop = max(record.window.start, span.start), min(record.window.end, span.end)
        for day in range(begin // DAY, (stop - 1) // DAY + 1 if begin < stop else 0):
            touching[day - first].append(record)
    return [_state(day, of_day) for day, of_day in zip(days, touching, strict=True)]


def _state(day: Window, records: Sequence[StoredWindow]) -> State:
    covered = day.start
    for record in records:
        if record.window.start > covered:
            return "missing"
        covered = max(covered, record.window.end)
    if covered < day.end:
        return "missing"
    if any(record.invalid for record in records):
        return "invalid"
    return "empty" if all(record.empty for record in records) else "complete"
