"""SQL: one row per event, and one row per slice that was pulled, replaced in one transaction."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_np6.destinations.base import Destination, optional_field, text_field
from airflow_provider_np6.destinations.requirements import PullRequirements
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import check_event_type
from airflow_provider_np6.np6.window import parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import CountedWindow
    from airflow_provider_np6.destinations.event_writer import EventWriter
    from airflow_provider_np6.destinations.inventory import PendingVerification, Scope, StoredWindow
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

_NAME = re.compile(r"[A-Za-z0-9_$-]{1,50}")
"""Safe to quote in every database, and short enough for the longest suffix."""


@dataclass
class SqlDestination(Destination):
    """A table of a database that has a common-sql hook, and four more beside it; see ``docs/sql.md``.

    :param conn_id: connection of the database. (templated)
    :param table: name of the table. (templated)
    :param schema: its schema; None means the connection's own. (templated)
    :param create: whether to create tables that are missing.
    :param evolve: whether to add columns and indexes that are missing to tables that exist.
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
        from airflow_provider_np6.destinations.sql.connection import to_table_uri

        return to_table_uri(
            text_field(self, "conn_id"), optional_field(self.schema), text_field(self, "table")
        )

    @contextmanager
    def open(
        self, query: EventQuery, account: str, personal_data: str = "keep", on_shrink: str = "fail"
    ) -> Iterator[EventWriter]:
        from airflow_provider_np6.destinations.spool_folder import spool_errors
        from airflow_provider_np6.destinations.sql.loading import get_loader
        from airflow_provider_np6.destinations.sql.preparation import prepare
        from airflow_provider_np6.destinations.sql.spool import SqlSpool
        from airflow_provider_np6.destinations.sql.writer import SqlWriter

        database = self._database()
        requirements = PullRequirements(query, account, personal_data)
        state = prepare(database, requirements, create=self.create, evolve=self.evolve)
        with ExitStack() as stack:
            with spool_errors():
                events = stack.enter_context(tempfile.TemporaryFile(prefix="np6-"))
                aside = stack.enter_context(tempfile.TemporaryFile(prefix="np6-"))
            spool = SqlSpool(events, aside, get_loader(database.events, query), query.window)
            yield SqlWriter(
                database,
                requirements,
                on_shrink=on_shrink,
                uri=self.asset_uri,
                spool=spool,
                state=state,
            )

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        from airflow_provider_np6.destinations.sql.erase import SqlErasure
        from airflow_provider_np6.destinations.sql.migrations import Migrations

        database = self._database()

        def complete() -> None:
            with database.reading():
                pass  # there is something to erase from
            Migrations(database, self.create, self.evolve).run()

        database.run_with_retries(complete, "cannot be used", Np6InputError)
        return SqlErasure(database, account, persons, pseudonyms).run()

    def expire(self, before: datetime | date | str) -> dict[str, int]:
        from airflow_provider_np6.destinations.sql.expire import expire_slices

        end, database = parse_time("before", before), self._database()
        return expire_slices(database, end)

    def action_ids(self, event_type: str) -> list[str]:
        from airflow_provider_np6.destinations.sql.windows_table import read_action_ids

        database, name = self._database(), check_event_type(event_type)
        return database.read(lambda: read_action_ids(database, name))

    def counted_windows(self, query: EventQuery) -> list[CountedWindow]:
        from airflow_provider_np6.destinations.sql.windows_table import WindowsTable

        database = self._database()

        def read() -> list[CountedWindow]:
            with database.transaction(is_writing=False) as cursor:
                if not database.has_tables(cursor):
                    return []
                database.check_format(cursor)
                return WindowsTable(database, cursor, query).counted(query.window)

        return database.read(read)

    def stored_windows(self, scope: Scope) -> list[StoredWindow]:
        from airflow_provider_np6.destinations.sql.windows_table import read_stored_windows

        database = self._database()
        return database.read(lambda: read_stored_windows(database, scope))

    def pending_verification(
        self, *, read_files: bool = True, remove_orphans: bool = False
    ) -> PendingVerification:
        from airflow_provider_np6.destinations.sql.verify import verification

        return verification(self._database())

    def _database(self) -> Database:
        from airflow_provider_np6.destinations.sql.connection import get_sql_hook
        from airflow_provider_np6.destinations.sql.database import Database
        from airflow_provider_np6.destinations.sql.dialects import TableName

        schema, conn_id = optional_field(self.schema), text_field(self, "conn_id")
        for name in (text_field(self, "table"), schema):
            if name is not None and not _NAME.fullmatch(name):
                raise Np6InputError(
                    f"{name!r} is not a table's or schema's name",
                    hint="Names have up to 50 letters of ASCII, digits, '_', '-' and '$'; the schema is a"
                    " separate field.",
                )
        return Database(get_sql_hook(conn_id), conn_id, TableName(schema, self.table))
