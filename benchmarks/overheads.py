"""What comes on top of a pull: loading the operator in a DAG file, and Airflow around each mapped instance.

``python -m benchmarks.overheads importing`` and ``… mapped FOLDER`` measure in a process of their own.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import asked_of

IMPORTS = 9
INSTANCES = 16
TURNS = 3
KEY = "bench-key"

PLAIN = """
from airflow.providers.common.compat.sdk import DAG, BaseOperator
with DAG("plain", schedule=None):
    BaseOperator(task_id="task")
"""
WITH_OPERATOR = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_np6.operators.events import Np6EventsOperator
with DAG("pulling", schedule=None):
    Np6EventsOperator(task_id="task", event_type="bounces", action_id="000PE4", destination="/data/np6")
"""
MAPPED = """
from airflow.providers.common.compat.sdk import DAG, BaseOperator
from airflow_provider_np6.operators.events import Np6EventsOperator
class Nothing(BaseOperator):
    def __init__(self, action_id, **kwargs):
        super().__init__(**kwargs)
        self.action_id = action_id
    def execute(self, context):
        return {"action_id": self.action_id}
with DAG("nothing", schedule=None) as nothing:
    Nothing.partial(task_id="pull").expand(action_id=ACTIONS)
with DAG("pulling", schedule=None) as pulling:
    Np6EventsOperator.partial(
        task_id="pull", event_type="bounces", destination=DESTINATION,
        window_start="2024-10-04", window_end="2024-10-05",
    ).expand(action_id=ACTIONS)
"""


def importing() -> dict[str, float]:
    """Milliseconds that a DAG file with the operator takes beyond one of the same process with
    ``BaseOperator`` only."""
    runs = [asked_of(sys.executable, "benchmarks.overheads", "importing") for _ in range(IMPORTS)]
    return {"ms": round(statistics.median(runs) * 1_000, 1), "runs": IMPORTS}


def mapped(folder: Path) -> dict[str, float]:
    """Seconds of a mapped instance under ``dag.test()``: one that does nothing, one of ours, and the bare
    pull of the same events.

    :param folder: for an Airflow of its own.
    """
    folder.mkdir(exist_ok=True)
    figures: dict[str, float] = asked_of(sys.executable, "benchmarks.overheads", "mapped", str(folder))
    return figures


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _import_once() -> float:
    exec(PLAIN, {"__name__": "plain"})  # noqa: S102
    return _seconds(lambda: exec(WITH_OPERATOR, {"__name__": "pulling"}))  # noqa: S102


def _mapped_once(folder: Path) -> dict[str, float]:
    os.environ.update(
        {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        }
    )
    from airflow_provider_np6.sandbox import FakeAccount, Sandbox
    from tests.support.airflow_runs import load, migrate, run_dag

    migrate()
    account = FakeAccount(actions=INSTANCES, events_per_day=250)
    file = folder / "mapped.py"
    file.write_text(
        MAPPED.replace("ACTIONS", repr(account.action_ids)).replace(
            "DESTINATION", repr(str(folder / "files"))
        )
    )
    with Sandbox(account, key=KEY) as sandbox:
        connection = {"conn_type": "np6", "host": sandbox.url, "password": KEY}
        os.environ["AIRFLOW_CONN_NP6_DEFAULT"] = json.dumps(connection)
        dags = load(file)
        ways: dict[str, Callable[[], Any]] = {
            "nothing": lambda: run_dag(dags.nothing),
            "ours": lambda: run_dag(dags.pulling),
            "pull": lambda: _bare_pulls(account.action_ids, str(folder / "bare")),
        }
        for work in ways.values():
            work()
        turns = [{name: _seconds(work) for name, work in ways.items()} for _ in range(TURNS)]
    return {
        "instances": INSTANCES,
        **{name: round(statistics.median(turn[name] for turn in turns) / INSTANCES, 4) for name in ways},
    }


def _bare_pulls(actions: list[str], root: str) -> None:
    from airflow_provider_np6.destinations import FileDestination
    from airflow_provider_np6.hooks.np6 import Np6Hook
    from airflow_provider_np6.np6.pull import pull
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.window import Window
    from benchmarks.source import DAY, START

    client = Np6Hook().client
    for action in actions:
        query = EventQuery.checked("bounces", action, Window(START, START + DAY))
        with FileDestination(root).open(query, "bench") as landing:
            landing.publish(pull(client, query, landing.spool))


def main() -> None:
    if sys.argv[1] == "importing":
        print(json.dumps(_import_once()))
    else:
        print("\n" + json.dumps(_mapped_once(Path(sys.argv[2]))))


if __name__ == "__main__":
    main()
