"""PostgreSQL: COPY into the keyed table itself, twice as fast as a staging table and a merge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.sql.dialects.base import ErrorKind, TableDialect, TableName, plain_row
from airflow_provider_np6.np6.window import from_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind

_BLOCK = 256 * 1024
_OPTIONS = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8'"
_PASSING = ("08", "40", "53", "57P", "55P03")
_FINAL = ("28", "3D", "3F", "42")


class PostgresDialect(TableDialect):
    can_bulk_load: ClassVar[bool] = True
    types: ClassVar[Mapping[Kind, str]] = {
        "key": "TEXT",
        "text": "TEXT",
        "timestamp": "TIMESTAMPTZ(3)",
        "count": "BIGINT",
        "payload": "JSON",
    }
    fits: ClassVar[Mapping[Kind, str]] = {
        "key": r"text|character varying(\(\d{2,}\))?|uuid",
        "text": "text|character varying",
        "timestamp": r"timestamp(\([3-6]\))? with time zone",
        "count": "bigint|numeric",
        "payload": "json|text|character varying",  # jsonb would lose order, spacing and doubled keys
    }
    payload_text: ClassVar[str] = "CAST({} AS TEXT)"

    def text(self, value: Any) -> Any:
        """PostgreSQL's texts hold no NUL: such a one stays in the payload alone."""
        return None if isinstance(value, str) and "\0" in value else value

    def moment(self, ms: int) -> datetime:
        return from_ms(ms)

    def begin(self, cursor: Any, name: TableName) -> None:
        # The lock first, at READ COMMITTED: a snapshot taken before it would not show the other's rows.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(
            "SELECT pg_advisory_xact_lock((hashtext('airflow-provider-np6')::bigint << 32)"
            " | COALESCE(to_regclass(%s)::oid::bigint, 0))",
            (self.quote_name(name),),
        )

    def failure(self, error: Exception) -> ErrorKind:
        state = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
        if state == "23505":
            return ErrorKind.DUPLICATE_KEY
        if state.startswith(_PASSING):
            return ErrorKind.TRANSIENT
        if state.startswith(_FINAL):
            return ErrorKind.PERMANENT
        return ErrorKind.UNKNOWN if state else super().failure(error)

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (self.quote_name(name),),
        )
        return {row[0]: row[1] for row in map(plain_row, cursor.fetchall())} or None

    def unique_keys(self, cursor: Any, name: TableName) -> list[set[str]] | None:
        cursor.execute(
            "SELECT indexrelid, attname FROM pg_index JOIN pg_attribute"
            " ON attrelid = indrelid AND attnum = ANY(indkey)"
            " WHERE indrelid = to_regclass(%s) AND indisunique AND indisvalid AND indpred IS NULL",
            (self.quote_name(name),),
        )
        keys: dict[Any, set[str]] = {}
        for index, column in map(plain_row, cursor.fetchall()):
            keys.setdefault(index, set()).add(column)
        return list(keys.values())

    def retype(self, name: TableName, column: Column, *, required: bool) -> str:
        quoted = self.quote(column.name)
        using = (
            f"{quoted} AT TIME ZONE 'UTC'"
            if column.kind == "timestamp"
            else f"{quoted}::{self.types[column.kind]}"
        )
        return f"{super().retype(name, column, required=required)} USING {using}"

    def bulk_load(self, cursor: Any, table: str, columns: str, spool: IO[bytes]) -> None:
        statement = f"COPY {table} ({columns}) FROM STDIN WITH ({_OPTIONS})"
        if hasattr(cursor, "copy_expert"):  # psycopg2
            cursor.copy_expert(statement, spool, _BLOCK)
            return
        with cursor.copy(statement) as copy:
            while block := spool.read(_BLOCK):
                copy.write(block)
