"""SQL: one row an event, and one row a window that was pulled, replaced in one transaction."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.base import Destination, Landing, text_field
from airflow_provider_np6.destinations.database import (
    Database,
    check_table,
    dataset,
    hook_of,
    overlapping,
    within,
)
from airflow_provider_np6.np6.errors import (
    Np6DestinationError,
    Np6InputError,
)
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.np6.pull import Proof
    from airflow_provider_np6.np6.verification import Events, Invalid

VERSION = 1
"""Of the rows of ``<table>_windows``."""

_ROWS = 1_000
_BYTES = 4 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")


@dataclass
class SqlDestination(Destination):
    """A table in any database that has a common-sql hook, and ``<table>_windows`` beside it.

    :param conn_id: connection of the database. (templated)
    :param table: name of the table. (templated)
    :param schema: its schema; None means the connection's own. (templated)
    :param create: whether to create tables that are missing.
    :param evolve: whether to add columns that are missing; this version knows one set of columns only.
    """

    template_fields: ClassVar[Sequence[str]] = ("conn_id", "table", "schema")

    conn_id: str
    table: str = "np6_events"
    schema: str | None = None
    create: bool = True
    evolve: bool = True

    @property
    def uri(self) -> str:
        schema = f"{self.schema}." if self.schema else ""
        return f"{self.conn_id}: {schema}{self.table}"

    @contextmanager
    def open(self, query: EventQuery, account: str) -> Iterator[Landing]:
        schema = None if self.schema in (None, "", "None") else self.schema
        for name in (text_field(self, "table"), schema):
            if name is not None and not _NAME.fullmatch(name):
                raise Np6InputError(
                    f"{name!r} is not a table's or schema's name",
                    cure="Names are up to 50 letters, digits and '_'; the schema is a field of its own.",
                )
        database = Database(hook_of(text_field(self, "conn_id")), schema, self.table, self.create)
        with database.failures("cannot be used", Np6InputError), database.transaction() as cursor:
            check_table(database, cursor, query, account)
        with tempfile.TemporaryFile(prefix="np6-") as spool, tempfile.TemporaryFile(prefix="np6-") as aside:
            yield _SqlLanding(database, query, account, _Spool(spool, aside))


class _Spool:
    """The window's raw events, one a line, in a file without a name: nothing is left of it, ever."""

    def __init__(self, file: Any, aside: Any) -> None:
        self._file = file
        self._aside = aside

    def write(self, events: Events) -> None:
        try:
            self._file.write(b"\n".join([*events.items, b""]))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Np6DestinationError(
                f"the worker's disk cannot take the events: {reason}", cure="Make room below TMPDIR."
            ) from None

    def set_aside(self, invalid: Invalid) -> None:
        self._aside.write(quarantine.line(invalid))

    def restart(self) -> None:
        for file in (self._file, self._aside):
            file.seek(0)
            file.truncate()

    def invalid(self) -> list[dict[str, Any]]:
        """What was set aside, as :func:`quarantine.record` tells it."""
        self._aside.seek(0)
        return [json.loads(line) for line in self._aside]

    def batches(self) -> Iterator[list[bytes]]:
        """All events again, some at a time."""
        self._file.seek(0)
        batch: list[bytes] = []
        size = 0
        for line in self._file:
            batch.append(line.rstrip(b"\n"))
            size += len(line)
            if len(batch) == _ROWS or size > _BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


