"""What differs between databases; here, what most of them understand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.schema import EARLIEST, LATEST
from airflow_provider_np6.np6.window import from_ms, to_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind


@dataclass(frozen=True)
class TableName:
    """A table's name, unquoted.

    :param schema: None means the connection's own.
    """

    schema: str | None
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table


def plain_row(row: Any) -> tuple[Any, ...]:
    """A row's values, also where the connection returns rows as dictionaries."""
    return tuple(row.values()) if isinstance(row, Mapping) else tuple(row)


class ErrorKind(Enum):
    """What an error of a driver means for a pull."""

    DUPLICATE_KEY = auto()
    """An event's id stands in another window: load again and take it over."""
    TRANSIENT = auto()
    """Deadlock, lost connection and the like: the same again may well succeed."""
    LOCKED = auto()
    """Another process holds the whole database: wait for it."""
    PERMANENT = auto()
    """No right, no such thing: another try cannot help."""
    UNKNOWN = auto()


class TableDialect:
    """SQL as most databases take it: rows are inserted in batches, in one transaction."""

    types: ClassVar[Mapping[Kind, str]] = {
        "key": "VARCHAR(100)",
        "text": "TEXT",
        "timestamp": "TIMESTAMP(3)",
        "count": "BIGINT",
        "payload": "TEXT",
    }
    """The DDL type of each kind of column."""
    fits: ClassVar[Mapping[Kind, str]] = {}
    """For each kind, a pattern of the types, in lower case, that hold it unchanged."""
    table_options: ClassVar[str] = ""
    """What follows a ``CREATE TABLE``'s parenthesis."""
    earliest: ClassVar[int] = EARLIEST
    payload_text: ClassVar[str] = "{}"
    """A payload's column as text."""

    def quote(self, name: str) -> str:
        """``name`` as an identifier."""
        return f'"{name}"'

    def quote_name(self, name: TableName) -> str:
        """A table's name in a statement."""
        return ".".join(self.quote(part) for part in (name.schema, name.table) if part)

    def moment(self, ms: int) -> Any:
        """A moment as its column takes it: here without a zone, in UTC."""
        return from_ms(ms).replace(tzinfo=None)

    def ms(self, moment: Any) -> int:
        """The moment that a column gave, in ms since the epoch."""
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return to_ms(found if found.tzinfo else found.replace(tzinfo=UTC))

    def value(self, kind: Kind, value: Any) -> Any:
        """A value of a row as its column takes it; moments beyond the calendar become NULL."""
        if kind == "timestamp" and value is not None:
            return self.moment(value) if self.earliest <= value <= LATEST else None
        return self.text(value) if kind == "text" else value

    def text(self, value: Any) -> Any:
        """A text as its column takes it."""
        return value

    # A transaction and its lock

    def prepare(self, connection: Any) -> None:
        """Set up a new connection."""

    def cursor(self, connection: Any) -> AbstractContextManager[Any]:
        return closing(connection.cursor())

    def begin(self, cursor: Any, name: TableName) -> None:
        """Begin the transaction and lock the table against other pulls, until it ends."""

    def end(self, cursor: Any, name: TableName) -> None:
        """Give up what outlives the transaction."""

    def failure(self, error: Exception) -> ErrorKind:
        """What a driver's error means; DB-API names its class, not its module."""
        names = {kind.__name__ for kind in type(error).__mro__}
        if "IntegrityError" in names:
            return ErrorKind.DUPLICATE_KEY
        return ErrorKind.TRANSIENT if "OperationalError" in names else ErrorKind.UNKNOWN

    # The table as it stands

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        """The table's columns with their types in lower case, "" where unknown; None if it is not there."""
        try:
            cursor.execute(f"SELECT * FROM {self.quote_name(name)} WHERE 1 = 0")
        except Exception:  # each driver has a tree of errors of its own
            return None
        return {described[0]: "" for described in cursor.description}

    def unique_keys(self, cursor: Any, name: TableName) -> list[set[str]] | None:
        """The sets of columns that are unique by a key or an index; None where that cannot be told."""
        return None

    def is_fit(self, column: Column, stored: str) -> bool:
        """Whether a stored type holds the column's values unchanged."""
        return (
            not stored or column.kind not in self.fits or bool(re.fullmatch(self.fits[column.kind], stored))
        )

    def retype(self, name: TableName, column: Column, *, required: bool) -> str | None:
        """The statement that gives a column its right type; None where only a new table can.

        :param required: whether the column is NOT NULL.
        """
        quoted = self.quote(column.name)
        return f"ALTER TABLE {self.quote_name(name)} ALTER COLUMN {quoted} TYPE {self.types[column.kind]}"

    # The load

    can_bulk_load: ClassVar[bool] = False
    """Whether :meth:`bulk_load` is there."""

    def bulk_load(self, cursor: Any, table: str, columns: str, spool: IO[bytes]) -> None:
        """Load a spool of :mod:`~airflow_provider_np6.destinations.sql.delimited` rows.

        :param table: the table, quoted already.
        :param columns: its columns, quoted and joined.
        """
        raise NotImplementedError
