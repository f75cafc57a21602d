from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_np6.sandbox import Sandbox, World
from airflow_provider_np6.sandbox.world import EVENT_TYPES, HOUR
from tests.conftest import KEY
from tests.postgres import free_port

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1_000)
WORLD = World(events_per_day=240)
ACTION = WORLD.action_ids[0]
MOMENTS = st.integers(START, START + 5 * HOUR)


@settings(max_examples=50)
@given(st.lists(MOMENTS, min_size=2, max_size=6, unique=True), st.sampled_from(EVENT_TYPES))
def test_windows_tile(edges: list[int], event_type: str) -> None:
    edges.sort()
    parts = [
        event.id
        for start, end in itertools.pairwise(edges)
        for event in WORLD.events(event_type, ACTION, start, end)
    ]
    assert parts == [event.id for event in WORLD.events(event_type, ACTION, edges[0], edges[-1])]


def test_worlds_are_alike_by_their_seed() -> None:
    def ids(world: World) -> list[str]:
        return [event.id for event in world.events("bounces", ACTION, START, START + HOUR)]

    assert ids(World(seed=1)) == ids(World(seed=1)) != ids(World(seed=2))


def test_events_have_the_documented_shapes_and_real_life_in_them() -> None:
    def events(event_type: str) -> list[dict[str, Any]]:
        return [
            json.loads(event.json) for event in WORLD.events(event_type, ACTION, START, START + 24 * HOUR)
        ]

    bounces = [event["source"]["detail"] for event in events("bounces")]
    assert all(event["activation"]["id"] == ACTION for event in bounces)
    assert not all(str(event["activation"]["recipient"]).isascii() for event in bounces)
    assert {event["bounce"]["status"]["mta"] for event in bounces} >= {""}
    executions = [event["source"]["detail"]["execution"] for event in events("cancellations")]
    assert {"data" in execution for execution in executions} == {True, False}
    stops = events("responses/stop")
    assert all(set(event) == {"id", "timestamp", "identity", "source"} for event in stops)


def test_events_stand_on_the_edges_and_share_whole_seconds() -> None:
    times = [event.timestamp for event in WORLD.events("bounces", ACTION, START, START + 24 * HOUR)]
    assert times[0] == START
    assert times[-1] == START + 24 * HOUR - 1
    assert len(set(times)) < len(times)


@pytest.fixture
def session() -> requests.Session:
    session = requests.Session()
    session.headers["X-Key"] = KEY
    return session


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/actions/{ACTION}/events/bounces?start={START}&end={START + 1}", 200),
        (f"/actions/{ACTION}/events/bounces?start=2026-11-22T00:00:00Z&end=2026-11-22T01:00:00%2B01:00", 200),
        ("/actions/events/bounces?start=2026-11-22T00:00:00Z&end=2026-11-22T01:00:00Z&sort=desc", 200),
        (f"/actions/{ACTION}/events/bounces?start=yesterday&end=2026-11-22T00:00:00Z", 400),
        (f"/actions/{ACTION}/events/bounces?start=2026-11-22T00:00:00&end=2026-11-23T00:00:00Z", 400),
        (f"/actions/{ACTION}/events/bounces?start=2026-11-22T00:00:00Z&end=2026-11-22T01:00:00+01:00", 400),
        (f"/actions/{ACTION}/events/bounces?start={START}&end={START + 1}&sort=up", 400),
        (f"/actions/{ACTION}/events/nothing?start={START}&end={START + 1}", 404),
        (f"/actions/nobody/events/bounces?start={START}&end={START + 1}", 404),
        (f"/actions/{ACTION}", 200),
        ("/actions/nobody", 404),
        ("/else", 404),
    ],
)
def test_statuses(sandbox: Sandbox, session: requests.Session, path: str, status: int) -> None:
    assert session.get(sandbox.url + path, timeout=5).status_code == status
    assert requests.get(sandbox.url + path, timeout=5).status_code == 401


def test_without_sort_two_answers_come_in_different_orders(
    sandbox: Sandbox, session: requests.Session
) -> None:
    url = f"{sandbox.url}/actions/{ACTION}/events/bounces?start={START}&end={START + 24 * HOUR}"
    orders = [[event["id"] for event in session.get(url, timeout=5).json()] for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert len({tuple(sorted(order)) for order in orders}) == 1
    up, down = (
        [event["timestamp"] for event in session.get(f"{url}&sort={order}", timeout=5).json()]
        for order in ("asc", "desc")
    )
    assert up == sorted(up) == down[::-1]


def test_actions_are_filtered_by_creation(sandbox: Sandbox, session: requests.Session) -> None:
    url = f"{sandbox.url}/actions?creation_start=2026-02-01T00:00:00Z&creation_end=2026-04-01T00:00:00Z"
    assert [action["creationDate"][:7] for action in session.get(url, timeout=5).json()] == [
        "2026-02",
        "2026-03",
    ]


def test_the_command_line() -> None:
    port = free_port()
    arguments = ["--port", str(port), "--key", KEY, "--actions", "2", "--events-per-day", "24", "--gzip"]
    command = [sys.executable, "-m", "airflow_provider_np6.sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert re.search(rf"127\.0\.0\.1:{port} with actions 000PE4, 000PEB", server.stdout.readline())
            answer = requests.get(f"http://127.0.0.1:{port}/actions", headers={"X-Key": KEY}, timeout=5)
            assert len(answer.json()) == 2
            assert answer.headers["Content-Encoding"] == "gzip"
        finally:
            server.terminate()
