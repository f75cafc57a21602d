"""Events that go straight into a destination, as if a pull had verified them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.events import Events
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination
    from airflow_provider_np6.np6.query import EventQuery

TimedEvent = tuple[int, bytes]
"""Time in ms since the epoch, and the raw event."""


def write_events(
    destination: Destination,
    query: EventQuery,
    events: Sequence[TimedEvent],
    *,
    pulled_at: int | None = None,
    on_shrink: str = "fail",
    personal_data: str = "keep",
    batch: int = 400,
) -> dict[str, Any]:
    """Replace what is stored of a window; the destination's own entries of the report.

    :param events: in order of time.
    :param pulled_at: in ms; a day after the window's end by default.
    :param on_shrink: what to do about days with fewer events than are stored; NP6 is taken to have said the
        same twice.
    :param personal_data: the form that is recorded.
    :param batch: events that are written at a time.
    """
    pulled_at = query.window.end + DAY if pulled_at is None else pulled_at
    days = Counter(time // DAY for time, _ in events)
    with destination.open(query, "test", personal_data, on_shrink=on_shrink) as writer:
        writer.restart(pulled_at)
        for begin in range(0, len(events), batch):
            part = events[begin : begin + batch]
            writer.write(Events([raw for _, raw in part], [time for time, _ in part]))
        pull = VerifiedPull(pulled_at, days, {}, 0, 0, 1, "all")
        return writer.publish(pull, is_confirmed=True).to_dict()
