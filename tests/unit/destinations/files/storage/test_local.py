"""Conditional puts on a local disk, and on disks that refuse a step of them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations.files.storage import ConditionRefusedError, local
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from tests.support.properties import examples

pytestmark = pytest.mark.core

NAME = "_manifests/type=bounces/action=000PE4/2026-11-22.json"
TEMPORARY = f"{local.TEMPORARY}.tmp"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file on the worker's disk."""
    path = tmp_path / "spooled"
    path.write_bytes(b"events")
    return path


def below(root: Path) -> list[str]:
    """All files below a root, but for its lock."""
    paths = [path for path in root.rglob("*") if path.is_file() and path != root / local.LOCK]
    return sorted(str(path.relative_to(root)) for path in paths)


def refuse(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *codes: int) -> list[int]:
    """Let a function of the operating system fail; returns the codes that it has failed with."""
    failed: list[int] = []

    def refused(*_: Any, **__: Any) -> Any:
        failed.append(codes[len(failed) % len(codes)])
        raise OSError(failed[-1], os.strerror(failed[-1]))

    monkeypatch.setattr(module, name, refused)
    return failed


def test_a_put_needs_the_version_that_is_stored(store: LocalStore, root: Path) -> None:
    assert store.read(NAME) is None
    first = store.put_if(NAME, b"1", None)
    stored = store.read(NAME)
    assert stored is not None
    assert (stored.data, stored.version) == (b"1", first)
    for condition in (None, "another"):
        with pytest.raises(ConditionRefusedError):
            store.put_if(NAME, b"2", condition)
    second = store.put_if(NAME, b"2", first)
    assert second != first
    with pytest.raises(ConditionRefusedError):
        store.put_if(NAME, b"3", first)
    assert (root / NAME).read_bytes() == b"2"
    assert below(root) == [NAME]


def test_a_file_that_is_gone_is_of_no_version(store: LocalStore) -> None:
    version = store.put_if(NAME, b"1", None)
    store.delete(NAME)
    store.delete(NAME)
    with pytest.raises(ConditionRefusedError):
        store.put_if(NAME, b"2", version)
    assert store.put_if(NAME, b"1", None) == version


