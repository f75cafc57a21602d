"""What a pull requests next, where NP6 fails again and again: it always ends, and never without need."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import requests

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.caps import ResponseSize, VerifiedSize
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.pull import iter_verified, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.lying_server import LyingClient, LyingServer, ServerEvent
from tests.support.pulls import GRACE_PERIOD, MemorySpool, held, query_of
from tests.support.pulls import MIDNIGHT as DAY_START

pytestmark = pytest.mark.core

MINUTE = Window(DAY_START, DAY_START + 60_000)
LARGE = ResponseSize(10**6, 10**9)
"""A verified size that is larger than any response of a test."""


def event(number: int, after: int) -> bytes:
    """An event so many ms after the day's start."""
    return b'{"id":"t%03d","timestamp":%d}' % (number, DAY_START + after)


def response(events: Iterable[bytes]) -> Fault:
    return Fault(body=b"[" + b",".join(events) + b"]")


def hours(sandbox: Sandbox) -> list[tuple[int, int]]:
    """The hours that each request begins and ends with, without the second that it is wider on both sides."""
    return [
        (round((start + 1) / 3_600) % 24, round((end - 1) / 3_600) % 24)
        for start, end, _ in spans([request.parameters for request in sandbox.received])
    ]


def spans(requests: Iterable[Any]) -> list[tuple[int, int, str]]:
    """The seconds after the day's start that each request begins and ends with, and its order."""
    return [
        (
            *(
                int(datetime.fromisoformat(one[name]).timestamp()) - DAY_START // 1_000
                for name in ("start", "end")
            ),
            one["sort"],
        )
        for one in requests
    ]


def lie(server: LyingServer, **options: Any) -> tuple[LyingClient, MemorySpool, Any]:
    """A pull of a minute from a server in memory."""
    client, spool = LyingClient(server), MemorySpool()
    query = EventQuery.checked("bounces", "000PE4", MINUTE)
    verified = pull(client, query, spool, grace_period=GRACE_PERIOD, **options)
    return client, spool, verified


def server_event(number: int, after: int, **options: Any) -> ServerEvent:
    return ServerEvent(DAY_START + after, f"t{number:03}", **options)


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def patient(settings: Np6Config) -> Np6Client:
    return Np6Client(replace(settings, max_attempts=4))


# Sizes, checks and what is remembered of them.


