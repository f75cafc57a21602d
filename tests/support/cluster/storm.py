"""Many pulls in a deployment to which things happen meanwhile."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_np6.sandbox import Fault
from airflow_provider_np6.sandbox.behavior import RateLimit
from tests.support.cluster.running import DAYS, END, START, Cluster

DAGS = ("files_daily", "sql_caught_up")
PATIENCE = 3 * 3_600.0
"""Seconds for any step; a machine may be slow."""


@dataclass
class Told:
    """What is to be reported of it.

    :param refused: how many of the requests were answered by 429.
    :param cleared: task instances that had ended and were cleared.
    """

    seconds: float = 0.0
    requests: int = 0
    refused: int = 0
    cleared: int = 0


class Storm:
    """Starts the pulls, disturbs them one after the other, each at a share of the backfill done."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._api = cluster.api
        self._processes = cluster.deployment.processes
        self._all = DAYS * len(cluster.account.action_ids) * 3
        self._begun = time.monotonic()
        self.told = Told()

    def run(self) -> Told:
        """All of it; what was seen."""
        before = len(self._cluster.sandbox.received)
        self._start()
        for share, happening in (
            (0.05, self._pause),
            (0.15, self._clear),
            (0.25, self._kill_a_worker),
            (0.45, self._restart_the_scheduler),
            (0.60, self._restart_redis),
            (0.75, self._limit),
        ):
            self._wait(lambda share=share: self._done() >= share * self._all, f"{share:.0%} of the backfill")
            self._say(happening.__name__.strip("_").replace("_", " "))
            happening()
        for dag_id in DAGS:
            self._wait(lambda dag_id=dag_id: self._is_over(dag_id), f"the end of {dag_id}")
            self._say(f"{dag_id} is over")
        assert self._cluster.sandbox.limit is not None
        self.told.refused += self._cluster.sandbox.limit.refused
        self._cluster.sandbox.limit = None
        self.told.seconds = time.monotonic() - self._begun
        self.told.requests = len(self._cluster.sandbox.received) - before
        return self.told

    def _start(self) -> None:
        for dag_id in DAGS:
            self._api.pause(dag_id, paused=False)
        asked = {
            "dag_id": "files_daily",
            "from_date": START.isoformat(),
            "to_date": (END - timedelta(days=1)).isoformat(),
            "max_active_runs": 3,
        }
        self._api.ask("POST", "backfills", json=asked)

    def _pause(self) -> None:
        """Both DAGs, until all that had begun has ended."""
        for dag_id in DAGS:
            self._api.pause(dag_id, paused=True)
        self._wait(
            lambda: not any(self._api.count(dag_id, "running", "queued") for dag_id in DAGS), "a pause"
        )
        for dag_id in DAGS:
            self._api.pause(dag_id, paused=False)

    def _clear(self) -> None:
        """Ten instances of each DAG that have ended: they pull again what was stored."""
        for dag_id in DAGS:
            self._wait(lambda dag_id=dag_id: self._api.count(dag_id, "success") >= 10, f"ten of {dag_id}")
            indexes = defaultdict(list)
            for task in self._api.tasks(dag_id, state="success")[:10]:
                indexes[task["dag_run_id"]].append(["pull", task["map_index"]])
            for run_id, tasks in indexes.items():
                asked: dict[str, Any] = {
                    "dry_run": False,
                    "only_failed": False,
                    "dag_run_id": run_id,
                    "task_ids": tasks,
                }
                cleared = self._api.ask("POST", f"dags/{dag_id}/clearTaskInstances", json=asked)
                self.told.cleared += cleared["total_entries"]

    def _kill_a_worker(self) -> None:
        """One that reads answers just now, which come slowly."""
        sandbox = self._cluster.sandbox
        sandbox.plan.add(Fault(path="/events/", drip=1), times=16)
        worker = self._processes["worker-1"]
        self._wait(lambda: worker.is_connected_to(sandbox.port), "a pull on that worker")
        worker.kill()
        worker.start()
        sandbox.plan.clear()

    def _restart_the_scheduler(self) -> None:
        self._cluster.restart("scheduler")

    def _restart_redis(self) -> None:
        self._cluster.restart("redis")

    def _limit(self) -> None:
        """Not one request for a while; from then on one a second, for all workers together."""
        shut = self._cluster.sandbox.limit = RateLimit(0)
        self._wait(lambda: shut.refused >= 20, "twenty refusals")
        self.told.refused = shut.refused
        self._cluster.sandbox.limit = RateLimit(1)

    def _done(self) -> int:
        return self._api.count("files_daily", "success")

    def _is_over(self, dag_id: str) -> bool:
        """Whether each of its runs is there and has ended."""
        runs = DAYS if dag_id == "files_daily" else DAYS // 5
        return (
            sum(n for (_, state), n in self._api.runs(dag_id).items() if state in ("success", "failed"))
            == runs
        )

    def _wait(self, condition: Any, what: str) -> None:
        self._cluster.deployment.wait_for(condition, what, PATIENCE)

    def _say(self, what: str) -> None:
        seconds = time.monotonic() - self._begun
        print(f"{seconds:7.0f} s, {self._done():5} of {self._all} windows in files: {what}", flush=True)
