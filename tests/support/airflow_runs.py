"""Real DAG runs in this process, on Airflow 2 and 3 alike."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import airflow
from packaging.version import Version

AIRFLOW_3, AIRFLOW_3_2, AIRFLOW_3_3 = (
    Version(airflow.__version__) >= Version(number) for number in ("3", "3.2", "3.3")
)

if not AIRFLOW_3:
    # Clearing a run that exists already looks up tables that only this module declares.
    import airflow.providers.fab.auth_manager.models

DAGS_FOLDER = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])


def migrate() -> None:
    """Make the metadata database."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})


@dataclass(frozen=True)
class Run:
    """What came of a DAG run.

    :param state: ``success`` or ``failed``.
    :param states: each task instance's state, by ``task_id`` or ``task_id[map_index]``.
    :param returned: each one's return value, as XCom keeps it.
    :param names: the names of mapped instances.
    """

    state: str
    states: dict[str, str]
    returned: dict[str, Any]
    names: dict[str, str]

    def reports(self, task_id: str = "pull") -> list[dict[str, Any]]:
        """What the instances of a task returned."""
        return [value for name, value in self.returned.items() if name.split("[")[0] == task_id]


def run_source(source: str, logical_date: datetime | None = None, conf: dict[str, Any] | None = None) -> Run:
    """Run a DAG given as the source of a DAG file, in which ``DAG_ID`` stands for its id."""
    dag_id = f"t{uuid.uuid4().hex[:12]}"
    path = DAGS_FOLDER / f"{dag_id}.py"
    path.write_text(source.replace("DAG_ID", repr(dag_id)))
    return run_dag(load(path).dag, logical_date, conf)


def load(path: Path) -> Any:
    """A DAG file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def run_dag(dag: Any, logical_date: datetime | None = None, conf: dict[str, Any] | None = None) -> Run:
    """``dag.test()``, and what the metadata database says afterwards."""
    date = {"logical_date" if AIRFLOW_3 else "execution_date": logical_date}
    run = dag.test(**date, run_conf=conf)
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database:
        where = "WHERE dag_id = ? AND run_id = ?"
        instances = database.execute(
            f"SELECT task_id, map_index, state, rendered_map_index FROM task_instance {where}",
            (dag.dag_id, run.run_id),
        ).fetchall()
        xcoms = database.execute(
            f"SELECT task_id, map_index, value FROM xcom {where} AND key = 'return_value'",
            (dag.dag_id, run.run_id),
        ).fetchall()
    return Run(
        str(getattr(run.state, "value", run.state)),
        {_name(task, index): state for task, index, state, _ in instances},
        {_name(task, index): _value(value) for task, index, value in xcoms},
        {_name(task, index): name for task, index, _, name in instances if name},
    )


def asset_events(uri: str) -> list[dict[str, Any]]:
    """The extras of an asset's events so far, in order.

    To be called before a run, too: on Airflow 2 the scheduler makes an asset known, and not ``dag.test()``,
    and an unknown one has no events.
    """
    asset = "asset" if AIRFLOW_3 else "dataset"
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"]) / "airflow.db")) as database, database:
        if not AIRFLOW_3:
            now = "2024-01-01 00:00:00.000000"
            database.execute(
                "INSERT OR IGNORE INTO dataset (uri, extra, created_at, updated_at, is_orphaned)"
                " VALUES (?, '{}', ?, ?, 0)",
                (uri, now, now),
            )
        told = database.execute(
            f"SELECT {asset}_event.extra FROM {asset}_event JOIN {asset} ON {asset}.id = {asset}_id"
            f" WHERE uri = ? ORDER BY {asset}_event.id",
            (uri,),
        ).fetchall()
    return [json.loads(extra) for (extra,) in told]


def _name(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _value(stored: Any) -> Any:
    value = json.loads(stored) if isinstance(stored, str | bytes) else stored
    return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