def test_a_window_without_events_takes_one_request(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    for _ in range(2):
        verified = pull(client, query_of(sandbox), MemorySpool())
        assert (verified.events, verified.requests, verified.bytes_read) == (0, 1, 2)
        assert verified.verified_size is None
    assert list(iter_verified(client, query_of(sandbox))) == []


def test_a_response_of_ten_events_is_checked_at_both_ends() -> None:
    events = [server_event(n, 5_000 * n + 5_500) for n in range(10)]
    client, spool, verified = lie(LyingServer(events=events))
    assert spool.lines == [event.json for event in events]
    assert spans(client.log) == [(-1, 61, "asc"), (49, 61, "asc"), (-1, 7, "asc")]
    assert verified.requests == 3
    body = len(b",".join(spool.lines)) + 2
    assert verified.bytes_read == body + 2 * (len(events[0].json) + 2)
    assert verified.verified_size == VerifiedSize(
        ResponseSize(10, body, len(events[0].json)), verified.verified_size.verified_at
    )
    assert abs(verified.verified_size.verified_at - now()) < 60_000
    client, spool, verified = lie(LyingServer(events=events[:9]))
    assert (len(spool.lines), verified.requests, verified.verified_size) == (9, 1, None)


def test_what_a_pull_has_verified_spares_the_next_one_its_checks() -> None:
    events = [server_event(n, 1_000 * n + 5_500) for n in range(40)]
    _, _, verified = lie(LyingServer(events=events))
    assert verified.requests == 3
    size = verified.verified_size
    for known, fewer, sent in (
        (size, 0, 3),  # as many events
        (size, 1, 3),  # no room for two events
        (size, 3, 1),
        (replace(size, verified_at=now() - 30 * DAY + 60_000), 3, 1),
        (replace(size, verified_at=now() - 30 * DAY), 3, 3),
    ):
        _, spool, verified = lie(LyingServer(events=events[fewer:]), verified_size=known)
        assert (len(spool.lines), verified.requests) == (40 - fewer, sent)
    _, _, verified = lie(LyingServer(events=events[3:]), verified_size=size)
    assert verified.verified_size is None  # nothing larger than that


@pytest.mark.parametrize(
    ("stored", "events", "is_believed"),
    [
        (None, 40, False),
        (LARGE, 9, False),
        (LARGE, 10, True),
        (LARGE, 40, True),
    ],
)
def test_it_is_known_whether_earlier_pulls_were_relied_on(
    stored: ResponseSize | None, events: int, is_believed: bool
) -> None:
    server = LyingServer(events=[server_event(n, 1_000 * n + 5_500) for n in range(events)])
    known = None if stored is None else VerifiedSize(stored, now())
    assert lie(server, verified_size=known)[2].is_believed is is_believed
    if known is not None:
        old = replace(known, verified_at=now() - 31 * DAY)
        assert not lie(server, verified_size=old)[2].is_believed


def test_requests_are_one_second_wider_on_both_sides_only_with_a_grace_period(
    client: Np6Client, sandbox: Sandbox
) -> None:
    query = EventQuery.checked("bounces", "000PE4", Window(DAY_START + 400, DAY_START + 9_600))
    for grace_period in (0, 999, 1_000, 60_000):
        pull(client, query, MemorySpool(), grace_period=grace_period)
    received = spans(request.parameters for request in sandbox.received)
    assert received == [(-1, 10, "asc"), (-1, 10, "asc"), (-1, 11, "asc"), (-1, 11, "asc")]
    first = EventQuery.checked("bounces", "000PE4", Window(0, 1_000))
    pull(client, first, MemorySpool(), grace_period=1_000)
    assert sandbox.received[-1].parameters["start"] == "1970-01-01T00:00:00Z"


def test_a_silent_limit_is_continued_from_its_end() -> None:
    events = [server_event(n, 500 * n + 5_500) for n in range(50)]
    client, spool, verified = lie(LyingServer(events=events, max_events=20))
    assert spool.lines == [event.json for event in events]
    assert spans(client.log) == [
        (-1, 61, "asc"),
        (14, 61, "asc"),
        (22, 61, "asc"),
        (29, 61, "asc"),
        (-1, 7, "asc"),
    ]
    # The responses of 20 events were cut short, the one of 4 was not.
    assert (verified.requests, verified.duplicates) == (5, 0)


def test_a_limit_that_keeps_the_newest_events_is_found_at_the_head() -> None:
    events = [server_event(n, 500 * n + 5_500) for n in range(30)]
    client, spool, verified = lie(LyingServer(events=events, max_events=20, kept="newest"))
    assert spool.lines == [event.json for event in events]
    assert spans(client.log)[:4] == [(-1, 61, "asc"), (19, 61, "asc"), (-1, 12, "asc"), (-1, 61, "asc")]
    assert (spool.restarts, verified.duplicates) == (1, 0)


def test_a_whole_second_costs_two_more_requests(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    events = [event(n, 0) for n in range(100)]
    sandbox.plan.add(response(events), times=2)
    sandbox.plan.add(response([]))
    sandbox.plan.add(response(reversed(events)))
    verified = pull(client, query_of(sandbox), MemorySpool())
    assert (verified.events, verified.duplicates, verified.requests) == (100, 0, 4)
    assert spans(request.parameters for request in sandbox.received) == [
        (-1, 86_400, "asc"),
        (-1, 86_400, "asc"),
        (1, 86_400, "asc"),
        (-1, 2, "desc"),
    ]
    assert verified.verified_size is not None


def test_a_silent_limit_within_one_second_is_an_error() -> None:
    events = [server_event(n, 30_000) for n in range(150)]
    with pytest.raises(errors.Np6ResponseError) as caught:
        lie(LyingServer(events=events, max_events=100, kept="first"))
    assert str(caught.value) == (
        "NP6 gives no more than 100 events at a time, and there are more within one second (bounces of action"
        " 000PE4, window [2024-10-04T00:00:00.000Z, 2024-10-04T00:01:00.000Z)). NP6's support can say what"
        " limits the response."
    )


def test_all_requests_but_the_first_ask_caches_for_a_fresh_response(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str | None] = []
    send = requests.Session.send

    def spy(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        sent.append(request.headers.get("Cache-Control"))
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", spy)
    for uncached in (False, True):
        sandbox.received.clear()
        sandbox.plan.add(Fault(cut=20_000))
        verified = pull(client, query_of(sandbox), MemorySpool(), uncached=uncached)
        assert [request.uncached for request in sandbox.received] == [uncached, True, True, True]
        assert verified.requests == 4
    # A client that sent requests before begins again.
    sandbox.received.clear()
    pull(client, query_of(sandbox), MemorySpool())
    assert [request.uncached for request in sandbox.received] == [False, True]
    assert sent == [None, *["no-cache"] * 7, None, "no-cache"]


def test_it_is_known_whether_all_ids_were_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [server_event(n, 1_000 * n) for n in range(9)]
    assert lie(LyingServer(events=events))[2].ids_compared == "all"
    monkeypatch.setattr("airflow_provider_np6.np6.seen_ids.MAX_COMPARED_IDS", 8)
    assert lie(LyingServer(events=events))[2].ids_compared == "per_second"
    assert lie(LyingServer(events=events, is_sorted=False))[2].ids_compared == "all"


# The order of responses.


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_the_order_events_come_by_time_and_id(
    client: Np6Client, sandbox: Sandbox, seed: int
) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    events = [event(10 * second + tie, 1_000 * second) for second in range(20) for tie in range(5)]
    ties = [event(10 * second + tie, 1_000 * second) for second in range(20) for tie in (3, 1, 4, 0, 2)]
    shuffled = random.Random(seed).sample(events, len(events))  # noqa: S311 - repeatable disorder
    known = VerifiedSize(LARGE, now())
    for order in (events, ties, shuffled):
        sandbox.plan.clear()
        sandbox.plan.add(response([*order, event(999, DAY - 1)]), times=2)
        spool = MemorySpool()
        pull(client, query_of(sandbox), spool, verified_size=known)
        assert spool.lines == [*events, event(999, DAY - 1)]
        assert spool.restarts == (order is shuffled)


def test_ties_that_come_in_another_order_after_a_break_are_all_kept(
    client: Np6Client, sandbox: Sandbox
) -> None:
    ties, tail = [event(n, 5_000) for n in range(6)], event(9, 9_000)
    sandbox.plan.add(Fault(body=b"[" + b",".join(ties[:4]) + b"," + ties[4][:9], framing="close"))
    sandbox.plan.add(response([*reversed(ties), tail]))
    sandbox.plan.add(response(ties))
    spool = MemorySpool()
    verified = pull(client, query_of(sandbox), spool)
    assert spool.lines == [*ties, tail]
    assert (verified.duplicates, verified.requests) == (0, 3)


def test_events_that_came_in_order_by_chance_before_a_break_are_not_relied_on(
    client: Np6Client, sandbox: Sandbox
) -> None:
    events = [event(n, second * 1_000) for n, second in enumerate((10, 30, 50, 55))]
    sandbox.plan.add(Fault(body=b"[" + b",".join([events[1], events[2], events[0][:9]]), framing="close"))
    sandbox.plan.add(response(events[2:]))
    sandbox.plan.add(response(events[:3]))  # a check, which has one more than came before
    sandbox.plan.add(response(reversed(events)))
    spool = MemorySpool()
    pull(client, query_of(sandbox), spool)
    assert spool.lines == events
    assert spool.restarts == 1
    assert spans(request.parameters for request in sandbox.received) == [
        (-1, 86_400, "asc"),
        (49, 86_400, "asc"),
        (-1, 52, "asc"),
        (-1, 86_400, "asc"),
    ]


def test_an_end_that_cannot_be_verified_is_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    ties = response(event(n, 0) for n in range(100))
    sandbox.plan.add(ties, times=2)
    sandbox.plan.add(response([]))
    sandbox.plan.add(Fault(status=500), times=20)
    with pytest.raises(errors.Np6ServerError):
        pull(client, query_of(sandbox), MemorySpool())
    sorts = [request.parameters["sort"] for request in sandbox.received]
    assert sorts == ["asc", "asc", "asc", "desc", "desc"]  # max_attempts is 2


def test_parts_without_order_that_keep_breaking_are_an_error(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(change=faults.shuffled(2), cut=1), times=99)
    with pytest.raises(errors.Np6TruncatedError):
        pull(client, query_of(sandbox), MemorySpool())
    assert len(sandbox.received) == 1 + 18  # it is split down to one second, which is tried twice


def test_without_order_a_response_that_breaks_off_is_repeated(patient: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(change=faults.shuffled(2), cut=40_000))
    sandbox.plan.add(Fault(change=faults.shuffled(3)))
    verified = pull(patient, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.duplicates, spool.restarts) == (0, 1)
    assert hours(sandbox) == [(0, 0), (0, 0), (0, 0), (0, 12), (12, 0)]


def test_without_order_a_refused_request_loses_nothing(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(status=503))
    sandbox.plan.add(Fault(change=faults.shuffled(2)))
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert spool.restarts == 1


def test_progress_without_order_makes_attempts_count_from_zero(client: Np6Client, sandbox: Sandbox) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(status=413, framing="length"))
    for _ in range(2):  # max_attempts is 2
        sandbox.plan.add(Fault(status=503))
        sandbox.plan.add(Fault(change=faults.shuffled(2)))
    pull(client, query, spool, verified_size=VerifiedSize(LARGE, now()))
    assert spool.lines == held(sandbox, query)


def test_a_limit_without_order_is_halved_more_than_once(client: Np6Client, sandbox: Sandbox) -> None:
    events = [event(n, n * 432_000 + 5) for n in range(200)]  # evenly over the day
    sandbox.plan.add(response(reversed(events)))  # not in order: pulled again
    sandbox.plan.add(response(reversed(events[:110])))
    sandbox.plan.add(Fault(status=503))  # loses nothing of the first half
    for first, last in ((0, 100), (100, 200), (0, 50), (50, 100), (100, 150), (150, 200)):
        sandbox.plan.add(response(reversed(events[first:last])))
    spool = MemorySpool()
    verified = pull(client, query_of(sandbox), spool)
    assert spool.lines == events
    assert (verified.requests, verified.duplicates) == (9, 0)
    assert hours(sandbox)[2:] == [(0, 12), (0, 12), (12, 0), (0, 6), (6, 12), (12, 18), (18, 0)]
    assert verified.verified_size is not None
    assert verified.verified_size.size.events == 100


@pytest.mark.parametrize("more", [0, 1])
def test_events_without_order_within_one_second_are_verified(
    client: Np6Client, sandbox: Sandbox, more: int
) -> None:
    sandbox.account = FakeAccount(events_per_day=0)
    query = EventQuery.checked("bounces", "000PE4", Window(DAY_START, DAY_START + 2_000))
    events = [event(n, n) for n in range(100 + more)]
    sandbox.plan.add(response(reversed(events[:100])), times=3)  # in order, without, of 1 s
    sandbox.plan.add(response([]))
    sandbox.plan.add(response(reversed(events[more:])))
    if more:
        with pytest.raises(errors.Np6ResponseError, match="there are more within one second"):
            pull(client, query, MemorySpool())
    else:
        verified = pull(client, query, MemorySpool())
        assert (verified.events, verified.duplicates, verified.requests) == (100, 0, 5)
    assert spans(request.parameters for request in sandbox.received) == [
        (-1, 2, "asc"),
        (-1, 2, "asc"),
        (-1, 2, "asc"),
        (0, 2, "asc"),
        (-1, 2, "desc"),
    ]


# Responses that break off or fail.


def test_what_broke_off_is_resumed_from_its_last_second_and_repeats_are_no_duplicates(
    client: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    for cut in (9_000, 9_000, 9_000):
        sandbox.plan.add(Fault(cut=cut, framing="close"))
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.requests, verified.duplicates, spool.restarts) == (6, 0, 0)
    starts = [start for start, _, _ in spans(request.parameters for request in sandbox.received)]
    assert starts[:5] == sorted(set(starts[:5]))
    assert starts[5] == -1
    seconds = {json.loads(line)["timestamp"] // 1_000 - DAY_START // 1_000 for line in spool.lines}
    assert {start + 1 for start in starts[1:5]} <= seconds


@pytest.mark.parametrize("body", [b"[]", b'[{"id":"z","timestamp":%d}]' % (DAY_START + DAY - 1)])
def test_a_response_without_the_events_that_must_come_again_is_not_believed(
    client: Np6Client, sandbox: Sandbox, body: bytes
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=9_000, framing="close"))
    sandbox.plan.add(Fault(body=body))
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.requests, spool.restarts) == (4, 1)


@pytest.mark.parametrize("max_attempts", [2, 3, 4])
def test_responses_that_never_agree_are_an_error(
    settings: Np6Config, sandbox: Sandbox, max_attempts: int
) -> None:
    client = Np6Client(replace(settings, max_attempts=max_attempts))
    times = [0, 30_000_000, 40_000_000, 40_000_500, 40_000_999, 70_000_000]
    first = b"[" + b",".join(event(n, time) for n, time in enumerate(times)) + b"]"
    for _ in range(9):
        sandbox.plan.add(Fault(body=first, cut=first.rindex(b":"), framing="close"))
        sandbox.plan.add(Fault(body=b"[]"))
    with pytest.raises(errors.Np6WindowOpenError) as caught:
        pull(client, query_of(sandbox), MemorySpool())
    assert str(caught.value) == (
        "3 events of one response are missing in the next (bounces of action 000PE4, window"
        " [2024-10-04T00:00:00.000Z, 2024-10-05T00:00:00.000Z)). If this lasts, NP6's support can look up the"
        " request id."
    )
    assert len(sandbox.received) == 2 * max_attempts


@pytest.mark.parametrize("statuses", [{}, {3: 504}])
def test_an_event_that_a_half_lacks_makes_the_window_pulled_again(
    statuses: dict[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    events = [server_event(n, 3_000 * n, seen_until=2 if n == 3 else 99) for n in range(20)]
    _, spool, _ = lie(LyingServer(events=events, is_sorted=False, statuses=statuses))
    assert spool.lines == [event.json for event in events if event.id != "t003"]
    assert spool.restarts == 2
    assert [message[:60] for message in caplog.messages if "missing" in message] == [
        "1 event of one response is missing in the next (bounces of a"
    ]


def test_progress_makes_attempts_count_from_zero(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=30_000, framing="close"), times=12)  # max_attempts is 2
    pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert spool.restarts == 0


@pytest.mark.parametrize("status", [413, 504])
def test_a_window_that_is_too_large_for_np6_is_split_in_half(
    client: Np6Client, sandbox: Sandbox, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(status=status, framing="length"), times=4)
    pull(client, query, spool)
    splits = [message for message in caplog.messages if "split" in message]
    assert len(splits) == 4
    assert all(
        message.startswith("NP6 ") and message.endswith(" The request is split in half.")
        for message in splits
    )
    assert spool.lines == held(sandbox, query)
    assert hours(sandbox)[:5] == [(0, 0), (0, 12), (0, 6), (0, 3), (0, 2)]
    assert spans([sandbox.received[4].parameters]) == [(-1, 5_401, "asc")]


def test_a_timeout_before_the_first_byte_splits_the_window(sandbox: Sandbox, settings: Np6Config) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(stall=1))
    pull(
        Np6Client(replace(settings, read_timeout=0.3)), query, spool, verified_size=VerifiedSize(LARGE, now())
    )
    assert spool.lines == held(sandbox, query)
    assert hours(sandbox) == [(0, 0), (0, 12), (12, 0)]


def test_a_response_that_stalls_is_resumed(sandbox: Sandbox, settings: Np6Config) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=30_000, ending="stall", stall=2, framing="close"))
    verified = pull(Np6Client(replace(settings, read_timeout=0.3)), query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.requests, spool.restarts) == (4, 0)


