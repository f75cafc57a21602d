"""Every store keeps what the protocol of files asks of it: seen first, and then raced on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_np6.destinations.files.header import probe_conditions
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError, Store
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from tests.support.scenarios import SCENARIOS, check, random_orders
from tests.support.stores import azure_store, azurite, gcs_server, gcs_store, s3_store

NewStore = Callable[[], Store]
"""An empty root in the same store each time."""


@pytest.fixture(scope="module")
def azurite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.fixture(scope="module")
def gcs_emulator() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture(params=["local", "s3", "azure", "gcs"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    def new() -> Store:
        prefix = f"np6/[a]?{secrets.token_hex(4)}"
        match request.param:
            case "local":
                return LocalStore(tmp_path / prefix)
            case "s3":
                return s3_store(request.getfixturevalue("s3_server"), prefix)
            case "azure":
                return azure_store(request.getfixturevalue("azurite_server"), prefix)
        # The emulator takes a "?" in a name for the end of the path.
        return gcs_store(request.getfixturevalue("gcs_emulator"), prefix.replace("?", ""))

    return new


def test_a_stale_condition_is_refused(new_store: NewStore) -> None:
    store = new_store()
    assert store.read("a/b.json") is None
    first = store.put_if("a/b.json", b"1", None)
    with pytest.raises(ConditionRefusedError):
        store.put_if("a/b.json", b"2", None)
    second = store.put_if("a/b.json", b"3", first)
    for stale in (None, first):
        with pytest.raises(ConditionRefusedError):
            store.put_if("a/b.json", b"4", stale)
    stored = store.read("a/b.json")
    assert stored is not None
    assert (stored.data, stored.version) == (b"3", second)
    store.delete("a/b.json")
    with pytest.raises(ConditionRefusedError):
        store.put_if("a/b.json", b"5", second)
    assert store.read("a/b.json") is None
    assert probe_conditions(store)
    assert [entry.name for entry in store.list_files("") if not entry.name.startswith(".lock")] == []


def test_files_and_folders(new_store: NewStore, tmp_path: Path) -> None:
    store = new_store()
    source = tmp_path / "source"
    source.write_bytes(b"data" * 100)
    names = [f"_m/type=b/action={action}/2024-10-0{day}.json" for action in "AB" for day in range(1, 6)]
    for name in reversed(names):
        store.put(name, source)
    assert source.exists()
    assert [entry.name for entry in store.list_files("_m")] == names
    limits = (names[1], f"{names[3]}\0")
    entries = list(store.list_files("_m/type=b/action=A", *limits))
    assert [entry.name for entry in entries] == names[1:4]
    assert {entry.size for entry in entries} == {400}
    assert list(store.list_files("nothing")) == []
    assert store.list_folders("_m/type=b") == ["action=A", "action=B"]
    assert store.list_folders("nothing") == []
    with store.open(names[0]) as file:
        file.seek(396)
        assert file.read() == b"data"
    store.delete(names[0])
    store.delete(names[0])
    with pytest.raises(FileNotFoundError):
        store.open(names[0])
    versions = {entry.name: entry.version for entry in store.list_files("_m")}
    stored = store.read(names[1])
    assert stored is not None
    store.put_if(names[1], b"other", stored.version)
    changed = {entry.name: entry.version for entry in store.list_files("_m")}
    assert {name for name in versions if versions[name] != changed[name]} == {names[1]}


@pytest.mark.parametrize("name", SCENARIOS)
def test_pulls_at_once(
    new_store: NewStore, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product's publication in random orders of its operations, with real servers."""
    monkeypatch.setattr("airflow_provider_np6.destinations.files.header.time.sleep", lambda _: None)
    scenario = SCENARIOS[name]
    scenario.folder[:] = [tmp_path]
    _, wrong = check(scenario, random_orders(scenario, 1, seed=23, new_store=new_store))
    assert wrong[:1] == []
