"""What manifests record, and how it is read while pulls replace it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.formats import FORMATS
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.destinations.inventory import Scope, Series, StoredWindow
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.files import (
    change_manifest,
    coverage,
    data_files,
    data_paths,
    manifest_paths,
    manifests,
    slices,
    verify,
)
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core

MONTH = ("bounces", "000PE4", "2024-10-01", "2024-11-01")
Found = TypeVar("Found")
FIRST = MIDNIGHT - 3 * DAY  # 2024-10-01


def day(n: int) -> Window:
    return Window(FIRST + (n - 1) * DAY, FIRST + n * DAY)


def test_a_month_with_missing_days_and_hours(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    destination = FileDestination(str(tmp_path))
    for n in range(1, 32):
        if n not in (5, 6, 20):
            land(client, destination, query_of(sandbox, day(n)))
    for hour in range(24):
        if hour != 7:
            begin = day(20).start + hour * HOUR
            land(client, destination, query_of(sandbox, Window(begin, begin + HOUR)))
    hole = Window(day(20).start + 7 * HOUR, day(20).start + 8 * HOUR)
    found = coverage(str(tmp_path), *MONTH)
    assert found.missing == [Window(day(5).start, day(6).end), hole]
    assert found.invalid == []
    assert (len(manifests(str(tmp_path), *MONTH)), len(slices(str(tmp_path), *MONTH))) == (29, 28 + 23)
    # The day replaces its hours; a part of it is refused then.
    land(client, destination, query_of(sandbox, day(20)))
    assert (len(manifests(str(tmp_path), *MONTH)), len(slices(str(tmp_path), *MONTH))) == (29, 29)
    with pytest.raises(Np6ConflictError, match=r"Pull .2024-10-20T00:00:00.000Z, 2024-10-21T00:00:00.000Z"):
        land(client, destination, query_of(sandbox, hole))
    for n in (5, 6):
        land(client, destination, query_of(sandbox, day(n)))
    found = coverage(str(tmp_path), *MONTH)
    assert found.missing == []
    assert found.events == len(held(sandbox, query_of(sandbox, Window(day(1).start, day(31).end))))
    # Other actions and types have folders of their own.
    assert coverage(str(tmp_path), "cancellations", *MONTH[1:]).missing == [Window(day(1).start, day(31).end)]


def test_a_part_of_a_day_is_read_as_the_slices_that_it_touches(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    for hour in range(4):
        begin = MIDNIGHT + hour * HOUR
        land(client, FileDestination(str(root)), query_of(sandbox, Window(begin, begin + HOUR)))
    span = ("bounces", "000PE4", "2024-10-04T01:30:00Z", "2024-10-04T03:00:00Z")
    assert [file.rpartition("/")[2][9:13] for file in data_files(str(root), *span)] == ["0100", "0200"]
    (manifest,) = manifests(str(root), *span)
    assert len(manifest.slices) == 4  # of the whole day
    assert coverage(str(root), *span).missing == []


def test_invalid_events_and_lost_files_are_found(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    destination = FileDestination(str(tmp_path))
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"no time"}')))
    for n in (1, 2, 3):
        land(client, destination, query_of(sandbox, day(n)), quarantine=True)
    span = ("bounces", "000PE4", "2024-10-01", "2024-10-04")
    found = coverage(str(tmp_path), *span)
    assert (found.missing, found.invalid) == ([], [day(1)])
    (data,) = tmp_path.glob("type=*/*/date=2024-10-02/*")
    data.unlink()
    found = coverage(str(tmp_path), *span)
    assert (found.missing, found.invalid) == ([day(2)], [day(1)])
    assert found.events == sum(len(held(sandbox, query_of(sandbox, day(n)))) for n in (1, 3))
    manifest_paths(tmp_path)[2].write_text("{")
    with pytest.raises(Np6DestinationError, match=r"2024-10-03.json cannot be read"):
        coverage(str(tmp_path), *span)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_slice_is_compared_with_its_file(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    land(client, FileDestination(str(tmp_path), format_), query_of(sandbox, day(1)))
    sandbox.plan.add(Fault(body=b"[]"))
    land(client, FileDestination(str(tmp_path), format_), query_of(sandbox, day(2)))
    full, empty = slices(str(tmp_path), *MONTH)
    for slice_ in (full, empty):
        verify(str(tmp_path), slice_)
    assert full.data is not None
    assert data_files(str(tmp_path), *MONTH) == [str(tmp_path / full.data)]
    path = tmp_path / full.data
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Np6DestinationError, match="differs in size or sha256 from its manifest"):
        verify(str(tmp_path), full)
    path.write_bytes(data)
    with pytest.raises(Np6DestinationError, match=f"has {full.events} events, and its manifest records"):
        verify(str(tmp_path), replace(full, events=full.events + 1))
    with pytest.raises(Np6DestinationError, match="is not named"):
        verify(str(tmp_path), replace(full, data=None))
    path.unlink()
    with pytest.raises(Np6DestinationError, match="does not exist"):
        verify(str(tmp_path), full)


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(Np6InputError, match="start"):
        coverage(str(tmp_path), "bounces", "000PE4", "yesterday", "2024-10-02")
    with pytest.raises(Np6InputError, match="unknown event type"):
        coverage(str(tmp_path), "bounce", "000PE4", "2024-10-01", "2024-10-02")
    with pytest.raises(Np6InputError, match="not absolute"):
        coverage("np6", *MONTH)
    whole = Window(FIRST, FIRST + 31 * DAY)
    assert coverage(str(tmp_path), *MONTH).missing == [whole]


def test_an_object_store_is_read_likewise(client: Np6Client, sandbox: Sandbox, s3: str) -> None:
    root = f"{s3}/covered"
    for n in (1, 3):
        land(client, FileDestination(root, "parquet"), query_of(sandbox, day(n)))
    span = ("bounces", "000PE4", "2024-10-01", "2024-10-04")
    assert coverage(root, *span).missing == [day(2)]
    for slice_ in slices(root, *span):
        verify(root, slice_)
    assert [path.startswith(f"{root}/type=bounces/") for path in data_files(root, *span)] == [True, True]


@pytest.mark.parametrize("format_", FORMATS)
def test_duckdb_and_pyarrow_read_what_manifests_name(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    destination = FileDestination(str(tmp_path), format_)
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"no time"}')))
    events = 0
    for event_type in ("bounces", "responses/stop"):
        for n in (1, 2):
            query = query_of(sandbox, day(n), event_type)
            land(client, destination, query, quarantine=True)
            events += len(held(sandbox, query))
    (tmp_path / "type=bounces/action=000PE4/date=2024-10-01/.left.tmp").write_bytes(b"half of a file")
    parquet = format_ == "parquet"
    reader = "read_parquet('{}', " if parquet else "read_json('{}', format = 'newline_delimited', "
    columns = "" if parquet else "columns = {id: 'VARCHAR', timestamp: 'BIGINT'}, "
    pattern = f"{tmp_path}/type=*/*/*/*.{format_}"
    options = "hive_partitioning = true, hive_types_autocast = false)"
    source = reader.format(pattern) + columns + options
    with duckdb.connect() as database:
        id_ = "event_id" if parquet else "id"
        found = database.execute(
            f"SELECT COUNT(*), COUNT(DISTINCT {id_}), MIN(type), MAX(type), MIN(date), ANY_VALUE(action),"
            f" ANY_VALUE(typeof(action)), ANY_VALUE(typeof(date)) FROM {source}"
        ).fetchone()
        kinds = ("VARCHAR", "VARCHAR")
        assert found == (events, events, "bounces", "responses/stop", "2024-10-01", "000PE4", *kinds)
        if parquet:
            described = database.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            types = {name: kind for name, kind, *_ in described if name in ("event_id", "occurred_at")}
            assert types == {"event_id": "VARCHAR", "occurred_at": "TIMESTAMP WITH TIME ZONE"}
    if parquet:
        keys = ds.HivePartitioning(pa.schema([(key, pa.string()) for key in ("type", "action", "date")]))
        table = ds.dataset(tmp_path, format="parquet", partitioning=keys).to_table()
        assert table.num_rows == events
        assert set(table["type"].to_pylist()) == {"bounces", "responses/stop"}
        assert table.schema.field("action").type == table.schema.field("date").type == pa.string()


def test_actions_are_listed(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    assert FileDestination(str(tmp_path)).action_ids("bounces") == []
    for action in ("000PEB", "000PE4"):
        land(client, FileDestination(str(tmp_path)), query_of(sandbox, action=action))
    land(client, FileDestination(str(tmp_path)), query_of(sandbox, event_type="responses/stop", action="*"))
    assert FileDestination(str(tmp_path)).action_ids("bounces") == ["000PE4", "000PEB"]
    assert FileDestination(str(tmp_path)).action_ids("responses/stop") == ["*"]


def test_all_series_of_a_scope_are_read(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    destination = FileDestination(str(tmp_path))
    with pytest.raises(Np6InputError, match="there are no manifests below"):
        destination.stored_windows(Scope(TODAY))
    for n, event_type, action in (
        (4, "bounces", "000PE4"),
        (4, "cancellations", "*"),
        (5, "bounces", "000PEB"),
    ):
        land(client, destination, query_of(sandbox, day(n), event_type, action))
    week = Window(day(1).start, day(8).start)
    bounces, others = Series("bounces", "", "000PE4"), Series("cancellations", "", "*")
    assert destination.stored_windows(Scope(week)) == [
        StoredWindow(bounces, day(4), empty=False, invalid=False),
        StoredWindow(Series("bounces", "", "000PEB"), day(5), empty=False, invalid=False),
        StoredWindow(others, day(4), empty=False, invalid=False),
    ]
    assert [found.series for found in destination.stored_windows(Scope(day(4)))] == [bounces, others]
    only = Scope(week, frozenset(["cancellations"]), frozenset(["*"]))
    assert [found.series for found in destination.stored_windows(only)] == [others]


def test_a_process_reads_only_manifests_that_changed(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = FileDestination(str(tmp_path))
    land(client, destination, query_of(sandbox, Window(day(1).start, day(5).end)))
    names: list[str] = []
    read = LocalStore.read

    def counted(self: LocalStore, name: str) -> object:
        names.append(name.rpartition("/")[2])
        return read(self, name)

    monkeypatch.setattr(LocalStore, "read", counted)
    for expected in (5, 0):
        names.clear()
        assert coverage(str(tmp_path), *MONTH).missing == [Window(day(6).start, day(31).end)]
        assert len(names) == expected
    land(client, destination, query_of(sandbox, day(3)))
    names.clear()
    coverage(str(tmp_path), *MONTH)
    assert names == ["2024-10-03.json"]


@pytest.mark.parametrize("step", ["read 0", "list_files 0", "list_files 1", "list_files 2"])
def test_a_reader_misses_nothing_while_a_pull_replaces_what_it_reads(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between two steps of the reader, the slices of hours become one of a day."""
    destination, span = FileDestination(str(tmp_path)), ("bounces", "000PE4", "2024-10-04", "2024-10-05")
    name, after = step.split()
    method = getattr(LocalStore, name)
    left: list[int] = []

    def meddled(self: LocalStore, *arguments: Any) -> object:
        if left:
            left[0] -= 1
            if left[0] < 0:
                left.clear()
                land(client, destination, query_of(sandbox))
        return method(self, *arguments)

    def while_replaced(find: Callable[..., Found]) -> Found:
        shutil.rmtree(tmp_path)
        for hour in range(24):
            begin = MIDNIGHT + hour * HOUR
            land(client, destination, query_of(sandbox, Window(begin, begin + HOUR)))
        left[:] = [int(after)]
        found = find(str(tmp_path), *span)
        left.clear()
        return found

    monkeypatch.setattr(LocalStore, name, meddled)
    found = while_replaced(coverage)
    assert (found.missing, found.events) == ([], len(held(sandbox, query_of(sandbox))))
    stored = while_replaced(slices)
    assert (stored[0].window.start, stored[-1].window.end) == (TODAY.start, TODAY.end)
    assert sum(slice_.events for slice_ in stored) == found.events
    assert len(while_replaced(data_files)) == len(stored)


def test_a_day_that_is_replaced_all_the_time_is_an_error(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, FileDestination(str(tmp_path)), query_of(sandbox))
    for path in data_paths(tmp_path):
        path.unlink()
    (path,) = manifest_paths(tmp_path)
    read, tokens = LocalStore.read, iter(range(100))

    def replaced(self: LocalStore, name: str) -> object:
        change_manifest(path, lambda record: record.update(token=f"{next(tokens):016x}"))
        return read(self, name)

    monkeypatch.setattr(LocalStore, "read", replaced)
    with pytest.raises(Np6DestinationError, match="is replaced each time that it is read"):
        coverage(str(tmp_path), "bounces", "000PE4", "2024-10-04", "2024-10-05")