def test_splitting_ends_at_one_second(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=504, framing="length"), times=99)
    with pytest.raises(errors.Np6ServerError):
        pull(client, query_of(sandbox), MemorySpool(), grace_period=GRACE_PERIOD)
    assert spans(request.parameters for request in sandbox.received[-2:]) == [(-1, 2, "asc")] * 2


@pytest.mark.parametrize("empty", [1, 2])
def test_an_empty_half_is_requested_again_once(client: Np6Client, sandbox: Sandbox, empty: int) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(status=504, framing="length"))
    sandbox.plan.add(Fault(change=faults.empty()), times=empty)
    pull(client, query, spool, grace_period=GRACE_PERIOD)
    events = held(sandbox, query)
    noon = DAY_START + DAY // 2
    if empty == 2:  # then it is believed
        events = [line for line in events if json.loads(line)["timestamp"] >= noon]
    assert spool.lines == events
    assert hours(sandbox) == [(0, 0), (0, 12), (0, 12), (12, 0)]


def test_a_half_that_fails_is_requested_again_and_the_other_is_not_forgotten(
    client: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(status=413, framing="length"))
    for _ in range(2):
        sandbox.plan.add(Fault(status=503))
        sandbox.plan.add(Fault())
    pull(client, query, spool, grace_period=GRACE_PERIOD)
    assert spool.lines == held(sandbox, query)
    assert hours(sandbox) == [(0, 0), (0, 12), (0, 12), (12, 0), (12, 0)]


