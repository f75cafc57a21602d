"""What differs between databases: types, quoting, locks, the meaning of errors, and the fastest load."""

from __future__ import annotations

from airflow_provider_np6.destinations.sql.dialects.base import Dialect, Failure, Robbed
from airflow_provider_np6.destinations.sql.dialects.duckdb import Duckdb
from airflow_provider_np6.destinations.sql.dialects.mysql import Mysql
from airflow_provider_np6.destinations.sql.dialects.postgresql import Postgresql
from airflow_provider_np6.destinations.sql.dialects.sqlite import Sqlite

__all__ = ["Dialect", "Failure", "Robbed", "dialect_of"]

_DIALECTS: dict[str, type[Dialect]] = {
    "duckdb": Duckdb,
    "mysql": Mysql,
    "mariadb": Mysql,
    "postgresql": Postgresql,
    "sqlite": Sqlite,
}


def dialect_of(name: str) -> Dialect:
    """The dialect of a hook's ``dialect_name``; unknown ones speak plain SQL."""
    return _DIALECTS.get(name, Dialect)()
