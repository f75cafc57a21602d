from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_np6.hooks import np6
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.errors import (
    Np6InputError,
    Np6NotFoundError,
    Np6ResponseError,
)
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.postgres import free_port
from tests.support.pulls import TODAY, held
from tests.support.run import KEY

pytestmark = pytest.mark.core

Connect = Callable[..., Np6Hook]


@pytest.fixture
def connect(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A hook of a connection with these fields; by default to the sandbox."""

    def make(*, extra: dict[str, Any] | None = None, **fields: Any) -> Np6Hook:
        connection = {
            "conn_type": "np6",
            "host": sandbox.url,
            "password": KEY,
            **fields,
            "extra": extra or {},
        }
        monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(connection))
        return Np6Hook()

    return make


def test_the_connection_makes_a_client(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect(extra={"read_timeout": "7", "account": "shop"})
    assert (hook.config.read_timeout, hook.config.account) == (7.0, "shop")
    assert hook.client.config is hook.config
    session = hook.get_conn()
    assert session.get(f"{sandbox.url}/actions").status_code == 200
    assert connect().config.account == "np6_default"


def test_a_connection_as_a_uri(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_NP6_DEFAULT", f"np6://:{KEY}@127.0.0.1:{sandbox.port}/?read_timeout=9&max_wait="
    )
    settings = Np6Hook().config
    assert (settings.base_url, settings.read_timeout) == (f"https://127.0.0.1:{sandbox.port}", 9.0)


def test_key_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", '{"conn_type": "np6", "password": "KEY"}')
    assert Np6Hook().config.base_url == "https://api-cm.np6.com"


def test_unknown_extras_are_a_warning(
    connect: Connect, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert connect(extra={"read_timout": 5}).config.read_timeout == 120
    assert "did you mean 'read_timeout'" in caplog.text + capsys.readouterr().out  # Airflow 3 logs to stdout


def test_secrets_are_masked_in_logs(connect: Connect) -> None:
    from airflow.providers.common.compat.sdk import redact

    assert connect(password=" s3cret-key\n", extra={"pseudonym_key": "s3cret-salt"}).config
    assert redact("a s3cret-key and a s3cret-salt") == "a *** and a ***"


def test_the_right_key(connect: Connect, sandbox: Sandbox) -> None:
    assert connect().test_connection() == (True, f"{sandbox.url} accepts the API key.")
    assert set(sandbox.received[0].parameters) == {"creation_start"}


def test_without_a_list_of_actions_the_key_is_not_verified(connect: Connect, sandbox: Sandbox) -> None:
    for status in (404, 410):
        sandbox.plan.add(Fault(status=status, framing="length"))
        ok, says = connect().test_connection()
        assert (ok, "key cannot be verified" in says) == (True, True)


@pytest.mark.parametrize(
    ("fields", "fault", "says"),
    [
        ({"password": "wrong"}, None, "does not accept the API key"),
        ({"password": ""}, None, "has no API key"),
        ({}, Fault(status=403, framing="length"), "may not read"),
        ({}, Fault(status=500, framing="length"), "NP6 failed"),
        ({}, Fault(body=b"<html>"), "not as NP6 does"),
        ({"host": "https://no-such-host.invalid"}, None, "name is unknown"),
        ({"host": "http://example.org"}, None, "plain http"),
        ({"host": f"http://127.0.0.1:{free_port()}"}, None, "could not be reached"),
        ({"extra": {"read_timout": 5}}, None, "did you mean 'read_timeout'"),
        ({"extra": {"read_timeout": "x"}}, None, "extra 'read_timeout'"),
    ],
)
def test_each_cause_has_its_sentence(
    connect: Connect, sandbox: Sandbox, fields: dict[str, Any], fault: Fault | None, says: str
) -> None:
    if fault:
        sandbox.plan.add(fault)
    ok, sentence = connect(**fields).test_connection()
    assert not ok
    assert says in sentence
    assert KEY not in sentence


def test_tls_and_proxy_have_their_sentences(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "TLS" in connect(host=sandbox.url.replace("http:", "https:")).test_connection()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert "proxy" in connect(host="https://no-such-host.invalid").test_connection()[1]


def test_the_test_ends_in_time(connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np6, "TEST_SECONDS", 1)
    sandbox.plan.add(Fault(stall=4))
    assert connect().test_connection() == (
        False,
        "No response within 1 s: check the host and the worker's network.",
    )


def test_actions_are_listed_in_a_stable_order_and_filtered(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect()
    assert [action["id"] for action in hook.list_actions()] == sorted(sandbox.account.action_ids)
    assert [action["type"] for action in hook.list_actions(types=["smsMessage"])] == ["smsMessage"]
    assert [action["informations"]["state"] for action in hook.list_actions(states={60})] == [60]
    february = hook.list_actions(created_after="2026-02-01", created_before=datetime(2026, 3, 1, tzinfo=UTC))
    assert [action["creationDate"][:7] for action in february] == ["2026-02"]
    assert sandbox.received[-1].parameters == {
        "creation_start": "2026-02-01T00:00:00Z",
        "creation_end": "2026-03-01T00:00:00Z",
    }


def test_one_action(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect()
    assert hook.get_action(sandbox.account.action_ids[1])["id"] == sandbox.account.action_ids[1]
    with pytest.raises(Np6NotFoundError):
        hook.get_action("nobody")
    for bad in ("a/b", "*", ""):
        with pytest.raises(Np6InputError):
            hook.get_action(bad)


def test_events_come_as_dicts(connect: Connect, sandbox: Sandbox) -> None:
    start = 20_000 * DAY
    window = Window(start, start + DAY)
    events = connect().iter_events("bounces", "000PE4", start="2024-10-04", end="2024-10-05T00:00:00+00:00")
    stored = sandbox.account.events("bounces", "000PE4", window.start, window.end)
    in_order = sorted(stored, key=lambda event: (event.timestamp, event.id))
    expected = [json.loads(event.json) for event in in_order]
    assert next(events) == expected[0]
    assert list(events) == expected[1:]


def response_of(*members: bytes) -> bytes:
    """A response with an event for each of these further members."""
    events = (
        b'{"id":"%d","timestamp":%d,%b}' % (number, 20_000 * DAY + number, member)
        for number, member in enumerate(members)
    )
    return b"[" + b",".join(events) + b"]"


def test_events_with_values_that_no_single_parser_takes(connect: Connect, sandbox: Sandbox) -> None:
    digits = "7" * 5_000
    sandbox.plan.add(
        Fault(
            body=response_of(
                rb'"text":"\ud83d \ud83d\ude00"', b'"count":' + digits.encode(), b'"score":-1e999', b'"a":1'
            )
        )
    )
    events = connect().iter_events("bounces", "000PE4", start="2024-10-04", end="2024-10-05")
    assert [list(event.values())[2] for event in events] == [
        "\ufffd 😀",
        Decimal(digits),
        Decimal("-1e999"),
        1,
    ]


@pytest.mark.parametrize(
    "member",
    [
        b'"a":' + b"[" * 5_000 + b"]" * 5_000,
        b'"a":1e99999999999999999999',
        b'"a":NaN',
        b'"a":"\xff"',
        b'"a":"\\ud83"',
    ],
)
def test_an_event_that_cannot_be_decoded_is_our_error(
    connect: Connect, sandbox: Sandbox, member: bytes
) -> None:
    sandbox.plan.add(Fault(body=response_of(b'"a":1', member, b'"a":1')), times=20)
    with pytest.raises(Np6ResponseError):
        list(connect().iter_events("bounces", "000PE4", start="2024-10-04", end="2024-10-05"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"start": "2024-10-05"},
        {"start": "2024-10-04T00:00:00"},
        {"event_type": "clicks"},
        {"action_id": "None"},
        {"classification": "gsr"},
    ],
)
def test_bad_arguments_are_refused_before_any_request(
    connect: Connect, sandbox: Sandbox, arguments: dict[str, Any]
) -> None:
    query = {
        "event_type": "bounces",
        "action_id": "000PE4",
        "start": "2024-10-04",
        "end": "2024-10-05",
        **arguments,
    }
    with pytest.raises(Np6InputError):
        list(connect().iter_events(**query))
    assert sandbox.received == []


@pytest.mark.parametrize("extra", ["[1]", '"x"', "not json", "[" * 100_000])
def test_an_extra_that_is_not_an_object_is_refused(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    connection = SimpleNamespace(host=None, port=None, password="k", extra=extra)
    monkeypatch.setattr(Np6Hook, "get_connection", lambda *_: connection)
    with pytest.raises(Np6InputError, match="extra of connection 'np6_default' is not a JSON object"):
        Np6Hook().config  # noqa: B018


def test_one_failure_before_the_first_event_does_not_end_an_iteration(
    connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.plan.add(Fault(status=503))
    assert len(list(connect().iter_events("bounces", "000PE4", start="2024-10-04", end="2024-10-05"))) == 96


def test_actions_are_chosen_by_their_names(connect: Connect, sandbox: Sandbox) -> None:
    hook = connect()

    def named(names: str) -> list[str]:
        return [action["name"] for action in hook.list_actions(names=names)]

    assert named("*") == [action["name"] for action in hook.list_actions()]
    assert named("ORDER*") == ["Order confirmation n° 1"]
    assert named("*er* n° ?") == ["Order confirmation n° 1", "Weekly newsletter n° 2", "Delivery notice n° 3"]
    assert named("order") == named("000PE4") == []
    assert hook.list_action_ids(names="delivery*") == hook.list_action_ids(types=["smsMessage"]) == ["000PEI"]


@pytest.mark.parametrize("body", [b'[{"id": "b", "name": null}, {"id": "a"}]'])
def test_an_action_without_a_name_has_none_to_match(connect: Connect, sandbox: Sandbox, body: bytes) -> None:
    sandbox.plan.add(Fault(body=body), times=2)
    assert connect().list_action_ids() == ["a", "b"]
    assert connect().list_action_ids(names="?*") == []


def test_ids_that_airflow_cannot_map_over_are_refused(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.account = FakeAccount(actions=6)
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "5")
    with pytest.raises(
        Np6InputError, match=r"6 actions, .* 5 at most .\[core\] max_map_length.*action_id='\*'"
    ):
        connect().list_action_ids()
    assert len(connect().list_action_ids(types=["mailMessage", "mailCampaign"])) == 4
    assert len(connect().list_actions()) == 6
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "6")
    assert connect().list_action_ids() == sorted(sandbox.account.action_ids)


def test_without_a_list_of_actions_the_error_says_what_to_do(connect: Connect, sandbox: Sandbox) -> None:
    for status in (404, 410):
        sandbox.plan.add(Fault(status=status, framing="length"))
        with pytest.raises(Np6NotFoundError, match=r"give the ids of your actions by hand, or '\*'"):
            connect().list_action_ids()


@pytest.mark.parametrize(
    ("event_type", "action_id", "classification"),
    [("bounces", "000PE4", None), ("events", "*", ""), ("hits", "000PE4", "mpp,gsr")],
)
def test_events_are_counted_and_not_kept(
    connect: Connect, sandbox: Sandbox, event_type: str, action_id: str, classification: str | None
) -> None:
    days: dict[str, Any] = {"start": "2024-10-04", "end": "2024-10-05", "classification": classification}
    query = EventQuery.checked(event_type, action_id, TODAY, classification)
    # It breaks in the middle, and is resumed.
    sandbox.plan.add(Fault(cut=20_000))
    counted = connect().count_events(event_type, action_id, **days)
    assert counted == len(held(sandbox, query)) > 0
    assert len(sandbox.received) > 1
    assert len(list(connect().iter_events(event_type, action_id, **days))) == counted


def test_a_count_is_verified(connect: Connect, sandbox: Sandbox) -> None:
    days: dict[str, Any] = {"start": "2024-10-04", "end": "2024-10-05"}
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.capped(100)))
    assert connect().count_events("bounces", "000PE4", **days) == 240
    sandbox.plan.add(Fault(body=b'[{"id": "a"}]'))
    with pytest.raises(Np6ResponseError, match="event 1 has no timestamp"):
        connect().count_events("bounces", "000PE4", **days)
