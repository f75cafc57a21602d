"""DuckDB, by any provider whose hook is a common-sql hook: one process at a time, loads from a file.

Among threads of that process a transaction sees what was there when it began, and conflicts with another
only where both change one row: two pulls would not see each other's windows. So they take turns.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import BulkTableDialect, ErrorKind

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Kind
    from airflow_provider_np6.destinations.sql.table import Table

_turn = threading.Lock()
_FINAL = {"CatalogException", "BinderException", "PermissionException", "ParserException"}

# What an error of each class says where the file is held: by another process, or by a connection of this one
# that another thread opens or closes just then. DuckDB 1 has no class of its own for the latter.
_BUSY = {
    "BinderException": "Unique file handle conflict",
    "IOException": "lock",
    "ResourceInUseException": "",
}


class Duckdb(BulkTableDialect):
    types: ClassVar[Mapping[Kind, str]] = {
        "key": "VARCHAR",
        "text": "VARCHAR",
        "moment": "TIMESTAMP",
        "count": "BIGINT",
        "payload": "VARCHAR",
    }
    fits: ClassVar[Mapping[Kind, str]] = {
        "key": "varchar|uuid",
        "text": "varchar",
        "moment": "timestamp|timestamp_ms",
        "count": "bigint|hugeint",
        "payload": "varchar",
    }

    indexed: ClassVar[bool] = False  # zone maps do, and an index would forbid to add columns

    def text(self, value: Any) -> Any:
        return None if isinstance(value, str) and "\0" in value else value

    def __init__(self) -> None:
        self._has_turn = False

    @contextmanager
    def cursor(self, connection: Any) -> Iterator[Any]:
        try:
            # connection.cursor() would be another connection, with transactions of its own.
            yield connection
        finally:
            if self._has_turn:
                self._has_turn = False
                _turn.release()

    def begin(self, cursor: Any, table: Table) -> None:
        self._has_turn = _turn.acquire()
        cursor.execute("BEGIN TRANSACTION")

    def failure(self, error: Exception) -> ErrorKind:
        name = type(error).__name__
        if name == "ConstraintException":
            return ErrorKind.DUPLICATE_KEY
        if name == "TransactionException":
            return ErrorKind.TRANSIENT
        if name in _BUSY and _BUSY[name] in str(error):
            return ErrorKind.LOCKED
        return ErrorKind.PERMANENT if name in _FINAL else ErrorKind.UNKNOWN

    def stored_types(self, cursor: Any, table: Table) -> dict[str, str] | None:
        cursor.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?"
            " AND schema_name = COALESCE(?, current_schema()) AND database_name = current_database()",
            [table.table, table.schema],
        )
        return {row[0]: row[1].lower() for row in cursor.fetchall()} or None

    def unique_keys(self, cursor: Any, table: Table) -> list[set[str]] | None:
        cursor.execute(
            "SELECT constraint_column_names FROM duckdb_constraints() WHERE table_name = ?"
            " AND schema_name = COALESCE(?, current_schema()) AND database_name = current_database()"
            " AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')",
            [table.table, table.schema],
        )
        return [set(row[0]) for row in cursor.fetchall()]

    def bulk_load(self, cursor: Any, table: str, columns: str, spool: IO[bytes]) -> None:
        with tempfile.NamedTemporaryFile(prefix="np6-") as named:
            copyfileobj(spool, named)
            named.flush()
            cursor.execute(
                f"COPY {table} ({columns}) FROM '{named.name}' (FORMAT csv, HEADER false, AUTO_DETECT false,"
                " QUOTE '\x01', ESCAPE '\x01', DELIMITER '\x02', NEW_LINE '\\n', PARALLEL false,"
                " ALLOW_QUOTED_NULLS false, MAX_LINE_SIZE 134217728)"
            )
