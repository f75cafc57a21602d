"""Files compared with their manifests, and files that no manifest names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.storage import local
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.files import (
    all_manifests,
    all_slices,
    change_manifest,
    data_paths,
    manifest_paths,
    named_paths,
    snapshot,
)
from tests.support.pulls import HOUR, MIDNIGHT, held, land, query_of

pytestmark = pytest.mark.core

BOTH = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
FOLDER = "type=bounces/action=000PE4/date=2024-10-04"
NAME = "20241004T000000Z_20241004T010000Z-e0-00000000000000a1"


@pytest.fixture
def destination(client: Np6Client, sandbox: Sandbox, root: Path) -> FileDestination:
    """Two days, of which the first has an invalid event."""
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"x"}')))
    destination = FileDestination(str(root), "jsonl")
    land(client, destination, query_of(sandbox, BOTH), quarantine=True)
    return destination


def manifest_path(root: Path) -> Path:
    """The manifest of the first day."""
    return manifest_paths(root)[0]


def test_what_is_as_it_was_recorded_is_counted(
    destination: FileDestination, sandbox: Sandbox, root: Path
) -> None:
    before = snapshot(root)
    for read_files in (True, False):
        verification = destination.verify(read_files=read_files)
        assert (verification.is_ok, verification.problems, verification.orphans) == (True, [], [])
        assert verification.windows == 2
        assert verification.events == len(held(sandbox, query_of(sandbox, BOTH)))
        assert verification.bytes == sum(slice_.bytes for slice_ in all_slices(root))
    assert snapshot(root) == before


def test_nothing_that_was_ever_pulled_is_an_error(root: Path) -> None:
    with pytest.raises(Np6InputError, match="nothing was ever pulled into it"):
        FileDestination(str(root)).verify()
    assert not root.exists()


@pytest.mark.parametrize("read_files", [True, False])
def test_a_lost_or_cut_file_is_a_problem_of_its_slice(
    destination: FileDestination, root: Path, read_files: bool
) -> None:
    first, second = sorted(root.glob("type=*/*/*/*"))
    first_size = first.stat().st_size
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    verification = destination.verify(read_files=read_files)
    assert len(verification.problems) == 2
    assert verification.windows == 2
    cut = "differs in size or sha256" if read_files else f"has {first_size - 1} bytes, not {first_size}"
    for problem, path, what in zip(
        verification.problems, manifest_paths(root), (cut, "does not exist"), strict=True
    ):
        assert problem.startswith(f"{path}, window [")
        assert what in problem


def test_other_bytes_of_the_same_size_are_found_by_reading(destination: FileDestination, root: Path) -> None:
    data = next(root.glob("type=*/*/*/*"))
    data.write_bytes(data.read_bytes().replace(b"timestamp", b"timestamq", 1))
    assert destination.verify(read_files=False).is_ok
    (problem,) = destination.verify().problems
    assert "differs in size or sha256 from its manifest" in problem


@pytest.mark.parametrize("content", [b"", None])
def test_a_quarantine_file_is_compared_too(
    destination: FileDestination, root: Path, content: bytes | None
) -> None:
    (path,) = root.glob("_quarantine/*/*/*/*")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    (problem,) = destination.verify().problems
    assert "the manifest records 1 invalid events, and its quarantine file has 0" in problem


def overlap(record: dict[str, Any]) -> None:
    (slice_,) = record["slices"]
    other = {**slice_, "window_start": iso(MIDNIGHT + HOUR), "data": None, "quarantine": None}
    record["slices"].append({**other, "events": 0, "invalid": 0})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (overlap, "overlaps [2024-10-04T00:00:00.000Z, 2024-10-05T00:00:00.000Z)"),
        (lambda record: record.update(action_id="000PEB"), "it is the manifest of bounces of 000PEB"),
        (lambda record: record.update(event_type="hits/open"), "it is the manifest of hits/open of 000PE4"),
        (lambda record: record.update(classification="gsr"), "it is the manifest of bounces of 000PE4"),
        (lambda record: record.update(date="2024-10-06"), "it has slices of another day than 2024-10-04"),
        (lambda record: record["slices"][0].update(events=1), "events, and its manifest records 1"),
        (lambda record: record.update(slices=[{}]), "2024-10-04.json cannot be read"),
    ],
)
def test_what_a_manifest_should_not_say_is_a_problem(
    destination: FileDestination, root: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    change_manifest(manifest_path(root), change)
    problems = destination.verify().problems
    assert any(says in problem for problem in problems), problems


def test_a_manifest_of_another_day_in_its_place_is_a_problem(
    destination: FileDestination, root: Path
) -> None:
    first, second = manifest_paths(root)
    first.write_bytes(second.read_bytes())
    assert any(
        "slices of another day than 2024-10-04" in problem for problem in destination.verify().problems
    )


def test_an_unreadable_manifest_is_a_problem_and_its_files_are_not_removed(
    destination: FileDestination, root: Path
) -> None:
    manifest_path(root).write_bytes(b"{")
    before = snapshot(root)
    verification = destination.verify(remove_orphans=True)
    assert [problem.partition(": ")[2] for problem in verification.problems] == [
        f"the manifest {manifest_path(root)} cannot be read"
    ]
    assert (verification.windows, verification.orphans) == (1, [])
    assert snapshot(root) == before


def test_an_erasure_that_is_not_finished_is_a_problem(destination: FileDestination, root: Path) -> None:
    destination.erase(["nobody@example.com"], Pseudonyms("a key of 32 characters or longer"), "test")
    assert destination.verify().is_ok
    change_manifest(manifest_path(root), lambda record: record.update(erasures=0))
    (problem,) = destination.verify().problems
    assert problem == f"{manifest_path(root)}: an erasure is not finished: call erase() again"
    destination.erase(["nobody@example.com"], Pseudonyms("a key of 32 characters or longer"), "test")
    assert destination.verify().is_ok


@pytest.fixture
def orphans(destination: FileDestination, root: Path) -> list[str]:
    """Files that no manifest names, of a day with a manifest and of one without; and files of others."""
    others = FOLDER.replace("2024-10-04", "2024-10-06")
    names = [
        f"_quarantine/{FOLDER}/{NAME}.bad",
        f"{FOLDER}/.{NAME}.jsonl.gz.tmp",
        f"{FOLDER}/{NAME}.jsonl",
        f"{others}/{NAME}.parquet",
    ]
    for name in [*names, f"{FOLDER}/README.md", "type=notes.txt", "_quarantine/notes.txt"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"{}\n")
    return [str(root / name) for name in names]


def test_files_that_no_manifest_names_are_no_damage(
    destination: FileDestination, root: Path, orphans: list[str]
) -> None:
    before = snapshot(root)
    for read_files in (True, False):
        verification = destination.verify(read_files=read_files)
        assert verification.is_ok
        assert sorted(verification.orphans) == sorted(orphans)
    assert snapshot(root) == before


def test_they_are_removed_on_request_and_listed_as_removed_first(
    destination: FileDestination, root: Path, orphans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = all_slices(root)
    delete = LocalStore.delete

    def checked(self: LocalStore, name: str) -> None:
        assert any(name in manifest.removed for manifest in all_manifests(root))
        delete(self, name)

    monkeypatch.setattr(LocalStore, "delete", checked)
    verification = destination.verify(remove_orphans=True)
    assert verification.is_ok
    assert sorted(verification.orphans) == sorted(orphans)
    assert [path for path in map(Path, orphans) if path.exists()] == []
    assert [path.name for path in data_paths(root) if path not in named_paths(root)] == ["README.md"]
    assert (root / "type=notes.txt").exists()
    assert all_slices(root) == slices
    assert destination.verify(remove_orphans=True).orphans == []


def test_probes_and_files_that_were_being_put_are_orphans_too(
    destination: FileDestination, root: Path
) -> None:
    left = [root / "_probe-0123456789abcdef", root / f"{local.TEMPORARY}.tmp"]
    for path in left:
        path.write_bytes(b"1")
    for remove in (False, True):
        verification = destination.verify(remove_orphans=remove)
        assert verification.is_ok
        assert sorted(verification.orphans) == sorted(map(str, left))
    assert destination.verify().orphans == []


def test_a_day_that_is_replaced_while_it_is_verified_is_no_damage(
    destination: FileDestination,
    client: Np6Client,
    sandbox: Sandbox,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    open_ = LocalStore.open

    def replaced(self: LocalStore, name: str) -> Any:
        opened.append(name)
        if len(opened) == 1:
            land(client, FileDestination(str(root), "jsonl.gz"), query_of(sandbox), on_shrink="replace")
        return open_(self, name)

    monkeypatch.setattr(LocalStore, "open", replaced)
    verification = destination.verify()
    assert (verification.problems, verification.orphans) == ([], [])
    assert verification.events == len(held(sandbox, query_of(sandbox, BOTH)))
    assert len(opened) == 3


def test_a_file_that_is_published_after_the_listing_is_no_damage(
    destination: FileDestination,
    client: Np6Client,
    sandbox: Sandbox,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Data is listed first; what is published between the listings has a name that is not listed."""
    list_files = LocalStore.list_files
    pulled: list[str] = []

    def meddled(self: LocalStore, folder: str, *limits: str) -> Any:
        if folder == "_manifests" and not pulled:
            pulled.append(folder)
            land(client, FileDestination(str(root), "jsonl.gz"), query_of(sandbox), on_shrink="replace")
        return list_files(self, folder, *limits)

    monkeypatch.setattr(LocalStore, "list_files", meddled)
    for read_files in (True, False):
        pulled.clear()
        verification = destination.verify(read_files=read_files)
        assert pulled
        assert verification.problems == []
