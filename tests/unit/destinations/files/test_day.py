"""One stored day, and the conditional put that changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations.files.day import StoredDay
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.np6.query import EventQuery
from tests.support.files import age, make_slice
from tests.support.pulls import TODAY

pytestmark = pytest.mark.core

QUERY = EventQuery("bounces", "000PE4", TODAY)
FOLDER = "type=bounces/action=000PE4/date=2024-10-04"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


@pytest.fixture
def day(store: LocalStore) -> StoredDay:
    return StoredDay(store, QUERY, TODAY.date)


def put(root: Path, *tokens: str) -> list[str]:
    """Data files, as their names below the root."""
    names = [f"{FOLDER}/{TODAY.stem}-e0-{token}.jsonl" for token in tokens]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"{}\n")
    return names


def test_a_day_that_was_never_pulled_has_nothing(day: StoredDay) -> None:
    day.read()
    day.list_files()
    assert (day.manifest, day.version, day.slices, day.names, day.removed) == (None, None, [], set(), set())
    assert day.manifest_or_empty.slices == ()
    assert (day.manifest_or_empty.date, day.manifest_or_empty.action_id) == ("2024-10-04", "000PE4")


def test_an_empty_manifest_is_created_once(store: LocalStore, day: StoredDay) -> None:
    other = StoredDay(store, QUERY, TODAY.date)
    day.create(3)
    other.create(4)
    assert day.manifest is not None
    assert (day.manifest, day.version) == (other.manifest, other.version)
    assert (day.manifest.slices, day.manifest.erasures) == ((), 3)


def test_a_manifest_is_replaced_only_if_it_is_the_one_that_was_read(
    store: LocalStore, day: StoredDay
) -> None:
    day.create(0)
    other = StoredDay(store, QUERY, TODAY.date)
    other.read()
    other.put(other.manifest_or_empty.with_slices([make_slice()], erasures=0))
    with pytest.raises(ConditionRefusedError):
        day.put(day.manifest_or_empty.with_slices([], erasures=0))
    day.read()
    assert day.manifest == other.manifest


def test_a_change_is_made_again_to_what_another_stored_meanwhile(store: LocalStore, day: StoredDay) -> None:
    day.create(0)
    seen: list[int] = []

    def change(manifest: Manifest) -> Manifest:
        seen.append(len(manifest.slices))
        if len(seen) == 1:
            other = StoredDay(store, QUERY, TODAY.date)
            other.read()
            other.put(manifest.with_slices([make_slice()], erasures=0))
        return manifest.with_slices(manifest.slices, erasures=5)

    day.change(change)
    assert seen == [0, 1]
    day.read()
    assert (len(day.slices), day.manifest_or_empty.erasures) == (1, 5)


def test_a_file_that_was_replaced_during_a_change_is_no_error(store: LocalStore, day: StoredDay) -> None:
    day.create(0)
    tries: list[int] = []

    def change(manifest: Manifest) -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            other = StoredDay(store, QUERY, TODAY.date)
            other.read()
            other.put(manifest.with_slices([], erasures=0))
            raise FileNotFoundError

    day.change(change)
    assert tries == [0, 1]


def test_a_file_that_is_lost_is_an_error(day: StoredDay) -> None:
    day.create(0)

    def change(_: Manifest) -> None:
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        day.change(change)


def test_nothing_is_written_if_nothing_changes(
    day: StoredDay, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.change(lambda _: pytest.fail("there is no manifest"))
    day.create(0)
    version = day.version

    def written(*_: Any) -> str:
        raise AssertionError

    monkeypatch.setattr(LocalStore, "put_if", written)
    day.change(lambda _: None)
    assert day.version == version


def test_what_a_change_removes_is_listed_first_and_then_removed(day: StoredDay, root: Path) -> None:
    old, orphan, kept = put(root, "01", "02", "03")
    day.create(0)
    slices = [make_slice(data="01"), make_slice(data="03")]
    for slice_, name in zip(slices, (old, kept), strict=True):
        object.__setattr__(slice_, "data", name)
    day.put(day.manifest_or_empty.with_slices(slices, erasures=0))
    day.list_files()
    assert day.unreferenced(float("inf")) == [orphan]
    day.change(
        lambda manifest: manifest.with_slices(
            slices[1:], erasures=0, orphans=day.unreferenced(float("inf")), gone=day.gone
        )
    )
    assert day.removed == {old, orphan}
    assert [path.name for path in (root / FOLDER).iterdir()] == [Path(kept).name]
    day.list_files()
    assert day.gone == {old, orphan}


def test_files_are_unreferenced_by_their_age(day: StoredDay, root: Path) -> None:
    old, young = put(root, "01", "02")
    (root / FOLDER / "README.md").write_text("by hand")
    age([root / old, root / FOLDER / "README.md"], 3_600)
    day.create(0)
    day.list_files()
    border = (root / young).stat().st_mtime - 60
    assert day.unreferenced(border) == [old]
    assert (day.exists(old), day.exists(f"{FOLDER}/nothing")) == (True, False)
