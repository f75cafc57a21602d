"""What each format keeps of an event, whatever the event is."""

from __future__ import annotations

import gzip
import json
import struct
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.extract import to_columns
from airflow_provider_np6.destinations.files.formats import FORMATS, count, open_slice_file, parquet
from airflow_provider_np6.destinations.files.formats.base import PIECE, HashingFile, SliceFile
from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.events import Events
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import to_ms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from tests.support.files import data_paths, snapshot
from tests.support.people import LONE_SURROGATES, LOST, with_lone_surrogates
from tests.support.properties import examples
from tests.support.pulls import MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core

QUERY = EventQuery.checked("bounces", "000PE4", TODAY)
KEPT = [column.name for column in COLUMNS if column.name != "pulled_at"]


def read(path: Path) -> list[bytes]:
    """The raw events of a data file, read without our own code."""
    if path.suffix == ".parquet":
        texts: list[str] = pq.read_table(path)["payload"].to_pylist()
        return [text.encode() for text in texts]
    data: bytes
    if path.suffix == ".zst":
        with pa.CompressedInputStream(path, "zstd") as lines:
            data = lines.read()
    else:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.split(b"\n")[:-1]


def written(path: Path, format_: str, batches: list[list[bytes]]) -> SliceFile:
    file = open_slice_file(path, format_, QUERY)
    for batch in batches:
        if batch:
            file.write(Events(batch, [MIDNIGHT] * len(batch)))
    file.close()
    return file


HUGE = ("1e999", "-1E+999", "7" * 5_000, "-0." + "7" * 5_000)
NUMBERS = [f"\ue001{n}" for n in range(len(HUGE))]
"""In place of numbers that Python does not write."""

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(NUMBERS)
    | st.text(st.characters(exclude_categories=["Cs"]) | st.just(LOST), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["source", "detail", "activation", "id", "type", "time"]), inner)
    ),
    max_leaves=10,
)


@st.composite
def raw_events(draw: st.DrawFn) -> bytes:
    """Any object with an envelope, in any spelling, with lone surrogates and huge numbers."""
    event = {"id": draw(st.uuids().map(str)), "timestamp": MIDNIGHT}
    event |= draw(st.dictionaries(st.sampled_from(["type", "source", "identity", "new"]), json_values))
    separators = draw(st.sampled_from([(",", ":"), (", ", " : "), ("\t,", ":  ")]))
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), separators=separators)
    for name, number in zip(NUMBERS, HUGE, strict=True):
        text = text.replace(f'"{name}"', number).replace(f'"{json.dumps(name)[1:-1]}"', number)
    return with_lone_surrogates(text, draw(st.sampled_from(LONE_SURROGATES))).encode()


