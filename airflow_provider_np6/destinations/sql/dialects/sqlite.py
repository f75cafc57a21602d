"""SQLite: one writer at a time, texts for moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import ErrorKind, TableDialect, TableName
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind

_TEXT = ".*(char|clob|text).*"  # what makes SQLite keep a text as it is
_FINAL = ("SQLITE_ERROR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_NOTADB", "SQLITE_PERM")


class SQLiteDialect(TableDialect):
    types: ClassVar[Mapping[Kind, str]] = {
        "key": "TEXT",
        "text": "TEXT",
        "timestamp": "TEXT",
        "count": "INTEGER",
        "payload": "TEXT",
    }
    fits: ClassVar[Mapping[Kind, str]] = {
        "key": _TEXT,
        "text": _TEXT,
        "timestamp": _TEXT,
        "count": ".*int.*",
        "payload": _TEXT,
    }

    def moment(self, ms: int) -> str:
        return iso(ms)

    def begin(self, cursor: Any, name: TableName) -> None:
        cursor.execute("PRAGMA busy_timeout = 300000")
        cursor.execute("BEGIN IMMEDIATE")

    def failure(self, error: Exception) -> ErrorKind:
        name = getattr(error, "sqlite_errorname", "")
        if name in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"):
            return ErrorKind.DUPLICATE_KEY
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return ErrorKind.LOCKED
        return ErrorKind.PERMANENT if name.startswith(_FINAL) else ErrorKind.UNKNOWN

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        cursor.execute(f"PRAGMA {self._schema(name)}table_info({self.quote(name.table)})")
        return {row[1]: row[2].lower() for row in cursor.fetchall()} or None

    def unique_keys(self, cursor: Any, name: TableName) -> list[set[str]] | None:
        schema = self._schema(name)
        cursor.execute(f"PRAGMA {schema}index_list({self.quote(name.table)})")
        indexes = [row[1] for row in cursor.fetchall() if row[2] and not row[4]]  # unique, not partial
        keys = []
        for index in indexes:
            cursor.execute(f"PRAGMA {schema}index_info({self.quote(index)})")
            keys.append({row[2] for row in cursor.fetchall()})
        return keys

    def retype(self, name: TableName, column: Column, *, required: bool) -> None:
        """SQLite cannot change a column's type."""

    def _schema(self, name: TableName) -> str:
        return f"{self.quote(name.schema)}." if name.schema else ""
