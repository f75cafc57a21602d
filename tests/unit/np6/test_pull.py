"""What a pull promises: the events of its window, each once, or an error."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.caps import ResponseSize, VerifiedSize
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import count, iter_verified, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, ServerBehavior, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.pulls import GRACE_PERIOD, HOUR, MIDNIGHT, MemorySpool, held, query_of

pytestmark = pytest.mark.core


def body_size(sandbox: Sandbox, query: EventQuery) -> int:
    return len(b"[" + b",".join(held(sandbox, query)) + b"]")


def first_request_size(sandbox: Sandbox, query: EventQuery) -> int:
    """Bytes of the response for the whole window, without a grace period."""
    window = Window(query.window.start - 1_000, query.window.end)
    return body_size(sandbox, replace(query, window=window))


def everything() -> VerifiedSize:
    """A verified size that is larger than any response of a test."""
    return VerifiedSize(ResponseSize(10**6, 10**9), time.time_ns() // 1_000_000)


@pytest.mark.parametrize("event_type", ["bounces", "cancellations", "responses/stop"])
def test_a_pull_brings_just_what_the_sandbox_has(
    client: Np6Client, sandbox: Sandbox, event_type: str
) -> None:
    query, spool = query_of(sandbox, event_type=event_type), MemorySpool()
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.events, verified.duplicates, verified.invalid) == (len(spool.lines), 0, 0)
    assert verified.events_by_day == {20_000: verified.events}
    assert (verified.requests, verified.ids_compared, spool.restarts) == (2, "all", 0)  # one is a check


def test_what_is_smaller_than_a_verified_response_takes_one_request(
    client: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    verified = pull(client, query, spool, verified_size=everything())
    assert spool.lines == held(sandbox, query)
    assert (verified.requests, verified.verified_size) == (1, None)
    assert verified.bytes_read == first_request_size(sandbox, query)


def test_a_count_brings_the_same_numbers(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    pulled, counted = pull(client, query, spool), count(client, query)
    assert counted.counts == pulled.counts == ({20_000: len(spool.lines)}, {}, 0)
    assert counted.requests == pulled.requests == 2
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"x"}')))
    counted = count(client, query, grace_period=GRACE_PERIOD, quarantine=True)
    assert counted.counts == ({20_000: len(spool.lines)}, {}, 1)
    assert counted.requests == 1  # events just before and after the window show that it is whole
    assert sandbox.received[-1].parameters["end"] == "2024-10-05T00:00:01Z"


def test_a_window_of_milliseconds_has_just_its_own_events(client: Np6Client, sandbox: Sandbox) -> None:
    times = [json.loads(line)["timestamp"] for line in held(sandbox, query_of(sandbox))]
    query, spool = query_of(sandbox, Window(times[3] + 1, times[-3])), MemorySpool()
    pull(client, query, spool, grace_period=GRACE_PERIOD)
    assert spool.lines == held(sandbox, query)
    assert len(spool.lines) < len(times) - 4


@pytest.mark.parametrize(
    "behavior",
    [
        ServerBehavior(start_inside=False),
        ServerBehavior(end_inside=True),
        ServerBehavior(start_inside=False, end_inside=True),
        ServerBehavior(start_shift=999),
        ServerBehavior(start_shift=-999, end_shift=999),
    ],
)
def test_what_a_server_makes_of_bounds_changes_nothing(
    client: Np6Client, sandbox: Sandbox, behavior: ServerBehavior
) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    sandbox.behavior = behavior
    for hour in range(3):  # the sandbox has events on the first and the last ms of each hour
        start = MIDNIGHT + hour * HOUR
        query, spool = query_of(sandbox, Window(start, start + HOUR)), MemorySpool()
        verified = pull(client, query, spool, grace_period=GRACE_PERIOD)
        assert spool.lines == held(sandbox, query)
        assert (verified.invalid, verified.duplicates) == (0, 0)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize(("share", "requests"), [(0.0, 3), (0.6, 4), (1.0, 3)])
def test_a_response_that_breaks_off_is_resumed(
    client: Np6Client, sandbox: Sandbox, framing: Any, share: float, requests: int
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    cut = max(1, round(first_request_size(sandbox, query) * share) - 1)
    sandbox.plan.add(Fault(cut=cut, framing=framing))
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.events, verified.duplicates) == (len(spool.lines), 0)
    assert (verified.requests, spool.restarts) == (requests, 0)
    assert (sandbox.received[1].parameters["start"] > sandbox.received[0].parameters["start"]) is (share > 0)


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_response_that_keeps_breaking_off_is_an_error(
    client: Np6Client, sandbox: Sandbox, framing: Any
) -> None:
    query = query_of(sandbox)
    sandbox.plan.add(Fault(cut=1, framing=framing), times=99)
    with pytest.raises(errors.Np6TruncatedError) as caught:
        pull(client, query, MemorySpool())
    message = str(caught.value)
    assert f"bounces of action {query.action_id}, window [2024-10-04T00:00:00.000Z" in message
    assert "HTTP status 200; x-request-id" in message


def test_a_server_that_ignores_the_order_is_verified_by_all_ids(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    events = held(sandbox, query)
    sandbox.plan.add(Fault(body=b"[" + b",".join([*reversed(events), events[3]]) + b"]"), times=2)
    verified = pull(client, query, spool)
    assert spool.lines == events
    assert (verified.duplicates_by_day, verified.requests, spool.restarts) == ({20_000: 1}, 4, 1)


def test_events_come_lazily_and_in_order(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    lines = [bytes(item) for events in iter_verified(client, query) for item in events.items]
    assert lines == held(sandbox, query)


def test_an_iteration_needs_no_grace_period(client: Np6Client, sandbox: Sandbox) -> None:
    list(iter_verified(client, query_of(sandbox)))
    assert sandbox.received[0].parameters == {
        "start": "2024-10-03T23:59:59Z",
        "end": "2024-10-05T00:00:00Z",
        "sort": "asc",
    }


def test_an_iteration_out_of_order_is_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    with pytest.raises(errors.Np6ResponseError) as caught:
        list(iter_verified(client, query_of(sandbox)))
    assert str(caught.value) == (
        "NP6's responses are not in order, or differ from each other (bounces of action 000PE4, window"
        " [2024-10-04T00:00:00.000Z, 2024-10-05T00:00:00.000Z)). Events that came already cannot be taken"
        " back. A pull into a destination can start again."
    )


def test_an_open_window_can_be_iterated_once_it_has_ended(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("airflow_provider_np6.np6.retry.time.sleep", slept.append)
    end = time.time_ns() // 1_000_000_000 * 1_000
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    sandbox.plan.add(Fault(clock=-120))
    lines = [bytes(item) for events in iter_verified(client, query) for item in events.items]
    assert lines == held(sandbox, query)
    assert len(slept) == 1


def test_a_broken_response_never_ends_an_iteration_quietly(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(cut=20_000, framing="close"))
    sandbox.plan.add(Fault(cut=1, framing="close"), times=99)
    with pytest.raises(errors.Np6TruncatedError, match="window"):
        list(iter_verified(client, query_of(sandbox)))


def test_an_invalid_event_fails_an_iteration(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.broken(3, b'{"id":"x"}')))
    with pytest.raises(errors.Np6ResponseError, match="event 3 has no timestamp"):
        list(iter_verified(client, query_of(sandbox)))


@pytest.mark.parametrize("bad", [b'{"id":"x"}', b"{}"])
def test_an_error_about_an_element_has_the_request_id(
    client: Np6Client, sandbox: Sandbox, bad: bytes
) -> None:
    sandbox.plan.add(Fault(change=faults.broken(0, bad)), times=99)
    with pytest.raises(errors.Np6Error) as caught:
        pull(client, query_of(sandbox), MemorySpool())
    assert "HTTP status 200; x-request-id" in str(caught.value)


def test_an_event_outside_of_the_window_fails_the_pull(client: Np6Client, sandbox: Sandbox) -> None:
    query = query_of(sandbox)
    stray = json.dumps([{"id": "a", "timestamp": query.window.end + 2_000}]).encode()
    sandbox.plan.add(Fault(body=stray))
    with pytest.raises(errors.Np6ResponseError) as caught:
        pull(client, query, MemorySpool())
    assert "event 1 has the time 2024-10-05T00:00:02.000Z, outside of what was requested" in str(caught.value)
    assert len(sandbox.received) == 1


def test_events_of_another_action_fail_the_pull_and_both_are_named(
    client: Np6Client, sandbox: Sandbox
) -> None:
    sandbox.behavior = ServerBehavior(foreign_action="000PEX")
    with pytest.raises(errors.Np6ResponseError) as caught:
        pull(client, query_of(sandbox), MemorySpool())
    assert "event 1 belongs to action 000PEX by its source.detail.activation.id, not to action 000PE4" in str(
        caught.value
    )
    sandbox.behavior = ServerBehavior(foreign_type="hit")
    with pytest.raises(errors.Np6ResponseError, match="event 1 has the type hit, not bounce"):
        pull(client, query_of(sandbox), MemorySpool())


def test_half_characters_and_huge_numbers_pass_as_they_came(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=20)
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.lone_surrogate(1)), times=9)
    pull(client, query, spool)
    assert [b"\\ud83d" in line for line in spool.lines[:3]] == [False, True, False]
    assert [line.replace(b"\\ud83d", b"") for line in spool.lines] == held(sandbox, query)
    sandbox.plan.clear()
    sandbox.plan.add(Fault(change=faults.huge_number(1)), times=9)
    pull(client, query, spool)
    assert spool.lines[1].endswith(b',"extra":1e999}')
    assert [line.replace(b',"extra":1e999', b"") for line in spool.lines] == held(sandbox, query)


def test_a_silent_limit_never_passes_for_the_end(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=720)
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.capped(100)), times=99)
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.duplicates, verified.requests, spool.restarts) == (0, 9, 0)


def test_a_silent_limit_without_order_is_found_by_halves(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(change=faults.capped(100)), times=99)
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.duplicates, spool.restarts) == (0, 1)


@pytest.mark.parametrize("kept", ["oldest", "newest", "first"])
@pytest.mark.parametrize("limit", [{"max_events": 50}, {"max_bytes": 30_000}])
@pytest.mark.parametrize("sorting", ["honored", "ignored", "ascending"])
def test_every_kind_of_silent_limit_is_found(
    client: Np6Client, sandbox: Sandbox, kept: Any, limit: dict[str, Any], sorting: Any
) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.behavior = ServerBehavior(kept=kept, sorting=sorting, **limit)
    sandbox.random.seed(1)
    query, spool = query_of(sandbox), MemorySpool()
    verified = pull(client, query, spool, grace_period=GRACE_PERIOD)
    assert spool.lines == held(sandbox, query)
    assert (verified.duplicates, verified.invalid) == (0, 0)
    size = verified.verified_size
    assert size is None or size.size.events <= limit.get("max_events", 240)


def test_events_between_two_broken_ones_never_pass_for_one_invalid_event(
    client: Np6Client, sandbox: Sandbox
) -> None:
    """A quote in a string is not escaped: up to the next such quote, all looks like one element."""
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


@pytest.mark.parametrize("quarantine", [False, True])
def test_an_error_in_place_of_events_never_ends_a_response(
    client: Np6Client, sandbox: Sandbox, quarantine: bool
) -> None:
    sandbox.account = FakeAccount(events_per_day=300)
    query, spool = query_of(sandbox), MemorySpool()
    last = json.loads(held(sandbox, query)[148])["timestamp"]
    sandbox.plan.add(Fault(change=faults.error_element(150)))
    verified = pull(client, query, spool, quarantine=quarantine)
    assert spool.lines == held(sandbox, query)
    assert (verified.events, verified.invalid, spool.aside) == (len(spool.lines), 0, [])
    assert (verified.requests, spool.restarts) == (4, 0)
    resumed = EventQuery.checked("bounces", "000PE4", Window(last // 1_000 * 1_000 - 1_000, query.window.end))
    assert sandbox.received[1].parameters == resumed.parameters(resumed.window)


def test_an_error_in_place_of_events_that_lasts_is_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.error_element(50)), times=2)
    sandbox.plan.add(Fault(change=faults.error_element(0)), times=99)
    with pytest.raises(errors.Np6TruncatedError) as caught:
        pull(client, query_of(sandbox), MemorySpool(), quarantine=True)
    assert "the response has an element that is not an event: it has neither id nor timestamp" in str(
        caught.value
    )
    assert "internal" not in str(caught.value)


def test_invalid_events_are_set_aside_within_bounds(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    query, spool = query_of(sandbox), MemorySpool()
    bad = b'{"id":"x","timestamp":1}'
    sandbox.plan.add(Fault(change=faults.broken(7, bad)))
    verified = pull(client, query, spool, quarantine=True)
    assert spool.lines == held(sandbox, query)
    assert (verified.invalid, [invalid.item for invalid in spool.aside]) == (1, [bad])
    (invalid,) = spool.aside
    assert invalid.reason == "has the time 1970-01-01T00:00:00.001Z, outside of what was requested"
    # The first element of the response is from just before the window.
    assert (invalid.position, invalid.near) == (6, json.loads(spool.lines[5])["timestamp"])


def test_an_invalid_event_that_comes_again_is_set_aside_once(client: Np6Client, sandbox: Sandbox) -> None:
    good = [json.dumps({"id": f"g{i:03}", "timestamp": MIDNIGHT + i}).encode() for i in range(200)]
    bad = b'{"id":"bad"}'
    sandbox.plan.add(Fault(body=b"[" + b",".join([*good[:150], bad, good[150]]), framing="close"))
    sandbox.plan.add(Fault(body=b"[" + b",".join([*good[:150], bad, *good[150:]]) + b"]"), times=9)
    spool = MemorySpool()
    verified = pull(client, query_of(sandbox), spool, quarantine=True)
    assert spool.lines == good
    assert [invalid.item for invalid in spool.aside] == [bad]
    assert (verified.invalid, verified.duplicates, verified.requests) == (1, 0, 5)


def test_a_restart_forgets_what_was_set_aside(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    bad = b'{"id":"x"}'
    sandbox.plan.add(Fault(change=lambda events: [*faults.shuffled(1)(events), FakeEvent(0, "", bad)]))
    verified = pull(client, query, spool, quarantine=True)
    assert spool.lines == held(sandbox, query)
    assert (verified.invalid, spool.aside, spool.restarts) == (0, [], 1)
