"""The windows that ``<table>_windows`` records of one dataset and action, in one transaction."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.base import check_personal_data
from airflow_provider_np6.destinations.coverage import CountedWindow
from airflow_provider_np6.destinations.inventory import Series, StoredWindow
from airflow_provider_np6.destinations.sql.database import overlapping, within
from airflow_provider_np6.np6.errors import Np6ConflictError
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.privacy.erasure_filter import ErasureList

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.inventory import Scope
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.loading import DisplacedRows
    from airflow_provider_np6.destinations.sql.table import Condition

log = logging.getLogger(__name__)

_BOUNDS = ["window_start", "window_end"]


def read_stored_windows(database: Database, scope: Scope) -> list[StoredWindow]:
    """What the table of windows records of a scope, by one statement."""
    where = {
        **overlapping(scope.span),
        **({"event_type IN": sorted(scope.event_types)} if scope.event_types else {}),
        **({"action_id IN": sorted(scope.action_ids)} if scope.action_ids else {}),
    }
    columns = ["event_type", "classification", "action_id", *_BOUNDS, "events", "invalid"]
    with database.reading() as cursor:
        rows = database.windows.select(cursor, columns, where)
    return [
        StoredWindow(
            Series(event_type, classification, action_id),
            Window(database.ms(start), database.ms(end)),
            empty=not events,
            invalid=bool(invalid),
        )
        for event_type, classification, action_id, start, end, events, invalid in rows
    ]


def read_action_ids(database: Database, event_type: str) -> list[str]:
    """Ids of the actions of which the table of windows records an event type, in order."""
    with database.reading() as cursor:
        rows = database.windows.select(cursor, ["DISTINCT action_id"], {"event_type =": event_type})
    return sorted(row[0] for row in rows)


def read_erasure_list(database: Database, cursor: Any) -> ErasureList | None:
    """The persons that the table keeps out."""
    rows = database.erased.select(cursor, ["person", "fingerprint"], {})
    return ErasureList(rows[0][1], frozenset(row[0] for row in rows)) if rows else None


def check_account(database: Database, cursor: Any, account: str, where: str = "") -> None:
    """:raises Np6ConflictError: if the table is another account's."""
    others = database.windows.select(cursor, ["account"], {"account <>": account})
    if others:
        raise Np6ConflictError(
            f"table {database.events.name} has events of account {others[0][0]!r}, not {account!r}",
            hint="Give each account a table of its own, or both connections the same extra account.",
            context=where,
        )


def check_table(database: Database, cursor: Any, query: EventQuery, account: str, personal_data: str) -> None:
    """See what may not be added to the table.

    :raises Np6ConflictError: if it is another account's, holds personal data in another form, or holds the
        same time pulled for all actions where this is a pull of one, or the other way round.
    """
    check_account(database, cursor, account, query.description)
    modes = "DISTINCT COALESCE(personal_data, 'keep')"  # a table from elsewhere may lack it
    for (stored,) in database.windows.select(cursor, [modes], {}):
        check_personal_data(f"table {database.events.name}", stored, personal_data, query.description)
    other = "action_id <>" if query.action_id == ALL_ACTIONS else "action_id ="
    where = {**database.windows.series(query), other: ALL_ACTIONS, **overlapping(query.window)}
    if database.windows.count(cursor, where):
        raise Np6ConflictError(
            f"table {database.events.name} has events of this time, pulled for"
            f" {'single actions' if query.action_id == ALL_ACTIONS else 'all actions at once'}",
            hint="Pull all actions at once or each by itself, or use two tables.",
            context=query.description,
        )


