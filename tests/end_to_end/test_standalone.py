"""Under a real scheduler and a real triggerer: long waits hold no slot; assets and lineage arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.airflow_runs import AIRFLOW_3
from tests.support.run import KEY
from tests.support.standalone import Standalone, example

pytestmark = [
    pytest.mark.skipif(not AIRFLOW_3, reason="airflow standalone of Airflow 3"),
    pytest.mark.timeout(300),
]

DAG = """
from datetime import timedelta
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_np6.operators.events import Np6EventsOperator

with DAG("waits", schedule=None):
    for task_id, action_id, deferrable in (("deferred", "000PE4", True), ("retried", "000PEB", False)):
        Np6EventsOperator(
            task_id=task_id,
            event_type="bounces",
            action_id=action_id,
            destination="FILES",
            window_start="2024-10-04",
            window_end="2024-10-05",
            deferrable=deferrable,
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
"""


@pytest.fixture
def standalone(tmp_path: Path, sandbox: Sandbox) -> Iterator[Standalone]:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "waits.py").write_text(DAG.replace("FILES", str(tmp_path / "files")))
    connection = {"conn_type": "np6", "host": sandbox.url, "password": KEY, "extra": {"max_wait": 3}}
    with Standalone(tmp_path, connection) as running:
        yield running


def test_a_long_limit_holds_no_slot(standalone: Standalone, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(path="/000PE4/", status=429, headers={"Retry-After": "12"}, framing="length"))
    sandbox.plan.add(Fault(path="/000PEB/", status=429, headers={"Retry-After": "3600"}, framing="length"))
    standalone.wait_for(lambda: standalone.run("dags", "unpause", "--yes", "waits"), 60)
    assert standalone.run("dags", "trigger", "waits")

    def task(task_id: str) -> tuple[Any, ...]:
        found = standalone.ask(
            f"SELECT state, retry_delay_override, try_number FROM task_instance WHERE task_id = '{task_id}'"
        )
        return found[0] if found else (None, None, None)

    standalone.wait_for(lambda: task("deferred")[0] == "deferred", 60)
    (trigger,) = standalone.ask("SELECT classpath FROM trigger")
    assert trigger == ("airflow_provider_np6.triggers.wait_until.WaitUntilTrigger",)
    standalone.wait_for(lambda: task("deferred")[0] == "success", 60)
    received = [request for request in sandbox.received if "/000PE4/" in request.path]
    assert len(received) == 2
    standalone.wait_for(lambda: task("retried")[0] == "up_for_retry", 60)
    assert task("retried")[1] == 3_601
    assert len([request for request in sandbox.received if "/000PEB/" in request.path]) == 1


@pytest.fixture
def lake(tmp_path: Path, sandbox: Sandbox) -> Iterator[Standalone]:
    """Two examples that write below this test's own folder, run when they are told to, without retries;
    OpenLineage's events go into files."""
    pytest.importorskip("airflow.providers.openlineage", reason="the OpenLineage provider is not installed")
    (tmp_path / "dags").mkdir()
    for name in ("np6_events_daily", "np6_bounces_summary"):
        (tmp_path / "dags" / f"{name}.py").write_text(example(name, tmp_path))
    (tmp_path / "lineage").mkdir()
    transport = {"type": "file", "log_file_path": str(tmp_path / "lineage/event")}
    connection = {"conn_type": "np6", "host": sandbox.url, "password": KEY}
    with Standalone(tmp_path, connection, AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(transport)) as running:
        running.wait_for(lambda: len(running.ask("SELECT dag_id FROM dag")) == 2, 60)
        for dag_id in ("np6_events_daily", "np6_bounces_summary"):
            assert running.run("dags", "unpause", "--yes", dag_id)
        assert running.run("pools", "set", "np6_api", "4", "Requests to NP6")
        yield running


def test_a_day_updates_the_asset_runs_the_summary_and_is_told_to_lineage(
    lake: Standalone, sandbox: Sandbox
) -> None:
    def pulled(logical_date: str) -> str:
        assert lake.run("dags", "trigger", "np6_events_daily", "--logical-date", logical_date)
        lake.wait_for(lambda: states("np6_events_daily")[-1] in ("success", "failed"), 120)
        return states("np6_events_daily")[-1]

    def states(dag_id: str) -> list[str]:
        return [
            state for (state,) in lake.ask(f"SELECT state FROM dag_run WHERE dag_id = '{dag_id}' ORDER BY id")
        ]

    sandbox.plan.add(Fault(path="/000PEB/events/bounces", status=404, framing="length"))
    assert pulled("2026-01-03T00:00:00Z") == "failed"
    assert lake.ask("SELECT * FROM asset_event") == []
    assert pulled("2026-01-04T00:00:00Z") == "success"

    # What the summary's run was told, and made of it.
    lake.wait_for(lambda: states("np6_bounces_summary") == ["success"], 90)
    ((extra, uri),) = lake.ask(
        "SELECT asset_event.extra, uri FROM asset_event JOIN asset ON asset.id = asset_id"
    )
    told = json.loads(extra)
    root = lake.home / "np6"
    assert uri == f"file://{root}"
    assert (told["destination"], told["manifests"]) == (str(root), f"{root}/_manifests")
    assert (told["actions"], told["slices"]) == (4, {"unchanged": 11, "created": 1})  # one of 12 had failed
    (summary,) = (lake.home / "np6_summaries").iterdir()
    day, next_day = (told[name][:10] for name in ("window_start", "window_end"))
    assert summary.name == f"bounces_{day}_{next_day}.csv"
    counted = sum(int(line.split(",")[2]) for line in summary.read_text().splitlines()[1:])
    stored = FileDestination(str(root))
    assert counted == sum(
        stored.coverage("bounces", action, day, next_day).events for action in stored.action_ids("bounces")
    )

    # What lineage was told: of the run that failed, 12 starts, 11 ends and one failure.
    lake.wait_for(lambda: len(lineage(lake, "pull", "COMPLETE")) == 23, 60)
    assert len(lineage(lake, "pull", "START")) == 24
    (failure,) = lineage(lake, "pull", "FAIL")
    host = sandbox.url.removeprefix("http://")
    bounces = {"namespace": f"np6://{host}", "name": "actions/000PEB/events/bounces"}
    assert [{name: one[name] for name in bounces} for one in failure["inputs"]] == [bounces]
    assert all("outputFacets" not in one or not one["outputFacets"] for one in failure["outputs"])
    ends = lineage(lake, "pull", "COMPLETE")
    outputs = [output for end in ends for output in end["outputs"]]
    assert {(output["namespace"], output["name"]) for output in outputs} == {("file", str(root))}
    statistics = [output["outputFacets"]["outputStatistics"] for output in outputs]
    sizes = {path.relative_to(root).parts[:2]: path.stat().st_size for path in root.rglob("*.jsonl.gz")}
    # Both runs pulled the same day, the first one without a file: the second one wrote that file only.
    assert sum(one["size"] for one in statistics) == sum(sizes.values())
    assert [field["name"] for field in outputs[0]["facets"]["schema"]["fields"]] == [
        *("id", "type", "timestamp", "identity", "source")
    ]
    (closed,) = lineage(lake, "close", "COMPLETE")
    assert [(output["namespace"], output["name"]) for output in closed["outputs"]] == [("file", str(root))]


def lineage(lake: Standalone, task_id: str, kind: str) -> list[dict[str, Any]]:
    """OpenLineage's events of a task of the daily pulls."""
    events = [json.loads(path.read_text()) for path in (lake.home / "lineage").iterdir()]
    job = f"np6_events_daily.{task_id}"
    return [event for event in events if event["eventType"] == kind and event["job"]["name"] == job]
