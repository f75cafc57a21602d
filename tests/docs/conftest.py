"""A place where the pages' own code runs: a sandbox for NP6, and what earlier pulls have left there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Sandbox
from tests.support.place import Place
from tests.support.pulls import MIDNIGHT, land
from tests.support.run import KEY

SECRET = "pages-pseudonym-key-0123456789abcdef"


@pytest.fixture
def place(
    sandbox: Sandbox, client: Np6Client, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """Two days of bounces of one action, in files on a disk, in a store, and in SQL."""
    made = Place(tmp_path / "data", f"{s3}/{tmp_path.name}", tmp_path / "np6.db")
    extra = {"max_attempts": 2, "pseudonym_key": SECRET}
    np6 = {"conn_type": "np6", "host": sandbox.url, "password": KEY, "extra": extra}
    database = json.dumps({"conn_type": "sqlite", "host": str(made.database)})
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(np6))
    monkeypatch.setenv("AIRFLOW_CONN_MY_DATABASE", database)
    monkeypatch.setenv("AIRFLOW_CONN_NP6_SQL", database)
    days = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
    for destination in (
        FileDestination(str(made.root / "np6")),
        FileDestination(f"{made.lake}/np6"),
        SqlDestination("my_database"),
    ):
        land(client, destination, EventQuery.checked("bounces", "000PE4", days), account="np6_default")
    return made