class WindowsTable:
    """Rows of the table of windows; they tile as events do."""

    def __init__(self, database: Database, cursor: Any, query: EventQuery) -> None:
        self._database = database
        self._cursor = cursor
        self._query = query

    @property
    def identity(self) -> dict[str, Any]:
        """What every row of this dataset and action begins with."""
        query = self._query
        return {
            "event_type": query.event_type,
            "classification": query.classification,
            "action_id": query.action_id,
        }

    def events_in(self, window: Window, action_id: str | None = None) -> Condition:
        """The events of a window."""
        action_id = action_id or self._query.action_id
        action = {} if action_id == ALL_ACTIONS else {"action_id =": action_id}
        return {**self._database.events.series(self._query), **action, **within("occurred_at", window)}

    def set_aside_in(self, window: Window) -> Condition:
        """What was set aside near a window."""
        return {**self._mine, **within("near", window)}

    def counted(self, window: Window) -> list[CountedWindow]:
        """What is held of a window, counted anew, each recorded part clipped to it."""
        found = sorted(
            Window(*map(self._database.ms, row))
            for row in self._database.windows.select(self._cursor, _BOUNDS, self._touching(window))
        )
        parts = [Window(max(one.start, window.start), min(one.end, window.end)) for one in found]
        return [CountedWindow(part, *self._counts(part)) for part in parts]

    def is_superseded(self, window: Window, pulled_at: int) -> bool:
        """Whether what was pulled later covers the window, in one piece or in several. What was pulled in the
        future does not count: a worker's clock was ahead."""
        later = {**self._touching(window), "pulled_at >": pulled_at}
        covered = window.start
        for row in sorted(self._database.windows.select(self._cursor, [*_BOUNDS, "pulled_at"], later)):
            start, end, stored_at = map(self._database.ms, row)
            if stored_at > time.time() * 1_000 + DAY:
                log.warning("A stored window says that it was pulled in the future, at %s.", iso(stored_at))
            elif start <= covered:
                covered = max(covered, end)
        return covered >= window.end

    def previous_events(self, window: Window) -> int:
        """Events that are recorded of the windows that touch ``window``."""
        rows = self._database.windows.select(self._cursor, ["events"], self._touching(window))
        return sum(int(events) for (events,) in rows)

    def replace(self, window: Window, row: dict[str, Any]) -> int | None:
        """Record a pull of a window, and take it out of the windows recorded before.

        :param row: the new row's other columns.
        :return: events that were recorded of the window before; None if nothing was.
        """
        windows, ms = self._database.windows, self._database.ms
        touching = self._touching(window)
        columns = [*_BOUNDS, "pulled_at", "events"]
        stored = windows.select(self._cursor, columns, touching)
        rows = [self._row(window, row)]
        previous = sum(int(events) for *_, events in stored)
        for start, end, pulled_at, _ in stored:
            for left, right in ((ms(start), window.start), (window.end, ms(end))):
                if left < right:
                    part = Window(left, right)
                    events, invalid = self._counts(part)
                    older = {**row, "events": events, "invalid": invalid, "pulled_at": ms(pulled_at)}
                    rows.append(self._row(part, older))
                    previous -= events
        windows.delete(self._cursor, touching)
        windows.insert_rows(self._cursor, rows)
        return previous if stored else None

    def recount(self, displaced: DisplacedRows) -> None:
        """Tell the windows of this dataset that lost events how many they have left."""
        if not displaced:
            return
        windows = self._database.windows
        times = sorted(time for _, time in displaced)
        where = {**windows.series(self._query), **overlapping(Window(times[0], times[-1] + 1))}
        for action, *bounds in windows.select(self._cursor, ["action_id", *_BOUNDS], where):
            window = Window(*map(self._database.ms, bounds))
            if any(
                window.start <= time < window.end and action in (owner, ALL_ACTIONS)
                for owner, time in displaced
            ):
                row = {**where, "action_id =": action, "window_start =": window.start}
                left = self._database.events.count(self._cursor, self.events_in(window, action))
                windows.update(self._cursor, "events", left, row)

    @property
    def _mine(self) -> Condition:
        return {**self._database.windows.series(self._query), "action_id =": self._query.action_id}

    def _touching(self, window: Window) -> Condition:
        return {**self._mine, **overlapping(window)}

    def _counts(self, window: Window) -> tuple[int, int]:
        database, cursor = self._database, self._cursor
        return (
            database.events.count(cursor, self.events_in(window)),
            database.quarantine.count(cursor, self.set_aside_in(window)),
        )

    def _row(self, window: Window, row: dict[str, Any]) -> dict[str, Any]:
        return {**self.identity, "window_start": window.start, "window_end": window.end, **row}
