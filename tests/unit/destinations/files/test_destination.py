from __future__ import annotations

import gzip
import hashlib
import json
import resource
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.spool import MAX_OPEN
from airflow_provider_np6.destinations.files.storage.objects import ObjectStore
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6InputError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.files import manifests as read_manifests
from tests.support.files import verify
from tests.support.postgres import free_port
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def tree(root: Path) -> dict[str, str]:
    """Every file with its sha256; manifests, which tell when they were written, by name alone."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(root)): ""
        if path.suffix == ".json"
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()


def manifests(root: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((root / "_manifests").rglob("*.json"))]


def all_lines(root: Path) -> list[bytes]:
    """The events that manifests vouch for, in order."""
    return [
        line for manifest in manifests(root) if manifest["data"] for line in lines(root / manifest["data"])
    ]


@pytest.mark.parametrize("format_", ["jsonl", "jsonl.gz"])
def test_layout_and_bytes(client: Np6Client, sandbox: Sandbox, root: Path, format_: str) -> None:
    query = query_of(sandbox, event_type="responses/stop")
    report = land(client, FileDestination(str(root), format_), query)
    folder = "type=responses%2Fstop/action=000PE4/date=2024-10-04"
    name = "20241004T000000Z_20241005T000000Z"
    assert set(tree(root)) == {
        "_account.json",
        f"{folder}/{name}.{format_}",
        f"_manifests/{folder}/{name}.json",
    }
    assert lines(root / folder / f"{name}.{format_}") == held(sandbox, query)
    size = (root / folder / f"{name}.{format_}").stat().st_size
    assert report == {
        "manifests": f"{root}/_manifests/type=responses%2Fstop/action=000PE4",
        "bytes_written": size,
        "outcome": "created",
        "previous_events": 0,
        "slices": {"created": 1},
        "changed": [["2024-10-04T00:00:00.000Z", "2024-10-05T00:00:00.000Z"]],
    }


def test_the_manifest_proves_the_file(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    query = query_of(sandbox)
    land(client, FileDestination(str(root)), query, pulled_at=MIDNIGHT + 5 * DAY)
    (manifest,) = manifests(root)
    data = (root / manifest["data"]).read_bytes()
    assert manifest == {
        "event_type": "bounces",
        "action_id": "000PE4",
        "classification": "",
        "window_start": "2024-10-04T00:00:00.000Z",
        "window_end": "2024-10-05T00:00:00.000Z",
        "format": "jsonl.gz",
        "data": manifest["data"],
        "events": len(held(sandbox, query)),
        "invalid": 0,
        "first_timestamp": "2024-10-04T00:00:00.000Z",
        "last_timestamp": "2024-10-04T23:59:59.999Z",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "requests": 1,
        "pulled_at": "2024-10-09T00:00:00.000Z",
        "account": "test",
        "personal_data": "keep",
        "provider_version": manifest["provider_version"],
        "version": 1,
    }


def test_a_uri_of_a_local_path_is_the_same(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(f"file://{root}"), query_of(sandbox))
    assert len(tree(root)) == 3


def test_pulling_again_changes_nothing(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = tree(root)
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert tree(root) == before


def test_a_window_over_several_days_is_cut_at_midnight(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT + 12 * HOUR, MIDNIGHT + 2 * DAY + HOUR))
    report = land(client, FileDestination(str(root)), query)
    assert [manifest["window_start"][:13] for manifest in manifests(root)] == [
        "2024-10-04T12",
        "2024-10-05T00",
        "2024-10-06T00",
    ]
    assert all_lines(root) == held(sandbox, query)
    written = sum(manifest["bytes"] for manifest in manifests(root))
    folder = f"{root}/_manifests/type=bounces/action=000PE4"
    assert report == {
        "manifests": folder,
        "bytes_written": written,
        "outcome": "created",
        "previous_events": 0,
        "slices": {"created": 3},
        "changed": [[iso(query.window.start), iso(query.window.end)]],
    }


def test_an_unordered_answer_is_cut_at_midnight_too(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 2 * DAY))
    sandbox.plan.add(Fault(body=b"[" + b",".join(reversed(held(sandbox, query))) + b"]"), times=2)
    land(client, FileDestination(str(root)), query)
    assert sorted(all_lines(root)) == sorted(held(sandbox, query))
    assert [manifest["events"] for manifest in manifests(root)] == [
        len(held(sandbox, query_of(sandbox, day))) for day in query.window.days()
    ]


def test_an_empty_slice_has_a_manifest_only(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    sandbox.plan.add(Fault(body=b"[]"))
    land(client, FileDestination(str(root)), query_of(sandbox))
    (manifest,) = manifests(root)
    assert (manifest["events"], manifest["data"], manifest["sha256"]) == (0, None, None)
    assert [name for name in tree(root) if not name.endswith(".json")] == []


def test_smaller_slices_are_replaced_and_hours_hold_what_the_day_holds(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    for hour in range(24):
        window = Window(MIDNIGHT + hour * HOUR, MIDNIGHT + (hour + 1) * HOUR)
        land(client, FileDestination(str(root), "jsonl"), query_of(sandbox, window))
    hourly = all_lines(root)
    assert len(manifests(root)) == 24
    land(client, FileDestination(str(root), "jsonl.gz"), query_of(sandbox))
    assert all_lines(root) == hourly == held(sandbox, query_of(sandbox))
    assert len(tree(root)) == 3


def test_other_actions_types_and_days_stay(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    others = [
        query_of(sandbox, action=sandbox.account.action_ids[1]),
        query_of(sandbox, event_type="cancellations"),
        query_of(sandbox, Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)),
    ]
    for query in others:
        land(client, FileDestination(str(root)), query)
    before = tree(root)
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert before.items() <= tree(root).items()


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (TODAY, Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)),
        (Window(MIDNIGHT, MIDNIGHT + 2 * HOUR), Window(MIDNIGHT + HOUR, MIDNIGHT + 3 * HOUR)),
        (Window(MIDNIGHT, MIDNIGHT + 2 * HOUR), Window(MIDNIGHT - DAY, MIDNIGHT + HOUR)),
    ],
)
def test_a_slice_that_crosses_or_lies_inside_another_is_refused(
    client: Np6Client, sandbox: Sandbox, root: Path, stored: Window, wanted: Window
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox, stored))
    before, received = tree(root), len(sandbox.received)
    with pytest.raises(Np6ConflictError) as caught:
        land(client, FileDestination(str(root)), query_of(sandbox, wanted))
    taken = stored.union(wanted)
    assert f"Pull {taken} or a larger window" in str(caught.value)
    assert (tree(root), len(sandbox.received)) == (before, received)
    land(client, FileDestination(str(root)), query_of(sandbox, taken))
    assert all_lines(root) == held(sandbox, query_of(sandbox, taken))


def test_data_without_a_manifest_is_removed(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    folder = root / "type=bounces/action=000PE4/date=2024-10-04"
    folder.mkdir(parents=True)
    (folder / "20241003T230000Z_20241004T010000Z.jsonl").write_bytes(b"{}\n")
    (folder / "20241004T010000Z_20241004T020000Z.jsonl").write_bytes(b"{}\n")
    (folder / "README.md").write_text("by hand")
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "20241004T000000Z_20241005T000000Z.jsonl.gz",
    }


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_truncated_answer_leaves_the_tree_as_it_was(
    client: Np6Client, sandbox: Sandbox, root: Path, framing: Any
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = set(root.rglob("*"))
    size = sum(map(len, held(sandbox, query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 2 * DAY)))))
    sandbox.plan.add(Fault(cut=size * 6 // 10, framing=framing))
    sandbox.plan.add(Fault(cut=1, framing=framing), times=99)
    with pytest.raises(Np6TruncatedError):
        land(client, FileDestination(str(root)), query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 2 * DAY)))
    assert set(root.rglob("*")) == before


def test_an_older_pull_that_comes_last_gives_way(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox), pulled_at=MIDNIGHT + 9 * DAY)
    before = tree(root), manifests(root)
    sandbox.plan.add(Fault(body=b"[]"))
    report = land(client, FileDestination(str(root)), query_of(sandbox), pulled_at=MIDNIGHT + 8 * DAY)
    assert (report["outcome"], report["slices"], report["changed"]) == ("superseded", {"superseded": 1}, [])
    assert (tree(root), manifests(root)) == before


def test_another_account_is_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox), account="ours")
    with pytest.raises(Np6ConflictError, match="account 'ours'"):
        land(
            client,
            FileDestination(str(root)),
            query_of(sandbox, event_type="cancellations"),
            account="theirs",
        )
    assert len(sandbox.received) == 1


@pytest.mark.parametrize(("stored", "wanted"), [("*", "000PE4"), ("000PE4", "*")])
def test_all_actions_and_single_ones_do_not_mix(
    client: Np6Client, sandbox: Sandbox, root: Path, stored: str, wanted: str
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox, action=stored))
    with pytest.raises(Np6ConflictError, match="pulled for action="):
        land(client, FileDestination(str(root)), query_of(sandbox, action=wanted))
    tomorrow = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
    land(client, FileDestination(str(root)), query_of(sandbox, tomorrow, action=wanted))
    assert len(manifests(root)) == 2


def test_all_actions_by_one_request(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    query = query_of(sandbox, action="*")
    land(client, FileDestination(str(root)), query)
    assert (root / "type=bounces/action=__all__/date=2024-10-04").is_dir()
    assert all_lines(root) == held(sandbox, query)


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        (FileDestination("relative/path"), "is not absolute"),
        (FileDestination(""), "path of FileDestination is ''"),
        (FileDestination("None"), "path of FileDestination is 'None'"),
        (FileDestination(None), "path of FileDestination is None"),  # type: ignore[arg-type]
        (FileDestination("/tmp/x", "csv"), "unknown format 'csv'"),
        (FileDestination("s3://key:s3cret@bucket/x"), "holds a password"),
        (FileDestination("/dev/null/x"), "cannot be"),
        (FileDestination("/proc/x"), "cannot be"),
        (FileDestination("nonsense://bucket/x"), "nothing that is installed opens nonsense://"),
        (FileDestination("s3:/bucket/x"), "is no URI. Write s3://"),
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
    destination = FileDestination(f"{s3}/np6")
    for hour in range(3):
        land(
            client,
            destination,
            query_of(sandbox, Window(MIDNIGHT + hour * HOUR, MIDNIGHT + (hour + 1) * HOUR)),
        )
    report = land(client, destination, query_of(sandbox))
    folder, name = "type=bounces/action=000PE4/date=2024-10-04", "20241004T000000Z_20241005T000000Z"
    root = ObjectStoragePath(f"{s3}/np6")
    root.fs.invalidate_cache()
    stored = {path.split("/np6/", 1)[1] for path in root.fs.find(root.path)}
    assert stored == {"_account.json", f"{folder}/{name}.jsonl.gz", f"_manifests/{folder}/{name}.json"}
    assert gzip.decompress((root / folder / f"{name}.jsonl.gz").read_bytes()).splitlines() == held(
        sandbox, query_of(sandbox)
    )
    assert report["manifests"] == f"{s3}/np6/_manifests/{folder.rsplit('/', 1)[0]}"


def test_a_bucket_that_is_not_there_is_told_before_any_request(
    client: Np6Client, sandbox: Sandbox, s3: str
) -> None:
    with pytest.raises(Np6InputError, match="there is no 'nowhere'"):
        land(client, FileDestination(s3.replace("lake", "nowhere")), query_of(sandbox))
    assert sandbox.received == []


def test_a_temporary_that_a_killed_worker_left_is_removed_and_a_living_ones_is_not(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    folder = root / "type=bounces/action=000PE4/date=2024-10-04"
    folder.mkdir(parents=True)
    left = folder / ".20241004T000000Z_20241005T000000Z.jsonl.gz.0a1b2c3d.tmp"
    left.write_bytes(b"half")
    with FileDestination(str(root)).open(query_of(sandbox), "test"):
        (living,) = folder.glob(".*.tmp")
        assert living != left
        land(client, FileDestination(str(root)), query_of(sandbox))
        assert list(folder.glob(".*.tmp")) == [living]
    assert list(folder.glob(".*.tmp")) == []


def test_invalid_events_stand_beside_and_go_with_their_window(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(120, b'{"id":"\xff"}')))
    land(client, FileDestination(str(root)), query_of(sandbox), quarantine=True)
    (manifest,) = manifests(root)
    assert (manifest["events"], manifest["invalid"]) == (240, 1)
    (path,) = (root / "_quarantine").rglob("*.bad")
    assert path.relative_to(root / "_quarantine").with_suffix(".json") == Path(
        "type=bounces/action=000PE4/date=2024-10-04/20241004T000000Z_20241005T000000Z.json"
    )
    record = json.loads(path.read_text())
    assert record["event"] == "base64:eyJpZCI6Iv8ifQ=="
    assert (record["reason"], record["position"]) == ("is not UTF-8", 120)
    assert record["sha256"] == hashlib.sha256(b'{"id":"\xff"}').hexdigest()
    land(client, FileDestination(str(root)), query_of(sandbox), quarantine=True)
    assert list((root / "_quarantine").rglob("*.bad")) == []
    assert manifests(root)[0]["invalid"] == 0


def test_gzip_files_tell_neither_name_nor_time(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    (path,) = root.rglob("*.jsonl.gz")
    assert path.read_bytes()[3:8] == b"\0\0\0\0\0"


def test_a_window_of_many_days_needs_few_open_files(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 60 * DAY))
    for change in (None, faults.shuffled(1)):
        sandbox.plan.add(Fault(change=change), times=2)
        before = len(list(Path("/proc/self/fd").iterdir()))
        with FileDestination(str(root)).open(query, "test") as landing:
            proof = pull(client, query, landing.spool)
            # One lock for each temporary, and no more than MAX_OPEN files to write to.
            assert len(list(Path("/proc/self/fd").iterdir())) <= before + 60 + MAX_OPEN + 3
            landing.publish(proof)
        sandbox.plan.clear()
        assert sorted(all_lines(root)) == sorted(held(sandbox, query))
        for told in manifests(root):
            data = (root / told["data"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (told["bytes"], told["sha256"])


def test_a_full_disk_leaves_nothing(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = set(root.rglob("*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, limits[1]))
    try:
        with pytest.raises(Np6DestinationError, match="File too large"):
            land(client, FileDestination(str(root)), query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 3 * DAY)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(root.rglob("*")) == before


def test_an_unreadable_manifest_is_replaced(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    (path,) = (root / "_manifests").rglob("*.json")
    path.write_bytes(b"")
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert all_lines(root) == held(sandbox, query_of(sandbox))


def test_what_changed_between_opening_and_publishing_is_checked_again(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + HOUR))
    with FileDestination(str(root)).open(query, "test") as landing:
        proof = pull(client, query, landing.spool)
        land(client, FileDestination(str(root)), query_of(sandbox))
        before = tree(root)
        with pytest.raises(Np6ConflictError):
            landing.publish(proof)
    assert {name for name in tree(root) if ".tmp" not in name} == {
        name for name in before if ".tmp" not in name
    }


def test_a_store_that_is_away_is_left_to_airflows_retries(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"endpoint_url": f"http://127.0.0.1:{free_port()}", "region_name": "us-east-1"}
    options["config_kwargs"] = {"retries": {"total_max_attempts": 1}}  # type: ignore[assignment]
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": options}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_AWAY", json.dumps(connection))
    with pytest.raises(Np6DestinationError) as caught:
        land(client, FileDestination("s3://aws_away@lake/np6"), query_of(sandbox))
    assert caught.value.retryable
    assert sandbox.received == []


class Meddling(ObjectStore):
    """An object store where another pull acts between two steps of this one's publication."""

    step = ""
    meddle: Callable[[], object] = staticmethod(lambda: None)

    def put(self, temporary: Path, folder: str, name: str) -> None:
        kind = "manifest" if folder.startswith("_manifests") else "account" if folder == "" else "data"
        if kind == type(self).step:
            type(self).step = ""
            type(self).meddle()
        super().put(temporary, folder, name)


