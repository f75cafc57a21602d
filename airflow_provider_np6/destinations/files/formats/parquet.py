"""Parquet: the columns of events with declared types, and each event's own text in ``payload``."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_np6.destinations.extract import found_columns
from airflow_provider_np6.destinations.files.formats.base import SliceFile, buffered
from airflow_provider_np6.destinations.schema import COLUMNS, in_calendar

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.extract import Item
    from airflow_provider_np6.destinations.files.formats.base import HashingFile
    from airflow_provider_np6.np6.events import Events
    from airflow_provider_np6.np6.query import EventQuery

ROWS = 16_384
"""Rows of a row group at most."""

BYTES = 64 * 1024 * 1024
"""Bytes of payload after which a row group ends."""

_COLUMNS = tuple(column for column in COLUMNS if column.name != "pulled_at")
_TYPES = {"timestamp": pa.timestamp("ms", tz="UTC")}
_UNIQUE = {"event_id", "occurred_at", "message_id", "recipient", "target_id", "payload"}

_REPEATED = [column.name for column in _COLUMNS if column.name not in _UNIQUE]
# Of payloads, the least and the greatest would be two whole events, in the footer for each row group.
_COMPARED = [column.name for column in _COLUMNS if column.kind != "payload"]

SCHEMA = pa.schema([(column.name, _TYPES.get(column.kind, pa.string())) for column in _COLUMNS])
"""Every file has it, whatever its events hold."""


class ParquetFile(SliceFile):
    """Row groups of the same size whatever the sizes of the batches, packed with zstd."""

    def __init__(self, file: HashingFile, query: EventQuery) -> None:
        super().__init__(file)
        self._query = query
        self._writer: pq.ParquetWriter | None = None
        self._forget()

    def write(self, events: Events) -> None:
        items: Sequence[Item] = events.items
        while items:
            fitting = self._fitting(items)
            self._take(items[:fitting])
            items = items[fitting:]
            if self._rows == ROWS or self._bytes >= BYTES:
                self._hand_over()

    def _forget(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def _fitting(self, items: Sequence[Item]) -> int:
        """How many of ``items`` still go into the row group; at least one does."""
        room = min(ROWS - self._rows, len(items))
        if self._bytes + sum(map(len, items)) < BYTES:
            return room
        ends = accumulate(map(len, items), initial=self._bytes)
        return min(room, sum(end < BYTES for end in ends))

    def _take(self, items: Sequence[Item]) -> None:
        self._batches.append(record_batch(items, self._query))
        self._rows += len(items)
        self._bytes += sum(map(len, items))

    def _hand_over(self) -> None:
        if self._rows:
            batches = self._batches
            self._forget()
            self._pack(self._write, batches)

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        # In one piece, or the bytes would depend on the batches in which the events came.
        table = pa.Table.from_batches(batches, SCHEMA).combine_chunks()
        batches.clear()
        if self._writer is None:
            self._stream = buffered(self._file)
            self._writer = pq.ParquetWriter(
                self._stream, SCHEMA, compression="zstd", use_dictionary=_REPEATED, write_statistics=_COMPARED
            )
        self._writer.write_table(table, table.num_rows)
        pa.default_memory_pool().release_unused()  # or it holds what several row groups took

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._stream.close()


def record_batch(items: Sequence[Item], query: EventQuery) -> pa.RecordBatch:
    """Raw events as columns of :data:`SCHEMA`."""
    values = found_columns(items, query)
    arrays = [
        _texts(items)
        if column.kind == "payload"
        else pa.array(in_calendar(values[column.name]), _TYPES["timestamp"])
        if column.kind == "timestamp"
        else _strings(values[column.name])
        for column in _COLUMNS
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _strings(values: Sequence[str | None]) -> pa.Array:
    # A third of the columns, and ten times as fast.
    if values[0] == values[-1] and values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], pa.string()), len(values))
    return pa.array(values, pa.string())


def _texts(items: Sequence[Item]) -> pa.Array:
    """Events as strings, without checking each: they were verified, so they are UTF-8."""
    offsets = array("i", accumulate(map(len, items), initial=0))
    return pa.StringArray.from_buffers(len(items), pa.py_buffer(offsets), pa.py_buffer(b"".join(items)))
