"""A sandbox that misbehaves in one response."""

from __future__ import annotations

import json

import pytest

from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from airflow_provider_np6.sandbox.faults import (
    Change,
    empty,
    error_element,
    huge_number,
    lone_surrogate,
    moved,
    renamed,
    repeated_later,
)
from tests.support.minute import TIMES, events, minute, respond, times


@pytest.fixture
def account() -> FakeAccount:
    return minute()


def body(sandbox: Sandbox, change: Change, sort: str = "asc") -> bytes:
    sandbox.plan.add(Fault(change=change))
    return respond(sandbox, sort).content


def test_an_empty_response(sandbox: Sandbox) -> None:
    assert body(sandbox, empty()) == b"[]"
    assert len(events(sandbox)) == 66


@pytest.mark.parametrize("index", [0, 7, 66, 100])
def test_an_error_among_the_events_is_the_end(sandbox: Sandbox, index: int) -> None:
    own = events(sandbox)
    *before, error = json.loads(body(sandbox, error_element(index)))
    assert before == own[:index]
    assert error == {"error": {"message": "internal"}}


def test_half_of_a_character(sandbox: Sandbox) -> None:
    text = body(sandbox, lone_surrogate(3))
    assert text.count(b"\\ud83d") == 1
    assert json.loads(text)[3]["identity"]["agency"] == "\ud83dDEMO"
    text = body(sandbox, lone_surrogate(3, "diagnostic"))
    assert json.loads(text)[3]["source"]["detail"]["bounce"]["status"]["diagnostic"][0] == "\ud83d"


@pytest.mark.parametrize("number", [b"1e999", b"9" * 5_000])
def test_a_huge_number(sandbox: Sandbox, number: bytes) -> None:
    text = body(sandbox, huge_number(3, number))
    assert text.count(b'"extra":' + number + b"}") == 1
    documents = json.loads(text, parse_int=str, parse_float=str)
    assert documents[3]["extra"].encode() == number
    assert "extra" not in documents[2]


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_an_event_again_with_a_later_time(sandbox: Sandbox, sort: str) -> None:
    own = events(sandbox, sort)
    repeated = json.loads(body(sandbox, repeated_later(20, 5_500), sort))
    assert len(repeated) == 67
    in_order = [event["timestamp"] for event in repeated]
    assert in_order == sorted(in_order, reverse=sort == "desc")
    again = [event for event in repeated if event["id"] == own[20]["id"]]
    assert sorted(event["timestamp"] - own[20]["timestamp"] for event in again) == [0, 5_500]
    assert json.loads(body(sandbox, repeated_later(66, 5_500), sort)) == own


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_an_event_at_another_time(sandbox: Sandbox, sort: str) -> None:
    own = times(sandbox, sort)
    sandbox.plan.add(Fault(change=moved(20, 5_500)))
    expected = [*own[:20], *own[21:], own[20] + 5_500]
    assert times(sandbox, sort) == sorted(expected, reverse=sort == "desc")


def test_one_event_of_another_action(sandbox: Sandbox) -> None:
    documents = json.loads(body(sandbox, renamed(3, "000XYZ")))
    ids = [document["source"]["detail"]["activation"]["id"] for document in documents]
    assert ids == ["000PE4"] * 3 + ["000XYZ"] + ["000PE4"] * 62
    assert {document["type"] for document in documents} == {"bounce"}
    documents = json.loads(body(sandbox, renamed(3, type_="hit")))
    assert [document["type"] for document in documents].index("hit") == 3
    assert len(documents) == len(TIMES)
