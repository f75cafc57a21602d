"""The load of a window: from the spool on the worker's disk into the table of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_np6.destinations.extract import to_columns
from airflow_provider_np6.destinations.schema import COLUMNS, in_calendar
from airflow_provider_np6.destinations.sql.delimited import delimited
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.table import Table
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verify import Events

_ROWS = 1_000
_BYTES = 4 * 1024 * 1024

DisplacedRows = set[tuple[str | None, int]]
"""Action and time, in ms, of rows that were stored in another window."""


class InsertLoader:
    """Inserts rows in batches: the spool has events as they came, one per line.

    :param table: the table of events.
    :param query: what is pulled.
    """

    def __init__(self, table: Table, query: EventQuery) -> None:
        self._table = table
        self._query = query
        self._dialect = table.dialect

    def encoder(self, pulled_at: int) -> Callable[[Events], bytes]:
        """Turns events into what the spool keeps of them.

        :param pulled_at: time of the pull, in ms.
        """
        return lambda events: b"\n".join([*events.items, b""])

    def load(self, cursor: Any, spool: IO[bytes], pulled_at: int) -> None:
        """Insert all that the spool holds.

        :param pulled_at: time of the pull, in ms.
        """
        for batch in _batches(spool):
            self._table.insert(cursor, self._columns(batch, pulled_at))

    def take_over(self, cursor: Any, spool: IO[bytes], pulled_at: int) -> DisplacedRows:
        """The same, and delete rows of the same ids wherever they are; of an id that comes twice, the later
        counts.

        :return: where the deleted rows were.
        """
        table = self._table
        displaced: DisplacedRows = set()
        for batch in _batches(spool):
            columns = self._columns(batch, pulled_at)
            ids = columns[0]
            last = sorted({id_: at for at, id_ in enumerate(ids)}.values())
            same = {**table.series(self._query), "event_id IN": [ids[at] for at in last]}
            displaced |= self._displaced(cursor, same)
            table.delete(cursor, same)
            table.insert(cursor, [[column[at] for at in last] for column in columns])
        return displaced

    def _columns(self, items: Sequence[Any], pulled_at: int) -> list[Sequence[Any]]:
        return to_columns(items, self._query, pulled_at)

    def _displaced(self, cursor: Any, same: dict[str, Any]) -> DisplacedRows:
        rows = self._table.select(cursor, ["action_id", "occurred_at"], same)
        return {(action, self._dialect.ms(time)) for action, time in rows}


class BulkLoader(InsertLoader):
    """Loads text in bulk: the spool holds finished rows, and ids that are stored in other windows are found
    with a temporary table."""

    def encoder(self, pulled_at: int) -> Callable[[Events], bytes]:
        def encode(events: Events) -> bytes:
            if not events.items:
                return b""
            columns = self._columns(events.items, pulled_at)
            texts = [
                self._time_texts(values) if column.kind == "timestamp" else values
                for column, values in zip(COLUMNS, columns, strict=True)
            ]
            return delimited(texts, escapes=b"\\u00" in b"".join(events.items))

        return encode

    def load(self, cursor: Any, spool: IO[bytes], pulled_at: int) -> None:
        spool.seek(0)
        self._dialect.bulk_load(cursor, self._table.quoted, self._table.column_list, spool)

    def take_over(self, cursor: Any, spool: IO[bytes], pulled_at: int) -> DisplacedRows:
        table, names = self._table, self._table.column_list
        staging = self._dialect.quote("np6_staging")
        cursor.execute(f"CREATE TEMPORARY TABLE {staging} AS SELECT {names} FROM {table.quoted} WHERE 1 = 0")
        spool.seek(0)
        self._dialect.bulk_load(cursor, staging, names, spool)
        same = {**table.series(self._query), "event_id IN": f"SELECT event_id FROM {staging}"}
        displaced = self._displaced(cursor, same)
        table.delete(cursor, same)
        cursor.execute(
            f"INSERT INTO {table.quoted} ({names}) SELECT DISTINCT ON (event_id) {names} FROM {staging}"
            " ORDER BY event_id, occurred_at DESC"
        )
        cursor.execute(f"DROP TABLE {staging}")
        return displaced

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
