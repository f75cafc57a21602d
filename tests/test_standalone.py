"""Long waits under a real scheduler and a real triggerer: no slot sleeps."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.airflow_runs import AIRFLOW_3
from tests.conftest import KEY
from tests.postgres import free_port

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


class Standalone:
    """An Airflow of its own: api-server, scheduler, dag-processor and triggerer."""

    def __init__(self, home: Path, connection: dict[str, Any], **environment: str) -> None:
        self.home = home
        port = free_port()
        self.health = f"http://127.0.0.1:{port}/api/v2/monitor/health"
        self._environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW_CONN_NP6_DEFAULT": json.dumps(connection),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
            **environment,
        }

    def __enter__(self) -> Standalone:
        with (self.home / "standalone.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(self._is_healthy, 120)
        return self

    def __exit__(self, *_: object) -> None:
        # Told to stop, the parent leaves its children alone: the whole group is told.
        for signal_, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal_)
                self._process.wait(patience)

    def run(self, *arguments: str) -> bool:
        command = [sys.executable, "-m", "airflow", *arguments]
        return (
            subprocess.run(command, env=self._environment, capture_output=True, check=False).returncode == 0
        )

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "airflow.db", timeout=30)) as database:
            return database.execute(statement).fetchall()

    def wait_for(self, condition: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.home / "standalone.log").read_text()[-4_000:]
            time.sleep(0.5)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(self.health, timeout=5) as answer:  # noqa: S310 - loopback
                health = json.load(answer)
        except OSError:
            return False
        return all(
            health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor")
        )


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
    assert trigger == ("airflow_provider_np6.triggers.moment.MomentTrigger",)
    standalone.wait_for(lambda: task("deferred")[0] == "success", 60)
    asked = [request for request in sandbox.asked if "/000PE4/" in request.path]
    assert len(asked) == 2
    standalone.wait_for(lambda: task("retried")[0] == "up_for_retry", 60)
    assert task("retried")[1] == 3_601
    assert len([request for request in sandbox.asked if "/000PEB/" in request.path]) == 1
