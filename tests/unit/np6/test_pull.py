from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.pull import iter_verified, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.pulls import MemorySpool, held, query_of

pytestmark = pytest.mark.core

DAY_START = 20_000 * DAY


@pytest.mark.parametrize("event_type", ["bounces", "cancellations", "responses/stop"])
def test_a_pull_brings_just_what_the_sandbox_holds(
    client: Np6Client, sandbox: Sandbox, event_type: str
) -> None:
    query, spool = query_of(sandbox, event_type=event_type), MemorySpool()
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.events, proof.duplicates, proof.requests) == (len(spool.lines), 0, 1)
    assert proof.bytes_read == sum(map(len, spool.lines)) + len(spool.lines) + 1


def body_size(sandbox: Sandbox, query: EventQuery) -> int:
    return len(b"[" + b",".join(held(sandbox, query)) + b"]")


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_an_answer_that_breaks_is_gone_on_with(
    client: Np6Client, sandbox: Sandbox, framing: Any, share: float
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    cut = max(1, round(body_size(sandbox, query) * share) - 1)
    sandbox.plan.add(Fault(cut=cut, framing=framing))
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.events, proof.duplicates) == (len(spool.lines), 0)
    assert (proof.requests, spool.restarts) == (2, 0)
    assert sandbox.received[1].parameters["start"] >= sandbox.received[0].parameters["start"]


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_an_answer_that_keeps_breaking_is_an_error(client: Np6Client, sandbox: Sandbox, framing: Any) -> None:
    query = query_of(sandbox)
    sandbox.plan.add(Fault(cut=1, framing=framing), times=99)
    with pytest.raises(errors.Np6TruncatedError) as caught:
        pull(client, query, MemorySpool())
    message = str(caught.value)
    assert f"bounces of action {query.action_id}, window [2024-10-04T00:00:00.000Z" in message
    assert "HTTP status 200; x-request-id" in message


def test_a_server_that_ignores_the_order_is_proven_by_all_ids(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    events = held(sandbox, query)
    sandbox.plan.add(Fault(body=b"[" + b",".join([*reversed(events), events[3]]) + b"]"), times=2)
    proof = pull(client, query, spool)
    assert spool.lines == events
    assert proof.duplicates == 1


def test_events_come_lazily_and_in_order(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    lines = [bytes(item) for events in iter_verified(client, query) for item in events.items]
    assert lines == held(sandbox, query)


def test_a_broken_answer_never_ends_an_iteration_quietly(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(cut=20_000, framing="close"))
    sandbox.plan.add(Fault(cut=1, framing="close"), times=99)
    with pytest.raises(errors.Np6TruncatedError, match="window"):
        list(iter_verified(client, query_of(sandbox)))


def test_an_event_outside_of_the_window_fails_the_pull(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    stray = json.dumps([{"id": "a", "timestamp": query.window.end}]).encode()
    sandbox.plan.add(Fault(body=stray))
    with pytest.raises(errors.Np6ResponseError, match="outside of what was requested"):
        pull(client, query, MemorySpool())
    assert len(sandbox.received) == 1


def test_seams_are_asked_from_the_last_second_and_repeats_are_no_duplicates(
    client: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    for cut in (9_000, 9_000, 9_000):
        sandbox.plan.add(Fault(cut=cut, framing="close"))
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.requests, proof.duplicates, spool.restarts) == (4, 0, 0)
    starts = [request.parameters["start"] for request in sandbox.received]
    assert starts == sorted(set(starts))


def test_ties_that_come_in_another_order_after_a_seam_are_all_kept(
    client: Np6Client, sandbox: Sandbox
) -> None:
    start = DAY_START
    ties = [json.dumps({"id": f"t{i}", "timestamp": start + 5_000}).encode() for i in range(6)]
    tail = json.dumps({"id": "z", "timestamp": start + 9_000}).encode()
    first = b"[" + b",".join(ties[:4])
    sandbox.plan.add(Fault(body=first + b"," + ties[4][:9], framing="close"))
    sandbox.plan.add(Fault(body=b"[" + b",".join([*reversed(ties), tail]) + b"]"))
    spool = MemorySpool()
    proof = pull(client, query_of(sandbox), spool)
    assert spool.lines == [*ties, tail]
    assert proof.duplicates == 0


@pytest.mark.parametrize("body", [b"[]", b'[{"id":"z","timestamp":%d}]' % (DAY_START + DAY - 1)])
def test_an_answer_without_the_events_of_the_seam_is_not_believed(
    client: Np6Client, sandbox: Sandbox, body: bytes
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=9_000, framing="close"))
    sandbox.plan.add(Fault(body=body))
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.requests, spool.restarts) == (3, 1)


def test_answers_that_never_agree_are_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    for _ in range(9):
        sandbox.plan.add(Fault(cut=9_000, framing="close"))
        sandbox.plan.add(Fault(body=b"[]"))
    with pytest.raises(
        errors.Np6WindowOpenError, match="events that one answer held are missing in the next"
    ):
        pull(client, query_of(sandbox), MemorySpool())
    assert len(sandbox.received) == 4  # max_attempts is 2


def test_progress_makes_attempts_count_anew(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=8_000, framing="close"), times=12)  # max_attempts is 2
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)


