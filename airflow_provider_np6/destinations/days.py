"""Days of actions: which are complete, and which are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from airflow_provider_np6.destinations.inventory import Record, Scope, Series
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination

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
