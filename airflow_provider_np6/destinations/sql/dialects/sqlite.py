"""SQLite: one writer at a time, strings for times."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import TableDialect
from airflow_provider_np6.destinations.sql.dialects.values import (
    Barrier,
    ErrorKind,
    Lock,
    StoredIndex,
    TableName,
)
from airflow_provider_np6.np6.window import iso

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind

_TEXT = ".*(char|clob|text).*"  # what makes SQLite keep a string as it is
_EXPLAINED = {
    "SQLITE_READONLY": (
        "the file or its folder is read-only",
        "Let the worker's user write both, and leave mode=ro out of the connection.",
    ),
    "SQLITE_CANTOPEN": ("the file cannot be opened", "Check the connection's host: it is the file's path."),
    "SQLITE_NOTADB": ("the file is not one of SQLite", "Check the connection's host: it is the file's path."),
    "SQLITE_FULL": ("the disk is full", "Make room."),
}
_FINAL = (
    "SQLITE_ERROR",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_NOTADB",
    "SQLITE_PERM",
    "SQLITE_CONSTRAINT",
)


class SQLiteDialect(TableDialect):
    is_known: ClassVar[bool] = True
    keeps_deleted: ClassVar[bool] = True
    if_missing: ClassVar[str] = "IF NOT EXISTS "
    if_exists: ClassVar[str] = "IF EXISTS "
    types: ClassVar[Mapping[Kind, str]] = {
        "key": "TEXT",
        "text": "TEXT",
        "timestamp": "TEXT",
        "count": "INTEGER",
        "payload": "TEXT",
    }
    reading: ClassVar[Mapping[Kind, str]] = {}
    fits: ClassVar[Mapping[Kind, str]] = {
        "key": _TEXT,
        "text": _TEXT,
        "timestamp": _TEXT,
        "count": ".*int.*",
        "payload": _TEXT,
    }

    def to_time(self, ms: int) -> str:
        return iso(ms)

    def prepare(self, connection: Any) -> None:
        connection.row_factory = None
        connection.text_factory = str

    def begin(self, cursor: Any, *, is_writing: bool) -> None:
        cursor.execute("PRAGMA busy_timeout = 300000")
        cursor.execute("PRAGMA secure_delete = ON")  # free pages keep nothing of deleted rows
        cursor.execute("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    def lock(self, cursor: Any, lock: Lock) -> None:
        """A transaction that writes has the whole database."""

    def after_erasure(self, cursor: Any) -> None:
        cursor.execute("PRAGMA busy_timeout = 60000")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if any(is_busy for is_busy, *_ in cursor.fetchall()):
            log.warning(
                "Another connection reads the SQLite database: its -wal file keeps deleted rows longer."
            )

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

    def stored_indexes(self, cursor: Any, name: TableName) -> list[StoredIndex] | None:
        schema = self._schema(name)
        cursor.execute(f"PRAGMA {schema}index_list({self.quote(name.table)})")
        whole = [(row[1], bool(row[2])) for row in cursor.fetchall() if not row[4]]
        indexes = []
        for index, is_unique in whole:
            cursor.execute(f"PRAGMA {schema}index_info({self.quote(index)})")
            columns = tuple(row[2] for row in cursor.fetchall())
            if None not in columns:  # an expression
                indexes.append(StoredIndex(columns, is_unique))
        return indexes

    def find_flaw(self, cursor: Any, name: TableName, key: Sequence[str]) -> tuple[str, str] | None:
        cursor.execute(
            f"SELECT type FROM {self._schema(name)}sqlite_master WHERE name = ? COLLATE NOCASE", (name.table,)
        )
        kinds = {row[0] for row in cursor.fetchall()}
        return ("is a view", "") if "view" in kinds else None

    def find_barrier(self, cursor: Any, name: TableName) -> Barrier | None:
        if name.schema is None:
            return None
        return Barrier("has a schema, and SQLite has none", hint="Leave out the destination's schema.")

    def explain(self, error: Exception) -> tuple[str, str] | None:
        name = getattr(error, "sqlite_errorname", "")
        for prefix, explained in _EXPLAINED.items():
            if name.startswith(prefix):
                return explained
        return None

    def retype(self, name: TableName, column: Column, *, required: bool) -> None:
        """SQLite cannot change a column's type."""

    def _schema(self, name: TableName) -> str:
        return f"{self.quote(name.schema)}." if name.schema else ""
