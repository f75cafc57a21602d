from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import iter_proven, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verification import Events
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Fault, Sandbox

pytestmark = pytest.mark.core

DAY_START = 20_000 * DAY


class Taken:
    """A spool in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.restarts = 0

    def write(self, events: Events) -> None:
        self.lines += [bytes(item) for item in events.items]

    def restart(self) -> None:
        self.lines.clear()
        self.restarts += 1


def query_of(sandbox: Sandbox, event_type: str = "bounces") -> EventQuery:
    return EventQuery.checked(event_type, sandbox.world.action_ids[0], Window(DAY_START, DAY_START + DAY))


def held(sandbox: Sandbox, query: EventQuery) -> list[bytes]:
    events = sandbox.world.events(query.event_type, query.action_id, query.window.start, query.window.end)
    return [event.json for event in events]


@pytest.mark.parametrize("event_type", ["bounces", "cancellations", "responses/stop"])
def test_a_pull_brings_just_what_the_sandbox_holds(
    client: Np6Client, sandbox: Sandbox, event_type: str
) -> None:
    query, spool = query_of(sandbox, event_type), Taken()
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.events, proof.duplicates, proof.requests) == (len(spool.lines), 0, 1)
    assert proof.bytes_read == sum(map(len, spool.lines)) + len(spool.lines) + 1


def body_size(sandbox: Sandbox, query: EventQuery) -> int:
    return len(b"[" + b",".join(held(sandbox, query)) + b"]")


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_an_answer_that_breaks_is_pulled_afresh(
    client: Np6Client, sandbox: Sandbox, framing: Any, share: float
) -> None:
    query, spool = query_of(sandbox), Taken()
    cut = max(1, round(body_size(sandbox, query) * share) - 1)
    sandbox.plan.add(Fault(cut=cut, framing=framing))
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.requests, spool.restarts) == (2, 1)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_an_answer_that_keeps_breaking_is_an_error(client: Np6Client, sandbox: Sandbox, framing: Any) -> None:
    query = query_of(sandbox)
    sandbox.plan.add(Fault(cut=round(body_size(sandbox, query) * 0.6), framing=framing), times=2)
    with pytest.raises(errors.Np6TruncatedError) as caught:
        pull(client, query, Taken())
    message = str(caught.value)
    assert f"bounces of action {query.action_id}, window [2024-10-04T00:00:00.000Z" in message
    assert "HTTP status 200; x-request-id" in message


def test_a_server_that_ignores_the_order_is_proven_by_all_ids(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), Taken()
    events = held(sandbox, query)
    sandbox.plan.add(Fault(body=b"[" + b",".join([*reversed(events), events[3]]) + b"]"), times=2)
    proof = pull(client, query, spool)
    assert sorted(spool.lines) == sorted(events)
    assert proof.duplicates == 1


def test_events_come_lazily_and_in_order(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    lines = [bytes(item) for events in iter_proven(client, query) for item in events.items]
    assert lines == held(sandbox, query)


def test_a_broken_answer_never_ends_an_iteration_quietly(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(cut=20_000, framing="close"))
    with pytest.raises(errors.Np6TruncatedError, match="window"):
        list(iter_proven(client, query_of(sandbox)))


def test_an_event_outside_of_the_window_fails_the_pull(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    stray = json.dumps([{"id": "a", "timestamp": query.window.end}]).encode()
    sandbox.plan.add(Fault(body=stray))
    with pytest.raises(errors.Np6AnswerError, match="outside of what was asked for"):
        pull(client, query, Taken())
    assert len(sandbox.asked) == 1
