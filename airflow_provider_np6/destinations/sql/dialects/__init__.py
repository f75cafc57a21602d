"""What differs between databases: types, quoting, sessions, locks, errors, and the fastest load."""

from __future__ import annotations

from airflow_provider_np6.destinations.sql.dialects.base import TableDialect
from airflow_provider_np6.destinations.sql.dialects.mysql import MySQLDialect
from airflow_provider_np6.destinations.sql.dialects.postgresql import PostgresDialect
from airflow_provider_np6.destinations.sql.dialects.sqlite import SQLiteDialect
from airflow_provider_np6.destinations.sql.dialects.values import (
    Barrier,
    ErrorKind,
    Lock,
    StoredIndex,
    TableName,
    get_state,
    read_rows,
)

__all__ = [
    "Barrier",
    "ErrorKind",
    "Lock",
    "StoredIndex",
    "TableDialect",
    "TableName",
    "get_dialect",
    "get_state",
    "read_rows",
]

_DIALECTS: dict[str, type[TableDialect]] = {
    "mysql": MySQLDialect,
    "mariadb": MySQLDialect,
    "postgresql": PostgresDialect,
    "sqlite": SQLiteDialect,
}


def get_dialect(name: str) -> TableDialect:
    """The dialect of a hook's ``dialect_name``; for unknown ones, plain SQL."""
    return _DIALECTS.get(name, TableDialect)()
