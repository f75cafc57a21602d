"""A worker killed at any time leaves the old content or the new one, and the next pull repairs the rest."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.files import all_lines, all_slices, data_paths, lines, named_paths, snapshot
from tests.support.killing import pullers
from tests.support.postgres import Postgres
from tests.support.pulls import MIDNIGHT, held, land, query_of

pytestmark = pytest.mark.timeout(1_800)

KILLS = int(os.environ.get("NP6_KILLS", "100"))
"""Kills of each kind of destination."""

WHOLE = FakeAccount(events_per_day=2_400)
LESS = FakeAccount(events_per_day=2_400, withheld=0.3)
"""What pulls find: now this, then that, so that each has something to replace."""


def kill_at_random_times(
    sandbox: Sandbox, place: dict[str, str], window: Window, check: Callable[[], None]
) -> None:
    """Kill pullers, each in one of its first pulls; between kills and while they run, ``check``."""
    times = random.Random(6)  # noqa: S311 - repeatable times
    with pullers(sandbox, place, window) as started:
        for _ in range(KILLS):
            with started.puller():
                until = time.monotonic() + times.uniform(0, 0.3)
                while time.monotonic() < until:
                    sandbox.account = times.choice((WHOLE, LESS))
                    check()
            check()
    sandbox.account = WHOLE


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, of the pullers' too."""
    folder = tmp_path / "spools"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_files(sandbox: Sandbox, client: Np6Client, tmp_path: Path, spools: Path) -> None:
    window = Window(MIDNIGHT, MIDNIGHT + DAY)
    query, root = query_of(sandbox, window), tmp_path / "lake"
    destination = FileDestination(str(root))
    contents = []
    for sandbox.account in (LESS, WHOLE):
        contents.append(held(sandbox, query))
        land(client, destination, query)

    def check() -> None:
        """What a reader of manifests finds: one of the two, whole."""
        while True:
            (slice_,) = all_slices(root)
            with suppress(FileNotFoundError):  # it was replaced meanwhile
                assert lines(root / str(slice_.data)) in contents
                return

    kill_at_random_times(sandbox, {"files": str(root), "format": "jsonl.gz"}, window, check)
    assert destination.verify().is_ok
    land(client, destination, query)
    assert all_lines(root) == held(sandbox, query)
    # What is not named is what killed pulls had put: too young for a pull to remove, and listed.
    verification = destination.verify(remove_orphans=True)
    assert verification.is_ok
    assert data_paths(root) == named_paths(root)
    assert len(snapshot(root)) == 3
    assert [path for path in spools.rglob("*") if path.is_file()] == []


def test_postgres(
    sandbox: Sandbox, client: Np6Client, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_KILL_SQL", json.dumps(postgres.database()))
    window = Window(MIDNIGHT, MIDNIGHT + DAY)
    query, destination = query_of(sandbox, window), SqlDestination("kill_sql")
    counts = []
    for sandbox.account in (LESS, WHOLE):
        counts.append((len(held(sandbox, query)),) * 3)
        land(client, destination, query)
    with (
        closing(BaseHook.get_hook("kill_sql").get_conn()) as connection,
        closing(connection.cursor()) as cursor,
    ):

        def check() -> None:
            cursor.execute(
                "SELECT COUNT(*), COUNT(DISTINCT event_id), (SELECT SUM(events) FROM np6_events_windows)"
                " FROM np6_events"
            )
            assert cursor.fetchone() in counts
            connection.commit()

        kill_at_random_times(sandbox, {"sql": "kill_sql"}, window, check)
        land(client, destination, query)
        cursor.execute("SELECT payload::text FROM np6_events ORDER BY occurred_at, event_id")
        stored = [row[0].encode() for row in cursor.fetchall()]
    assert sorted(stored) == sorted(held(sandbox, query))
    assert destination.verify().problems == []
