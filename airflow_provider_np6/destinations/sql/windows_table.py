"""``<table>_windows``: the slices that are recorded of one series and action, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.coverage import CountedWindow
from airflow_provider_np6.destinations.inventory import Series, StoredWindow
from airflow_provider_np6.destinations.sql.table import within
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.inventory import Scope
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.loading import DisplacedRows
    from airflow_provider_np6.destinations.sql.table import Condition

_COLUMNS = (
    "window_start",
    "window_end",
    "events",
    "invalid",
    "displaced",
    "expired",
    "digest",
    "pulled_at",
)


@dataclass(frozen=True)
class StoredSlice:
    """One row: a window within a UTC day.

    :param events: rows of events.
    :param invalid: invalid events that were set aside.
    :param displaced: events that a later pull of another window has taken over.
    :param is_expired: whether the events were removed by ``expire``.
    :param digest: of what was pulled; None if another pull of the same cannot be recognized.
    :param pulled_at: ms since the epoch.
    """

    window: Window
    events: int
    invalid: int
    displaced: int
    is_expired: bool
    digest: str | None
    pulled_at: int


class WindowsTable:
    """Rows of the table of windows.

    A slice is at most a UTC day, so those that touch a window begin on its days: that bounds each search.

    :param database: of the tables.
    :param cursor: in a transaction.
    :param query: whose series and action.
    """

    def __init__(self, database: Database, cursor: Any, query: EventQuery) -> None:
        self._database = database
        self._cursor = cursor
        self._query = query

    @property
    def identity(self) -> dict[str, Any]:
        """What every row of this series and action begins with."""
        query = self._query
        return {
            "event_type": query.event_type,
            "classification": query.classification,
            "action_id": query.action_id,
        }

    def events_in(self, window: Window) -> Condition:
        """The events of a window."""
        query = self._query
        action = {} if query.action_id == ALL_ACTIONS else {"action_id =": query.action_id}
        series = self._database.events.series(query)
        return {**series, **action, **within("occurred_at", window.start, window.end)}

    def set_aside_in(self, window: Window) -> Condition:
        """What was set aside near a window."""
        return {**self._mine, **within("near", window.start, window.end)}

    def count(self, window: Window) -> int:
        """The events that are stored of a window."""
        return self._database.events.count(self._cursor, self.events_in(window))

    def touching(self, window: Window) -> list[StoredSlice]:
        """The slices that touch a window, in order of time."""
        first = window.start // DAY * DAY
        where = {**self._mine, **within("window_start", first, window.end)}
        rows = self._database.windows.select(self._cursor, _COLUMNS, where)
        slices = [self._slice(row) for row in rows]
        return sorted(
            (slice_ for slice_ in slices if slice_.window.overlaps(window)), key=lambda one: one.window
        )

    def counted(self, window: Window) -> list[CountedWindow]:
        """What is stored of a window, each slice clipped to it, with its events counted."""
        counted = []
        for slice_ in self.touching(window):
            start, end = max(slice_.window.start, window.start), min(slice_.window.end, window.end)
            part = Window(start, end)
            counted.append(CountedWindow(part, *self._counts(part), slice_.is_expired))
        return counted

    def replace(self, stored: Sequence[StoredSlice], new: Sequence[StoredSlice]) -> None:
        """Record new slices, and of older ones only what these leave of them.

        :param stored: the slices that touch the new ones, in order of time.
        :param new: in order of time.
        """
        windows = [slice_.window for slice_ in new]
        older = [slice_ for slice_ in stored if any(slice_.window.overlaps(window) for window in windows)]
        left = [
            self._counted(replace(slice_, window=part))
            for slice_ in older
            for part in _subtract(slice_.window, windows)
        ]
        for slice_ in older:
            self._database.windows.delete(self._cursor, self._where(slice_.window))
        self.insert([*left, *new])

    def insert(self, slices: Sequence[StoredSlice]) -> None:
        """Record slices that nothing recorded touches."""
        rows = [
            {
                **self.identity,
                "window_start": slice_.window.start,
                "window_end": slice_.window.end,
                "events": slice_.events,
                "invalid": slice_.invalid,
                "displaced": slice_.displaced,
                "expired": int(slice_.is_expired),
                "digest": slice_.digest,
                "pulled_at": slice_.pulled_at,
            }
            for slice_ in slices
        ]
        self._database.windows.insert_rows(self._cursor, rows)

    def update(self, window: Window, **changes: Any) -> None:
        """Change what is recorded of a slice."""
        self._database.windows.update(self._cursor, changes, self._where(window))

    def recount(self, window: Window, displaced: int = 0) -> None:
        """Record how many events a slice has left.

        :param window: the slice's.
        :param displaced: how many were displaced, with those before.
        """
        self.update(window, events=self.count(window), displaced=displaced, digest=None)

    @property
    def _mine(self) -> Condition:
        return {f"{name} =": value for name, value in self.identity.items()}

    def _where(self, window: Window) -> Condition:
        return {**self._mine, "window_start =": window.start}

    def _counted(self, slice_: StoredSlice) -> StoredSlice:
        """What is left of a slice, counted."""
        events, invalid = self._counts(slice_.window)
        return replace(slice_, events=events, invalid=invalid, displaced=0, digest=None)

    def _counts(self, window: Window) -> tuple[int, int]:
        aside = self._database.quarantine.count(self._cursor, self.set_aside_in(window))
        return self.count(window), aside

    def _slice(self, row: Sequence[Any]) -> StoredSlice:
        start, end, events, invalid, displaced, expired, digest, pulled_at = row
        ms = self._database.ms
        return StoredSlice(
            Window(ms(start), ms(end)),
            int(events),
            int(invalid),
            int(displaced or 0),
            bool(expired),
            digest and str(digest),
            ms(pulled_at),
        )


def record_displaced(database: Database, cursor: Any, query: EventQuery, displaced: DisplacedRows) -> None:
    """Record in their slices that events were taken over.

    :param query: of the pull that took them over.
    :param displaced: where the events were.
    """
    by_day: dict[tuple[str, int], list[int]] = {}
    for action_id, time in displaced.elements():
        owner = ALL_ACTIONS if query.action_id == ALL_ACTIONS else str(action_id)
        by_day.setdefault((owner, time // DAY), []).append(time)
    for (owner, day), times in sorted(by_day.items()):
        window = Window(day * DAY, (day + 1) * DAY)
        recorded = WindowsTable(database, cursor, replace(query, action_id=owner))
        for slice_ in recorded.touching(window):
            inside = sum(slice_.window.start <= time < slice_.window.end for time in times)
            if inside:
                recorded.recount(slice_.window, slice_.displaced + inside)


def read_stored_windows(database: Database, scope: Scope) -> list[StoredWindow]:
    """What the table of windows records of a scope, in one statement."""
    span = scope.span
    where = {
        **within("window_start", span.start // DAY * DAY, span.end),
        **({"event_type IN": sorted(scope.event_types)} if scope.event_types else {}),
        **({"action_id IN": sorted(scope.action_ids)} if scope.action_ids else {}),
    }
    columns = ["event_type", "classification", "action_id", "window_start", "window_end"]
    columns += ["events", "invalid", "expired"]
    with database.reading() as cursor:
        rows = database.windows.select(cursor, columns, where)
    stored = [
        StoredWindow(
            Series(event_type, classification, action_id),
            Window(database.ms(start), database.ms(end)),
            empty=not events,
            invalid=bool(invalid),
            expired=bool(expired),
        )
        for event_type, classification, action_id, start, end, events, invalid, expired in rows
    ]
    return [window for window in stored if window.window.overlaps(span)]


def read_action_ids(database: Database, event_type: str) -> list[str]:
    """Ids of the actions of which the table of windows records an event type, in order."""
    with database.reading() as cursor:
        rows = database.windows.select(cursor, ["action_id"], {"event_type =": event_type}, distinct=True)
    return sorted(row[0] for row in rows)


def _subtract(window: Window, others: Iterable[Window]) -> list[Window]:
    """What is left of a window without others, which are in order of time."""
    left = []
    start = window.start
    for other in others:
        if not window.overlaps(other):
            continue
        if start < other.start:
            left.append(Window(start, other.start))
        start = max(start, other.end)
    if start < window.end:
        left.append(Window(start, window.end))
    return left
