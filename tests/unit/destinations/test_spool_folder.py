"""Each pull's own folder on the worker's disk."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.spool_folder import spool_errors, spool_folder
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.event_sorter import EventSorter
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.sandbox import Sandbox
from tests.support.pulls import land, query_of

pytestmark = pytest.mark.core

SPOOLING = """
import sys, tempfile, time
from airflow_provider_np6.destinations.spool_folder import spool_folder
tempfile.tempdir = sys.argv[1]
with spool_folder() as folder:
    (folder / "1").mkdir()
    (folder / "1/events").write_bytes(b"an address")
    print(folder, flush=True)
    time.sleep(60)
"""


@contextmanager
def other_pull(spools: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that spools, and its folder."""
    command = [sys.executable, "-c", SPOOLING, str(spools)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path != folder / f"np6-{os.geteuid()}"]


def test_a_folder_is_private_and_removed_at_the_end(spools: Path) -> None:
    with spool_folder() as folder, spool_folder() as other:
        assert folder != other
        assert folder.parent == spools / f"np6-{os.geteuid()}"
        for path in (folder, folder.parent):
            assert path.stat().st_mode & 0o777 == 0o700
        (folder / "1").mkdir()
        (folder / "1/events").write_bytes(b"an address")
    assert below(spools) == []


def test_a_folder_is_removed_when_a_pull_fails(spools: Path) -> None:
    def fail() -> None:
        with spool_folder() as folder:
            (folder / "events").write_bytes(b"an address")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert below(spools) == []


def test_a_pull_removes_what_killed_ones_left_and_nothing_of_those_that_run(spools: Path) -> None:
    with other_pull(spools) as (killed, left), other_pull(spools) as (_, running):
        with spool_folder():
            assert (left / "1/events").exists()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        with spool_folder() as own:
            assert not left.exists()
            assert sorted(own.parent.glob("*.lock")) == sorted(
                folder.with_name(f"{folder.name}.lock") for folder in (own, running)
            )
        assert (running / "1/events").exists()
    with spool_folder():
        pass
    assert below(spools) == []


def test_what_a_killed_pull_left_is_removed_by_the_next_wherever_that_writes_to(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path
) -> None:
    with other_pull(spools) as (_, left):
        pass
    assert (left / "1/events").exists()
    land(client, FileDestination(str(root / "elsewhere")), query_of(sandbox))
    assert below(spools) == []


def test_a_disk_without_locks_is_used_without(spools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks nobody sees whether a pull still runs: what killed ones left stays."""

    def refused(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with other_pull(spools) as (_, left):
        monkeypatch.setattr(fcntl, "flock", refused)
        with spool_folder() as folder:
            (folder / "events").write_bytes(b"")
        assert left.exists()
        assert not folder.exists()


@pytest.mark.parametrize("kind", ["open", "link"])
def test_a_folder_that_others_reach_is_not_used(spools: Path, kind: str) -> None:
    private = spools / f"np6-{os.geteuid()}"
    if kind == "open":
        private.mkdir()
        private.chmod(0o755)
    else:
        (spools / "elsewhere").mkdir(mode=0o700)
        private.symlink_to(spools / "elsewhere")
    with pytest.raises(Np6InputError, match="is open to other users"), spool_folder():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_that_another_user_made_is_not_used(spools: Path) -> None:
    private = spools / f"np6-{os.geteuid()}"
    private.mkdir(mode=0o700)
    os.chown(private, 65_534, 65_534)
    with pytest.raises(Np6InputError, match="is open to other users"), spool_folder():
        pass


@spool_errors()
def fail_with(code: int) -> None:
    raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named(code: int) -> None:
    with pytest.raises(Np6DestinationError, match=r"^the worker's disk is full\. Make room") as caught:
        fail_with(code)
    assert caught.value.retryable


def test_another_fault_of_the_disk_is_named() -> None:
    with pytest.raises(Np6DestinationError, match="the worker's disk cannot be used: Input/output error"):
        fail_with(errno.EIO)


def test_a_missing_tmpdir_is_named_before_any_request(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path
) -> None:
    spools.rmdir()
    with pytest.raises(Np6DestinationError, match="worker's disk cannot be used: No such file") as caught:
        land(client, FileDestination(str(root)), query_of(sandbox))
    assert f"Make room below {spools}, or set TMPDIR" in str(caught.value)
    assert caught.value.retryable
    assert sandbox.received == []


def test_without_any_temporary_folder_tmpdir_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", missing)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with pytest.raises(Np6DestinationError, match="Make room below /nowhere, or set TMPDIR"), spool_folder():
        pass


def test_a_missing_tmpdir_is_named_for_unordered_responses_too(spools: Path) -> None:
    spools.rmdir()
    with pytest.raises(Np6DestinationError, match="the worker's disk"):
        EventSorter()


@pytest.mark.parametrize("begun", [False, True])
def test_a_pull_that_ends_early_leaves_nothing(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path, begun: bool
) -> None:
    query = query_of(sandbox)
    with FileDestination(str(root)).open(query, "test") as writer:
        if begun:
            pull(client, query, writer)
            assert len(list(spools.rglob("*.jsonl.gz"))) == 1
    assert below(spools) == []
    assert [path.name for path in root.rglob("*")] == [".lock"]
