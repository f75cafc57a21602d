"""What a pull asks next, where NP6 fails again and again: it always ends, and never without need."""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import requests

from airflow_provider_np6.np6 import errors, stream
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.pull import iter_verified, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, ServerBehavior, faults
from tests.support.pulls import MIDNIGHT as DAY_START
from tests.support.pulls import MemorySpool, held, query_of

pytestmark = pytest.mark.core


def event(number: int, after: int) -> bytes:
    """An event so many ms after the day's start."""
    return b'{"id":"t%03d","timestamp":%d}' % (number, DAY_START + after)


def answer(events: Iterable[bytes]) -> Fault:
    return Fault(body=b"[" + b",".join(events) + b"]")


def asked_hours(sandbox: Sandbox) -> list[tuple[int, int]]:
    """The hours that each request began and ended with."""
    received = [one.parameters for one in sandbox.received]
    return [(int(one["start"][11:13]), int(one["end"][11:13])) for one in received]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits, which do not take any time."""
    made: list[float] = []
    monkeypatch.setattr("airflow_provider_np6.np6.retry.time.sleep", made.append)
    return made


@pytest.fixture
def patient(settings: Np6Config) -> Np6Client:
    return Np6Client(replace(settings, max_attempts=4))


def test_a_window_without_events_takes_one_request(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    for _ in range(2):
        proof = pull(client, query_of(sandbox), MemorySpool())
        assert (proof.events, proof.requests, proof.bytes_read) == (0, 1, 2)
    assert list(iter_verified(client, query_of(sandbox))) == []


def test_pulled_at_is_the_servers_date(client: Np6Client, sandbox: Sandbox) -> None:
    now, spool = time.time(), MemorySpool()
    sandbox.plan.add(Fault(clock=7_200))
    verified = pull(client, query_of(sandbox), spool)
    assert verified.pulled_at == pytest.approx((now + 7_200) * 1_000, abs=2_500)
    assert verified.pulled_at % 1_000 == 0
    assert spool.begun == [verified.pulled_at]


@pytest.mark.parametrize("clock", [-90_000, 90_000, None])
def test_without_a_plausible_date_the_workers_clock_counts(
    client: Np6Client, sandbox: Sandbox, clock: int | None
) -> None:
    before = time.time_ns() // 1_000_000
    if clock is None:
        sandbox.behavior = ServerBehavior(dated=False)
    else:
        sandbox.plan.add(Fault(clock=clock))
    verified = pull(client, query_of(sandbox), MemorySpool())
    assert before <= verified.pulled_at <= time.time_ns() // 1_000_000


def test_pulled_at_is_that_of_the_first_response_whose_events_are_stored(
    client: Np6Client, sandbox: Sandbox
) -> None:
    now, spool = time.time(), MemorySpool()
    sandbox.plan.add(Fault(clock=-3_600, change=faults.shuffled(1)))  # not in order: pulled again
    sandbox.plan.add(Fault(clock=1_800, status=413, framing="length"))  # brings nothing
    sandbox.plan.add(Fault(clock=3_600))
    sandbox.plan.add(Fault(clock=7_200))
    verified = pull(client, query_of(sandbox), spool)
    assert [round(begun / 1_000 - now, -2) for begun in spool.begun] == [-3_600, 3_600]
    assert verified.pulled_at == spool.begun[-1]


def test_a_pull_can_ask_caches_for_a_fresh_response(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[requests.PreparedRequest] = []
    send = requests.Session.send

    def spy(
        session: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        sent.append(request)
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", spy)
    for uncached in (False, True):
        pull(client, query_of(sandbox), MemorySpool(), uncached=uncached)
    assert [request.headers.get("Cache-Control") for request in sent] == [None, "no-cache"]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_the_order_events_come_by_time_and_id(
    client: Np6Client, sandbox: Sandbox, seed: int
) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    events = [event(10 * second + tie, 1_000 * second) for second in range(20) for tie in range(5)]
    ties = [event(10 * second + tie, 1_000 * second) for second in range(20) for tie in (3, 1, 4, 0, 2)]
    shuffled = random.Random(seed).sample(events, len(events))  # noqa: S311 - repeatable disorder
    for order in (events, ties, shuffled):
        sandbox.plan.clear()
        sandbox.plan.add(answer([*order, event(999, DAY - 1)]), times=2)
        spool = MemorySpool()
        pull(client, query_of(sandbox), spool)
        assert spool.lines == [*events, event(999, DAY - 1)]
        assert spool.restarts == (order is shuffled)


def test_an_iteration_out_of_order_is_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    with pytest.raises(errors.Np6ResponseError, match="not in order"):
        list(iter_verified(client, query_of(sandbox)))


def test_an_open_window_can_be_iterated_once_it_has_ended(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = time.time_ns() // 1_000_000_000 * 1_000
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    sandbox.plan.add(Fault(clock=-120))
    lines = [bytes(item) for events in iter_verified(client, query) for item in events.items]
    assert lines == held(sandbox, query)
    assert len(slept) == 1


def test_what_came_before_np6s_clock_went_back_is_pulled_afresh(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = time.time_ns() // 1_000_000_000 * 1_000
    query, spool = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end)), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(status=413, framing="length"))
    sandbox.plan.add(Fault())
    sandbox.plan.add(Fault(clock=-120))
    sandbox.plan.add(Fault(change=faults.shuffled(2)))
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.requests, spool.restarts) == (5, 2)  # once for the order, once for the clock
    assert slept == [pytest.approx(120, abs=3)]


def test_an_end_that_cannot_be_proven_is_given_up(client: Np6Client, sandbox: Sandbox) -> None:
    ties = answer(event(n, 0) for n in range(100))
    sandbox.plan.add(ties)
    for _ in range(20):
        sandbox.plan.add(ties)
        sandbox.plan.add(Fault(status=500))
    with pytest.raises(errors.Np6ServerError):
        pull(client, query_of(sandbox), MemorySpool())
    assert [request.parameters["sort"] for request in sandbox.received] == [
        "asc",
        "asc",
        "desc",
        "asc",
        "desc",
    ]


def test_parts_without_order_that_keep_breaking_are_given_up(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    for _ in range(20):
        sandbox.plan.add(Fault(status=413, framing="length"))
        sandbox.plan.add(Fault())
        sandbox.plan.add(Fault(cut=20_000))
    with pytest.raises(errors.Np6TruncatedError):
        pull(client, query_of(sandbox), MemorySpool())
    assert len(sandbox.received) == 1 + 2 * 3


def test_without_order_a_fresh_start_expects_none(patient: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(change=faults.shuffled(2), cut=40_000), times=2)
    sandbox.plan.add(Fault(change=faults.shuffled(3)))
    proof = pull(patient, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.requests, spool.restarts) == (4, 3)


def test_progress_without_order_makes_attempts_count_anew(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(status=413, framing="length"))
    for _ in range(2):  # max_attempts is 2
        sandbox.plan.add(Fault(status=503))
        sandbox.plan.add(Fault(change=faults.shuffled(2)))
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)


def test_a_round_count_without_order_is_halved_more_than_once(client: Np6Client, sandbox: Sandbox) -> None:
    events = [event(n, n * 432_000) for n in range(200)]  # evenly over the day
    sandbox.plan.add(answer(reversed(events)))  # not in order: pull afresh
    sandbox.plan.add(answer(reversed(events)))
    sandbox.plan.add(Fault(status=503))  # loses nothing of the first half
    for first, last in ((0, 100), (0, 50), (50, 100), (100, 200), (100, 150), (150, 200)):
        sandbox.plan.add(answer(reversed(events[first:last])))
    spool = MemorySpool()
    proof = pull(client, query_of(sandbox), spool)
    assert spool.lines == events
    assert (proof.requests, proof.duplicates) == (9, 0)
    assert asked_hours(sandbox)[2:] == [
        *((0, 12), (0, 12), (0, 6), (6, 12)),
        *((12, 0), (12, 18), (18, 0)),
    ]


@pytest.mark.parametrize("more", [0, 1])
def test_a_round_count_without_order_within_one_second_is_proven(
    client: Np6Client, sandbox: Sandbox, more: int
) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    query = EventQuery.checked("bounces", "000PE4", Window(DAY_START, DAY_START + 4_000))
    events = [event(n, n) for n in range(100 + more)]
    sandbox.plan.add(answer(reversed(events[:100])), times=4)  # in order, without, of 2 s, of 1 s
    sandbox.plan.add(answer(reversed(events[more:])))
    if more:
        with pytest.raises(errors.Np6ResponseError, match="there are more within one second"):
            pull(client, query, MemorySpool())
    else:
        proof = pull(client, query, MemorySpool())
        assert (proof.events, proof.duplicates, proof.requests) == (100, 0, 7)
    assert [request.parameters["sort"] for request in sandbox.received[3:5]] == ["asc", "desc"]
    assert sandbox.received[4].parameters["end"][-4:] == ":01Z"


def test_a_half_that_fails_is_asked_again_and_the_other_is_not_forgotten(
    client: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(status=413, framing="length"))
    for _ in range(2):
        sandbox.plan.add(Fault(status=503))
        sandbox.plan.add(Fault())
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert asked_hours(sandbox) == [(0, 0), (0, 12), (0, 12), (12, 0), (12, 0)]


def test_answers_that_break_twice_without_anything_new_are_asked_by_halves(
    patient: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=1), times=3)
    pull(patient, query, spool)
    assert spool.lines == held(sandbox, query)
    assert asked_hours(sandbox) == [(0, 0), (0, 0), (0, 12), (0, 6), (6, 12), (12, 0)]


def test_answers_that_stall_twice_without_anything_new_are_asked_by_halves(
    sandbox: Sandbox, settings: Np6Config
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    came = held(sandbox, query)[:2]
    part = b"[" + b",".join([*came, b'{"id"'])
    sandbox.plan.add(Fault(body=part, cut=len(part), ending="stall", stall=2, framing="close"), times=2)
    pull(Np6Client(replace(settings, max_attempts=4, read_timeout=1)), query, spool)
    assert spool.lines == held(sandbox, query)
    assert asked_hours(sandbox) == [(0, 0), (0, 0), (0, 12), (12, 0)]


def test_a_server_that_fails_is_not_asked_for_less(patient: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=503), times=3)
    pull(patient, query_of(sandbox), MemorySpool())
    assert asked_hours(sandbox) == [(0, 0)] * 4


def test_progress_tells_how_far_a_pull_is_and_never_an_event(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream, "INTERVAL", 0.0)
    sandbox.account = FakeAccount(events_per_day=2_401)
    query = query_of(sandbox)
    with caplog.at_level(logging.INFO):
        pull(client, query, MemorySpool())
    lines = [record.message for record in caplog.records if record.message.startswith("Pulling ")]
    shares = [int(re.search(r"\((\d+) %\)", line)[1]) for line in lines]  # type: ignore[index]
    assert len(lines) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 100
    some = json.loads(held(sandbox, query)[1_000])
    assert some["id"] not in caplog.text
    assert some["source"]["detail"]["activation"]["recipient"] not in caplog.text


def test_progress_waits_for_its_interval(
    client: Np6Client, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        pull(client, query_of(sandbox), MemorySpool())
    assert "Pulling " not in caplog.text
