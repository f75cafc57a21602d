"""Memory does not grow with what is pulled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.run import KEY

PULL = """
import json, os, re, sys
from airflow_provider_np6.destinations import SqlDestination, resolve_destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.window import DAY, Window

url, place = sys.argv[1:]
client = Np6Client(Np6Config(base_url=url, api_key=os.environ["KEY"], account="test"))
query = EventQuery.checked("responses/stop", "000PE4", Window(20_000 * DAY, 20_001 * DAY))
destination = SqlDestination("np6_sql") if place == "sql" else resolve_destination(place)
with destination.open(query, "test") as writer:
    verified = pull(client, query, writer)
    writer.publish(verified)
with open("/proc/self/status") as status:  # ru_maxrss would count the parent's memory too
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]
print(json.dumps([verified.events, int(peak) // 1024]))
"""


def peak(events: int, place: str) -> int:
    """Peak resident memory, in MB, of a process that pulls so many events."""
    with Sandbox(FakeAccount(events_per_day=events), key=KEY) as sandbox:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PULL, sandbox.url, place],
            env={**os.environ, "KEY": KEY},
            capture_output=True,
            text=True,
            check=True,
        )
    pulled, megabytes = json.loads(done.stdout.splitlines()[-1])
    assert abs(pulled - events) <= 24
    return int(megabytes)


@pytest.mark.parametrize("kind", ["files", "sql"])
def test_a_million_events_take_as_much_memory_as_ten_thousand(
    tmp_path: Path, kind: str, sqlite_connection: Path
) -> None:
    small, large = (
        peak(events, "sql" if kind == "sql" else str(tmp_path / str(events)))
        for events in (10_000, 1_000_000)
    )
    print(f"{kind}: peak memory {small} MB of 10,000 events, {large} MB of 1,000,000")
    assert large <= small + 64
