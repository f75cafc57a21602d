"""A deployment with Celery workers, driven by Airflow's REST API while things happen to it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.sandbox import Fault
from airflow_provider_np6.sandbox.behavior import RateLimit
from airflow_provider_np6.sandbox.faults import capped
from tests.support.cluster.running import DAYS, END, START, TYPES, Cluster
from tests.support.cluster.storm import Storm, Told
from tests.support.files import coverage, slices

CPUS = os.cpu_count()

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(4 * 3_600)]


@pytest.fixture(scope="module")
def told(cluster: Cluster) -> Told:
    """Pulls of all windows, through all that happens."""
    told = Storm(cluster).run()
    print(f"{told.seconds:.0f} s, {told.requests} requests, {told.refused} of them refused, {CPUS} CPUs")
    return told


def events(cluster: Cluster, event_type: str, action_id: str) -> list[tuple[str, bytes]]:
    """Ids and payloads of what the sandbox has, in order of time and id."""
    bounds = (round(START.timestamp() * 1_000), round(END.timestamp() * 1_000))
    made = cluster.account.events(event_type, action_id, *bounds)
    return [(event.id, event.json) for event in sorted(made, key=lambda event: (event.timestamp, event.id))]


def test_every_run_succeeds(cluster: Cluster, told: Told) -> None:
    assert cluster.api.runs("files_daily") == {("backfill", "success"): DAYS}
    assert cluster.api.runs("sql_caught_up") == {("scheduled", "success"): DAYS // 5}


def test_what_was_disturbed_was_pulled_again(cluster: Cluster, told: Told) -> None:
    tasks = [*cluster.api.tasks("files_daily"), *cluster.api.tasks("sql_caught_up")]
    assert {task["state"] for task in tasks} == {"success"}
    assert told.cleared == 20
    # Ten and ten were cleared; at least one was killed.
    assert sum(task["try_number"] > 1 for task in tasks) > told.cleared
    assert told.requests - told.refused > len(tasks) + told.cleared


def test_files_hold_exactly_the_sandboxes_events(cluster: Cluster, told: Told) -> None:
    root = cluster.deployment.files / "daily"
    # Pulls that were killed may have left data that no manifest names.
    assert FileDestination(str(root)).verify(remove_orphans=True).is_ok
    named: set[Path] = set()
    for event_type in TYPES:
        for action_id in cluster.account.action_ids:
            found = slices(str(root), event_type, action_id, START, END)
            covered = coverage(str(root), event_type, action_id, START, END)
            assert (len(found), covered.missing) == (DAYS, [])
            data = [root / slice_.data for slice_ in found if slice_.data]
            read = b"".join(gzip.decompress(path.read_bytes()) for path in data)
            assert read.splitlines() == [text for _, text in events(cluster, event_type, action_id)]
            named |= set(data)
    assert {path for path in root.glob("type=*/**/*") if path.is_file()} == named


def test_rows_are_exactly_the_sandboxes_events(cluster: Cluster, told: Told) -> None:
    import psycopg

    fields = cluster.deployment.events
    address = f"host={fields['host']} port={fields['port']} user={fields['login']} dbname={fields['schema']}"
    with psycopg.connect(address) as database:
        windows = database.execute("SELECT count(*) FROM np6_events_windows").fetchone()
        rows = database.execute(
            "SELECT event_type, action_id, event_id, payload::text FROM np6_events"
        ).fetchall()
    assert windows == (len(TYPES) * len(cluster.account.action_ids) * DAYS // 5,)
    made = [
        (event_type, action_id, id_, text.decode())
        for event_type in TYPES
        for action_id in cluster.account.action_ids
        for id_, text in events(cluster, event_type, action_id)
    ]
    assert sorted(rows) == sorted(made)


def test_eight_pulls_at_once_share_a_limit_and_leave_little_of_it(cluster: Cluster) -> None:
    # A hundred events an answer, so that each pull needs some forty requests.
    cluster.sandbox.plan.add(Fault(path="/events/executions", change=capped(100)), times=10_000)
    limit = cluster.sandbox.limit = RateLimit(5)
    cluster.api.pause("limited", paused=False)
    cluster.api.ask("POST", "dags/limited/dagRuns", json={"logical_date": None})
    cluster.deployment.wait_for(
        lambda: not cluster.api.runs("limited").keys() <= {("manual", "queued"), ("manual", "running")},
        "the end of the limited run",
        3_600,
    )
    cluster.sandbox.limit = None
    cluster.sandbox.plan.clear()
    tasks = cluster.api.tasks("limited")
    assert [(task["state"], task["try_number"]) for task in tasks] == [("success", 1)] * 8
    least = len(limit.granted) / limit.per_second
    print(f"{len(limit.granted)} requests and {limit.refused} refusals in {limit.seconds:.0f} s")
    assert limit.seconds <= 1.3 * least


def test_the_examples_pool_keeps_below_a_limit_of_five_a_second(cluster: Cluster) -> None:
    limit = cluster.sandbox.limit = RateLimit(5)
    cluster.api.pause("np6_account_daily", paused=False)
    cluster.deployment.wait_for(
        lambda: cluster.api.runs("np6_account_daily") == {("scheduled", "success"): 1},
        "yesterday's run",
        3_600,
    )
    cluster.sandbox.limit = None
    print(f"{len(limit.granted)} requests from a pool of four slots, {limit.refused} refused")
    assert (len(limit.granted) >= 8, limit.refused) == (True, 0)
