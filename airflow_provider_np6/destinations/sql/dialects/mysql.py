"""MySQL and MariaDB: inserts of many rows each, under locks of rows that end with the transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import TableDialect
from airflow_provider_np6.destinations.sql.dialects.values import (
    Barrier,
    ErrorKind,
    Lock,
    StoredIndex,
    TableName,
    read_rows,
)
from airflow_provider_np6.np6.errors import Np6DestinationError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind

_PASSING = {1020, 1040, 1053, 1203, 1213, 1226, 1317, 1412, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 4031}
_FINAL = {
    *(1044, 1045, 1046, 1048, 1049, 1050, 1054, 1064, 1130, 1142, 1143, 1146, 1227, 1288, 1364, 1366),
    *(1406, 1471, 1526, 1665, 1698, 1792, 1820, 1862, 3118, 4025, 4151),
}
_MISSING = {1049, 1146}
_FORBIDDEN = {1044, 1142, 1143, 1227, 1370}
_READ_ONLY = {1290, 1792, 1836}
_REFUSED = {1044, 1045, 1049, 1130, 1698, 1820, 1862, 3118, 4151}
_LOCKED = 1205
_EXPLAINED = {
    1142: ("a right is missing", "Grant SELECT, INSERT, UPDATE and DELETE on the five tables."),
    1364: ("another column of the table has no default", "Give it one."),
    1366: (
        "a column's character set lacks a character of an event",
        "Convert the table: ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin.",
    ),
    1526: ("no partition takes an event", "Create a partition for all other events."),
    1665: (
        "the server's binlog_format is STATEMENT, which READ COMMITTED does not allow",
        "Set binlog_format to ROW or MIXED.",
    ),
}
_SESSION = (
    # Lax modes cut what is too long in silence, and others change what '' and a backslash mean.
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "time_zone = '+00:00'",
    "sql_safe_updates = 0",
    "sql_select_limit = 18446744073709551615",
    "unique_checks = 1",
    "lock_wait_timeout = 60",
)
_TEXTS = "longtext|mediumtext"


class MySQLDialect(TableDialect):
    """InnoDB with binary collation, or ids that differ in case alone would be one; strings as LONGTEXT, for
    TEXT ends at 64 KB."""

    is_known: ClassVar[bool] = True
    if_missing: ClassVar[str] = "IF NOT EXISTS "
    has_inline_indexes: ClassVar[bool] = True
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
    reading: ClassVar[Mapping[Kind, str]] = {}
    earliest: ClassVar[int] = -30_610_224_000_000  # the year 1000, where DATETIME begins

    def quote(self, name: str) -> str:
        return "`{}`".format(name.replace("`", "``"))

    def value(self, kind: Kind, value: Any) -> Any:
        if kind == "key" and isinstance(value, str) and value.endswith(" "):
            raise Np6DestinationError(
                "an event's id ends in a space, which MySQL takes for the one without it",
                hint="Use files or another database for this event type.",
            )
        return super().value(kind, value)

    def prepare(self, connection: Any) -> None:
        if hasattr(connection, "set_character_set"):  # mysqlclient; the other driver speaks utf8mb4 anyway
            connection.set_character_set("utf8mb4")

    def begin(self, cursor: Any, *, is_writing: bool) -> None:
        cursor.execute(f"SET SESSION {', '.join(_SESSION)}")
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("START TRANSACTION")

    def lock(self, cursor: Any, lock: Lock) -> None:
        """Lock rows of the header, which end with the transaction, whatever the pooler."""
        self._lock_row(cursor, lock, ("", ""), "LOCK IN SHARE MODE" if lock.series else "FOR UPDATE")
        if lock.series:
            self._lock_row(cursor, lock, lock.series, "FOR UPDATE")

    def prepare_ddl(self, cursor: Any, name: TableName) -> None:
        cursor.execute("SET SESSION lock_wait_timeout = 10")

    def _lock_row(self, cursor: Any, lock: Lock, series: tuple[str, str], how: str) -> None:
        cursor.execute(
            f"SELECT `version` FROM {lock.header} WHERE `event_type` = %s AND `classification` = %s {how}",
            series,
        )
        cursor.fetchall()

    def failure(self, error: Exception) -> ErrorKind:
        code = _code(error)
        if code == 1062:
            return ErrorKind.DUPLICATE_KEY
        if code == _LOCKED:
            return ErrorKind.LOCKED
        if code in _PASSING:
            return ErrorKind.TRANSIENT
        return ErrorKind.PERMANENT if code in _FINAL else ErrorKind.UNKNOWN

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        rows = self._information(
            cursor, name, ("column_name", "column_type", "collation_name"), "columns", "ordinal_position"
        )
        return {row[0]: f"{row[1]} {row[2] or ''}".strip().lower() for row in rows} or None

    def exists(self, cursor: Any, name: TableName) -> bool:
        # What a login may not read is hidden from it in information_schema.
        try:
            cursor.execute(f"SELECT 1 FROM {self.quote_name(name)} WHERE 1 = 0")
            cursor.fetchall()
        except Exception as error:  # each driver has its own classes
            if _code(error) in _MISSING:
                return False
            raise
        return True

    def stored_indexes(self, cursor: Any, name: TableName) -> list[StoredIndex] | None:
        indexes: dict[tuple[str, bool], list[str]] = {}
        for index, column, non_unique in self._information(
            cursor, name, ("index_name", "column_name", "non_unique"), "statistics", "seq_in_index"
        ):
            indexes.setdefault((index, not int(non_unique)), []).append(column)
        return [
            StoredIndex(tuple(columns), is_unique)
            for (_, is_unique), columns in indexes.items()
            if None not in columns
        ]

    def find_flaw(self, cursor: Any, name: TableName, key: Sequence[str]) -> tuple[str, str] | None:
        rows = self._information(cursor, name, ("table_type", "engine"), "tables", "table_name")
        if not rows:
            return None
        ((kind, engine),) = rows
        if "VIEW" in kind.upper():
            return "is a view", ""
        cursor.execute(
            "SELECT transactions AS transactions FROM information_schema.engines WHERE engine = %s", (engine,)
        )
        found = [_text(value) for (value,) in read_rows(cursor, ["transactions"])]
        if found == ["YES"]:
            return None
        statement = f"ALTER TABLE {self.quote_name(name)} ENGINE=InnoDB"
        return f"has the engine {engine}, which has no transactions", statement

    def _information(
        self, cursor: Any, name: TableName, columns: Sequence[str], view: str, order: str
    ) -> list[tuple[Any, ...]]:
        selected = ", ".join(f"{column} AS {column}" for column in columns)
        cursor.execute(
            f"SELECT {selected} FROM information_schema.{view}"
            f" WHERE table_schema = COALESCE(%s, DATABASE()) AND table_name = %s ORDER BY {order}",
            (name.schema, name.table),
        )
        return [tuple(map(_text, row)) for row in read_rows(cursor, columns)]

    def resolve(self, cursor: Any, name: TableName) -> TableName:
        cursor.execute("SELECT COALESCE(%s, DATABASE()) AS name", (name.schema,))
        ((schema,),) = read_rows(cursor, ["name"])
        return TableName(_text(schema), name.table)

    def get_role(self, cursor: Any) -> str:
        cursor.execute("SELECT CURRENT_USER() AS role")
        user, _, host = _text(read_rows(cursor, ["role"])[0][0]).rpartition("@")
        return "@".join("'{}'".format(part.replace("'", "''")) for part in (user, host))

    def find_barrier(self, cursor: Any, name: TableName) -> Barrier | None:
        schema = self.resolve(cursor, name).schema
        if schema is None:
            hint = "Set the destination's schema, or the connection's."
            return Barrier("has no database: neither destination nor connection names one", hint=hint)
        cursor.execute(
            "SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name = %s", (schema,)
        )
        if cursor.fetchall():
            return None
        quoted = self.quote(schema)
        rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX"
        statements = (
            f"CREATE DATABASE IF NOT EXISTS {quoted}",
            f"GRANT {rights} ON {quoted}.* TO {self.get_role(cursor)}",
        )
        return Barrier(f"has no database: {schema} does not exist, or no right on it", statements)

    def is_forbidden(self, error: Exception) -> bool:
        return _code(error) in _FORBIDDEN

    def explain(self, error: Exception) -> tuple[str, str] | None:
        code = _code(error)
        if code in _REFUSED:
            return (
                "the server refuses the connection",
                (
                    "Check the connection's login, password and schema (the database's name), and that the"
                    " account may use this database from the worker."
                ),
            )
        if code in _READ_ONLY:
            return "the session or server is read-only", "Let the account write, or connect to the primary."
        return _EXPLAINED.get(code) if isinstance(code, int) else None

    def retype(self, name: TableName, column: Column, *, required: bool) -> str:
        options = (
            " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if column.kind not in ("timestamp", "count") else ""
        )
        null = " NOT NULL" if required else ""
        return (
            f"ALTER TABLE {self.quote_name(name)} MODIFY COLUMN {self.quote(column.name)}"
            f" {self.types[column.kind]}{options}{null}"
        )


def _code(error: Exception) -> Any:
    return getattr(error, "errno", None) or (error.args[0] if error.args else None)


def _text(value: Any) -> Any:
    """MySQL 8 gives what its dictionary has as bytes."""
    return value.decode() if isinstance(value, bytes) else value
