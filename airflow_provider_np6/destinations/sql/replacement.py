"""One transaction: compare, delete, load, count, record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.inventory import SliceOutcome, is_published
from airflow_provider_np6.destinations.sql.header import is_erasing
from airflow_provider_np6.destinations.sql.loading import get_loader
from airflow_provider_np6.destinations.sql.windows_table import StoredSlice, WindowsTable, record_displaced
from airflow_provider_np6.destinations.supersession import is_superseded
from airflow_provider_np6.np6.errors import Np6WriteRefusedError
from airflow_provider_np6.np6.window import DAY, Window, join_windows

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.event_writer import ShrinkRule
    from airflow_provider_np6.destinations.inventory import Outcome
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.loading import DisplacedRows
    from airflow_provider_np6.destinations.sql.spool import SqlSpool
    from airflow_provider_np6.destinations.sql.table import Table
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verified_pull import VerifiedPull


@dataclass(frozen=True)
class _Slice:
    """What becomes of one day of the window.

    :param stored: events that are stored of it before.
    """

    window: Window
    outcome: Outcome
    stored: int

    @property
    def day(self) -> int:
        """The UTC day since the epoch."""
        return self.window.start // DAY

    @property
    def is_written(self) -> bool:
        """Whether its events are replaced."""
        return self.outcome in ("created", "changed")


class Replacement:
    """Replaces what is stored of a window with what a pull brought.

    :param database: of the tables.
    :param cursor: in a transaction with the series' lock.
    :param query: what was pulled.
    :param spool: its events.
    :param pull: what was verified.
    :param rule: what to do about days with fewer events than are stored.
    """

    def __init__(
        self,
        database: Database,
        cursor: Any,
        query: EventQuery,
        *,
        spool: SqlSpool,
        pull: VerifiedPull,
        rule: ShrinkRule,
    ) -> None:
        self._database = database
        self._cursor = cursor
        self._query = query
        self._spool = spool
        self._pull = pull
        self._rule = rule
        self._recorded = WindowsTable(database, cursor, query)

    def run(self, *, take_over: bool) -> list[SliceOutcome]:
        """Replace.

        :param take_over: whether rows of the same ids are deleted wherever they are; that costs a lookup
            per event and is needed only when an event moved between windows or actions.
        :return: the outcome of each day, in order of time.
        :raises Np6PullAgainError: if a newer pull of a part of a day is stored, or a day is short and that is
            not confirmed.
        :raises Np6ShrunkError: if a day is short, and ``on_shrink`` is ``fail``.
        :raises Np6WriteRefusedError: if the database stored other rows than were written.
        """
        stored = self._recorded.touching(self._query.window)
        slices = [self._decide(window, stored) for window in self._query.window.days()]
        for slice_ in slices:
            if slice_.outcome == "unchanged":
                self._recorded.update(slice_.window, pulled_at=self._pull.pulled_at)
        counts = {slice_.day: slice_.stored for slice_ in slices}
        if any(slice_.is_written for slice_ in slices):
            self._write(slices, stored, counts, take_over=take_over)
        return [
            SliceOutcome(slice_.window, slice_.outcome, counts[slice_.day], slice_.stored)
            for slice_ in slices
        ]

    def _decide(self, window: Window, stored: Sequence[StoredSlice]) -> _Slice:
        """What becomes of a day, in the order in which that must be decided."""
        day = window.start // DAY
        touching = [slice_ for slice_ in stored if slice_.window.overlaps(window)]
        events = self._recorded.count(window) if touching else 0
        times = [(slice_.window, slice_.pulled_at) for slice_ in touching]
        if is_superseded(times, window, self._pull.pulled_at, self._query.description):
            return _Slice(window, "superseded", events)
        spool = self._spool
        received = spool.events[day] + spool.invalid[day] + self._pull.duplicates_by_day.get(day, 0)
        if received < events and is_erasing(self._database, self._cursor):
            received += self._rule.erased_by_day.get(day, 0)  # which are yet to be removed
        if self._rule.is_kept(window.date, received, events):
            return _Slice(window, "shrunk", events)
        if all(slice_.is_expired for slice_ in touching):
            return _Slice(window, "created", events)
        if len(touching) == 1 and self._is_same(touching[0], window, events):
            return _Slice(window, "unchanged", events)
        return _Slice(window, "changed", events)

    def _is_same(self, slice_: StoredSlice, window: Window, events: int) -> bool:
        """Whether what was pulled of a day is stored already, all of it.

        :param events: rows that there are.
        """
        if slice_.window != window or slice_.digest != self._spool.digest(window.start // DAY):
            return False
        aside = 0
        if slice_.invalid:
            aside = self._database.quarantine.count(self._cursor, self._recorded.set_aside_in(window))
        return (slice_.events, slice_.invalid) == (events, aside)

    def _write(
        self,
        slices: Sequence[_Slice],
        stored: Sequence[StoredSlice],
        counts: dict[int, int],
        *,
        take_over: bool,
    ) -> None:
        """Replace the events of the days that are to be written.

        :param counts: events that are stored, by day; brought up to date.
        """
        database, cursor, pulled_at = self._database, self._cursor, self._pull.pulled_at
        written = [slice_ for slice_ in slices if slice_.is_written]
        skipped = {slice_.day for slice_ in slices if not slice_.is_written}
        for part in join_windows(slice_.window for slice_ in written):
            database.events.delete(cursor, self._recorded.events_in(part))
            database.quarantine.delete(cursor, self._recorded.set_aside_in(part))
        loader = get_loader(database.events, self._query)
        displaced: DisplacedRows = Counter()
        if take_over:
            displaced, rows = loader.take_over(cursor, self._spool.file, pulled_at, skipped)
        else:
            rows = sum(self._spool.events[slice_.day] for slice_ in written)
            with self._spool.without(skipped) as spool:
                loader.load(cursor, spool, pulled_at)
        for slice_ in slices if displaced else written:
            counts[slice_.day] = self._recorded.count(slice_.window)
        self._check_count(database.events, rows, sum(counts[slice_.day] for slice_ in written))
        aside = self._insert_quarantine(written)
        new = [
            StoredSlice(
                slice_.window,
                events=counts[slice_.day],
                invalid=aside.get(slice_.day, 0),
                displaced=0,
                is_expired=False,
                digest=self._digest(slice_.day, counts[slice_.day]),
                pulled_at=pulled_at,
            )
            for slice_ in written
        ]
        self._recorded.replace(stored, new)
        record_displaced(database, cursor, self._query, displaced)

    def _digest(self, day: int, events: int) -> str | None:
        """The digest to record of a day; None if it lacks events whose ids are stored elsewhere, for these
        belong here once they are gone there.

        :param events: that are stored of the day.
        """
        return self._spool.digest(day) if events == self._spool.events[day] else None

    def _check_count(self, table: Table, rows: int, counted: int) -> None:
        """:raises Np6WriteRefusedError: if other rows are stored than were written."""
        if counted != rows:
            raise Np6WriteRefusedError(
                f"{rows:,} rows were written into table {table.name} of connection"
                f" {self._database.conn_id!r}, and {counted:,} are stored",
                hint="Look for a trigger, a rule or a row-level security policy of the table that drops,"
                " moves or hides rows, and remove it. What was stored before is unchanged.",
                context=self._query.description,
            )

    def _insert_quarantine(self, written: Sequence[_Slice]) -> dict[int, int]:
        """Insert the invalid events of some days.

        :return: their number, by day.
        """
        by_day = self._spool.set_aside_by_day()
        rows = [
            {**self._recorded.identity, **record, "pulled_at": self._pull.pulled_at}
            for slice_ in written
            for record in by_day.get(slice_.day, ())
        ]
        quarantine = self._database.quarantine
        if rows:
            quarantine.insert_rows(self._cursor, rows)
            conditions = [self._recorded.set_aside_in(slice_.window) for slice_ in written]
            counted = sum(quarantine.count(self._cursor, condition) for condition in conditions)
            self._check_count(quarantine, len(rows), counted)
        return {day: len(records) for day, records in by_day.items()}


def count_dropped(spool: SqlSpool, outcomes: Sequence[SliceOutcome]) -> int:
    """Events that were dropped because the table has their id already.

    :param spool: of the pull.
    :param outcomes: of all its days.
    """
    return sum(
        spool.events[outcome.window.start // DAY] - outcome.events
        for outcome in outcomes
        if is_published(outcome.outcome)
    )