@pytest.mark.parametrize("status", [413, 504])
def test_what_np6_cannot_answer_at_once_is_asked_by_halves(
    client: Np6Client, sandbox: Sandbox, status: int
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(status=status, framing="length"), times=4)
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    hours = [int(request.parameters["end"][11:13]) for request in sandbox.received[:5]]
    assert hours == [0, 12, 6, 3, 1]


def test_a_time_out_before_the_first_byte_halves_the_window(sandbox: Sandbox, settings: Np6Config) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(stall=1))
    pull(Np6Client(replace(settings, read_timeout=0.3)), query, spool)
    assert spool.lines == held(sandbox, query)
    assert [request.parameters["end"][11:13] for request in sandbox.received] == ["00", "12", "00"]


def test_a_stalled_answer_is_gone_on_with(sandbox: Sandbox, settings: Np6Config) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=30_000, ending="stall", stall=2, framing="close"))
    proof = pull(Np6Client(replace(settings, read_timeout=0.3)), query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.requests, spool.restarts) == (2, 0)


def test_halving_ends_at_one_second(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=504, framing="length"), times=99)
    with pytest.raises(errors.Np6ServerError):
        pull(client, query_of(sandbox), MemorySpool())
    last = sandbox.received[-1].parameters
    assert (last["start"][-4:], last["end"][-4:]) == (":00Z", ":01Z")


def test_a_silent_cap_never_passes_for_the_end(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=720)
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.capped(100)), times=99)
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (proof.duplicates, proof.requests) == (0, 8)


def test_a_silent_cap_within_one_second_is_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    events = [json.dumps({"id": f"t{i:03}", "timestamp": DAY_START}).encode() for i in range(150)]
    capped = b"[" + b",".join(events[:100]) + b"]"
    sandbox.plan.add(Fault(body=capped), times=2)
    sandbox.plan.add(Fault(body=b"[" + b",".join(events[:49:-1]) + b"]"))
    with pytest.raises(errors.Np6ResponseError, match="more within one second"):
        pull(client, query_of(sandbox), MemorySpool())


def test_a_round_count_that_is_whole_costs_little(client: Np6Client, sandbox: Sandbox) -> None:
    events = [json.dumps({"id": f"t{i:03}", "timestamp": DAY_START}).encode() for i in range(100)]
    sandbox.plan.add(Fault(body=b"[" + b",".join(events) + b"]"), times=3)
    proof = pull(client, query_of(sandbox), MemorySpool())
    assert (proof.events, proof.duplicates, proof.requests) == (100, 0, 3)
    assert [request.parameters["sort"] for request in sandbox.received] == ["asc", "asc", "desc"]


def test_a_silent_cap_without_order_is_found_by_halves(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(change=faults.capped(100)), times=99)
    proof = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert proof.duplicates == 0


