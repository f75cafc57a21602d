"""What differs between databases; here, what most of them understand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.schema import EARLIEST, LATEST
from airflow_provider_np6.destinations.sql.dialects.values import ErrorKind, get_state
from airflow_provider_np6.np6.window import iso, to_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind
    from airflow_provider_np6.destinations.sql.dialects.values import Barrier, Lock, StoredIndex, TableName


_DUPLICATE = ("23505", "23000")
_BY_STATE = {
    ErrorKind.LOCKED: ("HYT00",),
    ErrorKind.TRANSIENT: ("08", "40"),
    ErrorKind.PERMANENT: ("0A", "22", "23", "25", "28", "3D", "3F", "42", "44"),
}


class TableDialect:
    """SQL as most databases take it: rows are inserted in batches, in one transaction."""

    is_known: ClassVar[bool] = False
    """Whether transactions and keys of the database are known to work."""
    keeps_deleted: ClassVar[bool] = False
    """Whether :meth:`after_erasure` has something to do."""
    types: ClassVar[Mapping[Kind, str]] = {
        "key": "VARCHAR(100)",
        "text": "TEXT",
        "timestamp": "TIMESTAMP(3)",
        "count": "BIGINT",
        "payload": "TEXT",
    }
    """The DDL type of each kind of column."""
    fits: ClassVar[Mapping[Kind, str]] = {}
    """For each kind, a pattern of the types, in lower case, that keep it unchanged."""
    table_options: ClassVar[str] = ""
    """What follows a ``CREATE TABLE``'s parenthesis."""
    if_missing: ClassVar[str] = ""
    """What keeps a statement from creating something twice."""
    if_exists: ClassVar[str] = ""
    has_inline_indexes: ClassVar[bool] = False
    """Whether a CREATE TABLE has its indexes, which then need no right of their own."""
    earliest: ClassVar[int] = EARLIEST
    reading: ClassVar[Mapping[Kind, str]] = {"timestamp": "CAST({} AS VARCHAR(30))"}
    """How a statement reads a column of a kind; drivers are known that change times below a second."""

    def quote(self, name: str) -> str:
        """``name`` as an identifier, which no database then folds to upper or lower case."""
        return '"{}"'.format(name.replace('"', '""'))

    def quote_name(self, name: TableName) -> str:
        """A table's name in a statement."""
        return ".".join(self.quote(part) for part in (name.schema, name.table) if part)

    def to_time(self, ms: int) -> Any:
        """A time as its column takes it: here a string without a zone, in UTC."""
        return iso(ms).replace("T", " ").removesuffix("Z")

    def ms(self, value: Any) -> int:
        """The time that a column gave, in ms since the epoch."""
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        return to_ms(time if time.tzinfo else time.replace(tzinfo=UTC))

    def value(self, kind: Kind, value: Any) -> Any:
        """A value of a row as its column takes it; times beyond the calendar become NULL."""
        if kind == "timestamp" and value is not None:
            return self.to_time(value) if self.earliest <= value <= LATEST else None
        return self.text(value) if kind == "text" else value

    def text(self, value: Any) -> Any:
        """A string as its column takes it."""
        return value

    # A transaction and its lock

    def prepare(self, connection: Any) -> None:
        """Set up a new connection."""

    def begin(self, cursor: Any, *, is_writing: bool) -> None:
        """Begin a transaction, and set in it what a role, database, pooler or connection may have preset."""

    def lock(self, cursor: Any, lock: Lock) -> None:
        """Wait for transactions that change the same; here all that change the table. No transaction has the
        lock before the first pull has written the header, whose key then lets one of them pass."""
        version = self.quote("version")
        terms = " AND ".join(f"{self.quote(name)} = ''" for name in ("event_type", "classification"))
        cursor.execute(f"UPDATE {lock.header} SET {version} = {version} WHERE {terms}")

    def prepare_ddl(self, cursor: Any, name: TableName) -> None:
        """Let one transaction at a time change tables, as far as the database can, and wait shortly for
        those who use them."""

    def after_erasure(self, cursor: Any) -> None:
        """Overwrite what the database keeps of deleted rows; outside of any transaction."""

    def failure(self, error: Exception) -> ErrorKind:
        """What a driver's error means: by its SQLSTATE, or else by its class, of which DB-API fixes the name
        and not the module."""
        state = get_state(error)
        if state in _DUPLICATE:
            return ErrorKind.DUPLICATE_KEY
        for kind, prefixes in _BY_STATE.items():
            if state.startswith(prefixes):
                return kind
        names = {kind.__name__ for kind in type(error).__mro__}
        if "IntegrityError" in names:
            return ErrorKind.DUPLICATE_KEY
        return ErrorKind.TRANSIENT if "OperationalError" in names else ErrorKind.UNKNOWN

    # The table as it exists

    def stored_types(self, cursor: Any, name: TableName) -> dict[str, str] | None:
        """The table's columns with their types in lower case, "" where unknown; None if it does not exist."""
        try:
            cursor.execute(f"SELECT * FROM {self.quote_name(name)} WHERE 1 = 0")
        except Exception:  # each driver has its own classes
            connection = getattr(cursor, "connection", None)
            if connection is not None:
                connection.rollback()  # some databases refuse all else in a transaction with an error
            return None
        return {described[0]: "" for described in cursor.description}

    def exists(self, cursor: Any, name: TableName) -> bool:
        """Whether there is such a table.

        :raises Exception: the driver's, if it may not be read.
        """
        return self.stored_types(cursor, name) is not None

    def stored_indexes(self, cursor: Any, name: TableName) -> list[StoredIndex] | None:
        """The table's indexes and keys; None where they cannot be seen."""
        return None

    def find_flaw(self, cursor: Any, name: TableName, key: Sequence[str]) -> tuple[str, str] | None:
        """Why events cannot be written into something of this name, as a verb phrase, and the statement that
        fixes it or ""; None if they can."""
        return None

    def is_fit(self, column: Column, stored: str) -> bool:
        """Whether a stored type keeps the column's values unchanged."""
        return (
            not stored or column.kind not in self.fits or bool(re.fullmatch(self.fits[column.kind], stored))
        )

    def retype(self, name: TableName, column: Column, *, required: bool) -> str | None:
        """The statement that gives a column its right type; None where only a new table can.

        :param required: whether the column is NOT NULL.
        """
        quoted = self.quote(column.name)
        return f"ALTER TABLE {self.quote_name(name)} ALTER COLUMN {quoted} TYPE {self.types[column.kind]}"

    # Rights

    def find_barrier(self, cursor: Any, name: TableName) -> Barrier | None:
        """What keeps the connection from writing any table beside this one; None if nothing is seen."""
        return None

    def resolve(self, cursor: Any, name: TableName) -> TableName:
        """The table's name with its schema, for those who have another one as their own."""
        return name

    def get_role(self, cursor: Any) -> str:
        """The role as a GRANT names it; "" where that is not known."""
        return ""

    def missing_rights(
        self, cursor: Any, name: TableName, columns: Sequence[str], rights: Sequence[str]
    ) -> list[str]:
        """Those of ``SELECT``, ``INSERT``, ``UPDATE`` and ``DELETE`` that the connection lacks on a table, by
        statements that change nothing.

        :raises Exception: the driver's, if one fails for another reason.
        """
        return [right for right in rights if not self._has_right(cursor, name, columns, right)]

    def _has_right(self, cursor: Any, name: TableName, columns: Sequence[str], right: str) -> bool:
        table, names = self.quote_name(name), ", ".join(map(self.quote, columns))
        first = self.quote(columns[0])
        statements = {
            "SELECT": f"SELECT {names} FROM {table} WHERE 1 = 0",
            "INSERT": f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} WHERE 1 = 0",
            "UPDATE": f"UPDATE {table} SET {first} = {first} WHERE 1 = 0",
            "DELETE": f"DELETE FROM {table} WHERE 1 = 0",
        }
        try:
            cursor.execute(statements[right])
            if right == "SELECT":
                cursor.fetchall()
        except Exception as error:  # each driver has its own classes
            if not self.is_forbidden(error):
                raise
            return False
        return True

    def is_forbidden(self, error: Exception) -> bool:
        """Whether a statement failed because a right is missing."""
        return False

    def explain(self, error: Exception) -> tuple[str, str] | None:
        """What an error means, as a clause, and what to do, in words of ours: a driver's text may have a row
        or a password. None where only its code says something."""
        return None

    # The load

    can_bulk_load: ClassVar[bool] = False
    """Whether there is a :meth:`bulk_load`."""

    def bulk_load(self, cursor: Any, table: str, columns: str, spool: IO[bytes]) -> None:
        """Load a spool of :mod:`~airflow_provider_np6.destinations.sql.delimited` rows.

        :param table: the table, quoted already.
        :param columns: its columns, quoted and joined.
        """
        raise NotImplementedError
