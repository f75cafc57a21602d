from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from airflow_provider_np6.np6 import errors, retry
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.rate_limit import MAX_DELAY, RateLimit, requested_delay
from airflow_provider_np6.np6.server_clock import server_date
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.run import KEY

pytestmark = pytest.mark.core

NOW = 1_800_000_000.0


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("airflow_provider_np6.np6.rate_limit.time.time", made.time)
    monkeypatch.setattr("airflow_provider_np6.np6.retry.time.sleep", made.sleep)
    return made


@pytest.mark.parametrize("skew", [0.0, 600.0, -600.0])
@pytest.mark.parametrize(
    "header",
    [
        "Retry-After: seconds",
        "Retry-After: date",
        "Reset: epoch s",
        "Reset: epoch ms",
        "Reset: seconds from now",
    ],
)
def test_each_style_of_header_waits_until_the_right_time(
    sandbox: Sandbox, clock: Clock, header: str, skew: float
) -> None:
    there = NOW + skew  # what the server's clock says
    headers = {
        "Retry-After: seconds": {"Retry-After": "42"},
        "Retry-After: date": {"Retry-After": formatdate(there + 42, usegmt=True)},
        "Reset: epoch s": {"X-RateLimit-Reset": str(int(there + 42))},
        "Reset: epoch ms": {"X-RateLimit-Reset": str(int((there + 42) * 1_000))},
        "Reset: seconds from now": {"X-RateLimit-Reset": "42"},
    }[header]
    sandbox.plan.add(Fault(status=429, headers=headers, clock=skew))
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test"))
    client.list_actions({})
    assert clock.now - NOW == pytest.approx(42, abs=1)
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Retry-After": "soon"},
        {"X-RateLimit-Reset": "nan"},
        {"X-RateLimit-Reset": "-5"},
        {"X-RateLimit-Reset": "inf"},
        {"Retry-After": "-1"},
        {"Retry-After": "inf"},
    ],
)
def test_headers_that_say_nothing_leave_it_to_backoff(headers: dict[str, str]) -> None:
    assert requested_delay(headers) is None


def test_a_time_that_has_passed_is_now(clock: Clock) -> None:
    assert requested_delay({"X-RateLimit-Reset": "1000000000"}) == 0.0
    assert requested_delay({"Retry-After": formatdate(NOW - 42), "Date": formatdate(NOW)}) == 0.0


def test_an_immediate_retry_wins_over_a_later_reset() -> None:
    assert requested_delay({"Retry-After": "0", "X-RateLimit-Reset": "42"}) == 0.0
    assert requested_delay({"Retry-After": "soon", "X-RateLimit-Reset": "42"}) == 42.0


def test_the_servers_date_may_be_missing_or_unreadable() -> None:
    assert server_date({"Date": formatdate(NOW)}) == NOW * 1_000
    assert server_date({}) is None
    assert server_date({"Date": "soon"}) is None


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_each_form_of_a_date_in_http_is_utc_whatever_the_workers_zone(
    date: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with monkeypatch.context() as patched:
            patched.setenv("TZ", zone)
            time.tzset()
            assert server_date({"Date": date}) == 784_111_777_000
    finally:
        time.tzset()


def test_without_any_header_the_wait_grows_at_random(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.np6.retry.FIRST_WAIT", 0.5)
    monkeypatch.setattr("airflow_provider_np6.np6.retry.random.uniform", lambda low, high: high - low)
    sandbox.plan.add(Fault(status=429), times=7)
    Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test")).list_actions({})
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]


@pytest.mark.parametrize("seconds", [0.5, 1, 30])
def test_with_nothing_remaining_the_next_request_waits_for_the_reset(
    sandbox: Sandbox, clock: Clock, seconds: float
) -> None:
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test"))
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(seconds)}
    sandbox.plan.add(Fault(body=b"[]", headers=headers))
    client.list_actions({})
    assert clock.slept == []
    client.list_actions({})
    assert clock.slept == [seconds]


def test_a_backoff_beyond_max_wait_is_left_to_airflow_with_its_delay(clock: Clock) -> None:
    with pytest.raises(errors.Np6ServerError) as caught:
        retry.sleep(20.0, 10.0, errors.Np6ServerError("NP6 failed"))
    assert caught.value.delay == 20.0
    assert clock.slept == []


@pytest.mark.parametrize("remaining", ["1", "", "many"])
def test_with_something_remaining_it_does_not_wait(sandbox: Sandbox, clock: Clock, remaining: str) -> None:
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test"))
    headers = {"X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": "30"}
    sandbox.plan.add(Fault(body=b"[]", headers=headers))
    client.list_actions({})
    client.list_actions({})
    assert clock.slept == []


def test_a_reset_beyond_max_wait_sends_no_request(sandbox: Sandbox, clock: Clock) -> None:
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_wait=10))
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}
    sandbox.plan.add(Fault(body=b"[]", headers=headers))
    client.list_actions({})
    with pytest.raises(errors.Np6RateLimitError) as caught:
        client.list_actions({})
    assert caught.value.delay == 30.0
    assert len(sandbox.received) == 1


