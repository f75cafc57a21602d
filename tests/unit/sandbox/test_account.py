from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_np6.sandbox import FakeAccount
from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, EVENT_TYPES, HOUR, ROBOTS, UNIONS, FakeEvent

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1_000)
DAY_END = START + 24 * HOUR
ACCOUNT = FakeAccount(events_per_day=240)
ACTION = ACCOUNT.action_ids[0]
MOMENTS = st.integers(START, START + 5 * HOUR)


@settings(max_examples=50)
@given(st.lists(MOMENTS, min_size=2, max_size=6, unique=True), st.sampled_from((*ALL_EVENT_TYPES, *UNIONS)))
def test_windows_tile(edges: list[int], event_type: str) -> None:
    edges.sort()
    parts = [
        event.id
        for start, end in itertools.pairwise(edges)
        for event in ACCOUNT.events(event_type, ACTION, start, end)
    ]
    assert parts == [event.id for event in ACCOUNT.events(event_type, ACTION, edges[0], edges[-1])]


def test_accounts_are_alike_by_their_seed() -> None:
    def ids(account: FakeAccount) -> list[str]:
        return [event.id for event in account.events("bounces", ACTION, START, START + HOUR)]

    assert ids(FakeAccount(seed=1)) == ids(FakeAccount(seed=1)) != ids(FakeAccount(seed=2))


# The digest of a day of each seed type; figures and other tests rest on these very bytes.
DIGESTS = {
    "bounces": "e560569842a7a99decdbb2e7dea90fa2aa4ab3b68b2bc9497b9d6f830cbcc88f",
    "cancellations": "042574cc35abfc4fcbd3328582445fc0dc8f4c7cf5c3f5a52cef1ee7f0ca2bfc",
    "responses/stop": "0c34f3b1b39a2eeb68744e63baa998d1954a87123a9ea0fa54f691941b19c561",
}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_seed_types_stay_as_they_are(event_type: str) -> None:
    digest = hashlib.sha256()
    for event in ACCOUNT.events(event_type, None, START, DAY_END):
        digest.update(event.json)
    assert digest.hexdigest() == DIGESTS[event_type]


@pytest.mark.parametrize("action", [ACTION, None])
@pytest.mark.parametrize("union", UNIONS)
@pytest.mark.parametrize("classes", [frozenset(), frozenset({"mpp", "gsr"})])
def test_unions_are_their_parts(union: str, action: str | None, classes: frozenset[str]) -> None:
    shown = classes if union == "hits" else frozenset()
    parts = [
        event
        for part in UNIONS[union]
        for event in ACCOUNT.events(part, action, START, START + 3 * HOUR, classification=shown)
    ]
    whole = list(ACCOUNT.events(union, action, START, START + 3 * HOUR, classification=classes))
    assert sorted(whole, key=by_id) == sorted(parts, key=by_id)
    assert len({event.id for event in whole}) == len(whole) > 0
    assert [event.timestamp for event in whole] == sorted(event.timestamp for event in whole)


def by_id(event: FakeEvent) -> str:
    return event.id


def test_hits_are_by_people_or_by_one_class_of_robots() -> None:
    def hits(*classes: str, event_type: str = "hits") -> list[FakeEvent]:
        return list(ACCOUNT.events(event_type, None, START, DAY_END, classification=frozenset(classes)))

    people, robots = hits(), hits(*ROBOTS)
    assert sorted(robots, key=by_id) == sorted((hit for robot in ROBOTS for hit in hits(robot)), key=by_id)
    assert not {hit.id for hit in people} & {hit.id for hit in robots}
    assert 0.18 < len(robots) / len(people + robots) < 0.22
    assert all(len(hits(robot)) > len(robots) / 4 for robot in ROBOTS)
    assert hits("nobody") == []
    assert {hit.robot for hit in hits("gsr", event_type="hits/open")} == {"gsr"}
    assert hits("gsr", event_type="bounces") == hits(event_type="bounces") != []


def test_withheld_events_come_later_as_they_are() -> None:
    def day(withheld: float) -> list[FakeEvent]:
        account = FakeAccount(events_per_day=240, withheld=withheld)
        return list(account.events("events", None, START, DAY_END))

    everything = day(0.0)
    some, fewer, none = (set(day(share)) for share in (0.1, 0.5, 1.0))
    assert set(everything) > some > fewer > none == set()
    assert 0.88 < len(some) / len(everything) < 0.92
    types = [
        set(ACCOUNT.events(each, None, START, DAY_END, classification=frozenset(ROBOTS)))
        for each in ALL_EVENT_TYPES
    ]
    late = FakeAccount(events_per_day=240, withheld=0.1)
    for each, all_of_it in zip(ALL_EVENT_TYPES, types, strict=True):
        assert set(late.events(each, None, START, DAY_END, classification=frozenset(ROBOTS))) < all_of_it


def test_thousands_of_actions() -> None:
    account = FakeAccount(actions=5_000, events_per_day=24)
    assert len(set(account.action_ids)) == 5_000
    assert {len(action) for action in account.action_ids} == {6}
    assert [account.action(action)["id"] for action in account.action_ids] == account.action_ids
    assert account.has(account.action_ids[-1])
    assert not account.has("nobody")
    events = account.hour("bounces", None, START // HOUR)
    assert len({event.id for event in events}) == len(events) == 5_000


def test_events_stand_on_the_edges_and_share_whole_seconds() -> None:
    times = [event.timestamp for event in ACCOUNT.events("bounces", ACTION, START, DAY_END)]
    assert times[0] == START
    assert times[-1] == DAY_END - 1
    assert len(set(times)) < len(times)