@pytest.mark.parametrize("format_", FORMATS)
def test_any_event_comes_back_byte_for_byte(tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"any.{format_}"

    @examples(100)
    @given(st.lists(st.lists(raw_events(), max_size=4), min_size=1, max_size=4))
    def round_trip(batches: list[list[bytes]]) -> None:
        items = [item for batch in batches for item in batch]
        if items:
            written(path, format_, batches)
            assert read(path) == items
            with path.open("rb") as file:
                assert count(file, format_) == len(items)

    round_trip()


@examples(100)
@given(st.lists(raw_events(), min_size=1, max_size=6))
def test_parquet_has_the_columns_of_sql(items: list[bytes]) -> None:
    expected = dict(zip((column.name for column in COLUMNS), to_columns(items, QUERY, 0), strict=True))
    found = parquet.record_batch(items, QUERY).to_pydict()
    assert list(found) == KEPT
    for name, values in found.items():
        plain = [to_ms(value) if isinstance(value, datetime) else value for value in values]
        if name != "sent_at":  # times beyond the calendar are tried below
            assert plain == list(expected[name]), name


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_events_give_the_same_bytes_however_they_arrive(
    tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setattr(parquet, "ROWS", 40)
    items = held(sandbox, QUERY)
    at_once, in_pieces = (
        written(tmp_path / f"{n}.{format_}", format_, [items[i : i + n] for i in range(0, len(items), n)])
        for n in (len(items), 7)
    )
    assert at_once.sha256 == in_pieces.sha256
    assert at_once.size == in_pieces.size == (tmp_path / f"7.{format_}").stat().st_size


@pytest.mark.parametrize("format_", FORMATS)
def test_large_files_do_not_depend_on_how_their_events_arrived(
    tmp_path: Path, format_: str, sandbox: Sandbox
) -> None:
    sandbox.account = FakeAccount(events_per_day=14_400)
    items = held(sandbox, QUERY)
    assert sum(map(len, items)) > 2 * PIECE  # several pages of Parquet, too
    found = set()
    for n in (len(items), 1_000, 37):
        batches = [items[i : i + n] for i in range(0, len(items), n)]
        found.add(written(tmp_path / f"{n}.{format_}", format_, batches).sha256)
    assert len(found) == 1


def test_gzip_files_have_neither_name_nor_time(tmp_path: Path) -> None:
    written(tmp_path / "a.gz", "jsonl.gz", [[b"{}"]])
    magic, method, flags, mtime = struct.unpack("<HBBL", (tmp_path / "a.gz").read_bytes()[:8])
    assert (magic, method, flags, mtime) == (0x8B1F, 8, 0, 0)


@pytest.mark.parametrize("by", ["rows", "bytes"])
def test_row_groups_end_by_rows_or_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, by: str
) -> None:
    size, groups = 20_000, [40, 40, 16]
    monkeypatch.setattr(parquet, *(("ROWS", 40) if by == "rows" else ("BYTES", size)))
    items = held(sandbox, QUERY)
    written(tmp_path / "a.parquet", "parquet", [items[:50], items[50:]])
    data = pq.ParquetFile(tmp_path / "a.parquet")
    found = [data.metadata.row_group(n).num_rows for n in range(data.metadata.num_row_groups)]
    if by == "bytes":
        sizes = [len(item) for item in items]
        groups, begin = [], 0
        for end in range(1, len(items) + 1):
            if sum(sizes[begin:end]) >= size or end == len(items):
                groups.append(end - begin)
                begin = end
    assert len(groups) > 2
    assert found == groups


def test_a_row_group_has_the_bounds_of_its_columns_and_no_whole_event(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    written(tmp_path / "a.parquet", "parquet", [held(sandbox, QUERY)])
    group = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    assert [column.path_in_schema for column in columns if column.statistics is None] == ["payload"]


def test_the_schema_is_the_same_whatever_the_events_hold(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    bare = b'[{"id":"1","timestamp":%d},{"id":"2","timestamp":%d,"source":5}]' % (MIDNIGHT, MIDNIGHT + 1)
    destination = FileDestination(str(tmp_path / "a"), "parquet")
    land(client, destination, query_of(sandbox))
    sandbox.plan.add(Fault(body=bare))
    land(client, FileDestination(str(tmp_path / "b"), "parquet"), query_of(sandbox))
    full, empty = (pq.read_table(next((tmp_path / name).rglob("*.parquet"))) for name in "ab")
    assert empty.num_rows == 2
    types = {"occurred_at": pa.timestamp("ms", "UTC"), "sent_at": pa.timestamp("ms", "UTC")}
    for table in (full, empty):
        fields = [(field.name, field.type) for field in table.schema if field.name not in HIVE]
        assert fields == [(name, types.get(name, pa.string())) for name in KEPT]
    assert full["occurred_at"][0].as_py() == datetime.fromtimestamp(
        json.loads(full["payload"][0].as_py())["timestamp"] / 1_000, UTC
    )


HIVE = ("type", "action", "date")
"""Partition keys, which pyarrow adds to what it reads below such folders."""


def test_times_beyond_the_calendar_are_null_in_parquet_and_stay_in_the_payload() -> None:
    times = [0, -62_135_596_800_000, 253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_001, 2**70]
    event = '{"id":"1","timestamp":%d,"source":{"detail":{"activation":{"stamp":{"time":%d}}}}}'
    items = [(event % (MIDNIGHT, time)).encode() for time in times]
    batch = parquet.record_batch(items, QUERY)
    assert [value is None for value in batch["sent_at"].to_pylist()] == [False] * 3 + [True] * 3
    assert batch["payload"].to_pylist() == [item.decode() for item in items]


@pytest.mark.parametrize("format_", ["jsonl.zst", "parquet"])
def test_without_pyarrow_the_extra_is_named_before_any_request(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Np6InputError, match=r"airflow-provider-np6\[parquet\]"):
        land(client, FileDestination(str(tmp_path), format_), query_of(sandbox))
    assert sandbox.received == []


def test_another_format_replaces_the_slice(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    for format_ in (*FORMATS, *reversed(FORMATS)):
        land(client, FileDestination(str(root), format_), query_of(sandbox))
        (data,) = data_paths(root)
        assert data.name.partition(".")[2] == format_
        assert read(data) == held(sandbox, QUERY)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's disk takes 2,000 bytes per file."""
    monkeypatch.setattr(parquet, "ROWS", 10)
    whole: Callable[[HashingFile, bytes], int] = HashingFile.write

    def full(self: HashingFile, data: bytes) -> int:
        if self.size + len(data) > 2_000:
            raise OSError(28, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(HashingFile, "write", full)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_an_error_also_in_the_thread_that_writes(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path, format_: str
) -> None:
    with pytest.raises(Np6DestinationError, match="the worker's disk is full"):
        land(client, FileDestination(str(root), format_), query_of(sandbox))
    assert snapshot(root) == {}
    assert [path for path in spools.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("rows", [10, 1_000])
def test_a_file_that_is_discarded_leaves_nothing_open(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, format_: str, rows: int
) -> None:
    monkeypatch.setattr(parquet, "ROWS", rows)
    items = held(sandbox, QUERY)
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    file = open_slice_file(tmp_path / f"a.{format_}", format_, QUERY)
    file.write(Events(items, [MIDNIGHT] * len(items)))
    file.discard()
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == (threads, files)
