"""One task mapped over many actions under a real scheduler, and what is done beyond that."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support import ROOT
from tests.support.airflow_runs import AIRFLOW_3, DAGS_FOLDER, load, run_dag
from tests.support.files import data_files, slices
from tests.support.pulls import TODAY, land
from tests.support.run import KEY
from tests.support.standalone import Standalone

MAPPED = int(os.environ.get("NP6_MAPPED", "40"))
"""Actions that a task is mapped over: set NP6_MAPPED=1000 for as many as Airflow's own limit allows."""

DAG = """
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_np6.operators.events import Np6EventsOperator

with DAG("fan_out", schedule=None):

    @task
    def list_action_ids():
        from airflow_provider_np6.hooks.np6 import Np6Hook

        return Np6Hook().list_action_ids()

    Np6EventsOperator.partial(
        task_id="pull",
        event_type="bounces",
        destination="FILES",
        window_start="2024-10-04",
        window_end="2024-10-05",
        retries=2,
    ).expand(action_id=list_action_ids())
"""


@pytest.fixture
def many(sandbox: Sandbox) -> FakeAccount:
    """A account of as many actions as are mapped."""
    sandbox.account = FakeAccount(actions=MAPPED, events_per_day=24)
    return sandbox.account


@pytest.fixture
def standalone(tmp_path: Path, sandbox: Sandbox, many: FakeAccount) -> Iterator[Standalone]:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "fan_out.py").write_text(DAG.replace("FILES", str(tmp_path / "files")))
    connection = {"conn_type": "np6", "host": sandbox.url, "password": KEY}
    with Standalone(tmp_path, connection) as running:
        yield running


@pytest.mark.skipif(not AIRFLOW_3, reason="airflow standalone of Airflow 3")
@pytest.mark.timeout(240 + 10 * MAPPED)
def test_a_failing_action_names_itself_and_costs_no_other(
    standalone: Standalone, sandbox: Sandbox, many: FakeAccount
) -> None:
    failing = many.action_ids[MAPPED // 2]
    sandbox.plan.add(Fault(path=f"/{failing}/", status=404, framing="length"), times=10)
    standalone.wait_for(lambda: standalone.run("dags", "unpause", "--yes", "fan_out"), 60)
    begun = time.monotonic()
    assert standalone.run("dags", "trigger", "fan_out")
    standalone.wait_for(
        lambda: standalone.ask("SELECT 1 FROM dag_run WHERE state = 'failed'"), 120 + 9 * MAPPED
    )
    print(f"{MAPPED} mapped pulls: {time.monotonic() - begun:.0f} s")

    pulls = standalone.ask("SELECT rendered_map_index, state FROM task_instance WHERE task_id = 'pull'")
    states = {f"bounces · {action}": "success" for action in many.action_ids}
    assert dict(pulls) == states | {f"bounces · {failing}": "failed"}
    received = [request.path for request in sandbox.received]
    paths = ["/actions", *(f"/actions/{action}/events/bounces" for action in many.action_ids)]
    assert set(received) == set(paths)
    assert len(received) <= 3 * len(paths)  # with the checks of responses
    assert received.count(f"/actions/{failing}/events/bounces") == 1
    for action in many.action_ids:
        found = slices(str(standalone.home / "files"), "bounces", action, "2024-10-04", "2024-10-05")
        events = sum(1 for _ in many.events("bounces", action, TODAY.start, TODAY.end))
        assert [one.events for one in found] == ([] if action == failing else [events])


@pytest.mark.core
@pytest.mark.usefixtures("airflow_db", "np6_connection")
def test_more_actions_than_airflow_maps_over_fail_early_with_the_advice(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.account = FakeAccount(actions=5_000, events_per_day=24)
    path = DAGS_FOLDER / "np6_events_daily.py"
    shutil.copy(ROOT / "dags" / path.name, path)
    run = run_dag(load(path).dag, datetime(2026, 11, 2, tzinfo=UTC), {"files": str(tmp_path)})
    path.unlink()
    assert (run.state, run.reports()) == ("failed", [])
    assert [request.path for request in sandbox.received] == ["/actions"]
    said = caplog.text + capfd.readouterr().out
    assert "there are 5000 actions, and Airflow maps a task over 1024 at most ([core] max_map_length)" in said
    assert "action_id='*'" in said


@pytest.mark.core
def test_two_requests_pull_thousands_of_actions(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.account = FakeAccount(actions=5_000, events_per_day=23)
    land(client, FileDestination(str(tmp_path), "jsonl"), EventQuery.checked("bounces", "*", TODAY))
    assert [request.path for request in sandbox.received] == ["/actions/events/bounces"] * 2
    (found,) = data_files(str(tmp_path), "bounces", "*", "2024-10-04", "2024-10-05")
    events = [json.loads(line) for line in Path(found).read_bytes().splitlines()]
    assert len({event["id"] for event in events}) == len(events) == sum(1 for _ in day_of(sandbox.account))
    assert len({event["source"]["detail"]["activation"]["id"] for event in events}) == 5_000


def day_of(account: FakeAccount) -> Iterator[FakeEvent]:
    return account.events("bounces", None, TODAY.start, TODAY.end)
