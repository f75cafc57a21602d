"""Checks of responses are made once: what they verified is recorded for each series, and later pulls send one
request each. The same on every destination."""

from __future__ import annotations

import time

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.sql.replacement import Replacement
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6ShrunkError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, ListedAccount, Sandbox
from tests.support.databases import payloads
from tests.support.pulls import HOUR, MIDNIGHT, land, pull_into
from tests.support.verified_sizes import set_verified_at, verified_size

pytestmark = pytest.mark.core

MINUTE = 60_000


class Days(ListedAccount):
    """An account with a number of events on each day, one per minute.

    :param counts: events by day.
    """

    def __init__(self, *counts: int) -> None:
        starts = [MIDNIGHT + day * DAY + HOUR for day in range(len(counts))]
        super().__init__(
            start + minute * MINUTE
            for start, count in zip(starts, counts, strict=True)
            for minute in range(count)
        )


def day(number: int) -> Window:
    return Window(MIDNIGHT + number * DAY, MIDNIGHT + (number + 1) * DAY)


def query(number: int, event_type: str = "bounces", action: str = "000PE4") -> EventQuery:
    return EventQuery.checked(event_type, action, day(number))


@pytest.fixture
def account() -> Days:
    return Days(150, 100, 160)


def count(client: Np6Client, sandbox: Sandbox, destination: Destination, query: EventQuery) -> int:
    """The requests of one pull."""
    sandbox.received.clear()
    land(client, destination, query)
    return len(sandbox.received)


def test_a_smaller_response_than_a_verified_one_needs_no_check(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    assert count(client, sandbox, destination, query(0)) == 3
    events, size = verified_size(destination)
    assert (events, size > 50_000) == (150, True)
    for _ in range(2):
        assert count(client, sandbox, destination, query(1)) == 1
        assert verified_size(destination) == (events, size)
    assert count(client, sandbox, destination, query(2)) == 3
    assert verified_size(destination)[0] == 160
    assert count(client, sandbox, destination, query(0)) == 1
    assert verified_size(destination)[0] == 160


def test_what_needs_no_check_is_not_recorded(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    sandbox.account = Days(9)
    assert count(client, sandbox, destination, query(0)) == 1
    assert verified_size(destination) == (0, 0)


def test_each_series_has_its_own_and_its_actions_share_it(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    window = Window(MIDNIGHT + HOUR // 2, MIDNIGHT + 22 * HOUR + HOUR // 2)

    def requests(events_per_day: int, event_type: str, action: int) -> int:
        sandbox.account = FakeAccount(events_per_day=events_per_day)
        action_id = sandbox.account.action_ids[action]
        return count(client, sandbox, destination, EventQuery.checked(event_type, action_id, window))

    assert requests(240, "bounces", 0) == 3
    assert requests(120, "bounces", 1) == 1
    size = verified_size(destination)
    assert verified_size(destination, "cancellations") == (0, 0)
    assert requests(120, "cancellations", 0) == 3
    assert verified_size(destination) == size
    assert 0 < verified_size(destination, "cancellations")[0] < size[0]


def test_sizes_of_more_than_30_days_ago_do_not_count(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    land(client, destination, query(2))
    now = time.time_ns() // 1_000_000
    set_verified_at(destination, now - 29 * DAY)
    assert count(client, sandbox, destination, query(1)) == 1
    assert verified_size(destination)[0] == 160
    set_verified_at(destination, now - 31 * DAY)
    assert count(client, sandbox, destination, query(1)) == 3
    assert verified_size(destination)[0] == 100
    assert count(client, sandbox, destination, query(1)) == 3  # it is not smaller than the verified one
    assert count(client, sandbox, destination, query(0)) == 3


def test_a_smaller_one_never_replaces_a_larger_one(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    """A pull that began before the larger one was verified."""
    with destination.open(query(0), "test") as writer:
        verified = pull_into(client, query(0), writer)
        land(client, destination, query(2))
        larger = verified_size(destination)
        assert larger[0] == 160
        writer.publish(verified)
    assert verified_size(destination) == larger


def test_what_was_wrong_is_forgotten(client: Np6Client, sandbox: Sandbox, destination: Destination) -> None:
    land(client, destination, query(0))
    with destination.open(query(1), "test") as writer:
        assert writer.verified_size is not None
        assert writer.verified_size.size.events == 150
        verified = pull_into(client, query(1), writer)
        assert verified.verified_size is None
        writer.forget_verified_size()
        writer.publish(verified)
    assert verified_size(destination) == (0, 0)
    assert count(client, sandbox, destination, query(1)) == 3
    assert verified_size(destination)[0] == 100


def test_a_smaller_one_replaces_what_was_wrong(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    with destination.open(query(1), "test") as writer:
        verified = pull_into(client, query(1), writer)
        land(client, destination, query(2))
        writer.forget_verified_size()
        writer.publish(verified)
    assert verified_size(destination)[0] == 100


def test_a_pull_that_publishes_nothing_records_nothing(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    land(client, destination, query(1))
    before = verified_size(destination)
    sandbox.account = Days(150, 90, 160)
    both = EventQuery.checked("bounces", "000PE4", day(0).union(day(1)))
    with pytest.raises(Np6ShrunkError):
        land(client, destination, both, on_shrink="fail")
    assert verified_size(destination) == before


def test_a_transaction_that_is_rolled_back_records_nothing(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, sql, query(1))
    before = verified_size(sql), payloads()

    def fail(*_: object) -> None:
        raise RuntimeError("after all events went in")

    with monkeypatch.context() as patched:
        patched.setattr(Replacement, "_insert_quarantine", fail)
        with pytest.raises(Np6DestinationError, match="RuntimeError"):
            land(client, sql, query(0))
    assert (verified_size(sql), payloads()) == before
    land(client, sql, query(0))
    assert verified_size(sql)[0] == 150


def test_sizes_are_recorded_when_nothing_else_changes(
    client: Np6Client, sandbox: Sandbox, destination: Destination
) -> None:
    """Another pull of the same events, after the sizes had become too old."""
    land(client, destination, query(0))
    set_verified_at(destination, time.time_ns() // 1_000_000 - 31 * DAY)
    assert land(client, destination, query(0))["outcome"] == "unchanged"
    assert count(client, sandbox, destination, query(1)) == 1
