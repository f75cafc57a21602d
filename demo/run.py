"""One day of a sandbox account, pulled into files and into SQL by the example DAGs, and counted."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from airflow_provider_np6.sandbox.account import EVENT_TYPES

DAY = "2026-11-01"
NEXT_DAY = "2026-11-02"
KEY = "demo-key"
ROOT = Path(__file__).parent.parent
HOME = ROOT / ".demo"
FILES = HOME / "files"
DATABASE = HOME / "np6.db"
POOL = ("pools", "set", "np6_api", "4", "Requests to NP6")

Counts = Counter[tuple[str, str]]


def main() -> int:
    account = FakeAccount()
    with Sandbox(account, key=KEY) as sandbox:
        environment = airflow_environment(sandbox.url)
        airflow(environment, "db", "migrate")
        airflow(environment, *POOL)
        run_dag(environment, "np6_events_daily", NEXT_DAY, {"files": str(FILES)})
        chosen = {"actions": account.action_ids, "start": f"{DAY}T00:00:00Z", "end": f"{NEXT_DAY}T00:00:00Z"}
        run_dag(environment, "np6_events_on_demand", NEXT_DAY, chosen)
    return report(in_sandbox(account), in_files(), in_sql())


def airflow_environment(url: str) -> dict[str, str]:
    """An Airflow of its own, below ``.demo``."""
    return {
        **os.environ,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW_CONN_NP6_DEFAULT": json.dumps({"conn_type": "np6", "host": url, "password": KEY}),
        "AIRFLOW_CONN_NP6_SQL": json.dumps({"conn_type": "sqlite", "host": str(DATABASE)}),
    }


def airflow(environment: dict[str, str], *arguments: str) -> None:
    print("airflow", shlex.join(arguments), flush=True)
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        sys.exit(f"{done.stdout[-8_000:]}{done.stderr[-8_000:]}\nairflow ended with status {done.returncode}")


def run_dag(environment: dict[str, str], dag_id: str, logical_date: str, conf: Mapping[str, object]) -> None:
    airflow(environment, "dags", "test", dag_id, logical_date, "--conf", json.dumps(conf))


def in_sandbox(account: FakeAccount) -> Counts:
    """What the sandbox's own generator makes for the day."""
    start, end = (
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1_000) for day in (DAY, NEXT_DAY)
    )
    return Counter(
        {
            (action, event_type): sum(1 for _ in account.events(event_type, action, start, end))
            for action in account.action_ids
            for event_type in EVENT_TYPES
        }
    )


def in_files() -> Counts:
    """Lines of the data files that the day's manifests vouch for."""
    counts: Counts = Counter()
    for path in FILES.glob(f"_manifests/*/*/date={DAY}/*.json"):
        manifest = json.loads(path.read_text())
        key = (manifest["action_id"], manifest["event_type"])
        counts[key] = 0
        if manifest["data"]:
            with gzip.open(FILES / manifest["data"]) as lines:
                counts[key] = sum(1 for _ in lines)
    return counts


def in_sql() -> Counts:
    """Rows of the day."""
    query = (
        "SELECT action_id, event_type, COUNT(*) FROM np6_events"
        f" WHERE occurred_at >= '{DAY}T00:00:00.000Z' AND occurred_at < '{NEXT_DAY}T00:00:00.000Z'"
        " GROUP BY 1, 2"
    )
    with sqlite3.connect(DATABASE) as database:
        return Counter({(action, event_type): rows for action, event_type, rows in database.execute(query)})


def report(account: Counts, files: Counts, rows: Counts) -> int:
    """Print what landed; 0 if all three agree."""
    print(f"\nEvents of {DAY}, UTC\n{'action':8} {'event type':16} {'sandbox':>8} {'files':>8} {'SQL':>8}")
    for action, event_type in sorted(account | files | rows):
        key = (action, event_type)
        line = (account[key], files[key], rows[key])
        mark = "" if len(set(line)) == 1 else "  differ!"
        print(f"{action:8} {event_type:16} {line[0]:8} {line[1]:8} {line[2]:8}{mark}")
    same = account == files == rows and sum(account.values()) > 0
    print(f"\n{'All equal' if same else 'NOT EQUAL'}. Files: {FILES}. SQL: {DATABASE}, table np6_events.")
    print("The sandbox made about 200 of each. A DAG of your own: docs/start.md.")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
