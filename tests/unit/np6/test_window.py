from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import DAY, Window, from_ms, iso, parse_time, to_ms

pytestmark = pytest.mark.core

MS = st.integers(to_ms(datetime(1971, 1, 1, tzinfo=UTC)), to_ms(datetime(2200, 1, 1, tzinfo=UTC)))


@st.composite
def windows(draw: st.DrawFn, longest: int = 40 * DAY) -> Window:
    start = draw(MS)
    return Window(start, start + draw(st.integers(1, longest)))


@given(MS)
def test_milliseconds_survive_a_round_trip(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms == parse_time("x", iso(ms))


@given(windows())
def test_days_tile_the_window_and_none_crosses_midnight(window: Window) -> None:
    days = list(window.days())
    assert (days[0].start, days[-1].end) == (window.start, window.end)
    assert all(left.end == right.start for left, right in itertools.pairwise(days))
    assert all(day.start // DAY == (day.end - 1) // DAY for day in days)


@given(windows())
def test_a_file_name_gives_its_window_back(window: Window) -> None:
    assert Window.from_name(f"{window.stem}.jsonl.gz") == window


@pytest.mark.parametrize(
    "name",
    [
        "",
        "part-0.jsonl",
        ".20261122T000000Z_20261123T000000Z.jsonl.1a2b.tmp",
        "20261123T000000Z_20261122T000000Z.json",
        "20269999T000000Z_20261123T000000Z.json",
    ],
)
def test_names_of_other_files_have_no_window(name: str) -> None:
    assert Window.from_name(name) is None


@given(windows())
def test_whole_seconds_round_outward_by_less_than_one(window: Window) -> None:
    requested = window.in_whole_seconds()
    assert requested.start % 1_000 == requested.end % 1_000 == 0
    assert 0 <= window.start - requested.start < 1_000
    assert 0 <= requested.end - window.end < 1_000


def test_stems_show_milliseconds_where_there_are_some() -> None:
    start = to_ms(datetime(2026, 11, 22, tzinfo=UTC))
    assert Window(start, start + DAY).stem == "20261122T000000Z_20261123T000000Z"
    assert Window(start + 1, start + DAY).stem == "20261122T000000.001Z_20261123T000000Z"


@pytest.mark.parametrize("end", [0, -1])
def test_a_window_that_does_not_end_after_its_start_is_refused(end: int) -> None:
    with pytest.raises(Np6InputError, match="not after its start"):
        Window(0, end)


MIDNIGHT = to_ms(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22",
        date(2026, 11, 22),
        "2026-11-22T00:00:00Z",
        "2026-11-22 00:00:00+00:00",
        "2026-11-22T01:00:00+01:00",
        "2026-11-22T00:00:00.000000+00:00",
        datetime(2026, 11, 22, 1, tzinfo=timezone(timedelta(hours=1))),
        pendulum.datetime(2026, 11, 22, 1, tz="Europe/Paris"),
        str(pendulum.datetime(2026, 11, 22)),
    ],
)
def test_times_as_users_write_them(value: object) -> None:
    assert parse_time("window_start", value) == MIDNIGHT


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2026-11-22T00:00:00", "no time zone"),
        (datetime(2026, 11, 22), "no time zone"),  # noqa: DTZ001 - that is the point
        ("2026-11-22T00:00:00.0001Z", "finer than 1 ms"),
        ("2026-11-22T00:00:00.0000001Z", "finer than 1 ms"),
        (datetime(2026, 11, 22, microsecond=1, tzinfo=UTC), "finer than 1 ms"),
        ("tomorrow", "is not a time"),
        ("{{ ds }}", "is not a time"),
        (20261122, "of type int"),
    ],
)
def test_an_invalid_time_is_refused_by_name(value: object, says: str) -> None:
    with pytest.raises(Np6InputError, match=rf"^window_start.*{says}"):
        parse_time("window_start", value)
