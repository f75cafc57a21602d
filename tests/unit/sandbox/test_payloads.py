from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_np6.sandbox import FakeAccount
from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, HOUR, UNIONS

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1_000)
ACCOUNT = FakeAccount(events_per_day=240)
ACTION = ACCOUNT.action_ids[0]
PAYLOAD_TYPES = {
    "executions": "execution",
    "activations": "activation",
    "cancellations": "cancellation",
    "bounces": "bounce",
    **dict.fromkeys(UNIONS["hits"], "hit"),
    "responses/stop": None,
    "responses/reply": "reply",
}


def events(event_type: str) -> list[dict[str, Any]]:
    """A day of them."""
    return [json.loads(event.json) for event in ACCOUNT.events(event_type, ACTION, START, START + 24 * HOUR)]


def details(event_type: str) -> list[dict[str, Any]]:
    return [event["source"]["detail"] for event in events(event_type)]


@pytest.mark.parametrize("event_type", ALL_EVENT_TYPES)
def test_every_event_has_the_envelope(event_type: str) -> None:
    found = events(event_type)
    for event in found:
        assert set(event) - {"type"} == {"id", "timestamp", "identity", "source"}
        assert event["identity"] == {"type": "customer", "agency": "DEMO", "customer": "028"}
        assert event["source"]["type"] == ("sms" if event_type.startswith("responses/") else "email")
    assert {event.get("type") for event in found} == {PAYLOAD_TYPES[event_type]}


@pytest.mark.parametrize("event_type", ["activations", "bounces", *UNIONS["hits"]])
def test_what_was_activated(event_type: str) -> None:
    activations = [detail["activation"] for detail in details(event_type)]
    for activation in activations:
        assert set(activation) == {"id", "kind", "receiver", "stamp", "recipient"}
        assert activation["id"] == ACTION
        assert set(activation["stamp"]) == {"time", "id", "thread"}
    assert not all(activation["recipient"].isascii() for activation in activations)
    kinds = {"activations": {"footprint"}, "bounces": {"id"}}.get(event_type, {"footprint", "id"})
    assert {activation["receiver"]["type"] for activation in activations} == kinds


@pytest.mark.parametrize("event_type", ["executions", "cancellations"])
def test_what_was_executed(event_type: str) -> None:
    executions = [detail["execution"] for detail in details(event_type)]
    assert {execution["id"] for execution in executions} == {ACTION}
    assert {"data" in execution for execution in executions} == {True, False}
    assert all(set(one["recipient"]) == {"type", "id", "unicity", "hash"} for one in executions)


def test_bounces_have_a_status_and_a_verdict_that_is_not_the_codes_class() -> None:
    bounces = [detail["bounce"] for detail in details("bounces")]
    assert {bounce["status"]["mta"] for bounce in bounces} >= {""}
    seen = {(one["analysis"]["verdict"], one["status"]["code"]["enhanced"][0]) for one in bounces}
    assert seen == {("soft", "5"), ("hard", "5"), ("soft", "4")}


@pytest.mark.parametrize("event_type", UNIONS["hits"])
def test_hits_come_long_after_the_send_and_name_their_link_but_no_class(event_type: str) -> None:
    found = events(event_type)
    ages = [event["timestamp"] - event["source"]["detail"]["activation"]["stamp"]["time"] for event in found]
    assert max(ages) > 90 * 24 * HOUR
    assert all(set(detail) == {"activation", "link"} for detail in details(event_type))
    assert [detail["link"] for detail in details(event_type)] == [
        {"type": event_type.removeprefix("hits/")}
    ] * len(found)


def test_stops_have_no_detail_and_replies_a_text() -> None:
    assert all(set(event["source"]) == {"type"} for event in events("responses/stop"))
    texts = {detail["reply"]["text"] for detail in details("responses/reply")}
    assert "" in texts
    assert any("+336" in text for text in texts)
    assert any("@" in text for text in texts)
