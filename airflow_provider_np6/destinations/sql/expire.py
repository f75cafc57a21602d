"""Old slices removed from a table, and marked so that nobody takes them for missing."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.sql.windows_table import StoredSlice, WindowsTable
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database


def expire_slices(database: Database, before: int) -> dict[str, int]:
    """Remove the events and invalid events of slices that end at or before a time, in one short transaction
    per slice.

    :param before: ms since the epoch.
    :return: ``slices`` and ``events`` that were removed.
    :raises Np6InputError: if nothing was ever pulled into the table.
    """
    counts: Counter[str] = Counter(slices=0, events=0)
    for query in database.read(partial(_list_actions, database, before)):
        for slice_ in database.read(partial(_list_slices, database, query)):
            if slice_.window.end <= before and not slice_.is_expired:
                work = partial(_expire, database, query, slice_)
                counts.update(database.write(work))
    database.write(database.overwrite_deleted)
    return dict(counts)


def _list_actions(database: Database, before: int) -> list[EventQuery]:
    """Each series and action that has slices, over all time before a given one."""
    columns = ["event_type", "classification", "action_id"]
    with database.reading() as cursor:
        rows = database.windows.select(cursor, columns, {}, distinct=True)
    span = Window(-DAY, max(before, 1))
    return [
        EventQuery(event_type, action_id, span, classification)
        for event_type, classification, action_id in sorted(rows)
    ]


def _list_slices(database: Database, query: EventQuery) -> list[StoredSlice]:
    with database.reading() as cursor:
        return WindowsTable(database, cursor, query).touching(query.window)


def _expire(database: Database, query: EventQuery, slice_: StoredSlice) -> dict[str, int]:
    with database.locked((query.event_type, query.classification)) as cursor:
        recorded = WindowsTable(database, cursor, query)
        if slice_ not in recorded.touching(slice_.window):
            return {}  # a pull has just replaced it
        events = recorded.count(slice_.window)
        database.events.delete(cursor, recorded.events_in(slice_.window))
        database.quarantine.delete(cursor, recorded.set_aside_in(slice_.window))
        recorded.update(slice_.window, events=0, invalid=0, displaced=0, digest=None, expired=1)
    return {"slices": 1, "events": events}
