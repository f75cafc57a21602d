"""SQL: one row an event, and one row a window that was pulled, replaced in one transaction."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.base import Destination, Landing, given, text_field
from airflow_provider_np6.destinations.sql.database import (
    VERSION,
    Database,
    check_format,
    check_table,
    erased_in,
    get_sql_hook,
    is_there,
    nothing_pulled,
    table_uri,
)
from airflow_provider_np6.destinations.sql.migrations import completing_statements
from airflow_provider_np6.destinations.sql.windows_table import WindowsTable
from airflow_provider_np6.np6.errors import (
    Np6DestinationError,
    Np6InputError,
)

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import Held
    from airflow_provider_np6.destinations.inventory import Record, Scope, Verification
    from airflow_provider_np6.destinations.sql.dialects import TableDialect
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.np6.verify import Events, Invalid
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
    from airflow_provider_np6.privacy.subjects import Erased

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
    def open(self, query: EventQuery, account: str, personal_data: str = "keep") -> Iterator[Landing]:
        database = self._database()

        def check() -> Erased | None:
            with database.transaction() as cursor:
                is_there(database, cursor)
                for statement in completing_statements(
                    database, cursor, create=self.create, evolve=self.evolve
                ):
                    cursor.execute(statement)
                check_table(database, cursor, query, account, personal_data)
                return erased_in(database, cursor)

        erased = database.run_with_retries(check, "cannot be used", Np6InputError)
        with tempfile.TemporaryFile(prefix="np6-") as spool, tempfile.TemporaryFile(prefix="np6-") as aside:
            landed = _Spool(spool, aside, database.dialect, query)
            yield _SqlLanding(database, query, account, personal_data, self.asset_uri, landed, erased)

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        from airflow_provider_np6.destinations.sql.erase import erase_from_table

        database = self._database()

        def complete() -> None:
            with database.transaction() as cursor:
                if not is_there(database, cursor):
                    raise nothing_pulled(database)
                for statement in completing_statements(
                    database, cursor, create=self.create, evolve=self.evolve
                ):
                    cursor.execute(statement)

        def remove() -> dict[str, int]:
            with database.transaction() as cursor:
                return erase_from_table(database, cursor, persons, pseudonyms, account)

        database.run_with_retries(complete, "cannot be used", Np6InputError)
        return database.run_with_retries(remove, "could not be written")

    def held(self, query: EventQuery) -> list[Held]:
        database = self._database()

        def read() -> list[Held]:
            with database.transaction() as cursor:
                if not is_there(database, cursor):
                    return []
                return WindowsTable(database, cursor, query).held(query.window)

        return database.run_with_retries(read, "cannot be read", Np6InputError)

    def records(self, scope: Scope) -> list[Record]:
        from airflow_provider_np6.destinations.sql.windows_table import recorded_in

        database = self._database()
        return database.run_with_retries(
            lambda: recorded_in(database, scope), "cannot be read", Np6InputError
        )

    def verification(self) -> Verification:
        from airflow_provider_np6.destinations.sql.verify import verification

        return verification(self._database())

    def _database(self) -> Database:
        schema = given(self.schema)
        for name in (text_field(self, "table"), schema):
            if name is not None and not _NAME.fullmatch(name):
                raise Np6InputError(
                    f"{name!r} is not a table's or schema's name",
                    hint="Names are up to 50 letters, digits and '_'; the schema is a field of its own.",
                )
        return Database(get_sql_hook(text_field(self, "conn_id")), schema, self.table)


class _Spool:
    """The window's events as the database's load takes them, in a file without a name: nothing is left of
    it, ever."""

    def __init__(self, file: IO[bytes], aside: IO[bytes], dialect: TableDialect, query: EventQuery) -> None:
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
                f"the worker's disk cannot take the events: {reason}", hint="Make room below TMPDIR."
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


@dataclass
class _SqlLanding:
    """Replaces one window in one short transaction."""

    _database: Database
    _query: EventQuery
    _account: str
    _personal_data: str
    _uri: str | None
    spool: _Spool
    erased: Erased | None
    published: list[str] = field(default_factory=list)

    def publish(self, proof: VerifiedPull) -> dict[str, Any]:
        report: dict[str, Any] = {"table": self._database.events.name}
        published = self._database.run_with_retries(lambda: self._replaced(proof), "could not be written")
        self.published = [self._uri] if published and self._uri else []
        return report if published else {**report, "superseded": 1}

    def _replaced(self, proof: VerifiedPull) -> bool:
        from airflow_provider_np6.destinations.sql.dialects import ErrorKind

        try:
            return self._replace(proof, take_over=False)
        except Exception as error:  # each driver has a tree of errors of its own
            if self._database.dialect.failure(error) is not ErrorKind.DUPLICATE_KEY:
                raise
        return self._replace(proof, take_over=True)

    def _replace(self, proof: VerifiedPull, *, take_over: bool) -> bool:
        """Delete, insert, record; False if a later pull of the window stands there.

        :param take_over: whether rows of the same ids are deleted wherever they stand, which costs a
            look-up an event and is needed only when an event moved between windows or actions.
        """
        database, query = self._database, self._query
        load = database.dialect.take_over if take_over else database.dialect.load
        with database.transaction() as cursor:
            check_format(database, cursor)
            check_table(database, cursor, query, self._account, self._personal_data)
            if erased_in(database, cursor) != self.erased:
                raise Np6DestinationError(
                    f"persons were erased from table {database.events.name} while this pull was under way",
                    hint="The next try keeps them out.",
                    context=query.description,
                )
            recorded = WindowsTable(database, cursor, query)
            if recorded.is_superseded(query.window, proof.pulled_at):
                return False
            replaced = recorded.events_in(query.window)
            database.events.delete(cursor, replaced)
            displaced = load(cursor, database.events, self.spool.file, query, proof.pulled_at)
            self._replace_quarantine(cursor, recorded, proof.pulled_at)
            stored = database.events.count(cursor, replaced) if displaced is not None else proof.events
            row = {
                "events": stored,
                "invalid": proof.invalid,
                "pulled_at": proof.pulled_at,
                "account": self._account,
                "personal_data": self._personal_data,
                "version": VERSION,
            }
            recorded.replace(query.window, row)
            recorded.recount(displaced or set())
        return True

    def _replace_quarantine(self, cursor: Any, recorded: WindowsTable, pulled_at: int) -> None:
        database, window = self._database, self._query.window
        database.quarantine.delete(cursor, recorded.set_aside_in(window))
        rows = [
            {
                **recorded.identity,
                "event": None,
                **found,
                "near": min(max(database.ms(found["near"]), window.start), window.end - 1),
                "pulled_at": pulled_at,
            }
            for found in self.spool.invalid()
        ]
        database.quarantine.insert_rows(cursor, rows)
