"""SQL: one row an event, and one row a window that was pulled, replaced in one transaction."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.base import Destination, Landing, given, text_field
from airflow_provider_np6.destinations.database import (
    Database,
    check_table,
    hook_of,
    overlapping,
    table_uri,
    within,
)
from airflow_provider_np6.destinations.structure import completing_statements
from airflow_provider_np6.destinations.views import view_statements
from airflow_provider_np6.np6.errors import (
    Np6DestinationError,
    Np6InputError,
)
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.dialects import Dialect, Robbed
    from airflow_provider_np6.np6.proof import Proof
    from airflow_provider_np6.np6.verification import Events, Invalid

VERSION = 1
"""Of the rows of ``<table>_windows``."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")


@dataclass
class SqlDestination(Destination):
    """A table in any database that has a common-sql hook, and ``<table>_windows`` beside it.

    :param conn_id: connection of the database. (templated)
    :param table: name of the table. (templated)
    :param schema: its schema; None means the connection's own. (templated)
    :param create: whether to create tables that are missing.
    :param evolve: whether to add columns that are missing to tables that are there.
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

    @property
    def asset_uri(self) -> str | None:
        """``postgres://host:port/database/schema/table``, ``mysql://host:port/database/table``, as Airflow's
        providers have it; for tasks, for it looks the connection up. A schema that only the server knows is
        called ``default``, as there."""
        return table_uri(text_field(self, "conn_id"), given(self.schema), text_field(self, "table"))

    @contextmanager
    def open(self, query: EventQuery, account: str) -> Iterator[Landing]:
        database = self._database()

        def check() -> None:
            with database.transaction() as cursor:
                for statement in completing_statements(
                    database, cursor, create=self.create, evolve=self.evolve
                ):
                    cursor.execute(statement)
                check_table(database, cursor, query, account)

        database.settle(check, "cannot be used", Np6InputError)
        with tempfile.TemporaryFile(prefix="np6-") as spool, tempfile.TemporaryFile(prefix="np6-") as aside:
            spooled = _Spool(spool, aside, database.dialect, query)
            yield _SqlLanding(database, query, account, spooled, self.asset_uri)

    def create_views(self) -> list[str]:
        """Create ``<table>_bounces_by_day`` (day, action_id, verdict, bounces) and ``<table>_deliverability``
        (domain, activations, bounces, hard_bounces, soft_bounces), anew if they are there; returns their
        names. To be called from a task, once there is a table.

        :raises Np6InputError: if the database, the table or the right is missing.
        """
        database = self._database()
        views = view_statements(database.events)

        def create() -> None:
            with database.transaction() as cursor:
                for statements in views.values():
                    for statement in statements:
                        cursor.execute(statement)

        database.settle(create, "has no views", Np6InputError)
        return list(views)

    def _database(self) -> Database:
        schema = given(self.schema)
        for name in (text_field(self, "table"), schema):
            if name is not None and not _NAME.fullmatch(name):
                raise Np6InputError(
                    f"{name!r} is not a table's or schema's name",
                    cure="Names are up to 50 letters, digits and '_'; the schema is a field of its own.",
                )
        return Database(hook_of(text_field(self, "conn_id")), schema, self.table)


class _Spool:
    """The window's events as the database's load takes them, in a file without a name: nothing is left of
    it, ever."""

    def __init__(self, file: IO[bytes], aside: IO[bytes], dialect: Dialect, query: EventQuery) -> None:
        self.file = file
        self._aside = aside
        self._dialect = dialect
        self._query = query

    def begin(self, pulled_at: int) -> None:
        self._encode = self._dialect.encoder(self._query, pulled_at)

    def write(self, events: Events) -> None:
        try:
            self.file.write(self._encode(events))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Np6DestinationError(
                f"the worker's disk cannot take the events: {reason}", cure="Make room below TMPDIR."
            ) from None

    def set_aside(self, invalid: Invalid) -> None:
        self._aside.write(quarantine.line(invalid))

    def restart(self) -> None:
        for file in (self.file, self._aside):
            file.seek(0)
            file.truncate()

    def invalid(self) -> list[dict[str, Any]]:
        """What was set aside, as :func:`quarantine.record` tells it."""
        self._aside.seek(0)
        return [json.loads(line) for line in self._aside]


class _SqlLanding:
    """Replaces one window in one short transaction."""

    def __init__(
        self, database: Database, query: EventQuery, account: str, spool: _Spool, uri: str | None
    ) -> None:
        self._database = database
        self._query = query
        self._account = account
        self._uri = uri
        self.spool = spool
        self.published: list[str] = []

    def publish(self, proof: Proof) -> dict[str, Any]:
        report: dict[str, Any] = {"table": self._database.events.name}
        published = self._database.settle(lambda: self._replaced(proof), "could not be written")
        self.published = [self._uri] if published and self._uri else []
        return report if published else {**report, "superseded": 1}

    def _replaced(self, proof: Proof) -> bool:
        from airflow_provider_np6.destinations.dialects import Failure

        try:
            return self._replace(proof, take_over=False)
        except Exception as error:  # each driver has a tree of errors of its own
            if self._database.dialect.failure(error) is not Failure.MOVED:
                raise
        return self._replace(proof, take_over=True)

    def _replace(self, proof: Proof, *, take_over: bool) -> bool:
        """Delete, insert, record; False if a later pull of the window stands there.

        :param take_over: whether rows of the same ids are deleted wherever they stand, which costs a
            look-up an event and is needed only when an event moved between windows or actions.
        """
        database, query = self._database, self._query
        load = database.dialect.take_over if take_over else database.dialect.load
        with database.transaction() as cursor:
            check_table(database, cursor, query, self._account)
            if self._is_superseded(cursor, proof):
                return False
            held = self._held(query.window)
            database.events.delete(cursor, held)
            robbed = load(cursor, database.events, self.spool.file, query, proof.pulled_at)
            self._replace_quarantine(cursor, proof)
            self._cut_stored_windows(cursor)
            stored = database.events.count(cursor, held) if robbed is not None else proof.events
            row = self._window_row(query.window, stored, proof.invalid, proof.pulled_at)
            database.windows.insert_rows(cursor, [row])
            self._recount(cursor, robbed or set())
        return True

    def _held(self, window: Window, action_id: str | None = None) -> dict[str, Any]:
        """The events of a window of this dataset and action."""
        action_id = action_id or self._query.action_id
        action = {} if action_id == ALL_ACTIONS else {"action_id =": action_id}
        return {**self._database.events.dataset(self._query), **action, **within("occurred_at", window)}

    def _recount(self, cursor: Any, robbed: Robbed) -> None:
        """Tell the windows that lost events to this one how many they have left."""
        if not robbed:
            return
        database = self._database
        times = sorted(time for _, time in robbed)
        where = {
            **database.windows.dataset(self._query),
            **overlapping(Window(times[0], times[-1] + 1)),
        }
        for action, *bounds in database.windows.select(
            cursor, ["action_id", "window_start", "window_end"], where
        ):
            window = Window(*map(database.ms, bounds))
            if any(
                window.start <= time < window.end and action in (owner, ALL_ACTIONS) for owner, time in robbed
            ):
                row = {**where, "action_id =": action, "window_start =": window.start}
                left = database.events.count(cursor, self._held(window, action))
                database.windows.update(cursor, "events", left, row)

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
        database.quarantine.insert_rows(cursor, rows)

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
        return {**self._database.windows.dataset(self._query), "action_id =": self._query.action_id}

    def _cut_stored_windows(self, cursor: Any) -> None:
        """Take the pulled window out of the recorded ones, so that these tile as events do."""
        database, query = self._database, self._query
        columns = ["window_start", "window_end", "pulled_at"]
        where = {**self._recorded(), **overlapping(query.window)}
        rest = []
        for row in database.windows.select(cursor, columns, where):
            start, end, pulled_at = map(database.ms, row)
            for left, right in ((start, query.window.start), (query.window.end, end)):
                if left < right:
                    part = Window(left, right)
                    invalid = {**self._recorded(), **within("near", part)}
                    counts = (
                        database.events.count(cursor, self._held(part)),
                        database.quarantine.count(cursor, invalid),
                    )
                    rest.append(self._window_row(part, *counts, pulled_at))
        database.windows.delete(cursor, where)
        database.windows.insert_rows(cursor, rest)

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
