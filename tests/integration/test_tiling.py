"""Hours and a day bring the same events, on every kind of day."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window, to_ms
from airflow_provider_np6.sandbox import Sandbox
from tests.support.databases import ask
from tests.support.pulls import HOUR, land

pytestmark = pytest.mark.core


def local_day(zone: str, year: int, month: int, day: int) -> Window:
    start = datetime(year, month, day, tzinfo=ZoneInfo(zone))
    return Window(to_ms(start), to_ms(start + timedelta(days=1)))


def stored(root: Path) -> list[str]:
    """Ids in all data files, in order of time and id."""
    events = [json.loads(line) for path in root.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    return [event["id"] for event in sorted(events, key=lambda event: (event["timestamp"], event["id"]))]


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (local_day("UTC", 2026, 11, 22), 24),
        (local_day("Europe/Paris", 2026, 3, 29), 23),
        (local_day("Europe/Paris", 2026, 10, 25), 25),
        (local_day("Europe/Paris", 2026, 11, 22), 24),
    ],
)
def test_hourly_pulls_store_the_same_ids_as_the_daily_one(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, day: Window, hours: int
) -> None:
    assert day.end - day.start == hours * HOUR
    for hour in range(hours):
        window = Window(day.start + hour * HOUR, day.start + (hour + 1) * HOUR)
        query = EventQuery.checked("bounces", "000PE4", window)
        land(client, FileDestination(str(tmp_path / "hourly"), "jsonl"), query)
    land(
        client,
        FileDestination(str(tmp_path / "daily"), "jsonl"),
        EventQuery.checked("bounces", "000PE4", day),
    )
    held = list(sandbox.account.events("bounces", "000PE4", day.start, day.end))
    assert (held[0].timestamp, held[-1].timestamp) == (day.start, day.end - 1)
    expected = [event.id for event in sorted(held, key=lambda event: (event.timestamp, event.id))]
    assert stored(tmp_path / "hourly") == stored(tmp_path / "daily") == expected


def test_hourly_pulls_and_the_daily_one_store_the_same_rows(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    """A day of 25 hours, which begins and ends at 22:00 and 23:00 UTC: two slices, or 25."""
    day = local_day("Europe/Paris", 2026, 10, 25)
    for start in range(day.start, day.end, HOUR):
        land(client, sql, EventQuery.checked("bounces", "000PE4", Window(start, start + HOUR)))
    daily = SqlDestination("test_sql", table="daily")
    land(client, daily, EventQuery.checked("bounces", "000PE4", day))
    rows = "SELECT event_id FROM {} ORDER BY occurred_at, event_id"
    expected = [event.id for event in sandbox.account.events("bounces", "000PE4", day.start, day.end)]
    assert sorted(id_ for (id_,) in ask(rows.format("daily"))) == sorted(expected)
    assert ask(rows.format("np6_events")) == ask(rows.format("daily"))
    counts = [ask(f"SELECT COUNT(*) FROM {table}_windows") for table in ("np6_events", "daily")]
    assert counts == [[(25,)], [(2,)]]
    # The day over the hours leaves nothing of their slices.
    land(client, sql, EventQuery.checked("bounces", "000PE4", day))
    slices = "SELECT window_start, window_end, events FROM {}_windows ORDER BY window_start"
    assert ask(slices.format("np6_events")) == ask(slices.format("daily"))
    for destination in (sql, daily):
        verification = destination.verify()
        assert (verification.problems, verification.events) == ([], len(expected))


def test_windows_of_odd_milliseconds_tile_too(client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    day = local_day("UTC", 2026, 11, 22)
    edges = [day.start, day.start + 1, day.start + 12 * HOUR + 345, day.end - 1, day.end]
    for start, end in itertools.pairwise(edges):
        query = EventQuery.checked("bounces", "000PE4", Window(start, end))
        land(client, FileDestination(str(tmp_path), "jsonl"), query)
    assert len(stored(tmp_path)) == sum(
        1 for _ in sandbox.account.events("bounces", "000PE4", day.start, day.end)
    )