def test_responses_that_break_twice_without_anything_new_are_split_in_half(
    patient: Np6Client, sandbox: Sandbox
) -> None:
    query, spool = query_of(sandbox), MemorySpool()
    sandbox.plan.add(Fault(cut=1), times=3)
    pull(patient, query, spool, grace_period=GRACE_PERIOD)
    assert spool.lines == held(sandbox, query)
    assert hours(sandbox) == [(0, 0), (0, 0), (0, 12), (0, 6), (6, 12), (12, 0)]


def test_responses_that_stall_twice_without_anything_new_are_split_in_half(
    sandbox: Sandbox, settings: Np6Config
) -> None:
    events, spool = (
        [event(1, 5_100), event(2, 5_200), event(3, 40_000_000), event(4, 80_000_000)],
        MemorySpool(),
    )
    part = b"[" + b",".join([*events[:2], b'{"id"'])
    sandbox.plan.add(Fault(body=part, cut=len(part), ending="stall", stall=2, framing="close"), times=2)
    for part_events in (events[:3], events[:2], events[3:]):
        sandbox.plan.add(response(part_events))
    client = Np6Client(replace(settings, max_attempts=4, read_timeout=0.3))
    pull(client, query_of(sandbox), spool)
    assert spool.lines == events
    assert spans(request.parameters for request in sandbox.received) == [
        (-1, 86_400, "asc"),
        (4, 86_400, "asc"),
        (4, 43_203, "asc"),
        (-1, 7, "asc"),  # a check, because it was resumed
        (43_201, 86_400, "asc"),
    ]


def test_a_server_that_fails_does_not_split_the_window(patient: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=503), times=3)
    pull(patient, query_of(sandbox), MemorySpool(), grace_period=GRACE_PERIOD)
    assert hours(sandbox) == [(0, 0)] * 4
