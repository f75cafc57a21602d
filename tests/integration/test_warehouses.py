"""The DAGs that load warehouses: that they parse, and what they render to. There is no warehouse here."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.schema import KEY
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY as MS_OF_DAY
from airflow_provider_np6.np6.window import Window
from tests.support import ROOT
from tests.support.airflow_runs import load
from tests.support.pulls import land

WAREHOUSES = ROOT / "dags/warehouses"
DAY = "2026-11-01"
START = pendulum.datetime(2026, 11, 1)


@pytest.fixture
def dag(request: pytest.FixtureRequest) -> Any:
    """A DAG whose provider is installed."""
    name = request.param
    provider = {"redshift": "amazon", "bigquery": "google", "snowflake": "snowflake"}[name]
    if find_spec(f"airflow.providers.{provider}") is None:
        reason = f"the provider {provider} is not installed: make warehouses"
        if os.environ.get("NP6_WAREHOUSES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return load(WAREHOUSES / f"np6_to_{name}.py").dag


def rendered(dag: Any, task_id: str = "load") -> Any:
    task = dag.get_task(task_id)
    task.render_template_fields({"data_interval_start": START.add(hours=3)})
    return task


def test_there_is_one_for_each_that_the_page_names() -> None:
    page = (ROOT / "docs/reading.md").read_text()
    for path in WAREHOUSES.glob("*.py"):
        assert f"`{path.stem}`" in page
        assert "Never run against" in path.read_text()
    assert "*They were never run against a warehouse.*" in page


def test_airflow_passes_them_over_where_their_providers_may_be_missing() -> None:
    from airflow.utils.file import list_py_file_paths

    found = {Path(path).name for path in list_py_file_paths(str(WAREHOUSES.parent))}
    assert "np6_events_daily.py" in found
    assert not found & {path.name for path in WAREHOUSES.glob("*.py")}


@pytest.mark.parametrize("dag", ["redshift"], indirect=True)
def test_redshift(dag: Any) -> None:
    task = rendered(dag)
    assert (task.s3_bucket, task.s3_key) == ("lake", f"np6/type=bounces/action=000PE4/date={DAY}/")
    assert task.upsert_keys == list(KEY)


@pytest.mark.parametrize("dag", ["snowflake"], indirect=True)
def test_snowflake(dag: Any, client: Np6Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"occurred_at::date = '{DAY}'" in rendered(dag, "delete").sql
    assert dag.get_task("load").upstream_task_ids == {"delete", "files"}
    files = dag.get_task("files").python_callable
    monkeypatch.setitem(files.__globals__, "LAKE", str(tmp_path))
    start = START.add(hours=3)  # as the DAG's intervals begin
    with pytest.raises(AirflowSkipException):
        files(data_interval_start=start)
    midnight = int(START.timestamp()) * 1_000
    for action in ("000PE4", "000PEB"):
        two_days = Window(midnight, midnight + 2 * MS_OF_DAY)
        land(
            client, FileDestination(str(tmp_path), "parquet"), EventQuery.checked("bounces", action, two_days)
        )
    names = [path.relative_to(tmp_path) for path in tmp_path.glob(f"type=bounces/*/date={DAY}/*.parquet")]
    assert len(names) == 2
    assert files(data_interval_start=start) == sorted(map(str, names))


@pytest.mark.parametrize("dag", ["bigquery"], indirect=True)
def test_bigquery(dag: Any) -> None:
    task = rendered(dag)
    assert task.source_objects == [f"np6/type=bounces/action=000PE4/date={DAY}/*.parquet"]
    assert task.destination_project_dataset_table == "crm.np6_bounces_000PE4$20261101"
