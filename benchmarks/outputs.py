"""The ids of the events in what a contender made: all of them, or its figures are void."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

if TYPE_CHECKING:
    from benchmarks.contenders import Entry
    from benchmarks.servers import Servers


class _Data(msgspec.Struct):
    id: str


class _Record(msgspec.Struct):
    data: _Data


class _Line(msgspec.Struct):
    """An event, or Airbyte's message around one, or a message without one."""

    id: str | None = None
    record: _Record | None = None


_line = msgspec.json.Decoder(_Line).decode
_array = msgspec.json.Decoder(list[_Data]).decode


def fault(entry: Entry, folder: Path, servers: Servers, expected: set[str]) -> str | None:
    """What is wrong with what ``entry`` made; None where it holds every event once."""
    if not entry.holds:
        return None
    found = list(_ids(entry.holds, folder, servers))
    if len(found) != len(expected):
        return f"{len(found):,} events instead of {len(expected):,}"
    return None if set(found) == expected else "other events than those that were sent"


def _ids(holds: str, folder: Path, servers: Servers) -> Iterator[str]:
    kind, _, where = holds.partition(":")
    if kind == "postgres":
        column, table = where.split()
        yield from _ids_in_table(column, table, servers)
    elif kind == "s3":
        for body in servers.objects(where):
            yield from _ids_in(body)
    else:
        for path in sorted(folder.glob(holds)):
            yield from _ids_in_file(path)


def _ids_in_table(column: str, table: str, servers: Servers) -> Iterator[str]:
    with closing(servers.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table}")
        yield from (id_ for (id_,) in cursor.fetchall())


def _ids_in_file(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        column = "event_id" if "event_id" in pq.read_schema(path).names else "id"
        yield from pq.read_table(path, columns=[column]).column(0).to_pylist()
        return
    with _unpacked(path) as file:
        if path.name == "xcom":
            yield from (event.id for event in _array(json.load(file)))
        else:
            yield from _ids_in(file)


def _ids_in(file: Any) -> Iterator[str]:
    """Of lines, or of one array."""
    first = file.readline()
    if first.startswith(b"["):
        yield from (event.id for event in _array(first + file.read()))
        return
    for text in (first, *file):
        line = _line(text)
        if id_ := line.id or (line.record and line.record.data.id):
            yield id_


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    if path.suffix == ".zst":
        import io

        import pyarrow as pa

        with pa.CompressedInputStream(str(path), "zstd") as lines:
            yield io.BufferedReader(lines, 1 << 20)
    elif path.suffix == ".gz":
        with gzip.open(path, "rb") as lines:
            yield lines  # type: ignore[misc]
    else:
        with path.open("rb") as lines:
            yield lines
