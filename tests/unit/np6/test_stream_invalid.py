"""Invalid events fail a pull; few of them may be set aside."""

from __future__ import annotations

import time

import pytest

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.caps import ResponseSize, VerifiedSize
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.pulls import MIDNIGHT, MemorySpool, query_of

pytestmark = pytest.mark.core


@pytest.fixture
def known() -> VerifiedSize:
    """A verified size that is larger than any response."""
    return VerifiedSize(ResponseSize(10**6, 10**9), time.time_ns() // 1_000_000)


def response(elements: list[bytes]) -> Fault:
    return Fault(body=b"[" + b",".join(elements) + b"]")


def bad_and_good(bad: int, good: int) -> Fault:
    """A response of so many invalid and valid events."""
    events = [b'{"id":"b%d"}' % n for n in range(bad)]
    events += [b'{"id":"g%d","timestamp":%d}' % (n, MIDNIGHT + n) for n in range(good)]
    return response(events)


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (0, 0),
        (1, 2),
        (1, 49),
        (9, 10),
        (10, 11),
        (10, 990),
        (11, 1_089),
        (20, 1_980),
    ],
)
def test_few_invalid_events_are_set_aside(
    client: Np6Client, sandbox: Sandbox, known: VerifiedSize, bad: int, good: int
) -> None:
    spool = MemorySpool()
    sandbox.plan.add(bad_and_good(bad, good))
    verified = pull(client, query_of(sandbox), spool, quarantine=True, verified_size=known)
    assert (verified.invalid, verified.events, len(spool.aside), verified.requests) == (bad, good, bad, 1)


@pytest.mark.parametrize(
    ("bad", "good", "count"),
    [
        (1, 0, "1 of 1 events is"),
        (1, 1, "1 of 2 events is"),
        (10, 10, "10 of 20 events are"),
        (11, 989, "11 of 1,000 events are"),
        (11, 1_088, "11 of 1,099 events are"),
        (1_000, 10, "1,000 of 1,010 events are"),
    ],
)
def test_more_invalid_events_fail_the_pull(
    client: Np6Client, sandbox: Sandbox, known: VerifiedSize, bad: int, good: int, count: str
) -> None:
    sandbox.plan.add(bad_and_good(bad, good))
    with pytest.raises(errors.Np6ResponseError) as caught:
        pull(client, query_of(sandbox), MemorySpool(), quarantine=True, verified_size=known)
    assert str(caught.value) == (
        f"{count} invalid, more than 1 % (bounces of action 000PE4, window"
        " [2024-10-04T00:00:00.000Z, 2024-10-05T00:00:00.000Z)). So many are not set aside. NP6's support can"
        " say why it sends them."
    )


def test_duplicates_are_elements_too(client: Np6Client, sandbox: Sandbox, known: VerifiedSize) -> None:
    good = [b'{"id":"g","timestamp":%d}' % (MIDNIGHT + n) for n in range(11)]
    sandbox.plan.add(response([*(b'{"id":"b%d"}' % n for n in range(10)), *good]))
    verified = pull(client, query_of(sandbox), MemorySpool(), quarantine=True, verified_size=known)
    assert (verified.invalid, verified.events, verified.duplicates) == (10, 1, 10)


def test_more_than_a_thousand_invalid_events_fail_the_pull_at_once(
    client: Np6Client, sandbox: Sandbox
) -> None:
    spool = MemorySpool()
    sandbox.plan.add(bad_and_good(1_001, 100_100))
    with pytest.raises(errors.Np6ResponseError) as caught:
        pull(client, query_of(sandbox), spool, quarantine=True)
    assert str(caught.value).startswith(
        "more than 1,000 events are invalid; the last one has no timestamp (bounces of action 000PE4"
    )
    assert len(spool.aside) == 1_000
