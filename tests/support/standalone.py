"""A whole Airflow 3 of a test's own, and example DAGs that are safe to run in it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from cluster.health import is_healthy
from tests.support import ROOT
from tests.support.postgres import free_port

EXAMPLES = ROOT / "dags"


def example(name: str, root: Path) -> str:
    """The source of an example DAG that writes below ``root``, does not retry, and runs only by hand: its
    schedule has ended."""
    source = (EXAMPLES / f"{name}.py").read_text().replace("/tmp/np6", str(root / "np6"))
    source = re.sub(r"retries=\d+", "retries=0", source)
    if "CronDataIntervalTimetable" in source:
        ended = "end_date=datetime(2026, 1, 9, tzinfo=pendulum.UTC), catchup=False"
        source = source.replace("catchup=False", ended)
    return source


class Standalone:
    """An Airflow of its own: api-server, scheduler, dag-processor and triggerer."""

    def __init__(self, home: Path, connection: dict[str, Any], **environment: str) -> None:
        self.home = home
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
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
        try:
            self.wait_for(lambda: is_healthy(self.url), 480)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

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

    def _stop(self) -> None:
        # The parent does not stop its children, so the signal goes to the whole group.
        for signal_, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal_)
                self._process.wait(patience)
