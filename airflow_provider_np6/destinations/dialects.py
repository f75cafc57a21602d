"""What differs between databases: types, the form of a moment, quoting, and the lock of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import from_ms, iso, to_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.columns import Kind

_LATEST = 253_402_300_799_999  # the last millisecond of the year 9999
_EARLIEST = -62_135_596_800_000  # the first of the year 1


@dataclass(frozen=True)
class Dialect:
    """SQL as most databases take it.

    :param types: the DDL type of each kind of column.
    """

    types: Mapping[Kind, str] = field(
        default_factory=lambda: {
            "key": "VARCHAR(100)",
            "text": "TEXT",
            "moment": "TIMESTAMP(3)",
            "count": "BIGINT",
            "payload": "TEXT",
        }
    )
    index_if_not_exists: bool = False

    def quote(self, name: str) -> str:
        """``name`` as an identifier."""
        return f'"{name}"'

    def moment(self, ms: int) -> Any:
        """A moment as its column takes it: here without a zone, in UTC."""
        return from_ms(ms).replace(tzinfo=None)

    def ms(self, moment: Any) -> int:
        """The moment that a column gave, in ms since the epoch."""
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return to_ms(found if found.tzinfo else found.replace(tzinfo=UTC))

    def value(self, kind: Kind, value: Any) -> Any:
        """A value of a row as its column takes it; moments beyond the calendar become NULL."""
        if kind != "moment" or value is None:
            return self.text(value) if kind == "text" else value
        return self.moment(value) if _EARLIEST <= value <= _LATEST else None

    def text(self, value: Any) -> Any:
        """A text as its column takes it."""
        return value

    def begin(self, cursor: Any, table: str) -> None:
        """Begin the transaction and lock ``table`` against other pulls, until it ends."""


class _Sqlite(Dialect):
    def moment(self, ms: int) -> str:
        return iso(ms)

    def begin(self, cursor: Any, table: str) -> None:
        cursor.execute("PRAGMA busy_timeout = 300000")
        cursor.execute("BEGIN IMMEDIATE")


class _Postgresql(Dialect):
    def text(self, value: Any) -> Any:
        """PostgreSQL's texts hold no NUL: such a one stays in the payload alone."""
        return None if isinstance(value, str) and "\0" in value else value

    def moment(self, ms: int) -> datetime:
        return from_ms(ms)

    def begin(self, cursor: Any, table: str) -> None:
        # The lock first, at READ COMMITTED: a snapshot taken before it would not show the other's rows.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext('airflow-provider-np6'), hashtext(%s))", (table,)
        )


_DIALECTS: dict[str, Dialect] = {
    "sqlite": _Sqlite(
        {"key": "TEXT", "text": "TEXT", "moment": "TEXT", "count": "INTEGER", "payload": "TEXT"},
        index_if_not_exists=True,
    ),
    "postgresql": _Postgresql(
        {"key": "TEXT", "text": "TEXT", "moment": "TIMESTAMPTZ(3)", "count": "BIGINT", "payload": "JSON"},
        index_if_not_exists=True,
    ),
}


def dialect_of(name: str) -> Dialect:
    """The dialect of a hook's ``dialect_name``; unknown ones speak plain SQL.

    :raises Np6InputError: for MySQL, whose types and locks are other ones.
    """
    if name == "mysql":
        raise Np6InputError("MySQL is not known to this version", cure="Use PostgreSQL or SQLite, or files.")
    return _DIALECTS.get(name, Dialect())
