"""Files as users see them: their layout, and places that cannot be used."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Sandbox
from tests.support.files import all_lines, all_manifests, all_slices, lines, snapshot
from tests.support.pulls import HOUR, MIDNIGHT, held, land, query_of

pytestmark = pytest.mark.core

TOKEN = "[0-9a-f]{16}"


@pytest.mark.parametrize("format_", ["jsonl", "jsonl.gz"])
def test_layout_and_bytes(client: Np6Client, sandbox: Sandbox, root: Path, format_: str) -> None:
    query = query_of(sandbox, event_type="responses/stop")
    report = land(client, FileDestination(str(root), format_), query)
    folder = "type=responses%2Fstop/action=000PE4"
    (data,) = (root / folder / "date=2024-10-04").iterdir()
    assert re.fullmatch(rf"20241004T000000Z_20241005T000000Z-e0-{TOKEN}\.{re.escape(format_)}", data.name)
    assert set(snapshot(root)) == {
        "_header.json",
        str(data.relative_to(root)),
        f"_manifests/{folder}/2024-10-04.json",
    }
    assert lines(data) == held(sandbox, query)
    assert report == {
        "manifests": f"{root}/_manifests/{folder}",
        "bytes_written": data.stat().st_size,
        "outcome": "created",
        "events": len(held(sandbox, query)),
        "previous_events": 0,
        "slices": {"created": 1},
        "changed": [["2024-10-04T00:00:00.000Z", "2024-10-05T00:00:00.000Z"]],
    }


def test_the_manifest_describes_its_file(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    query = query_of(sandbox)
    land(client, FileDestination(str(root)), query, pulled_at=MIDNIGHT + 5 * DAY)
    (manifest,) = all_manifests(root)
    (slice_,) = manifest.slices
    assert slice_.data is not None
    data = (root / slice_.data).read_bytes()
    assert asdict(slice_) == {
        "window_start": "2024-10-04T00:00:00.000Z",
        "window_end": "2024-10-05T00:00:00.000Z",
        "data": slice_.data,
        "format": "jsonl.gz",
        "events": len(held(sandbox, query)),
        "invalid": 0,
        "quarantine": None,
        "quarantine_sha256": None,
        "first_timestamp": "2024-10-04T00:00:00.000Z",
        "last_timestamp": "2024-10-04T23:59:59.999Z",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "requests": 1,
        "pulled_at": "2024-10-09T00:00:00.000Z",
        "expired": False,
        "token": slice_.token,
    }
    assert {**asdict(manifest), "slices": (), "token": "", "provider_version": ""} == {
        "event_type": "bounces",
        "action_id": "000PE4",
        "classification": "",
        "date": "2024-10-04",
        "slices": (),
        "removed": (),
        "erasures": 0,
        "token": "",
        "provider_version": "",
        "version": 1,
    }


def test_a_uri_of_a_local_path_is_the_same(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(f"file://{root}"), query_of(sandbox))
    report = land(client, FileDestination(str(root)), query_of(sandbox))
    assert report["outcome"] == "unchanged"
    assert len(snapshot(root)) == 3


@pytest.mark.parametrize("name", ["a[b]?c*", "a b", "é#%41", "{run}"])
def test_any_name_of_a_root_is_taken_as_it_is(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    root = tmp_path / name
    for _ in range(2):
        land(client, FileDestination(str(root)), query_of(sandbox))
    assert all_lines(root) == held(sandbox, query_of(sandbox))
    destination = FileDestination(str(root))
    assert destination.verify().is_ok
    assert len(destination.data_files("bounces", "000PE4", "2024-10-04", "2024-10-05")) == 1
    assert destination.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").is_complete
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_actions_types_and_days_stay(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    others = [
        query_of(sandbox, action=sandbox.account.action_ids[1]),
        query_of(sandbox, event_type="cancellations"),
        query_of(sandbox, Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)),
    ]
    for query in others:
        land(client, FileDestination(str(root)), query)
    before = snapshot(root)
    land(client, FileDestination(str(root)), query_of(sandbox))
    after = snapshot(root)
    del before["_header.json"], after["_header.json"]
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2


@pytest.mark.parametrize(("stored", "wanted"), [("*", "000PE4"), ("000PE4", "*")])
def test_a_series_has_one_form_for_ever(
    client: Np6Client, sandbox: Sandbox, root: Path, stored: str, wanted: str
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox, action=stored))
    before, received = snapshot(root), len(sandbox.received)
    tomorrow = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
    with pytest.raises(Np6ConflictError, match="Pull this event type in one form, or use two destinations"):
        land(client, FileDestination(str(root)), query_of(sandbox, tomorrow, action=wanted))
    assert (snapshot(root), len(sandbox.received)) == (before, received)
    land(client, FileDestination(str(root)), query_of(sandbox, tomorrow, "cancellations", wanted))
    assert len(all_manifests(root)) == 2


def test_all_actions_by_one_request(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    query = query_of(sandbox, action="*")
    land(client, FileDestination(str(root)), query)
    assert (root / "type=bounces/action=__all__/date=2024-10-04").is_dir()
    assert all_lines(root) == held(sandbox, query)


def test_another_account_is_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox), account="ours")
    query = query_of(sandbox, event_type="cancellations")
    with pytest.raises(Np6ConflictError, match="account 'ours'"):
        land(client, FileDestination(str(root)), query, account="theirs")
    assert len(sandbox.received) == 1


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        (FileDestination("relative/path"), "is not absolute"),
        (FileDestination(""), "path of FileDestination is ''"),
        (FileDestination("None"), "path of FileDestination is 'None'"),
        (FileDestination(None), "path of FileDestination is None"),  # type: ignore[arg-type]
        (FileDestination("/tmp/x", "csv"), "unknown format 'csv'"),
        (FileDestination("s3://key:s3cret@bucket/x"), "password"),
        (FileDestination("/dev/null/x"), "cannot be used: Not a directory"),
        (FileDestination("/proc/x"), "cannot be"),
        (FileDestination("nonsense://bucket/x"), "no installed package supports nonsense://"),
        (FileDestination("s3:/bucket/x"), "is not a URI. Write s3://"),
    ],
)
def test_unusable_places_are_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, destination: FileDestination, says: str
) -> None:
    with pytest.raises(Np6InputError, match=says) as caught:
        land(client, destination, query_of(sandbox))
    assert sandbox.received == []
    assert "s3cret" not in str(caught.value)


def test_an_object_store(client: Np6Client, sandbox: Sandbox, s3: str) -> None:
    destination = FileDestination(f"{s3}/objects")
    for hour in range(3):
        window = Window(MIDNIGHT + hour * HOUR, MIDNIGHT + (hour + 1) * HOUR)
        land(client, destination, query_of(sandbox, window))
    report = land(client, destination, query_of(sandbox))
    destination.verify(remove_orphans=True)  # an older server honors no conditions: then replaced files stay
    folder = "type=bounces/action=000PE4"
    root = ObjectStoragePath(f"{s3}/objects")
    root.fs.invalidate_cache()
    (data,) = destination.data_files("bounces", "000PE4", "2024-10-04", "2024-10-05")
    stored = {path.split("/objects/", 1)[1] for path in root.fs.find(root.path)}
    assert stored == {
        "_header.json",
        data.removeprefix(f"{s3}/objects/"),
        f"_manifests/{folder}/2024-10-04.json",
    }
    assert gzip.decompress(ObjectStoragePath(data).read_bytes()).splitlines() == held(
        sandbox, query_of(sandbox)
    )
    assert report["manifests"] == f"{s3}/objects/_manifests/{folder}"


def test_a_manifest_is_json_with_one_field_per_line(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    text = (root / "_manifests/type=bounces/action=000PE4/2024-10-04.json").read_text()
    assert text.endswith("}\n")
    assert len(text.splitlines()) > len(json.loads(text)) + len(asdict(all_slices(root)[0]))
