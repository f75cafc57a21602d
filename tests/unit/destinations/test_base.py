"""What a report says of a pull's slices, and what is done about a day with fewer events than are stored."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_provider_np6.destinations.event_writer import MAX_CHANGED, ON_SHRINK, Publication, ShrinkRule
from airflow_provider_np6.destinations.inventory import Outcome, SliceOutcome
from airflow_provider_np6.np6.errors import Np6PullAgainError, Np6ShrunkError
from airflow_provider_np6.np6.window import DAY, Window, iso

pytestmark = pytest.mark.core


def publication(*outcomes: Outcome, events: int = 0, previous: int = 0) -> Publication:
    """A publication of one slice per day."""
    slices = [
        SliceOutcome(Window(day * DAY, (day + 1) * DAY), outcome, events, previous)
        for day, outcome in enumerate(outcomes)
    ]
    return Publication(slices, {"table": "np6_events"}, [])


def test_the_most_remarkable_outcome_is_the_pulls() -> None:
    order: list[Outcome] = ["unchanged", "created", "changed", "shrunk", "superseded"]
    for at, outcome in enumerate(order):
        assert publication(*order[: at + 1]).to_dict()["outcome"] == outcome
        assert publication(*reversed(order[: at + 1])).to_dict()["outcome"] == outcome


def test_a_report_counts_events_that_are_stored_and_that_were() -> None:
    report = publication("created", "shrunk", "superseded", "changed", events=5, previous=4).to_dict()
    assert report["slices"] == {"created": 1, "shrunk": 1, "superseded": 1, "changed": 1}
    assert (report["events"], report["previous_events"]) == (10, 16)  # those of the pull's own slices
    assert report["table"] == "np6_events"
    assert report["bytes_written"] == 0


def test_what_changed_is_joined_where_it_touches() -> None:
    changed = publication("created", "changed", "superseded", "changed", "unchanged", "shrunk").to_dict()
    assert changed["changed"] == [[iso(0), iso(2 * DAY)], [iso(3 * DAY), iso(4 * DAY)]]
    assert publication("unchanged").to_dict()["changed"] == []


def test_a_report_stays_small() -> None:
    alternating: list[Outcome] = ["created", "superseded"] * MAX_CHANGED
    report = publication(*alternating).to_dict()
    assert len(report["changed"]) == MAX_CHANGED
    assert len(json.dumps(report)) < 3_500
    report = publication(*alternating, "created").to_dict()
    assert report["changed"] == [[iso(0), iso((2 * MAX_CHANGED + 1) * DAY)]]


@pytest.mark.parametrize("on_shrink", ON_SHRINK)
@pytest.mark.parametrize("is_confirmed", [False, True])
@pytest.mark.parametrize(("received", "stored"), [(5, 5), (5, 4), (0, 0), (1, 0)])
def test_a_day_that_is_not_short_is_never_kept(
    on_shrink: str, is_confirmed: bool, received: int, stored: int
) -> None:
    assert not ShrinkRule(on_shrink, is_confirmed, "").is_kept("2026-11-22", received, stored)


@pytest.mark.parametrize("on_shrink", ON_SHRINK)
def test_a_short_day_is_pulled_again_first(on_shrink: str) -> None:
    rule = ShrinkRule(on_shrink, is_confirmed=False, context="bounces")
    with pytest.raises(Np6PullAgainError, match=r"4 events of 2026-11-22, and 1,005 are stored") as caught:
        rule.is_kept("2026-11-22", 4, 1_005)
    assert caught.value.is_short


def test_a_confirmed_short_day_fails_is_kept_or_replaced(caplog: pytest.LogCaptureFixture) -> None:
    keep, replace, fail = (ShrinkRule(name, True, "bounces of A") for name in ("keep", "replace", "fail"))
    with caplog.at_level(logging.WARNING):
        assert not replace.is_kept("2026-11-22", 4, 5)
        assert caplog.text == ""
        assert keep.is_kept("2026-11-22", 4, 5)
    assert "NP6 has 4 events of 2026-11-22, and 5 are stored: what is stored is kept" in caplog.text
    with pytest.raises(Np6ShrunkError, match="NP6 has 4 events of 2026-11-22, and 5 are stored") as caught:
        fail.is_kept("2026-11-22", 4, 5)
    assert caught.value.retryable
    assert 'on_shrink="keep"' in str(caught.value)
