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
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.sandbox import FakeAccount, Sandbox

DAY = "2026-11-03"  # a Tuesday: the newsletter is sent
NEXT_DAY = "2026-11-04"
EVENT_TYPES = (
    "activations",
    "bounces",
    "cancellations",
    "responses/stop",
    "hits/open",
    "hits/redirection",
    "hits/unsubscribe",
    "hits/mirror",
)
"""What np6_account_daily pulls."""

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".demo"
FILES = HOME / "files"
DATABASE = HOME / "np6.db"
POOL = ("pools", "set", "np6_api", "4", "Requests to NP6")

COUNTS = """
SELECT event_type, COUNT(*)
FROM np6_events
WHERE occurred_at >= ? AND occurred_at < ?
GROUP BY event_type
"""

BOUNCE_RATES = """
SELECT action_id,
       COUNT(CASE WHEN event_type = 'activations' THEN 1 END) AS activations,
       COUNT(bounce_verdict) AS bounces,
       COUNT(CASE WHEN bounce_verdict = 'hard' THEN 1 END) AS hard,
       COUNT(CASE WHEN bounce_verdict = 'soft' THEN 1 END) AS soft
FROM np6_events
WHERE event_type IN ('activations', 'bounces') AND occurred_at >= ? AND occurred_at < ?
GROUP BY action_id
ORDER BY action_id
"""


def main() -> int:
    account = FakeAccount()
    with Sandbox(account) as sandbox:
        environment = airflow_environment(sandbox)
        airflow(environment, "db", "migrate")
        airflow(environment, *POOL)
        run_dag(environment, "np6_account_daily", {"files": str(FILES)})
        window = {"start": f"{DAY}T00:00:00Z", "end": f"{NEXT_DAY}T00:00:00Z"}
        run_dag(environment, "np6_events_on_demand", {"actions": ["*"], "event_types": EVENT_TYPES, **window})
    is_equal = compare(in_sandbox(account), in_files(), in_sql())
    print_bounce_rates(account)
    print(f"\nFiles: {FILES}. SQL: {DATABASE}, table np6_events. A DAG of your own: docs/start.md.")
    return 0 if is_equal else 1


def airflow_environment(sandbox: Sandbox) -> dict[str, str]:
    """An Airflow of its own, below ``.demo``."""
    np6 = {"conn_type": "np6", "host": sandbox.url, "password": sandbox.key}
    return {
        **os.environ,
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
        "AIRFLOW_CONN_NP6_DEFAULT": json.dumps(np6),
        "AIRFLOW_CONN_NP6_SQL": json.dumps({"conn_type": "sqlite", "host": str(DATABASE)}),
    }


def airflow(environment: dict[str, str], *arguments: str) -> None:
    print("airflow", shlex.join(arguments), flush=True)
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        sys.exit(f"{done.stdout[-8_000:]}{done.stderr[-8_000:]}\nairflow ended with status {done.returncode}")


def run_dag(environment: dict[str, str], dag_id: str, conf: Mapping[str, object]) -> None:
    airflow(environment, "dags", "test", dag_id, NEXT_DAY, "--conf", json.dumps(conf))


def in_sandbox(account: FakeAccount) -> Counter[str]:
    """The sandbox's own events of the day, by type."""
    start, end = (
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1_000) for day in (DAY, NEXT_DAY)
    )
    return Counter(
        {
            event_type: sum(1 for _ in account.events(event_type, None, start, end))
            for event_type in EVENT_TYPES
        }
    )


def in_files() -> Counter[str]:
    """Lines of the data files."""
    destination = FileDestination(str(FILES))
    counts: Counter[str] = Counter()
    for event_type in EVENT_TYPES:
        for file in destination.data_files(event_type, "*", DAY, NEXT_DAY):
            with gzip.open(file) as lines:
                counts[event_type] += sum(1 for _ in lines)
    return counts


def in_sql() -> Counter[str]:
    """Rows of the day."""
    return Counter(dict(rows(COUNTS)))


def rows(query: str) -> list[tuple[Any, ...]]:
    """Rows of a query about the day."""
    with closing(sqlite3.connect(DATABASE)) as database:
        return database.execute(query, (f"{DAY}T00:00:00.000Z", f"{NEXT_DAY}T00:00:00.000Z")).fetchall()


def compare(sandbox: Counter[str], files: Counter[str], sql: Counter[str]) -> bool:
    """Print how many events are stored; whether they are as many as the sandbox has."""
    print(f"\nEvents of {DAY}, UTC\n{'event type':18}{'sandbox':>9}{'files':>9}{'SQL':>9}")
    for event_type in EVENT_TYPES:
        counts = (sandbox[event_type], files[event_type], sql[event_type])
        mark = "" if len(set(counts)) == 1 else "  differ!"
        print(f"{event_type:18}{''.join(f'{count:9,}' for count in counts)}{mark}")
    is_equal = sandbox == files == sql and sandbox.total() > 0
    print("All equal." if is_equal else "NOT EQUAL.")
    return is_equal


def print_bounce_rates(account: FakeAccount) -> None:
    """Print how many activations of each action bounced, from SQL."""
    print("\nBounce rates of that day, from SQL")
    print(f"{'action':34}{'activations':>12}{'bounces':>9}{'hard':>6}{'soft':>6}{'rate':>8}")
    for action_id, activations, bounces, hard, soft in rows(BOUNCE_RATES):
        name = f"{action_id} {account.action(action_id)['name']}"
        rate = f"{bounces / activations:.1%}" if activations else "-"
        print(f"{name:34}{activations:12,}{bounces:9,}{hard:6,}{soft:6,}{rate:>8}")


if __name__ == "__main__":
    sys.exit(main())
