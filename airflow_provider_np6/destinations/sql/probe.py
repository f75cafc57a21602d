"""Whether a database can take back what a failed pull has written: tried with a row of our own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.sql.dialects import ErrorKind
from airflow_provider_np6.destinations.sql.errors import to_hint
from airflow_provider_np6.np6.errors import Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.table import Table

_ADVICE = "Write files, and load these into the database: see docs/reading.md."

_passed: set[str] = set()
"""Connections whose databases passed in this process."""


def probe_database(database: Database, *, create: bool) -> None:
    """Insert a marker row, roll back, and look for it; then insert it twice. Only databases without a dialect
    of their own are tried, once per process and connection.

    :param database: to be tried.
    :param create: whether a table may be created for it, and dropped again, if there is no header yet.
    :raises Np6InputError: if the row is still there, or its key does not keep the second one out.
    """
    if database.dialect.is_known or database.conn_id in _passed:
        return
    with _probed_table(database, create=create) as table:
        if table is None:
            return
        marker = {"event_type": f"probe-{secrets.token_hex(8)}", "classification": ""}
        _check_rollback(database, table, marker)
        _check_key(database, table, marker)
    _passed.add(database.conn_id)


@contextmanager
def _probed_table(database: Database, *, create: bool) -> Iterator[Table | None]:
    """The header, or a table like it; None if there is neither."""
    with database.transaction(is_writing=False) as cursor:
        has_header = database.dialect.stored_types(cursor, database.header.name) is not None
    if has_header or not create:
        yield database.header if has_header else None
        return
    table = replace(database.header, name=database.events.name.beside(f"probe_{secrets.token_hex(4)}"))
    try:
        with database.transaction() as cursor:
            for statement in table.creation:
                cursor.execute(statement)
    except Exception as error:  # each driver has its own classes
        if database.dialect.failure(error) not in (ErrorKind.PERMANENT, ErrorKind.UNKNOWN):
            raise
        schema = database.events.name.schema
        raise Np6InputError(
            f"{database} cannot be created: {type(error).__name__}",
            hint=to_hint([f"CREATE SCHEMA {database.dialect.quote(schema)}"])
            if schema
            else "Let the login create tables.",
        ) from None
    try:
        yield table
    finally:
        with database.transaction() as cursor:
            cursor.execute(f"DROP TABLE {table.quoted}")


def _check_rollback(database: Database, table: Table, marker: dict[str, str]) -> None:
    with database.connection() as connection, closing(connection.cursor()) as cursor:
        database.dialect.begin(cursor, is_writing=True)
        table.insert_rows(cursor, [marker])
        connection.rollback()
    same = {f"{name} =": value for name, value in marker.items()}
    with database.transaction() as cursor:
        is_left = table.count(cursor, same) > 0
        if is_left:
            table.delete(cursor, same)
    if is_left:
        raise Np6InputError(
            f"the database of connection {database.conn_id!r} has no transactions: a pull that fails would"
            " leave a part of its events",
            hint=_ADVICE,
        )


def _check_key(database: Database, table: Table, marker: dict[str, str]) -> None:
    with database.connection() as connection, closing(connection.cursor()) as cursor:
        database.dialect.begin(cursor, is_writing=True)
        table.insert_rows(cursor, [marker])
        is_enforced = False
        try:
            table.insert_rows(cursor, [marker])
        except Exception:  # each driver has its own classes
            is_enforced = True
        with suppress(Exception):
            connection.rollback()
    if not is_enforced:
        raise Np6InputError(
            f"the database of connection {database.conn_id!r} takes two rows with one key: events would be"
            " stored twice",
            hint=_ADVICE,
        )
