"""Whether a connection may do what a pull does, before any request; if not, the statements that let it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.sql.errors import to_hint
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database

_checked: set[tuple[str, str]] = set()
"""Connections and tables that were checked in this process."""


def check_connection(database: Database, cursor: Any) -> None:
    """Look for what keeps the connection from using any table: a schema that is missing, a right on it, a
    session that is read-only.

    :raises Np6InputError: if something does; with the statements to run, where that fixes it.
    :raises Np6DestinationError: if it may pass, such as a standby that is about to become the primary.
    """
    barrier = database.dialect.find_barrier(cursor, database.events.name)
    if barrier is None:
        return
    kind = Np6DestinationError if barrier.is_passing else Np6InputError
    raise kind(f"{database} {barrier.what}", hint=barrier.hint or to_hint(barrier.statements))


def check_rights(database: Database, cursor: Any) -> None:
    """Look for rights that a pull needs on the five tables, once per process and table.

    :raises Np6InputError: if some are missing; with the statements to run.
    """
    key = database.conn_id, str(database.events.name)
    if key in _checked:
        return
    lacking, grants = database.find_missing_rights(
        cursor, {table.name: table.rights for table in database.tables}
    )
    if lacking:
        raise Np6InputError(f"{database} cannot be written: {lacking}", hint=to_hint(grants))
    _checked.add(key)
