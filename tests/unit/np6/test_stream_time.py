"""When a window may be pulled, and the time that its events are stored with."""

from __future__ import annotations

import re
import time

import pytest

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Fault, Sandbox, ServerBehavior, faults
from tests.support.pulls import GRACE_PERIOD, MemorySpool, held, query_of

pytestmark = pytest.mark.core


def now() -> int:
    return time.time_ns() // 1_000_000


def shown(error: errors.Np6Error) -> str:
    """The error's message without what differs from run to run."""
    where = r"\(bounces of action 000PE4, window .*; HTTP status 200; x-request-id [0-9a-f-]{36}\)"
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]{12}Z", "TIME", re.sub(where, "(WHERE)", str(error)))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits, which do not take any time."""
    made: list[float] = []
    monkeypatch.setattr("airflow_provider_np6.np6.retry.time.sleep", made.append)
    return made


def test_pulled_at_is_the_servers_date(client: Np6Client, sandbox: Sandbox) -> None:
    begun, spool = time.time(), MemorySpool()
    sandbox.plan.add(Fault(clock=7_200))
    verified = pull(client, query_of(sandbox), spool)
    assert verified.pulled_at == pytest.approx((begun + 7_200) * 1_000, abs=2_500)
    assert verified.pulled_at % 1_000 == 0
    assert spool.begun == [verified.pulled_at]


@pytest.mark.parametrize("clock", [-90_000, 90_000, None])
def test_without_a_plausible_date_the_workers_clock_counts(
    client: Np6Client, sandbox: Sandbox, clock: int | None
) -> None:
    before = now()
    if clock is None:
        sandbox.behavior = ServerBehavior(dated=False)
    else:
        sandbox.plan.add(Fault(clock=clock))
    verified = pull(client, query_of(sandbox), MemorySpool())
    assert before <= verified.pulled_at <= now()


def test_the_age_of_a_response_counts(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.behavior = ServerBehavior(age=3_600)
    verified = pull(client, query_of(sandbox), MemorySpool())
    assert verified.pulled_at == pytest.approx(now() - 3_600_000, abs=2_500)
    sandbox.behavior = ServerBehavior(age=3_600, dated=False)
    verified = pull(client, query_of(sandbox), MemorySpool())
    assert verified.pulled_at == pytest.approx(now() - 3_600_000, abs=2_500)


def test_what_a_cache_kept_from_an_open_window_is_requested_again(
    client: Np6Client, sandbox: Sandbox, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    end = now() // 1_000 * 1_000 - 60_000
    query, spool = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end)), MemorySpool()
    sandbox.behavior = ServerBehavior(age=120)
    verified = pull(client, query, spool, grace_period=GRACE_PERIOD)
    assert spool.lines == held(sandbox, query)
    assert [request.uncached for request in sandbox.received[:2]] == [False, True]
    assert (len(slept), spool.restarts) == (1, 0)
    assert slept[0] < 1  # no longer than after any other failure
    assert verified.pulled_at == pytest.approx(now(), abs=2_500)
    assert "a cache sent a response of 20" in caplog.text
    assert "when the window was still open" in caplog.text


def test_a_cache_that_ignores_the_request_for_a_fresh_response_is_an_error(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = now() // 1_000 * 1_000 - 60_000
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    sandbox.plan.add(Fault(headers={"Age": "120"}), times=9)
    with pytest.raises(errors.Np6WindowOpenError) as caught:
        pull(client, query, MemorySpool(), grace_period=GRACE_PERIOD)
    assert shown(caught.value) == (
        "a cache sent a response of TIME, when the window was still open (WHERE). If this lasts, exclude"
        " NP6's host from the cache between it and the worker."
    )
    assert (len(slept), caught.value.delay) == (1, None)


def test_pulled_at_is_that_of_the_first_response_whose_events_are_stored(
    client: Np6Client, sandbox: Sandbox
) -> None:
    begun, spool = time.time(), MemorySpool()
    sandbox.plan.add(Fault(clock=-3_600, change=faults.shuffled(1)))  # not in order: pulled again
    sandbox.plan.add(Fault(clock=1_800, status=413, framing="length"))  # brings nothing
    sandbox.plan.add(Fault(clock=3_600))
    sandbox.plan.add(Fault(clock=7_200))
    verified = pull(client, query_of(sandbox), spool)
    assert [round(at / 1_000 - begun, -2) for at in spool.begun] == [-3_600, 3_600]
    assert verified.pulled_at == spool.begun[-1]


def test_an_open_window_is_not_closed_by_the_workers_clock(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = now() // 1_000 * 1_000
    query, spool = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end)), MemorySpool()
    sandbox.plan.add(Fault(clock=-120))
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert [pytest.approx(120, abs=3)] == slept
    assert sandbox.received[0].parameters == sandbox.received[1].parameters
    assert (verified.requests, spool.restarts) == (len(sandbox.received), 0)


def test_a_window_must_have_ended_a_grace_period_ago_by_np6s_clock_too(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = now() // 1_000 * 1_000 - 30_000
    sandbox.plan.add(Fault(clock=0))
    sandbox.plan.add(Fault(clock=60), times=9)
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    pull(client, query, MemorySpool(), grace_period=GRACE_PERIOD)
    assert [pytest.approx(30, abs=3)] == slept


def test_a_window_that_stays_open_is_an_error(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = now() // 1_000 * 1_000
    query = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end))
    sandbox.plan.add(Fault(clock=-120), times=9)
    with pytest.raises(errors.Np6WindowOpenError) as caught:
        pull(client, query, MemorySpool())
    assert shown(caught.value) == (
        "by NP6's clock it is TIME, and the window is still open (WHERE). If this lasts, the worker's clock"
        " is ahead."
    )
    assert caught.value.delay == pytest.approx(120, abs=3)
    assert len(slept) == 1


def test_what_came_before_np6s_clock_went_back_is_pulled_again(
    client: Np6Client, sandbox: Sandbox, slept: list[float]
) -> None:
    end = now() // 1_000 * 1_000
    query, spool = EventQuery.checked("bounces", "000PE4", Window(end - DAY, end)), MemorySpool()
    sandbox.plan.add(Fault(change=faults.shuffled(1)))
    sandbox.plan.add(Fault(status=413, framing="length"))
    sandbox.plan.add(Fault())
    sandbox.plan.add(Fault(clock=-120))
    sandbox.plan.add(Fault(change=faults.shuffled(2)))
    verified = pull(client, query, spool)
    assert spool.lines == held(sandbox, query)
    assert (verified.duplicates, spool.restarts) == (0, 2)  # once for the order, once for the clock
    assert slept == [pytest.approx(120, abs=3)]
