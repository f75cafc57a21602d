"""What a destination holds of a span of time, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_np6.destinations.inventory import Record, Scope, Series
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination


@dataclass(frozen=True)
class Held:
    """What is held of one window by one pull.

    :param events: events stored.
    :param invalid: events set aside.
    """

    window: Window
    events: int
    invalid: int


@dataclass(frozen=True)
class Coverage:
    """What is held of one event type and action in a span of time.

    :param span: what was asked about.
    :param events: events in the windows that the span touches.
    :param missing: windows that were never pulled, or whose data is gone; joined where they touch.
    :param overlaps: windows that two pulls claim.
    :param invalid: windows with events that were set aside.
    """

    span: Window
    events: int
    missing: list[Window]
    overlaps: list[Window]
    invalid: list[Window]


def to_coverage(span: Window, held: Iterable[Held]) -> Coverage:
    """How what is held covers ``span``.

    :param held: windows that the span touches, in order of time.
    """
    missing: list[Window] = []
    overlaps: list[Window] = []
    invalid: list[Window] = []
    events = 0
    covered = span.start
    for found in held:
        events += found.events
        if found.invalid:
            invalid.append(found.window)
        begin, stop = max(found.window.start, span.start), min(found.window.end, span.end)
        if begin > covered:
            missing.append(Window(covered, begin))
        elif begin < covered:
            overlaps.append(Window(begin, min(covered, stop)))
        covered = max(covered, stop)
    if covered < span.end:
        missing.append(Window(covered, span.end))
    return Coverage(span, events, missing, overlaps, invalid)


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
    found: dict[Series, list[Record]] = {}
    for record in destination.records(scope):
        found.setdefault(record.series, []).append(record)
    known = {(series.event_type, series.action_id) for series in found}
    for event_type in scope.event_types:
        for action_id in scope.action_ids:
            if (event_type, action_id) not in known:
                found[Series(event_type, "", action_id)] = []
    return {series: day_states(scope.span, found[series]) for series in sorted(found)}


def day_states(span: Window, records: Iterable[Record]) -> list[State]:
    """The state of each UTC day of ``span``, whose first and last may be parts of days.

    :param records: of one series, in any order. A window of several days that holds any event makes each
        of them complete, for it does not tell on which they are.
    """
    days = list(span.days())
    first = span.start // DAY
    touching: list[list[Record]] = [[] for _ in days]
    for record in sorted(records):
        begin, stop = max(record.window.start, span.start), min(record.window.end, span.end)
        for day in range(begin // DAY, (stop - 1) // DAY + 1 if begin < stop else 0):
            touching[day - first].append(record)
    return [_state(day, of_day) for day, of_day in zip(days, touching, strict=True)]


def _state(day: Window, records: Sequence[Record]) -> State:
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
