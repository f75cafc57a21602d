"""A worker killed at any moment leaves the old content or the new one, and the next pull mends the rest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.killing import pullers
from tests.support.postgres import Postgres
from tests.support.pulls import MIDNIGHT, held, land, query_of

pytestmark = pytest.mark.timeout(1_800)

MOMENTS = int(os.environ.get("NP6_KILLS", "100"))
"""Kills of each kind of destination."""


def kill_at_random_moments(
    sandbox: Sandbox, place: dict[str, str], window: Window, check: Callable[[], None]
) -> None:
    """Kill pullers, each in one of its first pulls; between kills and while they run, ``check``."""
    moments = random.Random(6)  # noqa: S311 - repeatable moments
    with pullers(sandbox, place, window) as started:
        for _ in range(MOMENTS):
            with started.puller():
                until = time.monotonic() + moments.uniform(0, 0.3)
                while time.monotonic() < until:
                    check()
            check()


def test_files(sandbox: Sandbox, client: Np6Client, tmp_path: Path) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    window = Window(MIDNIGHT, MIDNIGHT + DAY)
    query, root = query_of(sandbox, window), tmp_path / "lake"
    destination: Destination = FileDestination(str(root))
    whole = held(sandbox, query)
    sandbox.plan.add(Fault(change=faults.capped(1_111)))
    land(client, destination, query)
    contents = (whole[:1_111], whole)

    def check() -> None:
        """What a reader of manifests finds: one of the two, whole."""
        (path,) = (root / "_manifests").rglob("*.json")
        manifest = json.loads(path.read_text())
        data = (root / manifest["data"]).read_bytes()
        assert gzip.decompress(data).splitlines() in contents

    kill_at_random_moments(sandbox, {"files": str(root), "format": "jsonl.gz"}, window, check)
    land(client, destination, query)
    (path,) = (root / "_manifests").rglob("*.json")
    manifest = json.loads(path.read_text())
    data = (root / manifest["data"]).read_bytes()
    assert gzip.decompress(data).splitlines() == whole
    assert hashlib.sha256(data).hexdigest() == manifest["sha256"]
    assert len([path for path in root.rglob("*") if path.is_file()]) == 3  # data, manifest, account


def test_postgres(
    sandbox: Sandbox, client: Np6Client, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_KILL_SQL", json.dumps(postgres.database()))
    sandbox.account = FakeAccount(events_per_day=1_200)
    window = Window(MIDNIGHT, MIDNIGHT + DAY)
    query, destination = query_of(sandbox, window), SqlDestination("kill_sql")
    sandbox.plan.add(Fault(change=faults.capped(1_111)))
    land(client, destination, query)
    whole = len(held(sandbox, query))
    with (
        closing(BaseHook.get_hook("kill_sql").get_conn()) as connection,
        closing(connection.cursor()) as cursor,
    ):

        def check() -> None:
            cursor.execute(
                "SELECT COUNT(*), COUNT(DISTINCT event_id), (SELECT SUM(events) FROM np6_events_windows)"
                " FROM np6_events"
            )
            assert cursor.fetchone() in ((1_111,) * 3, (whole,) * 3)
            connection.commit()

        kill_at_random_moments(sandbox, {"sql": "kill_sql"}, window, check)
        land(client, destination, query)
        cursor.execute("SELECT payload::text FROM np6_events ORDER BY occurred_at, event_id")
        stored = [row[0].encode() for row in cursor.fetchall()]
    assert sorted(stored) == sorted(held(sandbox, query))
