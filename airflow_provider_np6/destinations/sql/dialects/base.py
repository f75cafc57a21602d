"""What a database is asked to do for a table of events; here, what most of them understand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from enum import Enum, auto
from typing import IO, TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.schema import EARLIEST, LATEST, in_calendar
from airflow_provider_np6.np6.window import from_ms, iso, to_ms

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column, Kind
    from airflow_provider_np6.destinations.sql.table import Table
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verify import Events

_ROWS = 1_000
_BYTES = 4 * 1024 * 1024

DisplacedRows = set[tuple[str | None, int]]
"""Action and time, in ms, of rows that another window held."""


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
        "moment": "TIMESTAMP(3)",
        "count": "BIGINT",
        "payload": "TEXT",
    }
    """The DDL type of each kind of column."""
    fits: ClassVar[Mapping[Kind, str]] = {}
    """For each kind, a pattern of the types, in lower case, that hold it unchanged."""
    table_options: ClassVar[str] = ""
    """What follows a ``CREATE TABLE``'s parenthesis."""
    indexed: ClassVar[bool] = True
    """Whether an index helps to find a window."""
    earliest: ClassVar[int] = EARLIEST
    payload_text: ClassVar[str] = "{}"
    """A payload's column as text."""

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
        if kind == "moment" and value is not None:
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

    def begin(self, cursor: Any, table: Table) -> None:
        """Begin the transaction and lock ``table`` against other pulls, until it ends."""

    def end(self, cursor: Any, table: Table) -> None:
        """Give up what outlives the transaction."""

    def failure(self, error: Exception) -> ErrorKind:
        """What a driver's error means; DB-API names its class, not its module."""
        names = {kind.__name__ for kind in type(error).__mro__}
        if "IntegrityError" in names:
            return ErrorKind.DUPLICATE_KEY
        return ErrorKind.TRANSIENT if "OperationalError" in names else ErrorKind.UNKNOWN

    # The table as it stands

    def stored_types(self, cursor: Any, table: Table) -> dict[str, str] | None:
        """The table's columns with their types in lower case, "" where unknown; None if it is not there."""
        try:
            cursor.execute(f"SELECT * FROM {table.quoted} WHERE 1 = 0")
        except Exception:  # each driver has a tree of errors of its own
            return None
        return {described[0]: "" for described in cursor.description}

    def unique_keys(self, cursor: Any, table: Table) -> list[set[str]] | None:
        """The sets of columns that are unique by a key or an index; None where that cannot be told."""
        return None

    def is_fit(self, column: Column, stored: str) -> bool:
        """Whether a stored type holds the column's values unchanged."""
        return (
            not stored or column.kind not in self.fits or bool(re.fullmatch(self.fits[column.kind], stored))
        )

    def retype(self, table: Table, column: Column) -> str:
        """The statement that gives a column its right type."""
        name = self.quote(column.name)
        return f"ALTER TABLE {table.quoted} ALTER COLUMN {name} TYPE {self.types[column.kind]}"

    # The spool and its loading

    def encoder(self, query: EventQuery, pulled_at: int) -> Callable[[Events], bytes]:
        """Makes of events what the spool keeps of them; here they stay as they are."""
        return lambda events: b"\n".join([*events.items, b""])

    def load(self, cursor: Any, table: Table, spool: IO[bytes], query: EventQuery, pulled_at: int) -> None:
        """Insert all that the spool holds."""
        for batch in _batches(spool):
            table.insert(cursor, _to_columns(batch, query, pulled_at))

    def take_over(
        self, cursor: Any, table: Table, spool: IO[bytes], query: EventQuery, pulled_at: int
    ) -> DisplacedRows:
        """The same, and delete rows of the same ids wherever they stand; of an id that comes twice, the
        later counts. Returns where the deleted ones stood."""
        displaced: DisplacedRows = set()
        for batch in _batches(spool):
            columns = _to_columns(batch, query, pulled_at)
            ids = columns[0]
            last = sorted({id_: at for at, id_ in enumerate(ids)}.values())
            same = {**table.dataset(query), "event_id IN": [ids[at] for at in last]}
            rows = table.select(cursor, ["action_id", "occurred_at"], same)
            displaced |= {(action, self.ms(moment)) for action, moment in rows}
            table.delete(cursor, same)
            table.insert(cursor, [[column[at] for at in last] for column in columns])
        return displaced


def _to_columns(batch: Sequence[Any], query: EventQuery, pulled_at: int) -> list[Sequence[Any]]:
    from airflow_provider_np6.destinations.extract import to_columns

    return to_columns(batch, query, pulled_at)


def _batches(spool: IO[bytes]) -> Iterator[list[bytes]]:
    spool.seek(0)
    batch: list[bytes] = []
    size = 0
    for line in spool:
        batch.append(line.rstrip(b"\n"))
        size += len(line)
        if len(batch) == _ROWS or size > _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class BulkTableDialect(TableDialect):
    """A database that loads text in bulk: the spool holds rows that need no more work, and ids that stand
    elsewhere are found by a temporary table."""

    def bulk_load(self, cursor: Any, table: str, columns: str, spool: IO[bytes]) -> None:
        """Load the spool's :mod:`delimited <..delimited>` rows into ``table``, quoted already."""
        raise NotImplementedError

    def encoder(self, query: EventQuery, pulled_at: int) -> Callable[[Events], bytes]:
        from airflow_provider_np6.destinations.schema import COLUMNS
        from airflow_provider_np6.destinations.sql.delimited import delimited

        def encode(events: Events) -> bytes:
            if not events.items:
                return b""
            columns = _to_columns(events.items, query, pulled_at)
            texts = [
                self._moment_texts(values) if column.kind == "moment" else values
                for column, values in zip(COLUMNS, columns, strict=True)
            ]
            return delimited(texts, escapes=b"\\u00" in b"".join(events.items))

        return encode

    def _moment_texts(self, moments: Sequence[Any]) -> list[str | None]:
        """Moments as the load takes them; those beyond the calendar become NULL."""
        known = in_calendar(moments, self.earliest)
        if known.count(known[0]) == len(known):  # when it was pulled is the same for all
            return [None if known[0] is None else iso(known[0])] * len(known)
        return [None if ms is None else iso(ms) for ms in known]

    def load(self, cursor: Any, table: Table, spool: IO[bytes], query: EventQuery, pulled_at: int) -> None:
        spool.seek(0)
        self.bulk_load(cursor, table.quoted, table.column_list, spool)

    def take_over(
        self, cursor: Any, table: Table, spool: IO[bytes], query: EventQuery, pulled_at: int
    ) -> DisplacedRows:
        staging, names = self.quote("np6_staging"), table.column_list
        cursor.execute(f"CREATE TEMPORARY TABLE {staging} AS SELECT {names} FROM {table.quoted} WHERE 1 = 0")
        spool.seek(0)
        self.bulk_load(cursor, staging, names, spool)
        same = {**table.dataset(query), "event_id IN": f"SELECT event_id FROM {staging}"}
        rows = table.select(cursor, ["action_id", "occurred_at"], same)
        table.delete(cursor, same)
        cursor.execute(
            f"INSERT INTO {table.quoted} ({names}) SELECT DISTINCT ON (event_id) {names} FROM {staging}"
            " ORDER BY event_id, occurred_at DESC"
        )
        cursor.execute(f"DROP TABLE {staging}")
        return {(action, self.ms(moment)) for action, moment in rows}
