"""The default account is like a real one: its proportions over a month, and the course of a send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.sandbox import FakeAccount
from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, HOUR, ROBOTS, UNIONS
from airflow_provider_np6.sandbox.sends import PLANS, SendPlan

DAY = 24
WEEK = 7 * DAY
MONTH = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) // 3_600
TUESDAY = MONTH + 2 * DAY
ACCOUNT = FakeAccount(actions=len(PLANS))
ORDERS, NEWSLETTER, DELIVERY, PASSWORDS, OFFERS, SALE, GREETINGS = PLANS
LARGE = [ORDERS, NEWSLETTER, DELIVERY, OFFERS, SALE]
QUIET = [PASSWORDS, GREETINGS]


@cache
def count(plan: SendPlan, event_type: str, start: int = MONTH, hours: int = 30 * DAY) -> float:
    """How many events are expected; each hour has as many, see the last test."""
    return sum(plan.expect(event_type, hour) for hour in range(start, start + hours))


def per_hour(plan: SendPlan, event_type: str, start: int, hours: int) -> list[float]:
    return [plan.expect(event_type, hour) for hour in range(start, start + hours)]


def events(plan: SendPlan, event_type: str, start: int, hours: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Times of a plan's events, and their sources."""
    action = ACCOUNT.action_ids[PLANS.index(plan)]
    for event in ACCOUNT.events(event_type, action, start * HOUR, (start + hours) * HOUR):
        yield event.timestamp, json.loads(event.json)["source"]


def named(plan: SendPlan) -> str:
    return plan.name


@pytest.mark.parametrize("plan", LARGE, ids=named)
def test_bounces_are_a_few_percent_of_activations(plan: SendPlan) -> None:
    activations = count(plan, "activations")
    assert activations > 5_000
    assert 0.01 < count(plan, "bounces") / activations < 0.04
    assert 0.005 < count(plan, "cancellations") / activations < 0.02
    assert count(plan, "executions") == pytest.approx(activations + count(plan, "cancellations"))


@pytest.mark.parametrize("plan", [ORDERS, NEWSLETTER, OFFERS], ids=named)
def test_clicks_are_a_few_percent_of_opens(plan: SendPlan) -> None:
    activations, opens = count(plan, "activations"), count(plan, "hits/open")
    assert 0.2 < opens / activations < 0.6
    assert 0.04 < count(plan, "hits/redirection") / opens < 0.08
    for rare in ("hits/unsubscribe", "hits/mirror", "hits/form"):
        assert 0.0005 < count(plan, rare) / activations < 0.01


@pytest.mark.parametrize("plan", PLANS, ids=named)
def test_only_an_sms_is_stopped_and_only_an_email_is_opened(plan: SendPlan) -> None:
    follows = {event_type for event_type in ALL_EVENT_TYPES if count(plan, event_type, plan.first, WEEK)}
    responses = {"responses/stop", "responses/reply"}
    opened = {*UNIONS["hits"]} - {"hits/redirection"}
    assert follows == {*ALL_EVENT_TYPES} - (opened if plan.is_sms else responses)


@pytest.mark.parametrize("plan", [DELIVERY, SALE], ids=named)
def test_stops_are_less_than_one_percent_of_activations(plan: SendPlan) -> None:
    assert 0.005 < count(plan, "responses/stop") / count(plan, "activations") < 0.01


@pytest.mark.parametrize("plan", QUIET, ids=named)
def test_some_actions_are_quiet(plan: SendPlan) -> None:
    assert 0 < sum(count(plan, event_type) for event_type in ALL_EVENT_TYPES) < 200


def test_a_send_takes_hours_and_comes_again_each_week() -> None:
    activations = per_hour(NEWSLETTER, "activations", TUESDAY, 2 * WEEK)
    busy = [hour for hour, events in enumerate(activations) if events]
    assert busy == [*range(8, 13), *range(WEEK + 8, WEEK + 13)]
    assert activations[8:13] == sorted(activations[8:13], reverse=True)


def test_an_action_triggered_one_by_one_rests_at_night() -> None:
    activations = per_hour(ORDERS, "activations", TUESDAY, DAY)
    assert min(activations) > 0
    assert 5 * max(activations[:5]) < min(activations[7:20])


def test_opens_decay_for_weeks_and_bounces_within_a_day() -> None:
    sent = next(hour for hour in range(MONTH, MONTH + 4 * WEEK) if OFFERS.expect("activations", hour))
    opens = [count(OFFERS, "hits/open", sent + day * DAY, DAY) for day in range(28)]
    weeks = [sum(opens[day : day + 7]) for day in range(0, 28, 7)]
    assert weeks[0] > 3 * weeks[1] > 3 * weeks[2] > 3 * weeks[3] > 0
    assert opens == sorted(opens, reverse=True)
    bounces = [count(OFFERS, "bounces", sent + day * DAY, DAY) for day in range(28)]
    assert bounces[0] > 0.9 * sum(bounces)
    assert sum(bounces[3:]) == 0


@pytest.mark.parametrize(("event_type", "oldest"), [("bounces", 0), ("hits/open", -12)])
def test_events_name_the_send_that_they_follow(event_type: str, oldest: int) -> None:
    weeks = []
    for time, source in events(NEWSLETTER, event_type, TUESDAY, 8 * DAY):
        stamp = source["detail"]["activation"]["stamp"]["time"]
        assert stamp < time
        week, hour = divmod(stamp // HOUR - TUESDAY, WEEK)
        assert 7 <= hour <= 12
        weeks.append(week)
    assert max(weeks) == 1
    assert min(weeks) == pytest.approx(oldest, abs=4)


def test_an_sms_goes_to_a_phone_number() -> None:
    for event_type in ("activations", "bounces"):
        for _, source in events(DELIVERY, event_type, TUESDAY, DAY):
            assert source["type"] == "sms"
            assert source["detail"]["activation"]["recipient"].startswith("+3363998")
    assert {source["type"] for _, source in events(ORDERS, "bounces", TUESDAY, DAY)} == {"email"}


@given(st.integers(0, 80 * 366))
def test_there_are_events_on_any_day(day: int) -> None:
    for event_type in ("activations", "bounces", "hits/open"):
        assert next(events(ORDERS, event_type, day * DAY, DAY), None)


@given(st.integers(MONTH, MONTH + 30 * DAY), st.sampled_from(ALL_EVENT_TYPES), st.sampled_from(PLANS))
def test_an_hour_has_as_many_events_as_expected(hour: int, event_type: str, plan: SendPlan) -> None:
    action = ACCOUNT.action_ids[PLANS.index(plan)]
    generated = ACCOUNT.hour(event_type, action, hour, classification=frozenset({"", *ROBOTS}))
    assert abs(len(generated) - plan.expect(event_type, hour)) < 1
