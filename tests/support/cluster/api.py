"""Airflow's REST API, version 2."""

from __future__ import annotations

from collections import Counter
from typing import Any

import requests


class Api:
    """Asks one Airflow, as its admin.

    :param url: where it is.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        token = self._session.get(f"{url}/auth/token", timeout=60).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The decoded answer; a refusal is an error."""
        answer = self._session.request(method, f"{self._url}/api/v2/{path}", timeout=120, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:1_000]}"
        return answer.json() if answer.content else None

    def pause(self, dag_id: str, *, paused: bool) -> None:
        """Pause a DAG, or let it run."""
        self.ask("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def tasks(self, dag_id: str, **filters: Any) -> list[dict[str, Any]]:
        """All its task instances of all runs that the filters let through."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask(
                "GET",
                f"dags/{dag_id}/dagRuns/~/taskInstances",
                params={"limit": 100, "offset": len(found), "order_by": "id", **filters},
            )
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def count(self, dag_id: str, *states: str) -> int:
        """How many of its task instances are in one of these states."""
        asked = {"limit": 1, "state": states}
        answer = self.ask("GET", f"dags/{dag_id}/dagRuns/~/taskInstances", params=asked)
        return int(answer["total_entries"])

    def runs(self, dag_id: str) -> Counter[tuple[str, str]]:
        """How many of its runs are of each type and state."""
        found = self.ask("GET", f"dags/{dag_id}/dagRuns", params={"limit": 100})["dag_runs"]
        return Counter((run["run_type"], run["state"]) for run in found)
