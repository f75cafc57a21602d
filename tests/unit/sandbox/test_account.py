from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.sandbox import FakeAccount
from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, EVENT_TYPES, HOUR, ROBOTS, UNIONS, FakeEvent
from tests.support.properties import examples

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1_000)
DAY_END = START + 24 * HOUR
ACCOUNT = FakeAccount(events_per_day=240)
REALISTIC = FakeAccount()
ACTION = ACCOUNT.action_ids[0]
MOMENTS = st.integers(START, START + 5 * HOUR)


@examples(50)
@given(
    st.sampled_from([ACCOUNT, REALISTIC]),
    st.lists(MOMENTS, min_size=2, max_size=6, unique=True),
    st.sampled_from((*ALL_EVENT_TYPES, *UNIONS)),
    st.sampled_from(ACCOUNT.action_ids),
)
def test_windows_tile(account: FakeAccount, edges: list[int], event_type: str, action: str) -> None:
    edges.sort()
    parts = [
        event
        for start, end in itertools.pairwise(edges)
        for event in account.events(event_type, action, start, end)
    ]
    assert parts == list(account.events(event_type, action, edges[0], edges[-1]))


@pytest.mark.parametrize("events_per_day", [200, None])
def test_accounts_are_alike_by_their_seed(events_per_day: int | None) -> None:
    def ids(seed: int) -> list[str]:
        account = FakeAccount(seed=seed, events_per_day=events_per_day)
        return [event.id for event in account.events("activations", ACTION, START, START + HOUR)]

    assert ids(1) == ids(1) != ids(2)
    assert ids(1) != []


# The digest of a day of each seed type; figures and other tests rest on these very bytes.
DIGESTS = {
    "bounces": "96d649eb2dd92bd0d4172e3f173a08efbaa26b71e70cfc746ec5c5456195ddb4",
    "cancellations": "04a3e21e28229995104e05993bf9bcd67d6d2593a1796f1306a79487157de583",
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


@pytest.mark.parametrize(("account", "event_type"), [(ACCOUNT, "bounces"), (REALISTIC, "activations")])
def test_events_are_on_the_edges_and_share_whole_seconds(account: FakeAccount, event_type: str) -> None:
    times = [event.timestamp for event in account.events(event_type, ACTION, START, DAY_END)]
    assert times[0] == START
    assert times[-1] == DAY_END - 1
    assert len(set(times)) < len(times)
