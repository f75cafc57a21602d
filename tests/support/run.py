"""What a run of the tests has to itself: a scratch folder, an API key, and an Airflow for each process.

Airflow reads its settings when it is first imported, so this module is imported before it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

KEY = "np6-test-key-7f3a9c51"
"""The API key of every sandbox in these tests."""

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""Which of the processes that share the run this is; "" for the one that leads it."""

SCRATCH = Path(os.environ["NP6_SCRATCH"] if WORKER else tempfile.mkdtemp(prefix="np6-tests-")).resolve()
AIRFLOW_HOME = SCRATCH / f"airflow{WORKER}"
DAGS = AIRFLOW_HOME / "dags"
LOG = SCRATCH / f"everything{WORKER}.log"
"""All that tests print and log."""

DAGS.mkdir(parents=True)
os.environ.update(
    {
        "NP6_SCRATCH": str(SCRATCH),
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME}/airflow.db",
        "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "NO_PROXY": "127.0.0.1,localhost",
    }
)


def files_with(secret: str, *roots: Path) -> list[Path]:
    """Files below ``roots`` that hold ``secret``."""
    files = [path for root in roots if root.exists() for path in root.rglob("*") if path.is_file()]
    return [path for path in files if secret.encode() in path.read_bytes()]
