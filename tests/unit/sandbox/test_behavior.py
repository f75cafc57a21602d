"""A sandbox that misbehaves in every response."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, ServerBehavior
from airflow_provider_np6.sandbox.faults import empty, without
from tests.support.minute import END, START, TIMES, events, minute, respond, times


@pytest.fixture
def account() -> FakeAccount:
    return minute()


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        ({}, TIMES),
        ({"start_shift": 1}, TIMES[1:]),
        ({"start_shift": 999}, TIMES[1:]),
        ({"start_shift": -999}, TIMES),
        ({"start_inside": False, "start_shift": 1_000}, TIMES[2:]),
        ({"end_shift": 1}, [*TIMES, END]),
        ({"end_shift": -999}, TIMES),
        ({"end_shift": -1_000}, TIMES[:-2]),
        ({"max_span": 10_000}, TIMES[-11:]),
        ({"max_span": 60_000}, TIMES),
        ({"max_events": 66}, TIMES),
        ({"max_events": 12}, TIMES[:12]),
        ({"max_events": 12, "kept": "oldest"}, TIMES[:12]),
        ({"max_events": 12, "kept": "newest"}, TIMES[-12:]),
        ({"max_events": 0, "kept": "newest"}, []),
        ({"max_events": 12, "kept": "newest", "end_shift": 1}, [*TIMES[-11:], END]),
        ({"max_events": 12, "kept": "newest", "max_span": 3_000}, TIMES[-4:]),
    ],
)
@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_which_events_come(
    sandbox: Sandbox, behavior: dict[str, Any], expected: list[int], sort: str
) -> None:
    sandbox.behavior = ServerBehavior(**behavior)
    if sort == "desc" and behavior.get("kept", "first") == "first" and "max_events" in behavior:
        expected = TIMES[-behavior["max_events"] :]
    assert times(sandbox, sort) == (expected if sort == "asc" else expected[::-1])


@pytest.mark.parametrize("kept", ["oldest", "newest", "first", "sample"])
def test_a_limit_of_bytes(sandbox: Sandbox, kept: Any) -> None:
    whole = respond(sandbox)
    for limit in (0, 2, 700, 5_000, len(whole.content) - 1):
        sandbox.behavior = ServerBehavior(max_bytes=limit, kept=kept)
        response = respond(sandbox)
        ids = {event["id"] for event in response.json()}
        assert ids < {event["id"] for event in whole.json()}
        assert max(2, limit - 800) < len(response.content) <= limit or limit < 800
    sandbox.behavior = ServerBehavior(max_bytes=len(whole.content), kept=kept)
    assert respond(sandbox).content == whole.content
    sandbox.behavior = ServerBehavior(max_bytes=len(whole.content), max_events=5, kept=kept)
    assert len(events(sandbox)) == 5


def test_a_sample_depends_on_ids_only(sandbox: Sandbox) -> None:
    sandbox.behavior = ServerBehavior(max_events=12, kept="sample")
    first, second = events(sandbox, "asc"), events(sandbox, "desc")
    assert first == second[::-1]
    assert [event["timestamp"] for event in first] not in (TIMES[:12], TIMES[-12:])


@pytest.mark.parametrize(
    ("behavior", "ascending", "descending"),
    [
        ({}, "up", "down"),
        ({"sorting": "ascending"}, "up", "up"),
        ({"sorting": "ignored"}, "none", "none"),
        ({"sorting": "ignored", "unsorted": "asc"}, "up", "up"),
        ({"sorting": "ignored", "unsorted": "desc"}, "down", "down"),
    ],
)
def test_orders(sandbox: Sandbox, behavior: dict[str, Any], ascending: str, descending: str) -> None:
    sandbox.behavior = ServerBehavior(**behavior)
    for sort, expected in (("asc", ascending), ("desc", descending)):
        first, second = (times(sandbox, sort) for _ in range(2))
        assert sorted(first) == sorted(second) == TIMES
        assert (first == TIMES, first == TIMES[::-1], first == second) == {
            "up": (True, False, True),
            "down": (False, True, True),
            "none": (False, False, False),
        }[expected]


def test_disorder_repeats_with_a_seed(sandbox: Sandbox) -> None:
    sandbox.behavior = ServerBehavior(sorting="ignored")
    orders = []
    for _ in range(2):
        sandbox.random.seed(1)
        orders.append(times(sandbox))
    assert orders[0] == orders[1]


def test_another_action_and_another_type(sandbox: Sandbox) -> None:
    own = events(sandbox)
    sandbox.behavior = ServerBehavior(foreign_action="000XYZ", foreign_type="hit")
    for event, before in zip(events(sandbox), own, strict=True):
        assert event["source"]["detail"]["activation"].pop("id") == "000XYZ"
        assert before["source"]["detail"]["activation"].pop("id") == "000PE4"
        assert (event.pop("type"), before.pop("type")) == ("hit", "bounce")
        assert event == before
    sandbox.behavior = ServerBehavior(foreign_type="hit")
    assert [event["source"]["detail"]["activation"]["id"] for event in events(sandbox)] == ["000PE4"] * 66


def test_repeated_events_come_some_events_later(sandbox: Sandbox) -> None:
    own = events(sandbox)
    sandbox.behavior = ServerBehavior(repeated=5)
    repeated = events(sandbox)
    assert repeated == events(sandbox)
    assert 5 < len(repeated) - len(own) < 25
    first = {event["id"]: at for at, event in reversed(list(enumerate(repeated)))}
    assert [repeated[at] for at in sorted(first.values())] == own
    again = [(at, event) for at, event in enumerate(repeated) if first[event["id"]] != at]
    assert all(
        at > first[event["id"]] + 1 and event == repeated[first[event["id"]]] for at, event in again[:-1]
    )
    sandbox.behavior = ServerBehavior(repeated=1, max_events=100)
    assert len(events(sandbox)) == 100
    assert len({event["id"] for event in events(sandbox)}) < 60


def test_a_cache(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.behavior = ServerBehavior(cached=True)
    sandbox.plan.add(Fault(change=empty()))
    now = time.time()
    monkeypatch.setattr("airflow_provider_np6.sandbox.server.time.time", lambda: now)
    first = respond(sandbox)
    assert (first.json(), "Age" in first.headers) == ([], False)
    assert len(events(sandbox, "desc")) == 66  # another URL
    now += 90.5
    second = respond(sandbox)
    assert (second.json(), second.headers["Age"]) == ([], "90")
    assert second.headers["Date"] == first.headers["Date"]
    fresh = respond(sandbox, **{"Cache-Control": "no-cache"})
    assert (len(fresh.json()), "Age" in fresh.headers) == (66, False)
    passed = parsedate_to_datetime(fresh.headers["Date"]) - parsedate_to_datetime(first.headers["Date"])
    assert passed.total_seconds() in (90, 91)
    assert len(events(sandbox)) == 66
    assert [request.uncached for request in sandbox.received] == [False, False, False, True, False]


def test_an_age(sandbox: Sandbox) -> None:
    sandbox.behavior = ServerBehavior(age=40)
    assert respond(sandbox).headers["Age"] == "40"
    assert "Age" not in respond(sandbox, **{"Cache-Control": "no-cache"}).headers
    sandbox.behavior = ServerBehavior(age=40, cached=True)
    assert [respond(sandbox).headers["Age"] for _ in range(2)] == ["40", "40"]


def test_an_error_is_not_cached(sandbox: Sandbox) -> None:
    sandbox.behavior = ServerBehavior(cached=True)
    sandbox.plan.add(Fault(status=503))
    assert respond(sandbox).status_code == 503
    assert len(events(sandbox)) == 66
    sandbox.key = "another"
    assert respond(sandbox).status_code == 401


def test_faults_come_after_limits(sandbox: Sandbox) -> None:
    sandbox.behavior = ServerBehavior(max_events=12, kept="newest")
    sandbox.plan.add(Fault(change=without(0)))
    assert [times(sandbox) for _ in range(2)] == [TIMES[-11:], TIMES[-12:]]
    assert times(sandbox)[0] > START
