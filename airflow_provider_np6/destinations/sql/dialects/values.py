"""What a dialect and its users exchange: names, locks, indexes, and what an error means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


@dataclass(frozen=True)
class TableName:
    """A table's name, unquoted.

    :param schema: None means the connection's own.
    """

    schema: str | None
    table: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def beside(self, suffix: str) -> TableName:
        """The name of a table that belongs to this one."""
        return TableName(self.schema, f"{self.table}_{suffix}")


@dataclass(frozen=True)
class Lock:
    """What other transactions may not change until this one ends.

    :param table: the table of events.
    :param header: the header, quoted.
    :param series: event type and classification; None for the whole table.
    """

    table: TableName
    header: str
    series: tuple[str, str] | None


@dataclass(frozen=True)
class StoredIndex:
    """An index or key that the database has, of whole rows and plain columns.

    :param columns: in order.
    :param is_unique: whether it refuses a second row with the same values at once.
    """

    columns: tuple[str, ...]
    is_unique: bool


@dataclass(frozen=True)
class Barrier:
    """What keeps a connection from writing at all.

    :param what: what is wrong, as a verb phrase after the table's name.
    :param statements: that fix it, in order.
    :param hint: what to do where no statement can fix it.
    :param is_passing: whether it may pass without anybody doing something.
    """

    what: str
    statements: tuple[str, ...] = ()
    hint: str = ""
    is_passing: bool = False


def read_rows(cursor: Any, names: Sequence[str], size: int | None = None) -> list[tuple[Any, ...]]:
    """Rows of the last statement, by name where the connection returns them as dictionaries.

    :param names: of the columns, in order, as the statement has them.
    :param size: at most so many rows; None for all.
    """
    rows = cursor.fetchall() if size is None else cursor.fetchmany(size)
    return [tuple(row[name] for name in names) if isinstance(row, Mapping) else tuple(row) for row in rows]


def get_state(error: Exception) -> str:
    """The SQLSTATE of a driver's error, or "". Through JDBC it is Java's, which may be
    wrapped."""
    for found in (error, *error.args[:1]):
        state = getattr(found, "sqlstate", None) or getattr(found, "pgcode", None)
        if state is None and hasattr(found, "getSQLState"):
            state = found.getSQLState()
        if state:
            return str(state)
    return ""


class ErrorKind(Enum):
    """What an error of a driver means for a pull."""

    DUPLICATE_KEY = auto()
    """An event's id is stored in another window: load again and take it over."""
    TRANSIENT = auto()
    """Deadlock, lost connection and the like: the same again may well succeed."""
    LOCKED = auto()
    """Another transaction has locked something: wait for it."""
    PERMANENT = auto()
    """No right, no such thing: another try cannot help."""
    UNKNOWN = auto()