def test_an_open_window_is_not_closed_by_the_workers_clock(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("airflow_provider_np6.np6.retry.time.sleep", slept.append)
    end = time.time_ns() // 1_000_000_000 * 1_000
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    sandbox.plan.add(Fault(clock=-120))
    spool = MemorySpool()
    pull(client, query, spool, grace_period=0)
    assert spool.lines == held(sandbox, query)
    assert [pytest.approx(120, abs=3)] == slept
    assert (len(sandbox.received), spool.restarts) == (2, 0)


def test_invalid_events_are_set_aside_within_bounds(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    query, spool = query_of(sandbox), MemorySpool()
    bad = b'{"id":"x","timestamp":1}'
    sandbox.plan.add(Fault(change=faults.broken(7, bad)))
    proof = pull(client, query, spool, quarantine=True)
    assert spool.lines == held(sandbox, query)
    assert (proof.invalid, [invalid.item for invalid in spool.aside]) == (1, [bad])
    (invalid,) = spool.aside
    assert "outside of what was requested" in invalid.reason
    assert (invalid.position, invalid.near) == (7, json.loads(spool.lines[6])["timestamp"])


def test_more_than_one_percent_of_invalid_events_fail_the_pull(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.broken(7, b"{}")))
    with pytest.raises(errors.Np6ResponseError, match="1 of 97 events are invalid, more than 1 %"):
        pull(client, query_of(sandbox), MemorySpool(), quarantine=True)


def test_more_than_a_thousand_invalid_events_fail_the_pull_at_once(
    client: Np6Client, sandbox: Sandbox
) -> None:
    bad = b"[" + b",".join(b'{"n":%d}' % n for n in range(1_001)) + b"]"
    sandbox.plan.add(Fault(body=bad))
    with pytest.raises(errors.Np6ResponseError, match="more than 1000 events are invalid"):
        pull(client, query_of(sandbox), MemorySpool(), quarantine=True)


def test_events_between_two_broken_ones_never_pass_for_one_invalid_event(
    client: Np6Client, sandbox: Sandbox
) -> None:
    """A quote in a text is not escaped: up to the next such quote, all looks like one element."""
    sandbox.account = FakeAccount(events_per_day=2_400)
    query = query_of(sandbox)

    ids = [json.loads(line)["id"] for line in held(sandbox, query)[100:300:100]]

    def unescaped(events: list[FakeEvent]) -> list[FakeEvent]:
        return [
            replace(event, json=event.json.replace(b'"kind":"', b'"kind":"a"')) if event.id in ids else event
            for event in events
        ]

    sandbox.plan.add(Fault(change=unescaped), times=1_000)
    with pytest.raises(errors.Np6TruncatedError):
        pull(client, query, MemorySpool(), quarantine=True)


def test_an_invalid_event_that_comes_again_at_a_seam_is_set_aside_once(
    client: Np6Client, sandbox: Sandbox
) -> None:
    good = [json.dumps({"id": f"g{i}", "timestamp": DAY_START + i}).encode() for i in range(200)]
    bad = b'{"id":"bad"}'
    sandbox.plan.add(Fault(body=b"[" + b",".join([*good[:150], bad, good[150]]), framing="close"))
    sandbox.plan.add(Fault(body=b"[" + b",".join([*good[:150], bad, *good[150:]]) + b"]"))
    spool = MemorySpool()
    proof = pull(client, query_of(sandbox), spool, quarantine=True)
    assert spool.lines == good
    assert [invalid.item for invalid in spool.aside] == [bad]
    assert (proof.invalid, proof.requests) == (1, 2)


def test_a_window_must_be_closed_by_np6s_clock_too(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("airflow_provider_np6.np6.retry.time.sleep", slept.append)
    end = time.time_ns() // 1_000_000_000 * 1_000 - 30_000
    sandbox.plan.add(Fault(clock=0))
    sandbox.plan.add(Fault(clock=60))
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    pull(client, query, MemorySpool(), grace_period=60_000)
    assert [pytest.approx(30, abs=3)] == slept


def test_an_unordered_answer_that_breaks_starts_afresh(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    for _ in range(2):
        spool = MemorySpool()
        sandbox.plan.add(Fault(change=faults.shuffled(1)))
        sandbox.plan.add(Fault(change=faults.shuffled(2), cut=40_000))
        proof = pull(client, query, spool)
        assert spool.lines == held(sandbox, query)
        assert (proof.duplicates, spool.restarts) == (0, 2)
        sandbox.plan.clear()


def test_without_order_a_refused_request_loses_nothing(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(status=503))
    sandbox.plan.add(Fault(change=faults.shuffled(2)))
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert spool.restarts == 1


def bad_and_good(bad: int, good: int) -> Fault:
    """An answer of so many invalid and valid events."""
    events = [b'{"n":%d}' % n for n in range(bad)]
    events += [b'{"id":"g%d","timestamp":%d}' % (n, DAY_START + n) for n in range(good)]
    return Fault(body=b"[" + b",".join(events) + b"]")


@pytest.mark.parametrize(
    ("bad", "good", "passes"), [(1, 99, True), (1, 98, False), (2, 198, True), (2, 197, False)]
)
def test_one_percent_is_the_bound(
    client: Np6Client, sandbox: Sandbox, bad: int, good: int, passes: bool
) -> None:
    sandbox.plan.add(bad_and_good(bad, good), times=3)
    if passes:
        assert pull(client, query_of(sandbox), MemorySpool(), quarantine=True).invalid == bad
    else:
        with pytest.raises(errors.Np6ResponseError, match="more than 1 %"):
            pull(client, query_of(sandbox), MemorySpool(), quarantine=True)


def test_a_thousand_invalid_events_are_not_too_many_by_themselves(
    client: Np6Client, sandbox: Sandbox
) -> None:
    sandbox.plan.add(bad_and_good(1_000, 10), times=2)
    with pytest.raises(errors.Np6ResponseError, match="1000 of 1010 events are invalid, more than 1 %"):
        pull(client, query_of(sandbox), MemorySpool(), quarantine=True)
