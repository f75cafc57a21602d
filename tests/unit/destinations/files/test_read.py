"""What manifests say of a tree, and how they are compared with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import duckdb
import jsonschema
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.formats import FORMATS
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.files import coverage, data_files, manifests, verify
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core

SCHEMA = json.loads(
    files("airflow_provider_np6.destinations.files").joinpath("manifest.schema.json").read_text()
)
MONTH = ("bounces", "000PE4", "2024-10-01", "2024-11-01")
Found = TypeVar("Found")
FIRST = MIDNIGHT - 3 * DAY  # 2024-10-01


def day(n: int) -> Window:
    return Window(FIRST + (n - 1) * DAY, FIRST + n * DAY)


def test_a_month_with_holes_and_hours(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
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
    # The day replaces its hours; a part of it is refused then.
    land(client, destination, query_of(sandbox, day(20)))
    assert len(manifests(str(tmp_path), *MONTH)) == 29
    with pytest.raises(Np6ConflictError, match=r"Pull .2024-10-20T00:00:00.000Z, 2024-10-21T00:00:00.000Z"):
        land(client, destination, query_of(sandbox, hole))
    for n in (5, 6):
        land(client, destination, query_of(sandbox, day(n)))
    found = coverage(str(tmp_path), *MONTH)
    assert found.missing == []
    assert found.events == len(held(sandbox, query_of(sandbox, Window(day(1).start, day(31).end))))
    # Other actions and types are other trees.
    assert coverage(str(tmp_path), "cancellations", *MONTH[1:]).missing == [Window(day(1).start, day(31).end)]


def test_overlaps_invalid_events_and_lost_files_are_found(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    destination = FileDestination(str(tmp_path))
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"no time"}')))
    land(client, destination, query_of(sandbox, day(1)), quarantine=True)
    for window in (day(2), Window(day(3).start, day(3).end - 12 * HOUR)):
        land(client, destination, query_of(sandbox, window))
    # Two machines with two views of one tree could leave this; here it is made by hand.
    (manifest,) = (tmp_path / "_manifests").rglob("20241003*.json")
    told = json.loads(manifest.read_text())
    told |= {"window_start": "2024-10-03T06:00:00.000Z", "window_end": "2024-10-04T00:00:00.000Z"}
    told |= {"data": None, "events": 0}
    manifest.with_name("20241003T060000Z_20241004T000000Z.json").write_text(json.dumps(told))
    span = ("bounces", "000PE4", "2024-10-01", "2024-10-04")
    found = coverage(str(tmp_path), *span)
    problems = destination.verify().problems
    assert any("T06:00:00.000Z, " in problem and "overlaps" in problem for problem in problems)
    assert found.invalid == [day(1)]
    assert found.missing == []
    (data,) = tmp_path.glob("type=*/*/date=2024-10-02/*")
    data.unlink()
    assert coverage(str(tmp_path), *span).missing == [day(2)]
    manifest.write_text("{")
    with pytest.raises(Np6DestinationError, match=r"20241003T000000Z_20241003T120000Z.json cannot be read"):
        coverage(str(tmp_path), *span)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_manifest_follows_its_schema_and_is_compared_with_its_file(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    land(client, FileDestination(str(tmp_path), format_), query_of(sandbox, day(1)))
    sandbox.plan.add(Fault(body=b"[]"))
    land(client, FileDestination(str(tmp_path), format_), query_of(sandbox, day(2)))
    full, empty = manifests(str(tmp_path), *MONTH)
    assert SCHEMA["required"] == [field.name for field in fields(Manifest)] == list(SCHEMA["properties"])
    for manifest in (full, empty):
        jsonschema.validate(json.loads(manifest.encode()), SCHEMA)
        assert Manifest.decode(manifest.encode()) == manifest
        verify(str(tmp_path), manifest)
    assert full.data is not None
    assert data_files(str(tmp_path), *MONTH) == [str(tmp_path / full.data)]
    path = tmp_path / full.data
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Np6DestinationError, match="or a sha256"):
        verify(str(tmp_path), full)
    path.write_bytes(data)
    more = {name: getattr(full, name) for name in SCHEMA["required"]} | {"events": full.events + 1}
    with pytest.raises(Np6DestinationError, match=f"holds {full.events} events"):
        verify(str(tmp_path), Manifest(**more))
    path.unlink()
    with pytest.raises(Np6DestinationError, match="is gone"):
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
    for manifest in manifests(root, *span):
        verify(root, manifest)
    assert [path.startswith(f"{root}/type=bounces/") for path in data_files(root, *span)] == [True, True]


@pytest.mark.parametrize("format_", FORMATS)
def test_duckdb_and_pyarrow_read_the_whole_tree(
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


def test_a_tree_tells_its_actions(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    assert FileDestination(str(tmp_path)).action_ids("bounces") == []
    for action in ("000PEB", "000PE4"):
        land(client, FileDestination(str(tmp_path)), query_of(sandbox, action=action))
    land(client, FileDestination(str(tmp_path)), query_of(sandbox, event_type="responses/stop", action="*"))
    assert FileDestination(str(tmp_path)).action_ids("bounces") == ["000PE4", "000PEB"]
    assert FileDestination(str(tmp_path)).action_ids("responses/stop") == ["*"]


@pytest.mark.parametrize(
    "case", [f"{step} {after}" for step in ("read _manifests/", "names type=") for after in (0, 1, 23)]
)
def test_a_reader_misses_nothing_while_a_pull_replaces_what_it_reads(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Between two steps of the reader, the slices of hours become one of a day."""
    destination, span = FileDestination(str(tmp_path)), ("bounces", "000PE4", "2024-10-04", "2024-10-05")
    name, folders, after = case.split()
    whole = getattr(LocalStore, name)
    left: list[int] = []

    def meddled(self: LocalStore, folder: str, *names: str) -> object:
        if left and folder.startswith(folders):
            left[0] -= 1
            if left[0] < 0:
                left.clear()
                land(client, destination, query_of(sandbox))
        return whole(self, folder, *names)

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
    stored = while_replaced(manifests)
    assert (stored[0].window.start, stored[-1].window.end) == (TODAY.start, TODAY.end)
    assert sum(manifest.events for manifest in stored) == found.events
    assert len(while_replaced(data_files)) == len([manifest for manifest in stored if manifest.data])
