"""What differs between databases: types, quoting, locks, the meaning of errors, and the fastest load."""

from __future__ import annotations

from airflow_provider_np6.destinations.sql.dialects.base import ErrorKind, TableDialect, TableName, plain_row
from airflow_provider_np6.destinations.sql.dialects.mysql import MySQLDialect
from airflow_provider_np6.destinations.sql.dialects.postgresql import PostgresDialect
from airflow_provider_np6.destinations.sql.dialects.sqlite import SQLiteDialect

__all__ = ["ErrorKind", "TableDialect", "TableName", "get_dialect", "plain_row"]

_DIALECTS: dict[str, type[TableDialect]] = {
    "mysql": MySQLDialect,
    "mariadb": MySQLDialect,
    "postgresql": PostgresDialect,
    "sqlite": SQLiteDialect,
}


def get_dialect(name: str) -> TableDialect:
    """The dialect of a hook's ``dialect_name``; for unknown ones, plain SQL."""
    return _DIALECTS.get(name, TableDialect)()
