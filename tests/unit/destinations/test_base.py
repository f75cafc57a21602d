"""What a report says of the slices of a pull."""

from __future__ import annotations

import json

from airflow_provider_np6.destinations.base import MAX_CHANGED, summarize_slices
from airflow_provider_np6.destinations.inventory import Outcome, SliceOutcome
from airflow_provider_np6.np6.window import DAY, Window, iso


def slices(*outcomes: Outcome, previous: int = 0) -> list[SliceOutcome]:
    return [
        SliceOutcome(Window(day * DAY, (day + 1) * DAY), outcome, previous)
        for day, outcome in enumerate(outcomes)
    ]


def test_the_most_remarkable_outcome_is_the_pulls() -> None:
    assert summarize_slices(slices("created"))["outcome"] == "created"
    assert summarize_slices(slices("changed", "created"))["outcome"] == "changed"
    report = summarize_slices(slices("created", "superseded", "changed", previous=4))
    assert report["outcome"] == "superseded"
    assert report["slices"] == {"created": 1, "superseded": 1, "changed": 1}
    assert report["previous_events"] == 12


def test_what_changed_is_joined_where_it_touches() -> None:
    report = summarize_slices(slices("created", "changed", "superseded", "changed"))
    assert report["changed"] == [[iso(0), iso(2 * DAY)], [iso(3 * DAY), iso(4 * DAY)]]
    assert summarize_slices(slices("superseded"))["changed"] == []


def test_a_report_stays_small() -> None:
    alternating: list[Outcome] = ["created", "superseded"] * MAX_CHANGED
    report = summarize_slices(slices(*alternating))
    assert len(report["changed"]) == MAX_CHANGED
    assert len(json.dumps(report)) < 3_500
    report = summarize_slices(slices(*alternating, "created"))
    assert report["changed"] == [[iso(0), iso((2 * MAX_CHANGED + 1) * DAY)]]
