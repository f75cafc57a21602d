"""The tables in their database: transactions on them, and what may not be added to them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import BaseHook
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_np6.destinations.sql.dialects import ErrorKind, TableName, get_dialect
from airflow_provider_np6.destinations.sql.table import (
    erased_table,
    events_table,
    quarantine_table,
    windows_table,
)
from airflow_provider_np6.np6.errors import (
    Np6DestinationError,
    Np6Error,
    Np6InputError,
    check_version,
)

if TYPE_CHECKING:
    from airflow_provider_np6.np6.window import Window


def get_sql_hook(conn_id: str) -> Any:
    try:
        connection = BaseHook.get_connection(conn_id)
    except Exception as error:  # its class differs by version
        kind = Np6InputError if "NotFound" in type(error).__name__ else Np6DestinationError
        raise kind(
            f"connection {conn_id!r} gives no database: {type(error).__name__}", hint="Create the connection."
        ) from None
    try:
        hook = connection.get_hook()
    except Exception as error:
        raise Np6InputError(
            f"connection {conn_id!r} gives no database: {type(error).__name__}",
            hint="Install the provider of its type.",
        ) from None
    if not isinstance(hook, DbApiHook):
        raise Np6InputError(
            f"connection {conn_id!r} is not one of a SQL database",
            hint="Its type must be one whose hook is a common-sql hook.",
        )
    return hook


_PORTS = {"postgres": 5432, "mysql": 3306}


def to_table_uri(conn_id: str, schema: str | None, table: str) -> str | None:
    """The table as an asset, by the conventions of Airflow's providers; see ``SqlDestination.asset_uri``."""
    connection = BaseHook.get_connection(conn_id)
    if connection.conn_type not in _PORTS or not connection.host or not connection.schema:
        return None
    server = f"{connection.conn_type}://{connection.host}:{connection.port or _PORTS[connection.conn_type]}"
    if connection.conn_type == "mysql":  # where a schema is a database
        return f"{server}/{schema or connection.schema}/{table}"
    return f"{server}/{connection.schema}/{schema or 'default'}/{table}"


VERSION = 1
"""Of the rows of ``<table>_windows``, and so of all four tables."""

TRIES = 5
"""Transactions tried before a failure that may pass is left to Airflow's retries."""

_LOCK_WAIT = 300.0
"""Seconds to wait for a database that another process holds."""

T = TypeVar("T")


class Database:
    """The tables, and transactions on them."""

    def __init__(self, hook: Any, name: TableName) -> None:
        self._hook = hook
        self.dialect = get_dialect(hook.dialect_name)
        self.events = events_table(name, self.dialect, hook.placeholder)
        self.windows = windows_table(name, self.dialect, hook.placeholder)
        self.erased = erased_table(name, self.dialect, hook.placeholder)
        self.quarantine = quarantine_table(name, self.dialect, hook.placeholder)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in a transaction that holds the table's lock; rolled back on any error."""
        with closing(self._hook.get_conn()) as connection:
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(connection, False)
            self.dialect.prepare(connection)
            with self.dialect.cursor(connection) as cursor:
                try:
                    self.dialect.begin(cursor, self.events.name)
                    yield cursor
                    connection.commit()
                    self.dialect.end(cursor, self.events.name)
                except BaseException:
                    with suppress(Exception):  # a dead connection has rolled back already
                        connection.rollback()
                    raise

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A cursor that changes nothing and neither waits for pulls nor holds one up; in every database, one
        statement sees one state of the tables.

        :raises Np6InputError: if there is no table of windows.
        """
        with closing(self._hook.get_conn()) as connection:
            self.dialect.prepare(connection)
            with self.dialect.cursor(connection) as cursor:
                if not has_tables(self, cursor):
                    raise nothing_pulled(self)
                yield cursor

    def run_with_retries(
        self, work: Callable[[], T], what: str, permanent: type[Np6Error] = Np6DestinationError
    ) -> T:
        """The outcome of ``work``, tried again while a failure may pass; it begins a transaction of its own
        each time.

        :param permanent: the class for errors that another try cannot fix.
        :raises Np6Error: a driver's own error as one of ours, without its text: that may hold a row.
        """

        deadline = time.monotonic() + _LOCK_WAIT
        tries = 1
        while True:
            try:
                return work()
            except Np6Error:
                raise
            except Exception as error:  # each driver has a tree of errors of its own
                kind = self.dialect.failure(error)
                if kind is ErrorKind.LOCKED and time.monotonic() < deadline:
                    wait = 0.5
                elif kind is ErrorKind.TRANSIENT and tries < TRIES:
                    tries += 1
                    wait = 0.25 * 2**tries
                else:
                    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
                    reason = type(error).__name__ + (f", SQLSTATE {state}" if state else "")
                    raise (permanent if kind is ErrorKind.PERMANENT else Np6DestinationError)(
                        f"table {self.events.name} {what}: {reason}",
                        hint="Look it up in the database's own log, which names the statement.",
                    ) from None
            time.sleep(random.uniform(0, wait))  # noqa: S311 - jitter

    def ms(self, moment: Any) -> int:
        return self.dialect.ms(moment)


def within(column: str, window: Window) -> dict[str, Any]:
    return {f"{column} >=": window.start, f"{column} <": window.end}


def overlapping(window: Window) -> dict[str, Any]:
    return {"window_start <": window.end, "window_end >": window.start}


def has_tables(database: Database, cursor: Any) -> bool:
    """Whether there is a table of windows.

    :raises Np6ConflictError: if something in it is of a later format.
    """
    stored = database.dialect.stored_types(cursor, database.windows.name)
    if stored is None:
        return False
    if "version" in stored:
        check_version_of(database, cursor)
    return True


def check_version_of(database: Database, cursor: Any) -> None:
    """:raises Np6ConflictError: if something in the table of windows is of a later format."""
    ((newest,),) = database.windows.select(cursor, ["MAX(version)"], {})
    check_version(f"table {database.events.name}", int(newest or 0), VERSION)


def nothing_pulled(database: Database) -> Np6InputError:
    """Says that there is no such table."""
    return Np6InputError(
        f"there is no table {database.windows.name}",
        hint="Check the table's name: nothing was ever pulled into it.",
    )