def meddle(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Do something just before the next pull into an object store puts its data or manifest."""
    monkeypatch.setattr("airflow_provider_np6.destinations.files.storage.ObjectStore", Meddling)
    monkeypatch.setattr(Meddling, "meddle", staticmethod(act))
    monkeypatch.setattr(Meddling, "step", step)


HOURS = Window(MIDNIGHT + 6 * HOUR, MIDNIGHT + 9 * HOUR)
CROSSING = Window(MIDNIGHT + 8 * HOUR, MIDNIGHT + 12 * HOUR)


OTHERS = {"containing": TODAY, "equal": HOURS, "crossing": CROSSING}


@pytest.mark.parametrize("case", [f"{name} {step}" for name in OTHERS for step in ("data", "manifest")])
def test_two_pulls_at_once_never_leave_two_claims_or_a_wrong_proof(
    client: Np6Client, sandbox: Sandbox, s3: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other pull sees fewer events, so that its file of an equal window is another one."""
    name, step = case.split()
    other = OTHERS[name]
    root = f"{s3}/races/{name}/{step}"
    destination = FileDestination(root)

    def pull_other() -> None:
        sandbox.plan.add(Fault(change=faults.capped(3)))
        land(client, destination, query_of(sandbox, other))

    meddle(monkeypatch, step, pull_other)
    withdrawn: Np6DestinationError | None = None
    try:
        land(client, destination, query_of(sandbox, HOURS))
    except Np6DestinationError as error:
        withdrawn = error
    if withdrawn is not None:
        assert "at the same time" in str(withdrawn)
        assert withdrawn.retryable
    assert (withdrawn is not None) == (other != HOURS or step == "manifest")
    span = ("bounces", "000PE4", "2024-10-04", "2024-10-05")
    found = read_manifests(root, *span)
    for slice_ in found:
        verify(root, slice_)
    if withdrawn is None:
        assert [(slice_.window, slice_.events) for slice_ in found] == [
            (HOURS, len(held(sandbox, query_of(sandbox, HOURS))))
        ]
    elif other != HOURS:
        assert [(slice_.window, slice_.events) for slice_ in found] == [(other, 3)]
    # The next try ends as if nothing had been.
    wanted = other if other == TODAY else HOURS
    if other == CROSSING:
        with pytest.raises(Np6ConflictError):
            land(client, destination, query_of(sandbox, HOURS))
        return
    land(client, destination, query_of(sandbox, wanted))
    (slice_,) = read_manifests(root, *span)
    verify(root, slice_)
    assert slice_.events == len(held(sandbox, query_of(sandbox, wanted)))


RIVALS = {"000PE4": "*", "*": "000PE4"}


@pytest.mark.parametrize("case", [f"{action} {step}" for action in RIVALS for step in ("data", "manifest")])
def test_all_actions_and_single_ones_at_once_never_both_stay(
    client: Np6Client, sandbox: Sandbox, s3: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, step = case.split()
    others = RIVALS[mine]
    root = f"{s3}/rivals/{step}/{len(mine)}"
    destination = FileDestination(root)
    query = replace(query_of(sandbox, HOURS), action_id=mine)
    other = replace(query, action_id=others)
    meddle(monkeypatch, step, lambda: land(client, destination, other))
    with pytest.raises(Np6DestinationError, match="at the same time") as withdrawn:
        land(client, destination, query)
    assert withdrawn.value.retryable
    span = ("2024-10-04", "2024-10-05")
    assert read_manifests(root, "bounces", mine, *span) == []
    (stored,) = read_manifests(root, "bounces", others, *span)
    verify(root, stored)
    with pytest.raises(Np6ConflictError, match="pulled for action="):
        land(client, destination, query)


def test_pulls_of_one_local_tree_publish_one_after_the_other(
    sandbox: Sandbox, settings: Np6Config, root: Path
) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    windows = [
        HOURS,
        HOURS,
        *[Window(HOURS.start + n * HOUR, HOURS.start + (n + 1) * HOUR) for n in range(3)],
    ]
    failures: list[Exception] = []

    def pull_often(window: Window) -> None:
        with closing(Np6Client(settings)) as own:
            for _ in range(5):
                try:
                    land(own, FileDestination(str(root)), query_of(sandbox, window))
                except Np6ConflictError:
                    continue  # the larger window stands there
                except Exception as error:
                    failures.append(error)

    threads = [threading.Thread(target=pull_often, args=(window,)) for window in windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all_lines(root) == held(sandbox, query_of(sandbox, HOURS))
    (slice_,) = read_manifests(str(root), "bounces", "000PE4", "2024-10-04", "2024-10-05")
    verify(str(root), slice_)
