"""MySQL and MariaDB: inserts of many rows each, under a lock that the session holds."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import ErrorKind, TableDialect, TableName, plain_row
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind

_PASSING = {1020, 1040, 1053, 1205, 1213, 1317, 1412, 1927, 2002, 2003, 2006, 2013, 2055, 4031}
_FINAL = {1044, 1045, 1049, 1054, 1064, 1142, 1143, 1146, 1227, 1698}
_LOCK_WAIT = 300
_TEXTS = "longtext|mediumtext"


class MySQLDialect(TableDialect):
    """InnoDB with binary collation, or ids that differ in case alone would be one; texts as LONGTEXT, for
    TEXT ends at 64 KB."""

    types: ClassVar[Mapping[Kind, str]] = {
        "key": "VARCHAR(100)",
        "text": "LONGTEXT",
        "timestamp": "DATETIME(3)",
        "count": "BIGINT",
        "payload": "LONGTEXT",
    }
    fits: ClassVar[Mapping[Kind, str]] = {
        "key": r"(var)?char\(\d{2,}\) utf8mb4_\w*bin",
        "text": f"({_TEXTS}) utf8mb4_.*",
        "timestamp": r"datetime\([3-6]\)",
        "count": r"bigint(\(\d+\))?",
        "payload": f"({_TEXTS}) utf8mb4_.*",  # json would lose order and spacing
    }
    table_options: ClassVar[str] = " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    earliest: ClassVar[int] = -30_610_224_000_000  # the year 1000, where DATETIME begins

    def quote(self, name: str) -> str:
        return f"`{name}`"

    def moment(self, ms: int) -> str:
        return iso(ms).replace("T", " ").removesuffix("Z")

    def value(self, kind: Kind, value: Any) -> Any:
        if kind == "key" and isinstance(value, str) and value.endswith(" "):
            raise Np6DestinationError(
                "an event's id ends in a space, which MySQL cannot tell from one without",
                hint="Use files or another database for this event type.",
            )
        return super().value(kind, value)

    def prepare(self, connection: Any) -> None:
        if hasattr(connection, "set_character_set"):  # mysqlclient; the other driver speaks utf8mb4 anyway
            connection.set_character_set("utf8mb4")

    def begin(self, cursor: Any, name: TableName) -> None:
        # Lax modes cut what is too long, in silence.
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("SELECT GET_LOCK(%s, %s)", (self._lock(cursor, name), _LOCK_WAIT))
        if cursor.fetchone()[0] != 1:
            raise Np6DestinationError(f"table {name} was locked by other pulls for {_LOCK_WAIT} s")
        cursor.execute("START TRANSACTION")

    def end(self, cursor: Any, name: TableName) -> None:
        cursor.execute("SELECT RELEASE_LOCK(%s)", (self._lock(cursor, name),))
        cursor.fetchall()

    def _lock(self, cursor: Any, name: TableName) -> str:
        """The lock's name: locks are the server's, and 64 characters at most."""
        schema = name.schema
        if schema is None:
            cursor.execute("SELECT DATABASE()")
            schema = str(cursor.fetchone()[0])
        return "np6-" + blake2b(f"{schema}.{name.table}".encode(), digest_size=16).hexdigest()

    def failure(self, error: Exception) -> ErrorKind:
        code = getattr(error, "errno", None) or (error.args[0] if error.args else None)
        if code == 1062:
            return ErrorKind.DUPLICATE_KEY
        if code in _PASSING:
            return ErrorKind.TRANSIENT
        return ErrorKind.PERMANENT if code in _FINAL else ErrorKind.UNKNOWN

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        rows = self._information(cursor, name, "column_name, column_type, collation_name", "columns")
        return {row[0]: f"{_text(row[1])} {row[2] or ''}".strip().lower() for row in rows} or None

    def unique_keys(self, cursor: Any, name: TableName) -> list[set[str]] | None:
        keys: dict[str, set[str]] = {}
        for key, column in self._information(
            cursor, name, "index_name, column_name", "statistics", " AND non_unique = 0"
        ):
            keys.setdefault(key, set()).add(column)
        return list(keys.values())

    def _information(
        self, cursor: Any, name: TableName, columns: str, view: str, condition: str = ""
    ) -> list[tuple[Any, ...]]:
        cursor.execute(
            f"SELECT {columns} FROM information_schema.{view}"
            f" WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s{condition}",
            (name.schema, name.table),
        )
        return [plain_row(row) for row in cursor.fetchall()]

    def retype(self, name: TableName, column: Column, *, required: bool) -> str:
        options = (
            " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if column.kind not in ("timestamp", "count") else ""
        )
        null = " NOT NULL" if required else ""
        return (
            f"ALTER TABLE {self.quote_name(name)} MODIFY COLUMN {self.quote(column.name)}"
            f" {self.types[column.kind]}{options}{null}"
        )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
