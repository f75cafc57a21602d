"""SQL: one row per event, and one row per pulled window, replaced in one transaction."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_np6.destinations.base import Destination, optional_field, text_field
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import check_event_type

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import CountedWindow
    from airflow_provider_np6.destinations.event_writer import EventWriter
    from airflow_provider_np6.destinations.inventory import PendingVerification, Scope, StoredWindow
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.privacy.erasure_filter import ErasureList
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")


@dataclass
class SqlDestination(Destination):
    """A table in any database that has a common-sql hook, and ``<table>_windows`` beside it.

    :param conn_id: connection of the database. (templated)
    :param table: name of the table. (templated)
    :param schema: its schema; None means the connection's own. (templated)
    :param create: whether to create tables that are missing.
    :param evolve: whether to add columns that are missing to tables that exist.
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
        from airflow_provider_np6.destinations.sql.database import to_table_uri

        return to_table_uri(
            text_field(self, "conn_id"), optional_field(self.schema), text_field(self, "table")
        )

    @contextmanager
    def open(
        self, query: EventQuery, account: str, personal_data: str = "keep", on_shrink: str = "fail"
    ) -> Iterator[EventWriter]:
        from airflow_provider_np6.destinations.spool_folder import spool_errors
        from airflow_provider_np6.destinations.sql.database import has_tables
        from airflow_provider_np6.destinations.sql.loading import get_loader
        from airflow_provider_np6.destinations.sql.migrations import completing_statements
        from airflow_provider_np6.destinations.sql.windows_table import check_table, read_erasure_list
        from airflow_provider_np6.destinations.sql.writer import SqlSpool, SqlWriter

        database = self._database()

        def check() -> ErasureList | None:
            with database.transaction() as cursor:
                has_tables(database, cursor)
                for statement in completing_statements(
                    database, cursor, create=self.create, evolve=self.evolve
                ):
                    cursor.execute(statement)
                check_table(database, cursor, query, account, personal_data)
                return read_erasure_list(database, cursor)

        erased = database.run_with_retries(check, "cannot be used", Np6InputError)
        with ExitStack() as stack:
            with spool_errors():
                events = stack.enter_context(tempfile.TemporaryFile(prefix="np6-"))
                invalid = stack.enter_context(tempfile.TemporaryFile(prefix="np6-"))
            spool = SqlSpool(events, invalid, get_loader(database.events, query), query.window)
            yield SqlWriter(database, query, account, personal_data, on_shrink, self.asset_uri, spool, erased)

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        from airflow_provider_np6.destinations.sql.database import has_tables, nothing_pulled
        from airflow_provider_np6.destinations.sql.erase import erase_from_table
        from airflow_provider_np6.destinations.sql.migrations import completing_statements

        database = self._database()

        def complete() -> None:
            with database.transaction() as cursor:
                if not has_tables(database, cursor):
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

    def action_ids(self, event_type: str) -> list[str]:
        from airflow_provider_np6.destinations.sql.windows_table import read_action_ids

        database, name = self._database(), check_event_type(event_type)
        return database.run_with_retries(
            lambda: read_action_ids(database, name), "cannot be read", Np6InputError
        )

    def counted_windows(self, query: EventQuery) -> list[CountedWindow]:
        from airflow_provider_np6.destinations.sql.database import has_tables
        from airflow_provider_np6.destinations.sql.windows_table import WindowsTable

        database = self._database()

        def read() -> list[CountedWindow]:
            with database.transaction() as cursor:
                if not has_tables(database, cursor):
                    return []
                return WindowsTable(database, cursor, query).counted(query.window)

        return database.run_with_retries(read, "cannot be read", Np6InputError)

    def stored_windows(self, scope: Scope) -> list[StoredWindow]:
        from airflow_provider_np6.destinations.sql.windows_table import read_stored_windows

        database = self._database()
        return database.run_with_retries(
            lambda: read_stored_windows(database, scope), "cannot be read", Np6InputError
        )

    def pending_verification(
        self, *, read_files: bool = True, remove_orphans: bool = False
    ) -> PendingVerification:
        from airflow_provider_np6.destinations.sql.verify import verification

        return verification(self._database())

    def _database(self) -> Database:
        from airflow_provider_np6.destinations.sql.database import Database, get_sql_hook
        from airflow_provider_np6.destinations.sql.dialects import TableName

        schema = optional_field(self.schema)
        for name in (text_field(self, "table"), schema):
            if name is not None and not _NAME.fullmatch(name):
                raise Np6InputError(
                    f"{name!r} is not a table's or schema's name",
                    hint="Names are up to 50 letters, digits and '_'; the schema is a field of its own.",
                )
        return Database(get_sql_hook(text_field(self, "conn_id")), TableName(schema, self.table))
