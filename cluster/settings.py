"""The environment of every program of the deployment."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).parent.parent

Connection = Mapping[str, object]
"""The fields of an Airflow connection."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What differs from place to place: addresses, folders and secrets.

    :param folder: where Airflow and its DAGs' files live.
    :param dags: folder of the DAGs.
    :param url: where the api-server answers.
    :param np6: the connection ``np6_default``.
    :param metadata: Airflow's own database.
    :param events: the connection ``np6_sql``.
    :param broker: the port of Redis.
    """

    folder: Path
    dags: Path
    url: str
    np6: Connection
    metadata: Connection
    events: Connection
    broker: int

    def environment(self) -> dict[str, str]:
        """This process's own without Airflow's settings, those of ``deployment.env``, and these; new secrets
        each time."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        python = {"PATH": programs, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        database = "postgresql+psycopg2://{login}@{host}:{port}/{schema}".format(**self.metadata)
        own = {
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{self.broker}/0",
            "AIRFLOW_CONN_NP6_DEFAULT": json.dumps(self.np6),
            "AIRFLOW_CONN_NP6_SQL": json.dumps(self.events),
        }
        return {**inherited, **python, "NO_PROXY": "127.0.0.1,localhost", **shared(), **own}


def shared() -> dict[str, str]:
    """The settings of ``deployment.env``."""
    lines = (ROOT / "deployment.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
