"""Writes a pull into SQL: the window is spooled, then replaced in one short transaction."""

from __future__ import annotations

import json
import os
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.event_writer import Publication, ShrinkRule
from airflow_provider_np6.destinations.inventory import SliceOutcome
from airflow_provider_np6.destinations.spool_folder import spool_errors
from airflow_provider_np6.destinations.sql.database import VERSION, check_version_of
from airflow_provider_np6.destinations.sql.dialects import ErrorKind
from airflow_provider_np6.destinations.sql.loading import get_loader
from airflow_provider_np6.destinations.sql.windows_table import WindowsTable, check_table, read_erasure_list
from airflow_provider_np6.np6.errors import Np6PullAgainError
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.loading import InsertLoader
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verified_pull import VerifiedPull
    from airflow_provider_np6.privacy.erasure_filter import ErasureList

_BLOCK = 1024 * 1024


class SqlSpool:
    """The window's events as the load takes them, in a file without a name: a killed worker leaves nothing.

    :param file: for events.
    :param aside: for invalid ones.
    :param loader: of the table of events.
    :param window: what is pulled.
    """

    def __init__(self, file: IO[bytes], aside: IO[bytes], loader: InsertLoader, window: Window) -> None:
        self.file = file
        self._aside = aside
        self._loader = loader
        self._window = window

    def restart(self, pulled_at: int) -> None:
        for file in (self.file, self._aside):
            file.seek(0)
            file.truncate()
        self.events: Counter[int] = Counter()
        """Events by UTC day since the epoch."""
        self.invalid: Counter[int] = Counter()
        """Invalid events, likewise."""
        self._starts: dict[int, int] = {}
        self._encode = self._loader.encoder(pulled_at)

    def write(self, events: Events) -> None:
        timestamps = events.timestamps
        begin = 0
        while begin < len(timestamps):
            day = timestamps[begin] // DAY
            end = bisect_left(timestamps, (day + 1) * DAY, begin)
            self.events[day] += end - begin
            with spool_errors():
                self._starts.setdefault(day, self.file.tell())
                self.file.write(self._encode(type(events)(events.items[begin:end], timestamps[begin:end])))
            begin = end

    def set_aside(self, invalid: Invalid) -> None:
        self.invalid[min(max(invalid.near, self._window.start), self._window.end - 1) // DAY] += 1
        with spool_errors():
            self._aside.write(quarantine.line(invalid))

    @contextmanager
    def without(self, days: Collection[int]) -> Iterator[IO[bytes]]:
        """The file of events, of which those of some days are left out."""
        if not days:
            yield self.file
            return
        bounds = [*self._starts.values(), self.file.seek(0, os.SEEK_END)]
        with spool_errors():
            part = tempfile.TemporaryFile(prefix="np6-")  # noqa: SIM115 - it is closed below
        with part:
            with spool_errors():
                for day, (start, end) in zip(self._starts, pairwise(bounds), strict=True):
                    if day not in days:
                        self.file.seek(start)
                        _copy(self.file, part, end - start)
            yield part

    def records(self) -> list[dict[str, Any]]:
        """The invalid events that were set aside, as :func:`quarantine.record` has them."""
        self._aside.seek(0)
        return [json.loads(line) for line in self._aside]


@dataclass
class SqlWriter:
    """Replaces one window in one short transaction."""

    _database: Database
    _query: EventQuery
    _account: str
    _personal_data: str
    _on_shrink: str
    _uri: str | None
    _spool: SqlSpool
    erased: ErasureList | None

    @property
    def verified_size(self) -> VerifiedSize | None:
        return None  # nothing is remembered in SQL yet

    def forget_verified_size(self) -> None:
        """Nothing is remembered."""

    def restart(self, pulled_at: int) -> None:
        self._spool.restart(pulled_at)

    def write(self, events: Events) -> None:
        self._spool.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        self._spool.set_aside(invalid)

    def publish(self, pull: VerifiedPull, *, is_confirmed: bool = False) -> Publication:
        rule = ShrinkRule(self._on_shrink, is_confirmed, self._query.description)
        outcomes = self._database.run_with_retries(lambda: self._replaced(pull, rule), "could not be written")
        is_published = any(outcome.is_published for outcome in outcomes)
        return Publication(
            slices=outcomes,
            location={"table": str(self._database.events.name)},
            assets=[self._uri] if is_published and self._uri else [],
        )

    def _replaced(self, pull: VerifiedPull, rule: ShrinkRule) -> list[SliceOutcome]:
        try:
            return self._replace(pull, rule, take_over=False)
        except Exception as error:  # each driver has a tree of errors of its own
            if self._database.dialect.failure(error) is not ErrorKind.DUPLICATE_KEY:
                raise
        return self._replace(pull, rule, take_over=True)

    def _replace(self, pull: VerifiedPull, rule: ShrinkRule, *, take_over: bool) -> list[SliceOutcome]:
        """Delete, insert, record.

        :param take_over: whether rows of the same ids are deleted wherever they are; that costs a lookup
            per event and is needed only when an event moved between windows or actions.
        """
        database, query = self._database, self._query
        loader = get_loader(database.events, query)
        with database.transaction() as cursor:
            check_version_of(database, cursor)
            check_table(database, cursor, query, self._account, self._personal_data)
            self._check_erasure_list(cursor)
            recorded = WindowsTable(database, cursor, query)
            if recorded.is_superseded(query.window, pull.pulled_at):
                previous = recorded.previous_events(query.window)
                return [SliceOutcome(query.window, "superseded", previous, previous)]
            kept = self._kept_days(cursor, recorded, pull, rule)
            parts = _without(query.window, kept)
            for part in parts:
                database.events.delete(cursor, recorded.events_in(part))
                database.quarantine.delete(cursor, recorded.set_aside_in(part))
            displaced = None
            if take_over:
                displaced = loader.take_over(cursor, self._spool.file, pull.pulled_at, kept)
            else:
                with self._spool.without(kept) as spool:
                    loader.load(cursor, spool, pull.pulled_at)
            self._insert_quarantine(cursor, recorded, parts, pull.pulled_at)
            outcomes = [
                self._record(cursor, recorded, part, pull, counted=displaced is not None) for part in parts
            ]
            recorded.recount(displaced or set())
            for day, events in kept.values():
                left = database.events.count(cursor, recorded.events_in(day)) if displaced else events
                outcomes.append(SliceOutcome(day, "shrunk", left, events))
        return sorted(outcomes, key=lambda outcome: outcome.window)

    def _check_erasure_list(self, cursor: Any) -> None:
        """:raises Np6PullAgainError: if somebody was erased since the pull began."""
        erased = read_erasure_list(self._database, cursor)
        if erased != self.erased:
            self.erased = erased
            raise Np6PullAgainError(
                f"persons were erased from table {self._database.events.name} during this pull",
                hint="The next try leaves them out.",
                context=self._query.description,
            )

    def _kept_days(
        self, cursor: Any, recorded: WindowsTable, pull: VerifiedPull, rule: ShrinkRule
    ) -> dict[int, tuple[Window, int]]:
        """The days of which more is stored than was pulled, and which are kept: by UTC day since the epoch,
        their windows and events.

        :raises Np6PullAgainError: if a day is short, and that is not confirmed.
        :raises Np6ShrunkError: if a day is short, and ``on_shrink`` is ``fail``.
        """
        kept = {}
        for window in self._query.window.days():
            day = window.start // DAY
            received = self._spool.events[day] + self._spool.invalid[day] + pull.duplicates_by_day.get(day, 0)
            stored = self._database.events.count(cursor, recorded.events_in(window))
            if rule.is_kept(window.date, received, stored):
                kept[day] = (window, stored)
        return kept

    def _record(
        self, cursor: Any, recorded: WindowsTable, part: Window, pull: VerifiedPull, *, counted: bool
    ) -> SliceOutcome:
        """Record that a part of the window was pulled.

        :param counted: whether its rows must be counted, because some were taken from other windows.
        """
        days = range(part.start // DAY, (part.end - 1) // DAY + 1)
        events = sum(self._spool.events[day] for day in days)
        if counted:
            events = self._database.events.count(cursor, recorded.events_in(part))
        row = {
            "events": events,
            "invalid": sum(self._spool.invalid[day] for day in days),
            "pulled_at": pull.pulled_at,
            "account": self._account,
            "personal_data": self._personal_data,
            "version": VERSION,
        }
        previous = recorded.replace(part, row)
        return SliceOutcome(part, "created" if previous is None else "changed", events, previous or 0)

    def _insert_quarantine(
        self, cursor: Any, recorded: WindowsTable, parts: Sequence[Window], pulled_at: int
    ) -> None:
        database, window = self._database, self._query.window
        rows = [
            {
                **recorded.identity,
                "event": None,
                **record,
                "near": min(max(database.ms(record["near"]), window.start), window.end - 1),
                "pulled_at": pulled_at,
            }
            for record in self._spool.records()
        ]
        rows = [row for row in rows if any(part.start <= row["near"] < part.end for part in parts)]
        database.quarantine.insert_rows(cursor, rows)


def _without(window: Window, days: Collection[int]) -> list[Window]:
    """What is left of a window without some of its days, joined where it touches."""
    left: list[Window] = []
    for part in window.days():
        if part.start // DAY in days:
            continue
        if left and left[-1].end == part.start:
            left[-1] = left[-1].union(part)
        else:
            left.append(part)
    return left


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (block := source.read(min(size, _BLOCK))):
        target.write(block)
        size -= len(block)