def test_a_wait_is_logged_once_with_its_reason_and_end(
    sandbox: Sandbox, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.plan.add(Fault(status=429, headers={"Retry-After": "42"}))
    begun = datetime.now(UTC)
    Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test")).list_actions({})
    ended = datetime.now(UTC)
    (message,) = (record.message for record in caplog.records if "limits the rate" in record.message)
    end = re.search(r"in 42\.0 s, at (\d\d:\d\d:\d\d UTC)\.", message)
    seconds = range(42, 44 + int((ended - begun).total_seconds()))
    assert end is not None
    assert end[1] in [f"{begun + timedelta(seconds=s):%H:%M:%S UTC}" for s in seconds]


def test_nothing_remaining_without_a_reset_says_nothing(sandbox: Sandbox, clock: Clock) -> None:
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test"))
    sandbox.plan.add(Fault(body=b"[]", headers={"X-RateLimit-Remaining": "0"}))
    client.list_actions({})
    client.list_actions({})
    assert clock.slept == []


def test_a_wait_of_just_max_wait_happens_in_the_task(sandbox: Sandbox, clock: Clock) -> None:
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_wait=42))
    sandbox.plan.add(Fault(status=429, headers={"Retry-After": "42"}))
    client.list_actions({})
    assert clock.slept == [42.0]


def test_others_who_win_every_time_are_no_failures(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.plan.add(Fault(status=429, headers={"X-RateLimit-Reset": "1"}), times=40)
    Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test")).list_actions({})
    assert len(clock.slept) == 40


def test_those_who_lost_more_often_yield_longer(
    sandbox: Sandbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.np6.retry.FIRST_WAIT", 0.5)
    monkeypatch.setattr("airflow_provider_np6.np6.retry.random.uniform", lambda low, high: high - low)
    sandbox.plan.add(Fault(status=429, headers={"X-RateLimit-Reset": "1"}), times=4)
    Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test")).list_actions({})
    assert clock.slept == [2.0, 3.0, 5.0, 5.0]


def test_the_whole_time_among_others_is_bounded_by_max_wait(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.plan.add(Fault(status=429, headers={"X-RateLimit-Reset": "3"}), times=40)
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_wait=10))
    with pytest.raises(errors.Np6RateLimitError) as caught:
        client.list_actions({})
    assert caught.value.delay == pytest.approx(3, abs=0.1)
    assert len(clock.slept) == 3


def test_a_delay_of_nothing_is_not_waited_for_without_end(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.plan.add(Fault(status=429, headers={"Retry-After": "0"}), times=1_000)
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_wait=60))
    with pytest.raises(errors.Np6RateLimitError):
        client.list_actions({})
    assert sum(clock.slept) == pytest.approx(60)
    assert len(sandbox.received) < 100


def test_a_reset_after_the_delay_counts_too(sandbox: Sandbox, clock: Clock) -> None:
    headers = {"Retry-After": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}
    sandbox.plan.add(Fault(status=429, headers=headers), times=1_000)
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_wait=60))
    with pytest.raises(errors.Np6RateLimitError):
        client.list_actions({})
    assert sum(clock.slept) <= 60
    assert requested_delay({**headers, "X-RateLimit-Remaining": "1"}) == 1.0


def test_no_number_of_turns_is_too_many(clock: Clock) -> None:
    settings = Np6Config(base_url="https://x", api_key=KEY, account="test", max_wait=86_400)
    attempts = retry.Attempts(settings)
    for _ in range(2_000):
        attempts.wait_or_raise(errors.Np6RateLimitError("NP6 limits the rate of requests", delay=1.0))
    assert len(clock.slept) == 2_000


def test_a_single_try_waits_for_no_turn(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.plan.add(Fault(status=429, headers={"X-RateLimit-Reset": "3"}))
    client = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_attempts=1))
    with pytest.raises(errors.Np6RateLimitError):
        client.list_actions({})
    assert clock.slept == []


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"Retry-After": str(int(NOW) + 42)}, 42.0),  # seconds since the epoch
        ({"Retry-After": str((int(NOW) + 42) * 1_000)}, 42.0),  # and milliseconds
        ({"Retry-After": "7200"}, 7_200.0),
        ({"Retry-After": "90000"}, MAX_DELAY),
        ({"Retry-After": "99999999999999999999"}, MAX_DELAY),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, MAX_DELAY),
        ({"X-RateLimit-Reset": "3600"}, 3_600.0),
        ({"X-RateLimit-Reset": "30000"}, 30.0),  # milliseconds from now
        ({"X-RateLimit-Reset": str(int(NOW) + 10**7)}, MAX_DELAY),
        ({"X-RateLimit-Reset": str(int(NOW) + 42), "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, 42.0),
        ({"X-RateLimit-Reset": "9" * 300}, MAX_DELAY),
    ],
)
def test_no_response_asks_for_more_than_a_day(
    headers: dict[str, str], delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.np6.rate_limit.time.time", lambda: NOW)
    assert requested_delay(headers) == pytest.approx(delay, abs=0.01)
    limit = RateLimit()
    limit.learn({**headers, "X-RateLimit-Remaining": "0"})
    assert limit.wait() <= MAX_DELAY
