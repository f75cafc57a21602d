"""``check``, against the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_np6.conformance import QUESTIONS
from airflow_provider_np6.np6.event_types import EVENT_TYPES
from airflow_provider_np6.sandbox import Fault, Sandbox, ServerBehavior
from tests.support.command_line import Run, airflow
from tests.support.postgres import free_port
from tests.support.run import KEY

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db")]

TYPES = [str(event_type) for event_type in EVENT_TYPES]


def connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    connection = {"conn_type": "np6", "password": KEY, "extra": {"max_attempts": 2}, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(connection))


def outcomes(report: Any) -> dict[str, tuple[str, int | None]]:
    return {row["event_type"]: (row["outcome"], row["status"]) for row in report["types"]}


@pytest.mark.usefixtures("np6_connection")
def test_each_type_is_requested_once(np6: Run, sandbox: Sandbox) -> None:
    ended = np6("check", "--json")
    assert (ended.code, "Checking" in ended.err) == (0, False)
    report = ended.json
    assert report["connection"] == {
        "conn_id": "np6_default",
        "ok": True,
        "message": f"{sandbox.url} accepts the API key.",
    }
    assert (report["ok"], report["action_id"]) == (True, "*")
    assert outcomes(report) == dict.fromkeys(TYPES, ("readable", None))
    marks = {row["event_type"]: row["mark"] for row in report["types"]}
    assert marks == {info.event_type: info.all_actions for info in EVENT_TYPES.values()}
    paths = [f"/actions/events{'' if name == 'events' else f'/{name}'}" for name in TYPES]
    assert [asked.path for asked in sandbox.received] == ["/actions", *paths]


@pytest.mark.usefixtures("np6_connection")
def test_one_action_and_what_is_promised_of_it(np6: Run, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(path="/hits/open", status=404))
    sandbox.plan.add(Fault(path="/executions", status=403))
    ended = np6("check", "--action", "000PE4")
    assert ended.code == 0  # both paths are inferred
    assert all(asked.path.startswith("/actions/000PE4/") for asked in sandbox.received[1:])
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in ended.out.splitlines() if line.split()}
    assert rows["hits/open"] == "inferred not found (HTTP 404)"
    assert rows["executions"] == "inferred refused (HTTP 403)"
    assert rows["bounces"] == "documented readable"

    sandbox.plan.add(Fault(path="/bounces", status=403))
    ended = np6("check", "--action", "000PE4")
    assert ended.code == 1  # this one is documented
    assert ended.out.splitlines()[-1].startswith("bounces: the API key's user may not read this")


@pytest.mark.usefixtures("np6_connection")
def test_a_type_without_a_response(np6: Run, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(path="/hits/form", status=503), times=2)
    ended = np6("check", "--json")
    assert ended.code == 1
    assert outcomes(ended.json) == {
        **dict.fromkeys(TYPES, ("readable", None)),
        "hits/form": ("no response", 503),
    }


@pytest.mark.usefixtures("np6_connection")
def test_the_rate_limit_is_kept(np6: Run, sandbox: Sandbox) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"}
    sandbox.plan.add(Fault(path=f"/{TYPES[1]}", body=b"[]", headers=headers))
    ended = np6("check", "--json")
    assert ended.code == 1
    assert [outcome for outcome, _ in outcomes(ended.json).values()] == [
        *("readable", "readable", "no response"),
        *["not requested"] * (len(TYPES) - 3),
    ]
    assert len(sandbox.received) == 3


def test_a_wrong_key(np6: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host=sandbox.url, password="wrong-key-0123")
    ended = np6("check", "--json")
    assert (ended.code, ended.json["connection"]["ok"]) == (1, False)
    assert "HTTP status 401" in ended.json["connection"]["message"]
    assert [*outcomes(ended.json).values()] == [
        ("refused", 401),
        *[("not requested", None)] * (len(TYPES) - 1),
    ]
    assert len(sandbox.received) == 2
    assert "wrong-key-0123" not in ended.out + ended.err


def test_a_host_that_is_not_there(np6: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"http://127.0.0.1:{free_port()}"
    connect(monkeypatch, host=host)
    ended = np6("check")
    assert ended.code == 1
    assert ended.out.startswith(f"np6_default: {host}: the host could not be reached")
    assert KEY not in ended.out + ended.err


def test_settings_that_cannot_be_used(np6: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host=sandbox.url, extra={"max_wait": "long"})
    ended = np6("check", "--json")
    assert (ended.code, ended.json["types"], sandbox.received) == (1, [], [])
    assert "max_wait" in ended.json["connection"]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--conn-id", "nowhere"), "Error: connection 'nowhere' cannot be read"),
        (("--conn-id", "np6_sql"), "Error: connection 'np6_sql' is of type 'sqlite'"),
        (("--action", "a b"), "Error: action_id 'a b' is not an action's id"),
        (("--help-me",), "No such option"),
    ],
)
@pytest.mark.usefixtures("np6_connection", "sqlite_connection")
def test_wrong_use(np6: Run, sandbox: Sandbox, arguments: tuple[str, ...], message: str) -> None:
    ended = np6("check", *arguments)
    assert (ended.code, ended.out, sandbox.received) == (2, "", [])
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_connection_of_airflows_database(sandbox: Sandbox) -> None:
    """In a process of its own, where Airflow's test of connections is disabled and its logs are on."""
    airflow(
        *("connections", "add", "np6_stored", "--conn-type", "np6", "--conn-password", KEY),
        *("--conn-host", sandbox.url),
    )
    environment = {**os.environ, "AIRFLOW__CORE__TEST_CONNECTION": "Disabled"}
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_np6", "check", "--conn-id", "np6_stored", "--json"],
        env={**environment, "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    airflow("connections", "delete", "np6_stored")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True), done.stderr
    assert KEY not in done.stdout + done.stderr


@pytest.mark.usefixtures("np6_connection")
def test_what_an_account_does_where_nothing_is_documented(np6: Run, sandbox: Sandbox) -> None:
    ended = np6("check", "--live", "000PE4")
    assert ended.code == 0
    rows = [line for line in ended.out.splitlines() if line.strip()]
    assert len(rows) == len(QUESTIONS) + 2
    assert "an event at `start` is returned" in ended.out
    sandbox.behavior = ServerBehavior(end_inside=True, foreign_action="000XYZ")
    ended = np6("check", "--live", "000PE4", "--json")
    assert ended.code == 1
    assert (ended.json["ok"], ended.json["action_id"]) == (False, "000PE4")
    verdicts = {finding["question"]: finding["verdict"] for finding in ended.json["findings"]}
    assert (verdicts["`end`"], verdicts["the action's id in events"]) == ("ok", "mismatch")
    assert "000XYZ" not in ended.out
    assert list(verdicts) == [question.name for question in QUESTIONS]
    ended = np6("check", "--live", "*")
    assert (ended.code, "one action" in ended.err) == (2, True)