class _SqlLanding:
    """Replaces one window in one short transaction."""

    def __init__(self, database: Database, query: EventQuery, account: str, spool: _Spool) -> None:
        self._database = database
        self._query = query
        self._account = account
        self.spool = spool

    def publish(self, proof: Proof) -> dict[str, Any]:
        report: dict[str, Any] = {"table": self._database.events.name}
        with self._database.failures("could not be written"):
            try:
                published = self._replace(proof, take_over=False)
            except Exception as error:
                if not _is_integrity_error(error):
                    raise
                published = self._replace(proof, take_over=True)
        return report if published else {**report, "superseded": 1}

    def _replace(self, proof: Proof, *, take_over: bool) -> bool:
        """Delete, insert, record; False if a later pull of the window stands there.

        :param take_over: whether rows of the same ids are deleted wherever they stand, which costs a
            look-up an event and is needed only when an event moved between windows or actions.
        """
        from airflow_provider_np6.destinations.columns import row_of

        database, query = self._database, self._query
        action = {} if query.action_id == ALL_ACTIONS else {"action_id =": query.action_id}
        with database.transaction() as cursor:
            check_table(database, cursor, query, self._account)
            if self._is_superseded(cursor, proof):
                return False
            held = {**dataset(query), **action, **within("occurred_at", query.window)}
            database.events.delete(cursor, held)
            for batch in self.spool.batches():
                rows = [row_of(item, query, proof.pulled_at) for item in batch]
                if take_over:
                    rows = list({row["event_id"]: row for row in rows}.values())
                    ids = [row["event_id"] for row in rows]
                    database.events.delete(cursor, {**dataset(query), "event_id IN": ids})
                database.events.insert(cursor, rows)
            self._replace_quarantine(cursor, proof)
            self._cut_stored_windows(cursor)
            stored = database.events.count(cursor, held) if take_over else proof.events
            row = self._window_row(query.window, stored, proof.invalid, proof.pulled_at)
            database.windows.insert(cursor, [row])
        return True

    def _replace_quarantine(self, cursor: Any, proof: Proof) -> None:
        database, window = self._database, self._query.window
        database.quarantine.delete(cursor, {**self._recorded(), **within("near", window)})
        rows = [
            {
                **self._identity(),
                **found,
                "near": min(max(database.ms(found["near"]), window.start), window.end - 1),
                "pulled_at": proof.pulled_at,
            }
            for found in self.spool.invalid()
        ]
        if rows:
            database.quarantine.insert(cursor, rows)

    def _is_superseded(self, cursor: Any, proof: Proof) -> bool:
        """Whether what was pulled later covers the window, in one piece or in several."""
        database, window = self._database, self._query.window
        later = {**self._recorded(), **overlapping(window), "pulled_at >": proof.pulled_at}
        covered = window.start
        for row in sorted(database.windows.select(cursor, ["window_start", "window_end"], later)):
            start, end = map(database.ms, row)
            if start <= covered:
                covered = max(covered, end)
        return covered >= window.end

    def _recorded(self) -> dict[str, Any]:
        return {**dataset(self._query), "action_id =": self._query.action_id}

    def _cut_stored_windows(self, cursor: Any) -> None:
        """Take the pulled window out of the recorded ones, so that these tile as events do."""
        database, query = self._database, self._query
        columns = ["window_start", "window_end", "pulled_at"]
        where = {**self._recorded(), **overlapping(query.window)}
        action = {} if query.action_id == ALL_ACTIONS else {"action_id =": query.action_id}
        rest = []
        for row in database.windows.select(cursor, columns, where):
            start, end, pulled_at = map(database.ms, row)
            for left, right in ((start, query.window.start), (query.window.end, end)):
                if left < right:
                    part = Window(left, right)
                    events = {**dataset(query), **action, **within("occurred_at", part)}
                    invalid = {**self._recorded(), **within("near", part)}
                    counts = database.events.count(cursor, events), database.quarantine.count(cursor, invalid)
                    rest.append(self._window_row(part, *counts, pulled_at))
        database.windows.delete(cursor, where)
        if rest:
            database.windows.insert(cursor, rest)

    def _identity(self) -> dict[str, Any]:
        query = self._query
        return {
            "event_type": query.event_type,
            "classification": query.classification,
            "action_id": query.action_id,
        }

    def _window_row(self, window: Window, events: int, invalid: int, pulled_at: int) -> dict[str, Any]:
        return {
            **self._identity(),
            "window_start": window.start,
            "window_end": window.end,
            "events": events,
            "invalid": invalid,
            "pulled_at": pulled_at,
            "account": self._account,
            "personal_data": "keep",
            "version": VERSION,
        }


def _is_integrity_error(error: Exception) -> bool:
    """Whether a driver says that a key is there already; DB-API names the class, not its module."""
    return any(kind.__name__ == "IntegrityError" for kind in type(error).__mro__)
