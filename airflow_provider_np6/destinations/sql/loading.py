"""The load of a window: from the spool on the worker's disk into the table of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_np6.destinations.extract import to_columns
from airflow_provider_np6.destinations.schema import COLUMNS, in_calendar
from airflow_provider_np6.destinations.sql.delimited import delimited
from airflow_provider_np6.destinations.sql.dialects import TableName
from airflow_provider_np6.destinations.sql.table import within
from airflow_provider_np6.np6.query import ALL_ACTIONS
from airflow_provider_np6.np6.window import DAY, iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.table import Table
    from airflow_provider_np6.np6.query import EventQuery

_ROWS = 1_000
_BYTES = 4 * 1024 * 1024
_NAMES = [column.name for column in COLUMNS]
_ID, _TIME = _NAMES.index("event_id"), _NAMES.index("occurred_at")

Place = tuple[str | None, int]
"""Action and time, in ms, of a row."""

DisplacedRows = Counter[Place]
"""Where rows were that another window took over, and how many."""


class InsertLoader:
    """Inserts rows in batches: the spool has events as they came, one per line.

    :param table: the table of events.
    :param query: what is pulled.
    """

    def __init__(self, table: Table, query: EventQuery) -> None:
        self._table = table
        self._query = query
        self._dialect = table.dialect

    def encoder(self, pulled_at: int) -> Callable[[Sequence[bytes], bytes], bytes]:
        """Turns events into what the spool keeps of them, given also as lines.

        :param pulled_at: time of the pull, in ms.
        """
        return lambda _, lines: lines

    def load(self, cursor: Any, spool: IO[bytes], pulled_at: int) -> None:
        """Insert all that is spooled.

        :param cursor: in a transaction that has deleted what the pull replaces.
        :param spool: what :meth:`encoder` made, in order of time.
        :param pulled_at: time of the pull, in ms.
        """
        for batch in _batches(spool):
            self._table.insert(cursor, self._columns(batch, pulled_at))

    def take_over(
        self, cursor: Any, spool: IO[bytes], pulled_at: int, kept: Collection[int]
    ) -> tuple[DisplacedRows, int]:
        """The same, and delete rows of the same ids wherever they are. Of an id that comes twice, the first
        in time counts.

        :param cursor: in a transaction that has deleted what the pull replaces.
        :param spool: what :meth:`encoder` made, in order of time.
        :param pulled_at: time of the pull, in ms.
        :param kept: days that are not replaced, counted since the epoch: nothing is inserted there.
        :return: where the deleted rows were, and how many rows were inserted: one per id.
        """
        displaced: DisplacedRows = Counter()
        inserted = 0
        passed: set[str] = set()  # ids whose first event is on a day that is kept
        for batch in _batches(spool):
            columns = self._columns(batch, pulled_at)
            first: dict[str, int] = {}
            for at, (id_, time) in enumerate(zip(columns[_ID], columns[_TIME], strict=True)):
                if id_ in passed or id_ in first:
                    continue
                if time // DAY in kept:
                    passed.add(id_)
                else:
                    first[id_] = at
            if not first:
                continue
            stored = self._places(cursor, list(first))
            # A row where this pull replaces all was inserted with an earlier batch.
            moved = {id_: place for id_, place in stored.items() if not self._is_own(place, kept)}
            if moved:
                self._table.delete(cursor, self._same(list(moved)))
                displaced.update(moved.values())
            new = [at for id_, at in first.items() if id_ in moved or id_ not in stored]
            if new:
                self._table.insert(cursor, [[column[at] for at in new] for column in columns])
                inserted += len(new)
        return displaced, inserted

    def _columns(self, items: Sequence[Any], pulled_at: int) -> list[Sequence[Any]]:
        return to_columns(items, self._query, pulled_at)

    def _same(self, ids: Sequence[str] | str) -> dict[str, Any]:
        """The condition of rows with these ids.

        :param ids: themselves, or a query of them.
        """
        return {**self._table.series(self._query), "event_id IN": ids}

    def _places(self, cursor: Any, ids: Sequence[str] | str) -> dict[str, Place]:
        """Where rows with these ids are stored.

        :param ids: themselves, or a query of them.
        """
        rows = self._table.select(cursor, ["event_id", "action_id", "occurred_at"], self._same(ids))
        return {str(id_): (action, self._dialect.ms(time)) for id_, action, time in rows}

    def _is_own(self, place: Place, kept: Collection[int]) -> bool:
        """Whether this pull replaces what is stored there."""
        action, time = place
        window = self._query.window
        is_inside = window.start <= time < window.end and time // DAY not in kept
        return is_inside and self._query.action_id in (action, ALL_ACTIONS)


class BulkLoader(InsertLoader):
    """Loads text in bulk: the spool has finished rows, and ids that are stored in other windows are found
    with a temporary table."""

    def encoder(self, pulled_at: int) -> Callable[[Sequence[bytes], bytes], bytes]:
        def encode(items: Sequence[bytes], lines: bytes) -> bytes:
            columns = self._columns(items, pulled_at)
            texts = [
                self._time_texts(values) if column.kind == "timestamp" else values
                for column, values in zip(COLUMNS, columns, strict=True)
            ]
            return delimited(texts, escapes=b"\\u00" in lines)

        return encode

    def load(self, cursor: Any, spool: IO[bytes], pulled_at: int) -> None:
        spool.seek(0)
        self._dialect.bulk_load(cursor, self._table.quoted, self._table.column_list, spool)

    def take_over(
        self, cursor: Any, spool: IO[bytes], pulled_at: int, kept: Collection[int]
    ) -> tuple[DisplacedRows, int]:
        table, names = self._table, self._table.column_list
        staging = replace(table, name=TableName(None, "np6_staging"))
        staged = staging.quoted
        id_, time = map(self._dialect.quote, ("event_id", "occurred_at"))
        cursor.execute(f"CREATE TEMPORARY TABLE {staged} AS SELECT {names} FROM {table.quoted} WHERE 1 = 0")
        spool.seek(0)
        self._dialect.bulk_load(cursor, staged, names, spool)
        cursor.execute(
            f"DELETE FROM {staged} AS later USING {staged} AS earlier WHERE later.{id_} = earlier.{id_}"
            f" AND (later.{time}, later.ctid) > (earlier.{time}, earlier.ctid)"
        )
        for day in kept:
            staging.delete(cursor, within("occurred_at", day * DAY, (day + 1) * DAY))
        rows = staging.count(cursor, {})
        ids = f"SELECT {id_} FROM {staged}"
        displaced = Counter(self._places(cursor, ids).values())
        table.delete(cursor, self._same(ids))
        cursor.execute(f"INSERT INTO {table.quoted} ({names}) SELECT {names} FROM {staged}")
        cursor.execute(f"DROP TABLE {staged}")
        return displaced, rows

    def _time_texts(self, times: Sequence[Any]) -> list[str | None]:
        """Times as the load takes them; those beyond the calendar become NULL."""
        known = in_calendar(times, self._dialect.earliest)
        if known.count(known[0]) == len(known):  # pulled_at is the same for all
            return [None if known[0] is None else iso(known[0])] * len(known)
        return [None if ms is None else iso(ms) for ms in known]


def get_loader(table: Table, query: EventQuery) -> InsertLoader:
    """The fastest loader that the table's database has.

    :param table: the table of events.
    :param query: what is pulled.
    """
    return (BulkLoader if table.dialect.can_bulk_load else InsertLoader)(table, query)


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
