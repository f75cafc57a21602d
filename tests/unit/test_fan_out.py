"""A fan-out's reports as one."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_np6.fan_out import summarize_reports

pytestmark = pytest.mark.core

TYPES = ["bounces", "cancellations"]


def report(event_type: str, action_id: str, **differing: Any) -> dict[str, Any]:
    return {
        "event_type": event_type,
        "action_id": action_id,
        "window_start": "2026-11-01T00:00:00.000Z",
        "window_end": "2026-11-02T00:00:00.000Z",
        "pulled_at": "2026-11-02T00:01:00.000Z",
        "events": 3,
        "duplicates": 1,
        "invalid": 2,
        "bytes_read": 100,
        "requests": 1,
        "slices": {"created": 1},
        "destination": "s3://aws@lake/np6",
        **differing,
    }


def test_a_sum_is_as_small_however_many_pulls_there_were() -> None:
    actions = [f"{number:06d}" for number in range(5_000)]
    folder = "s3://aws@lake/np6/_manifests/type=bounces/action=1"
    reports = [
        report(*pair, manifests=folder, bytes_written=7, slices={"created": 2})
        for pair in product(TYPES, actions)
    ]
    found = summarize_reports(reports, actions, TYPES)
    assert (found["actions"], found["events"], found["invalid"]) == (5_000, 30_000, 20_000)
    assert (found["bytes_written"], found["slices"]) == (70_000, {"created": 20_000})
    assert found["manifests"] == "s3://aws@lake/np6/_manifests"
    assert len(json.dumps(found)) < 4_096


def test_windows_of_several_days_are_told_as_one() -> None:
    days = [
        report(
            "bounces", "A", window_start=f"2026-11-0{n}T", window_end=f"2026-11-0{n + 1}T", pulled_at=str(n)
        )
        for n in (2, 1, 3)
    ]
    found = summarize_reports([*days[:1]], ["A"], ["bounces"])
    assert (found["window_start"], found["window_end"]) == ("2026-11-02T", "2026-11-03T")
    found = summarize_reports(days, ["A"], ["bounces"])
    assert (found["window_start"], found["window_end"], found["pulled_at"]) == (
        "2026-11-01T",
        "2026-11-04T",
        "1",
    )


def test_a_table_is_told_as_such() -> None:
    found = summarize_reports([report("bounces", "A", table="np6_events")], ["A"], ["bounces"])
    assert found["table"] == "np6_events"
    assert "manifests" not in found


@pytest.mark.parametrize("reports", [None, []])
def test_failed_pulls_are_named_but_not_by_the_thousand(reports: list[dict[str, Any]] | None) -> None:
    actions = [f"{number:06d}" for number in range(1_000)]
    with pytest.raises(AirflowFailException) as caught:
        summarize_reports(reports, actions, TYPES)
    told = str(caught.value)
    assert told.startswith("2000 of 2000 pulls failed: bounces · 000000, bounces · 000001, ")
    assert "bounces · 000019 and 1980 more." in told
    assert len(told) < 1_000


def test_nothing_to_pull_is_no_failure_and_no_list_is_one() -> None:
    with pytest.raises(AirflowSkipException):
        summarize_reports([], [], TYPES)
    with pytest.raises(AirflowFailException, match="lists the actions has failed"):
        summarize_reports([], None, TYPES)
