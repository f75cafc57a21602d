"""The two tables in their database: transactions on them, and what may not be added to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6Error,
    Np6InputError,
)
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.tables import Table
    from airflow_provider_np6.np6.window import Window


def hook_of(conn_id: str) -> Any:
    from airflow.providers.common.compat.sdk import BaseHook
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    try:
        connection = BaseHook.get_connection(conn_id)
    except Exception as error:  # its class differs by version
        kind = Np6InputError if "NotFound" in type(error).__name__ else Np6DestinationError
        raise kind(
            f"connection {conn_id!r} gives no database: {type(error).__name__}", cure="Create the connection."
        ) from None
    try:
        hook = connection.get_hook()
    except Exception as error:
        raise Np6InputError(
            f"connection {conn_id!r} gives no database: {type(error).__name__}",
            cure="Install the provider of its type.",
        ) from None
    if not isinstance(hook, DbApiHook):
        raise Np6InputError(
            f"connection {conn_id!r} is not one of a SQL database",
            cure="Its type must be one whose hook is a common-sql hook.",
        )
    return hook


_FOR_GOOD = ("28", "3D", "3F", "42")
"""Classes of SQLSTATE that another try cannot cure: no right, no such database, schema or table."""

_SQLITE_FOR_GOOD = ("SQLITE_ERROR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_NOTADB")


class Database:
    """The two tables, and transactions on them."""

    def __init__(self, hook: Any, schema: str | None, table: str, create: bool) -> None:
        from airflow_provider_np6.destinations.dialects import dialect_of
        from airflow_provider_np6.destinations.tables import (
            events_table,
            quarantine_table,
            windows_table,
        )

        self._hook = hook
        self._create = create
        self._dialect = dialect_of(hook.dialect_name)
        self.events: Table = events_table(schema, table, self._dialect, hook.placeholder)
        self.windows: Table = windows_table(schema, table, self._dialect, hook.placeholder)
        self.quarantine: Table = quarantine_table(schema, table, self._dialect, hook.placeholder)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in a transaction that holds the table's lock; rolled back on any error."""
        with closing(self._hook.get_conn()) as connection:
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(connection, False)
            with closing(connection.cursor()) as cursor:
                try:
                    self._dialect.begin(cursor, self.events.name)
                    if self._create:
                        self.events.create(cursor)
                        self.windows.create(cursor)
                        self.quarantine.create(cursor)
                    yield cursor
                    connection.commit()
                except BaseException:
                    with suppress(Exception):  # a dead connection has rolled back already
                        connection.rollback()
                    raise

    @contextmanager
    def failures(self, what: str, for_good: type[Np6Error] = Np6DestinationError) -> Iterator[None]:
        """Tell a driver's own error as one of ours, without its text: that may hold a row.

        :param for_good: the class for what another try cannot cure.
        """
        try:
            yield
        except Np6Error:
            raise
        except Exception as error:  # each driver has a tree of errors of its own
            state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
            reason = type(error).__name__ + (f", SQLSTATE {state}" if state else "")
            final = str(state)[:2] in _FOR_GOOD or getattr(error, "sqlite_errorname", "") in _SQLITE_FOR_GOOD
            raise (for_good if final else Np6DestinationError)(
                f"table {self.events.name} {what}: {reason}",
                cure="Look it up in the database's own log, which names the statement.",
            ) from None

    def ms(self, moment: Any) -> int:
        return self._dialect.ms(moment)


def dataset(query: EventQuery) -> dict[str, Any]:
    return {"event_type =": query.event_type, "classification =": query.classification}


def within(column: str, window: Window) -> dict[str, Any]:
    return {f"{column} >=": window.start, f"{column} <": window.end}


def overlapping(window: Window) -> dict[str, Any]:
    return {"window_start <": window.end, "window_end >": window.start}


def check_table(database: Database, cursor: Any, query: EventQuery, account: str) -> None:
    """:raises Np6ConflictError: if the table is another account's, or holds the same time pulled for all
    actions where this is a pull of one, or the other way round."""
    others = database.windows.select(cursor, ["account"], {"account <>": account})
    if others:
        raise Np6ConflictError(
            f"table {database.events.name} holds events of account {others[0][0]!r}, not {account!r}",
            cure="Give each account a table of its own, or both connections the same extra account.",
            where=query.where,
        )
    rival = "action_id <>" if query.action_id == ALL_ACTIONS else "action_id ="
    where = {**dataset(query), rival: ALL_ACTIONS, **overlapping(query.window)}
    if database.windows.count(cursor, where):
        raise Np6ConflictError(
            f"table {database.events.name} holds events of this time, pulled for"
            f" {'single actions' if query.action_id == ALL_ACTIONS else 'all actions at once'}",
            cure="Pull all actions at once or each by itself, or use two tables.",
            where=query.where,
        )
