"""What ``docker-compose.yaml`` starts, started on this machine: servers, Airflow's parts, two workers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cluster.health import is_healthy
from cluster.process import Process
from cluster.settings import Settings
from tests.support.postgres import Postgres, free_port

PARTS = ("scheduler", "dag-processor", "triggerer")
WORKERS = ("worker-1", "worker-2")
POOL = ("pools", "set", "np6_api", "4", "Requests to NP6")


class Deployment:
    """``with Deployment(folder, dags, url, key) as running: … running.url``.

    :param folder: where all of it lives, and its logs stay; PostgreSQL's data alone, which belongs to
        another user where root starts it, is elsewhere and goes at the end.
    :param dags: folder of the DAGs.
    :param np6_url: where NP6 is.
    :param key: NP6's API key.
    :param more: more of the environment of all programs.
    """

    def __init__(self, folder: Path, dags: Path, np6_url: str, key: str, **more: str) -> None:
        self.files = folder / "files"
        self.logs = folder / "logs"
        self.processes: dict[str, Process] = {}
        self._folder = folder
        self._dags = dags
        self._np6 = {"conn_type": "np6", "host": np6_url, "password": key}
        self._more = more
        self._port, self._broker = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._stack = ExitStack()

    def __enter__(self) -> Deployment:
        for needed in (self.files, self.logs, self._folder / "redis"):
            needed.mkdir(parents=True)
        with ExitStack() as stack:
            postgres = stack.enter_context(Postgres())
            stack.callback(self._stop)
            self._prepare(postgres)
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 600) -> None:
        """Wait until something is so.

        :raises TimeoutError: if it is not so after ``seconds``.
        :raises RuntimeError: if a program ends meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [process for process in self.processes.values() if process.has_ended()]
            if ended:
                raise RuntimeError(f"{ended[0].name} has ended: see {ended[0].log}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come about within {seconds:.0f} s: see {self.logs}")
            time.sleep(0.5)

    def _prepare(self, postgres: Postgres) -> None:
        """Settings, Redis, Airflow's tables and the pool."""
        metadata, self.events = postgres.database(), postgres.database()
        settings = Settings(
            folder=self._folder,
            dags=self._dags,
            url=self.url,
            np6=self._np6,
            metadata=metadata,
            events=self.events,
            broker=self._broker,
        )
        self._environment = {**settings.environment(), **self._more}
        redis = [_redis(), "--bind", "127.0.0.1", "--port", str(self._broker)]
        self._add("redis", [*redis, "--dir", str(self._folder / "redis"), "--appendonly", "yes"])
        self._airflow("db", "migrate")
        self._airflow(*POOL)

    def _start(self) -> None:
        """Airflow's parts; then the workers, which need the api-server."""
        self._add("api-server", _command("api-server", "--host", "127.0.0.1", "--port", str(self._port)))
        for name in PARTS:
            self._add(name, _command(name))
        self.wait_for(lambda: is_healthy(self.url), "a healthy Airflow")
        for name in WORKERS:
            pid = str(self._folder / f"{name}.pid")
            self._add(name, _command("celery", "worker", "--celery-hostname", name, "--pid", pid))

    def _add(self, name: str, command: list[str]) -> None:
        ports = {
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }
        process = self.processes[name] = Process(name, command, {**self._environment, **ports}, self.logs)
        process.start()

    def _stop(self) -> None:
        """Workers first, so that what runs may end; Redis last."""
        for process in reversed(self.processes.values()):
            process.stop()

    def _airflow(self, *arguments: str) -> None:
        done = subprocess.run(
            _command(*arguments), env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = f"{done.stdout[-4_000:]}{done.stderr[-4_000:]}"
            raise RuntimeError(f"airflow {' '.join(arguments)} failed:\n{said}")


def _redis() -> str:
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("redis-server is not installed: run `make services`")
    return program


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]