def test_of_many_writers_one_at_a_time_replaces_what_it_read(root: Path) -> None:
    LocalStore(root).put_if(NAME, b"", None)

    def append(letter: bytes) -> None:
        own = LocalStore(root)
        for _ in range(20):
            while True:
                stored = own.read(NAME)
                assert stored is not None
                try:
                    own.put_if(NAME, stored.data + letter, stored.version)
                except ConditionRefusedError:
                    continue
                break

    threads = [threading.Thread(target=append, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((root / NAME).read_bytes()) == sorted(b"abc" * 20)


HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def locked(root: Path, seconds: float) -> Iterator[None]:
    """Another process that holds the lock for some time."""
    command = [sys.executable, "-c", HOLD, str(root / local.LOCK), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def test_a_lock_is_waited_for(store: LocalStore, root: Path) -> None:
    version = store.put_if(NAME, b"1", None)
    with locked(root, 0.5):
        begun = time.monotonic()
        store.put_if(NAME, b"2", version)
        assert time.monotonic() - begun > 0.2


def test_a_lock_that_others_keep_is_a_refusal(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.put_if(NAME, b"1", None)
    monkeypatch.setattr(local, "LOCK_WAIT", 0.1)
    with locked(root, 60), pytest.raises(ConditionRefusedError):
        store.put_if(NAME, b"2", version)
    assert store.put_if(NAME, b"2", version)


def test_the_lock_is_opened_for_writing_as_nfs_wants_it(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS makes of flock a lock on a range, and needs write access for an exclusive one."""
    flock = fcntl.flock
    modes: list[int] = []

    def of_nfs(descriptor: int, operation: int) -> None:
        modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)
        if operation & fcntl.LOCK_EX and modes[-1] == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", of_nfs)
    store.put_if(NAME, b"2", store.put_if(NAME, b"1", None))
    assert set(modes) == {os.O_RDWR}


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_disk_without_locks_is_written_to_without_conditions(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    assert refuse(monkeypatch, fcntl, "flock", code) == []
    version = store.put_if(NAME, b"1", None)
    assert not store.is_conditional
    with pytest.raises(ConditionRefusedError):
        store.put_if(NAME, b"2", None)
    store.put_if(NAME, b"2", version)
    assert below(root) == [NAME]


def test_another_fault_of_the_lock_is_an_error(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, fcntl, "flock", errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        store.put_if(NAME, b"1", None)


def test_a_refused_sync_of_a_folder_is_ignored(
    store: LocalStore, root: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    refused: list[int] = []

    def of_files_only(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name in ("action=000PE4", "lake"):
            refused.append(descriptor)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of_files_only)
    store.put_if(NAME, b"2", store.put_if(NAME, b"1", None))
    store.put("data", source)
    assert len(refused) == 3
    assert below(root) == [NAME, "data"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EXDEV, errno.ENOTSUP])
def test_a_disk_without_links_copies_and_renames(
    store: LocalStore, root: Path, source: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    failed = refuse(monkeypatch, os, "link", code)
    store.put("type=a/data", source)
    store.put_if(NAME, b"1", None)
    assert len(failed) == 2
    assert (root / "type=a/data").read_bytes() == source.read_bytes() == b"events"
    assert below(root) == [NAME, "type=a/data"]


def test_a_name_is_never_used_twice(store: LocalStore, root: Path, source: Path) -> None:
    store.put("data", source)
    source.unlink()
    source.write_bytes(b"others")
    with pytest.raises(FileExistsError):
        store.put("data", source)
    assert (root / "data").read_bytes() == b"events"


@pytest.mark.parametrize("content", [b"", b"half of a file that is longer than the next one"])
def test_what_a_killed_put_left_is_replaced(store: LocalStore, root: Path, content: bytes) -> None:
    left = root / TEMPORARY
    root.mkdir()
    version = None
    for data in (b"1", b"2"):
        left.write_bytes(content)
        version = store.put_if(NAME, data, version)
        assert (root / NAME).read_bytes() == data
        assert below(root) == [NAME]


def test_what_a_put_left_that_was_killed_when_its_file_had_both_names_is_not_written_to(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.put_if(NAME, b"1", None)
    os.link(root / NAME, root / TEMPORARY)
    refuse(monkeypatch, os, "fsync", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        store.put_if(NAME, b"2", version)
    assert (root / NAME).read_bytes() == b"1"


AnotherUser = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def another_user(tmp_path: Path) -> AnotherUser:
    """``with another_user():`` what follows is done by another user, who reaches the test's folder."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)

    @contextmanager
    def become() -> Iterator[None]:
        os.setresuid(65_534, 65_534, 0)
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)

    return become


def test_another_users_private_files_stop_nobody(root: Path, another_user: AnotherUser) -> None:
    """What a killed worker of another user left is 0600, in a folder that both write to."""
    store, umask = LocalStore(root), os.umask(0)
    try:
        version = store.put_if(NAME, b"1", None)
    finally:
        os.umask(umask)
    left = root / TEMPORARY
    left.write_bytes(b"half")
    left.chmod(0o600)
    assert (root / local.LOCK).stat().st_mode & 0o066 == 0o066  # as the root's
    with another_user():
        store.put_if(NAME, b"2", version)
    assert (root / NAME).read_bytes() == b"2"


def test_in_a_folder_where_only_owners_remove_files_another_name_is_taken(
    root: Path, another_user: AnotherUser
) -> None:
    store = LocalStore(root)
    left = root / TEMPORARY
    (root / NAME).parent.mkdir(parents=True)
    left.write_bytes(b"half")
    left.chmod(0o600)
    for folder in (root, (root / NAME).parent):
        folder.chmod(0o1777)
    with another_user():
        store.put_if(NAME, b"1", None)
    assert (root / NAME).read_bytes() == b"1"
    assert left.exists()


names = st.lists(st.sampled_from(["a", "a=1", "b", "B", "a-", ".t", "0", "~"]), min_size=1, max_size=3).map(
    "/".join
)


@examples(100)
@given(st.sets(names, max_size=8), st.sampled_from(["", "a", "b", "a/b"]), names, names)
def test_files_are_listed_in_order_within_limits(
    tmp_path_factory: pytest.TempPathFactory, found: set[str], folder: str, start: str, end: str
) -> None:
    root = tmp_path_factory.mktemp("listed")
    # A name is a file or a folder, and not both.
    files = {name for name in found if not any(other.startswith(f"{name}/") for other in found)}
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    store = LocalStore(root)
    within = sorted(name for name in files if not folder or name.startswith(f"{folder}/"))
    for limits in (("", ""), (start, ""), ("", end), (start, end)):
        expected = [name for name in within if name >= limits[0] and (not limits[1] or name < limits[1])]
        entries = list(store.list_files(folder, *limits))
        assert [entry.name for entry in entries] == expected
        assert [entry.size for entry in entries] == [len(name) for name in expected]
    below_folder = {name.removeprefix(f"{folder}/" if folder else "") for name in within}
    assert store.list_folders(folder) == sorted({name.split("/")[0] for name in below_folder if "/" in name})


def test_a_folder_that_does_not_exist_has_no_files(store: LocalStore) -> None:
    assert (list(store.list_files("type=a")), store.list_folders("")) == ([], [])


def test_a_listed_version_changes_with_each_put(store: LocalStore) -> None:
    versions = set()
    version = None
    for data in (b"1", b"2", b"1"):
        version = store.put_if(NAME, data, version)
        versions |= {entry.version for entry in store.list_files("_manifests")}
    assert len(versions) == 3


def test_a_file_is_read_from_any_place_in_it(store: LocalStore, source: Path) -> None:
    store.put("data", source)
    with store.open("data") as file:
        assert sha256(file.read()).digest() == sha256(b"events").digest()
        file.seek(3)
        assert file.read() == b"nts"
    with pytest.raises(FileNotFoundError):
        store.open("nothing")


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_written(
    tmp_path: Path, another_user: AnotherUser
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        LocalStore(tmp_path / "file/lake").check_writable()
    LocalStore(tmp_path / "a/b/lake").check_writable()
    with another_user(), pytest.raises(PermissionError):
        LocalStore(tmp_path / "a/b/lake").check_writable()
