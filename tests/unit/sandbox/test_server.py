from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime

import msgspec
import pytest
import requests

from airflow_provider_np6.sandbox import Sandbox
from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, HOUR, UNIONS
from airflow_provider_np6.sandbox.behavior import RateLimit
from tests.support.postgres import free_port
from tests.support.run import KEY

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1_000)
DAY_END = START + 24 * HOUR
ACTION = "000PE4"


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
        (f"/actions/{ACTION}/events?start={START}&end={START + 1}", 200),
        (f"/actions/events?start={START}&end={START + 1}", 200),
        (f"/actions/{ACTION}/events/hits?start={START}&end={START + 1}&classification=gsr", 200),
        (f"/actions/{ACTION}/events/events?start={START}&end={START + 1}", 404),
        (f"/actions/{ACTION}/events/?start={START}&end={START + 1}", 404),
        (f"/actions/{ACTION}/events/hits/?start={START}&end={START + 1}", 404),
        (f"/actions/nobody/events?start={START}&end={START + 1}", 404),
        (f"/actions/{ACTION}/events", 400),
        (f"/actions/{ACTION}/statistics", 404),
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
    url = f"{sandbox.url}/actions/{ACTION}/events/bounces?start={START}&end={DAY_END}"
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


def answers(sandbox: Sandbox, session: requests.Session, path: str, **parameters: str) -> dict[str, bytes]:
    """The bytes of each event of an answer about two hours, by id."""
    bounds = {"start": str(START), "end": str(START + 2 * HOUR), **parameters}
    answer = session.get(sandbox.url + path, params=bounds, timeout=5)
    assert answer.status_code == 200
    events = msgspec.json.decode(answer.content, type=list[msgspec.Raw])
    return {msgspec.json.decode(event)["id"]: bytes(event) for event in events}


@pytest.mark.parametrize("action", [f"/{ACTION}", ""])
def test_every_path_shows_the_same_bytes(sandbox: Sandbox, session: requests.Session, action: str) -> None:
    path = f"/actions{action}/events"
    parts = {each: answers(sandbox, session, f"{path}/{each}") for each in ALL_EVENT_TYPES}
    assert all(parts.values())
    hits = {id_: event for each in UNIONS["hits"] for id_, event in parts[each].items()}
    assert answers(sandbox, session, f"{path}/hits") == hits
    mixed = {id_: event for part in parts.values() for id_, event in part.items()}
    assert answers(sandbox, session, path) == mixed
    assert len(mixed) == sum(map(len, parts.values()))


def test_robots_are_asked_for_by_their_classes(sandbox: Sandbox, session: requests.Session) -> None:
    def ids(event_type: str, **parameters: str) -> set[str]:
        return set(answers(sandbox, session, f"/actions/events/{event_type}", **parameters))

    mpp, gsr = ids("hits", classification="mpp"), ids("hits", classification="gsr")
    assert mpp
    assert gsr
    assert ids("hits", classification="mpp,gsr") == mpp | gsr
    assert ids("hits", classification="") == ids("hits")
    assert ids("hits", classification="mpp,") == mpp
    assert not ids("hits") & (mpp | gsr)
    assert ids("bounces", classification="mpp") == ids("bounces")
    mixed = set(answers(sandbox, session, "/actions/events", classification="mpp"))
    assert not mixed & mpp
    assert mixed > ids("hits")


@pytest.mark.parametrize(
    ("options", "key"), [(["--key", KEY, "--events-per-day", "24"], KEY), ([], "sandbox-key")]
)
def test_the_command_line(options: list[str], key: str) -> None:
    port = free_port()
    arguments = ["--port", str(port), "--actions", "2", "--gzip", *options]
    command = [sys.executable, "-m", "airflow_provider_np6.sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert re.search(rf"127\.0\.0\.1:{port} with actions 000PE4, 000PEB", server.stdout.readline())
            answer = requests.get(f"http://127.0.0.1:{port}/actions", headers={"X-Key": key}, timeout=5)
            assert len(answer.json()) == 2
            assert answer.headers["Content-Encoding"] == "gzip"
        finally:
            server.terminate()


def test_a_limit_holds_for_all_clients_together(sandbox: Sandbox, session: requests.Session) -> None:
    limit = sandbox.limit = RateLimit(3)
    other = requests.Session()
    other.headers["X-Key"] = KEY
    answers = [one.get(f"{sandbox.url}/actions") for one in (session, other) * 5]
    assert [answer.status_code for answer in answers].count(200) == len(limit.granted) >= 3
    assert [answer.status_code for answer in answers].count(429) == limit.refused
    assert answers[0].headers["X-RateLimit-Remaining"] == "2"
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert {answer.headers["X-RateLimit-Reset"] for answer in answers} == {"1"}


def test_a_limit_lets_as_many_through_again_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr("airflow_provider_np6.sandbox.behavior.time.monotonic", lambda: now)
    limit = RateLimit(2)
    assert [limit.take()[0] for _ in range(3)] == [True, True, False]
    now += 0.9
    assert [limit.take()[0] for _ in range(2)] == [False, False]
    now += 0.1
    assert [limit.take()[0] for _ in range(3)] == [True, True, False]
    assert (limit.granted, limit.refused, limit.seconds) == ([10.0, 10.0, 11.0, 11.0], 4, 1.0)
