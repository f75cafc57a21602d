"""Disks that refuse what is not needed: pulls hold, and what is left out is only a courtesy.

Where such a disk cannot be had, a model follows its documented rule: NFS's locks, disks without locks, and
folders that cannot be synchronized.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.sandbox import Sandbox
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

HOURS = [Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in (0, 1)]


def pull_three_times(client: Np6Client, sandbox: Sandbox, root: Path) -> FileDestination:
    """Two hours, their day, and the day again."""
    destination = FileDestination(str(root))
    for window in HOURS:
        assert land(client, destination, query_of(sandbox, window))["outcome"] == "created"
    assert land(client, destination, query_of(sandbox))["outcome"] == "changed"
    again = land(client, destination, query_of(sandbox))
    assert again["events"] == len(held(sandbox, query_of(sandbox, TODAY)))
    assert destination.verify().problems == []
    return destination


def test_an_exclusive_lock_needs_a_descriptor_for_writing_on_nfs(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """flock(2): over NFS, LOCK_EX needs a file that is open for writing."""
    flock = fcntl.flock

    def nfs(descriptor: int, operation: int) -> None:
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if operation & fcntl.LOCK_EX and mode == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", nfs)
    destination = pull_three_times(client, sandbox, tmp_path / "lake")
    assert destination.verify().orphans == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_lock(
    client: Np6Client,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # no process locks there
    destination = pull_three_times(client, sandbox, tmp_path / "lake")
    assert "honors no conditions" in caplog.text
    # Replaced files stay, for another pull may be about to name them; only a user knows that none is.
    assert len(destination.verify().orphans) > 0
    destination.verify(remove_orphans=True)
    verified = destination.verify()
    assert (verified.orphans, verified.problems) == ([], [])


def test_a_folder_that_cannot_be_synchronized(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    pull_three_times(client, sandbox, tmp_path / "lake")


def test_a_disk_without_links(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SMB and FAT refuse them."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    destination = pull_three_times(client, sandbox, tmp_path / "lake")
    assert destination.verify().orphans == []


def test_temporaries_of_another_user(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They can be neither opened nor removed."""
    root = tmp_path / "lake"
    folder = root / "type=bounces" / "action=000PE4" / "date=2024-10-04"
    folder.mkdir(parents=True)
    others = [root / ".put.tmp", folder / ".20241004T000000Z_20241005T000000Z-e0-ab.jsonl.gz.tmp"]
    for path in others:
        path.write_bytes(b"theirs")
    unlink, open_ = Path.unlink, Path.open

    def refused_unlink(path: Path, *arguments: bool, **options: bool) -> None:
        if path in others:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        unlink(path, *arguments, **options)

    def refused_open(path: Path, *arguments: object, **options: object) -> object:
        if path in others:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "unlink", refused_unlink)
    monkeypatch.setattr(Path, "open", refused_open)
    pull_three_times(client, sandbox, root)
    assert [path.exists() for path in others] == [True, True]
