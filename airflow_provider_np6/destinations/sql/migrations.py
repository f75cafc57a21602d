"""The tables as they exist: created, completed or refused before a pull begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.sql import layout
from airflow_provider_np6.destinations.sql.dialects import ErrorKind
from airflow_provider_np6.destinations.sql.errors import to_hint
from airflow_provider_np6.np6.errors import Np6InputError

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.dialects import StoredIndex
    from airflow_provider_np6.destinations.sql.table import Table


@dataclass(frozen=True)
class Missing:
    """What tables lack.

    :param statements: that complete them.
    :param index: the statement for the index by time, without which pulls of all actions are slow; None if it
        is not needed or exists.
    """

    statements: tuple[str, ...]
    index: str | None

    @property
    def is_nothing(self) -> bool:
        """Whether the tables are complete."""
        return not self.statements and self.index is None


@dataclass(frozen=True)
class Migrations:
    """What may be done to tables that are missing or incomplete.

    :param database: of the tables.
    :param create: whether to create tables that are missing.
    :param evolve: whether to add columns and indexes that are missing to tables that exist.
    :param all_actions: whether windows of all actions are going to be replaced, which needs an index by time.
        An index makes every load slower, so tables that are pulled by action go without.
    """

    database: Database
    create: bool
    evolve: bool
    all_actions: bool = False

    def run(self) -> None:
        """Create and complete the tables, unless another process does so at the same time.

        :raises Np6InputError: if something is missing and may not be added, or if a column or a key is of
            another kind; with the statements to run.
        """
        missing = self._look()
        while missing.statements:
            try:
                self._execute(missing.statements)
            except Exception as error:  # each driver has its own classes
                left = self._look()
                if left == missing:
                    if self._is_forbidden(error):
                        raise self._to_forbidden() from None
                    raise
            else:
                left = self._look()
                if left == missing:
                    raise Np6InputError(
                        f"{self.database} was created, and is gone in the next session",
                        hint="Set a schema in the destination: the search_path begins with a temporary one.",
                    )
            missing = left
        if missing.index is not None:
            self._add_index(missing.index)

    def look(self, cursor: Any) -> Missing:
        """What the tables lack.

        :raises Np6InputError: if something is missing and may not be added, or if a column or a key is of
            another kind; with the statements to run.
        """
        try:
            missing = self._compare(cursor)
        except Np6InputError:
            self.database.check_format(cursor)
            raise
        # Last, for MySQL hides tables that another session alters from a transaction that has read one.
        self.database.check_format(cursor)
        return missing

    def _compare(self, cursor: Any) -> Missing:
        stored = {table.name: self._stored_types(cursor, table) for table in self.database.tables}
        absent = [table for table in self.database.tables if stored[table.name] is None]
        if absent and not self.create:
            raise self._to_absent(cursor, absent)
        statements: list[str] = []
        for table in self.database.tables:
            types = stored[table.name]
            statements += table.creation if types is None else self._additions(cursor, table, types)
        events = self.database.events
        if self.database.events in absent:
            created = self._time_index(events.dialect.stored_indexes(cursor, events.name))
            return Missing((*statements, *created), None)
        added = self._time_index(events.dialect.stored_indexes(cursor, events.name) or [])
        return Missing(tuple(statements), added[0] if added else None)

    def _look(self) -> Missing:
        with self.database.transaction(is_writing=False) as cursor:
            return self.look(cursor)

    def _execute(self, statements: Sequence[str]) -> None:
        with self.database.transaction() as cursor:
            self.database.dialect.prepare_ddl(cursor, self.database.events.name)
            for statement in statements:
                cursor.execute(statement)

    def _add_index(self, statement: str) -> None:
        """Create the index by time, if it can be."""
        reason = "evolve is False"
        if self.evolve:
            try:
                self._execute([statement])
            except Exception as error:  # each driver has its own classes
                reason = type(error).__name__
        if self._look().index is not None:
            log.warning(
                "%s has no index by time (%s), so pulls of all actions are slow. %s",
                self.database,
                reason,
                to_hint([statement]),
            )

    def _stored_types(self, cursor: Any, table: Table) -> dict[str, str] | None:
        flaw = table.dialect.find_flaw(cursor, table.name, table.key)
        if flaw is not None:
            raise self._to_unfit(table, flaw[0], [flaw[1]] if flaw[1] else [])
        return table.dialect.stored_types(cursor, table.name)

    def _additions(self, cursor: Any, table: Table, stored: dict[str, str]) -> list[str]:
        """The statements that add what a table lacks."""
        self._check_types(cursor, table, stored)
        columns = [column for column in table.columns if column.name not in stored]
        required = [column.name for column in columns if table.is_required(column)]
        if required:
            raise self._to_unfit(table, f"has no column {required[0]}, and has other content", [])
        statements = [table.addition(column) for column in columns]
        if columns and table.name == self.database.events.name:
            statements += self._forgetting(cursor)
        if columns and not self.evolve:
            raise self._to_unfit(table, f"has no column {columns[0].name}", statements)
        indexes = table.dialect.stored_indexes(cursor, table.name)
        if indexes is not None and not any(
            index.is_unique and set(index.columns) == set(table.key) for index in indexes
        ):
            raise self._to_unfit(table, "lacks its key", [table.key_creation])
        return statements

    def _forgetting(self, cursor: Any) -> list[str]:
        """The statement that lets later pulls of the same events fill columns that were added or changed."""
        windows = self.database.windows
        if "digest" not in (windows.dialect.stored_types(cursor, windows.name) or ()):
            return []
        return [f"UPDATE {windows.quoted} SET {windows.dialect.quote('digest')} = NULL"]

    def _time_index(self, indexes: Sequence[StoredIndex] | None) -> list[str]:
        """The statement that creates the index by time, where it is needed.

        :param indexes: of the table of events; None where they cannot be seen.
        """
        wanted = layout.ALL_ACTIONS
        is_needed = self.all_actions or indexes is None
        is_there = any(index.columns[: len(wanted.columns)] == wanted.columns for index in indexes or ())
        return [self.database.events.index_creation(wanted)] if is_needed and not is_there else []

    def _check_types(self, cursor: Any, table: Table, stored: dict[str, str]) -> None:
        wrong = [
            column
            for column in table.columns
            if column.name in stored and not table.dialect.is_fit(column, stored[column.name])
        ]
        if wrong:
            named = ", ".join(f"{column.name} {stored[column.name].upper()}" for column in wrong)
            statements = [statement for column in wrong for statement in table.retyping(column, stored)]
            digests = self._forgetting(cursor) if table.name == self.database.events.name else []
            raise self._to_unfit(
                table,
                f"has columns of types that would change their values: {named}",
                list(dict.fromkeys([*statements, *digests])),
            )

    def _is_forbidden(self, error: Exception) -> bool:
        """Whether an administrator can do what failed."""
        dialect = self.database.dialect
        if dialect.is_known:
            return dialect.is_forbidden(error)
        return dialect.failure(error) in (ErrorKind.PERMANENT, ErrorKind.UNKNOWN)

    def _to_absent(self, cursor: Any, absent: Sequence[Table]) -> Np6InputError:
        names = ", ".join(str(table.name) for table in absent)
        verb = "do" if len(absent) > 1 else "does"
        return Np6InputError(
            f"in the database of connection {self.database.conn_id!r}, {names} {verb} not exist",
            hint=to_hint(_creations(cursor, absent)),
        )

    def _to_forbidden(self) -> Np6InputError:
        """The error for a connection that may not create or complete its tables."""
        database = self.database
        with database.transaction(is_writing=False) as cursor:
            stored = {table.name: self._stored_types(cursor, table) for table in database.tables}
            absent = [table for table in database.tables if stored[table.name] is None]
            additions = [
                statement
                for table in database.tables
                if (types := stored[table.name]) is not None
                for statement in self._additions(cursor, table.resolved(cursor), types)
            ]
            statements = [*additions, *_creations(cursor, absent)]
            schema = database.events.name.schema
            if schema and not database.dialect.is_known and len(absent) == len(database.tables):
                statements.insert(0, f"CREATE SCHEMA {database.dialect.quote(schema)}")
            role = database.dialect.get_role(cursor) or "the login"
        return Np6InputError(
            f"{database} is incomplete, and {role} may not complete it", hint=to_hint(statements)
        )

    def _to_unfit(self, table: Table, what: str, statements: Sequence[str]) -> Np6InputError:
        return Np6InputError(
            f"table {table.name} of connection {self.database.conn_id!r} {what}",
            hint=to_hint(statements) if statements else "Set another table in the destination.",
        )


def _creations(cursor: Any, tables: Sequence[Table]) -> list[str]:
    """The statements with which an administrator creates tables for the connection's role."""
    created = [statement for table in tables for statement in table.resolved(cursor).creation]
    return created + [statement for table in tables for statement in table.grants(cursor)]
