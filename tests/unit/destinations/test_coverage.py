"""How stored windows cover a range."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations.coverage import CountedWindow, states_by_day, to_coverage
from airflow_provider_np6.destinations.inventory import Series, StoredWindow
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window, to_ms
from tests.support.properties import examples

SPAN = Window(20_000 * DAY, 20_003 * DAY)
QUERY = EventQuery("hits/open", "000PE4", SPAN, "gsr,mpp")
SERIES = Series("bounces", "", "000PE4")
HOUR = DAY // 24

pytestmark = pytest.mark.core


@examples(300)
@given(
    st.sets(st.integers(-6, 77)),
    st.data(),
)
def test_missing_is_what_no_window_covers(hours: set[int], data: st.DataObject) -> None:
    """Hours are stored in any cut, also beyond the range; what is missing is joined where it touches."""
    stored: list[CountedWindow] = []
    for hour in sorted(hours):
        start = SPAN.start + hour * HOUR
        if stored and stored[-1].window.end == start and data.draw(st.booleans()):
            stored[-1] = CountedWindow(Window(stored[-1].window.start, start + HOUR), 1, 0)
        else:
            stored.append(CountedWindow(Window(start, start + HOUR), 1, 0))
    touching = [counted for counted in stored if counted.window.overlaps(SPAN)]
    coverage = to_coverage(QUERY, touching)
    missing = {
        hour
        for window in coverage.missing
        for hour in range(
            (to_ms(window.start) - SPAN.start) // HOUR, (to_ms(window.end) - SPAN.start) // HOUR
        )
    }
    assert missing == set(range(72)) - hours
    assert coverage.is_complete is (not missing)
    assert all(one.end < two.start for one, two in zip(coverage.missing, coverage.missing[1:], strict=False))
    assert coverage.events == len(touching)


def test_expired_windows_are_listed_and_not_missing() -> None:
    first, second = Window(SPAN.start, SPAN.start + DAY), Window(SPAN.start + DAY, SPAN.end)
    coverage = to_coverage(QUERY, [CountedWindow(first, 0, 0, is_expired=True), CountedWindow(second, 5, 0)])
    assert coverage.is_complete
    assert coverage.missing_windows() == []
    assert [str(window) for window in coverage.expired] == [str(first)]


@pytest.mark.parametrize(
    ("window", "state"),
    [
        (StoredWindow(SERIES, Window(SPAN.start, SPAN.start + DAY), empty=False, invalid=False), "complete"),
        (StoredWindow(SERIES, Window(SPAN.start, SPAN.start + DAY), empty=True, invalid=False), "empty"),
        (StoredWindow(SERIES, Window(SPAN.start, SPAN.start + HOUR), empty=False, invalid=False), "partial"),
        (StoredWindow(SERIES, Window(SPAN.start, SPAN.start + DAY), empty=False, invalid=True), "invalid"),
        (StoredWindow(SERIES, Window(SPAN.start, SPAN.start + DAY), True, False, expired=True), "expired"),
    ],
)
def test_each_day_has_a_state(window: StoredWindow, state: str) -> None:
    assert states_by_day(SPAN, [window]) == {SERIES: [state, "missing", "missing"]}


def test_windows_are_aware_and_missing_ones_are_arguments_of_the_operator() -> None:
    stored = [CountedWindow(Window(SPAN.start, SPAN.start + DAY), 5, 2)]
    coverage = to_coverage(QUERY, stored)
    (missing,), (invalid,) = coverage.missing, coverage.invalid
    assert missing.start == datetime(2024, 10, 5, tzinfo=UTC)
    assert missing.end - missing.start == timedelta(days=2)
    assert (invalid.start.tzinfo, invalid.start) == (UTC, datetime(2024, 10, 4, tzinfo=UTC))
    assert str(missing) == "[2024-10-05T00:00:00.000Z, 2024-10-07T00:00:00.000Z)"
    windows = coverage.missing_windows()
    assert json.loads(json.dumps(windows)) == windows
    assert windows == [
        {
            "event_type": "hits/open",
            "action_id": "000PE4",
            "classification": "gsr,mpp",
            "window_start": "2024-10-05T00:00:00.000Z",
            "window_end": "2024-10-07T00:00:00.000Z",
        }
    ]
