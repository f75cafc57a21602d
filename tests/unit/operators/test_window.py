"""Every kind of run: which window it gets, or how it says that it has none.

Intervals come from Airflow's own timetables, as the scheduler makes them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction, Timetable
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.simple import NullTimetable
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import Window, to_ms
from airflow_provider_np6.operators._window import resolve_window, wait_until
from tests.support.airflow_runs import AIRFLOW_3, AIRFLOW_3_2

pytestmark = pytest.mark.core

PARIS = "Europe/Paris"
DAY = timedelta(days=1)


def utc(*parts: int) -> pendulum.DateTime:
    return pendulum.instance(datetime(*parts, tzinfo=UTC))  # type: ignore[misc, arg-type]


def window(start: datetime, end: datetime) -> Window:
    return Window(to_ms(start), to_ms(end))


def context(
    timetable: Timetable, logical_date: datetime | None, interval: DataInterval | None
) -> dict[str, Any]:
    """What a task sees of its run."""
    made: dict[str, Any] = {"dag": SimpleNamespace(timetable=timetable, timezone=pendulum.UTC)}
    if logical_date is not None:
        made["logical_date"] = logical_date
    if interval is not None:
        made |= {"data_interval_start": interval.start, "data_interval_end": interval.end}
    return made


def scheduled(timetable: Timetable, after: pendulum.DateTime) -> dict[str, Any]:
    """The context of the run that the scheduler makes after one that ended at ``after``."""
    info = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval(after.subtract(hours=1), after),
        restriction=TimeRestriction(earliest=None, latest=None, catchup=True),
    )
    assert info is not None
    assert info.data_interval is not None
    return context(timetable, info.data_interval.start, info.data_interval)


def manual(timetable: Timetable, logical_date: pendulum.DateTime) -> dict[str, Any]:
    """The context of a run started by hand with a logical date."""
    return context(timetable, logical_date, timetable.infer_manual_data_interval(run_after=logical_date))


CRON_STRING = CronTriggerTimetable("0 0 * * *", timezone="UTC")  # what a cron string means on Airflow 3
INTERVALS = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")


def test_intervals_scheduled_or_backfilled() -> None:
    run = scheduled(INTERVALS, utc(2026, 11, 21))
    assert resolve_window(run, None, None, None) == window(utc(2026, 11, 21), utc(2026, 11, 22))


def test_intervals_by_hand_get_the_last_complete_one() -> None:
    run = manual(INTERVALS, utc(2026, 11, 20, 15))
    assert resolve_window(run, None, None, None) == window(utc(2026, 11, 19), utc(2026, 11, 20))


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_cron_string_needs_a_period(by_hand: bool) -> None:
    run = manual(CRON_STRING, utc(2026, 11, 22)) if by_hand else scheduled(CRON_STRING, utc(2026, 11, 21))
    assert run["data_interval_start"] == run["data_interval_end"] == utc(2026, 11, 22)
    with pytest.raises(Np6InputError, match=r"interval is empty.*window_length=timedelta"):
        resolve_window(run, None, None, None)
    assert resolve_window(run, None, None, DAY) == window(utc(2026, 11, 21), utc(2026, 11, 22))
    hours = resolve_window(run, None, None, timedelta(hours=6))
    assert hours == window(utc(2026, 11, 21, 18), utc(2026, 11, 22))


def test_no_schedule_by_hand_needs_a_period_or_bounds() -> None:
    run = manual(NullTimetable(), utc(2026, 11, 22, 9, 30, 15, 123_456))
    with pytest.raises(Np6InputError, match="interval is empty"):
        resolve_window(run, None, None, None)
    end = utc(2026, 11, 22, 9, 30, 15, 123_000)
    assert resolve_window(run, None, None, DAY) == window(end - DAY, end)


@pytest.mark.parametrize("window_length", [None, DAY])
def test_a_run_without_a_date_needs_bounds(window_length: timedelta | None) -> None:
    run = context(NullTimetable(), None, None)
    with pytest.raises(Np6InputError, match=r"no data interval.*window_start and window_end"):
        resolve_window(run, None, None, window_length)
    bounds = resolve_window(run, "2026-11-22", "2026-11-23T00:00:00Z", window_length)
    assert bounds == window(utc(2026, 11, 22), utc(2026, 11, 23))


def test_an_explicit_interval_is_taken_as_given() -> None:
    interval = DataInterval(utc(2026, 11, 1), utc(2026, 11, 3, 4, 5))
    run = context(NullTimetable(), utc(2026, 11, 22), interval)
    assert resolve_window(run, None, None, DAY) == window(*interval)


@pytest.mark.skipif(not AIRFLOW_3_2, reason="partitions came with Airflow 3.2")
@pytest.mark.parametrize(
    ("partition", "end"),
    [
        (utc(2026, 11, 20, 23), utc(2026, 11, 21, 23)),
        (utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),
        (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
    ],
)
def test_a_partition_ends_with_the_next_tick_in_its_zone(partition: datetime, end: datetime) -> None:
    from airflow.timetables.trigger import CronPartitionTimetable

    timetable = CronPartitionTimetable("0 0 * * *", timezone=PARIS)
    run = {**context(timetable, None, None), "partition_key": "x", "partition_date": partition}
    assert resolve_window(run, None, None, None) == window(partition, end)


CLOCK_CHANGES = [
    (utc(2026, 3, 28, 23), utc(2026, 3, 29, 22), 23),
    (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23), 25),
    (utc(2026, 11, 20, 23), utc(2026, 11, 21, 23), 24),
]


@pytest.mark.parametrize(("start", "end", "hours"), CLOCK_CHANGES)
def test_local_days_have_23_24_or_25_hours(
    start: pendulum.DateTime, end: pendulum.DateTime, hours: int
) -> None:
    assert (end - start).in_hours() == hours
    by_interval = scheduled(CronDataIntervalTimetable("0 0 * * *", timezone=PARIS), start)
    assert resolve_window(by_interval, None, None, None) == window(start, end)
    by_period = manual(CronTriggerTimetable("0 0 * * *", timezone=PARIS), end)
    assert resolve_window(by_period, None, None, DAY) == window(start, end)


@pytest.mark.parametrize(
    ("cron", "zone", "after"),
    [
        ("0 2 * * *", PARIS, utc(2026, 3, 26)),
        ("30 2 * * *", PARIS, utc(2026, 3, 26)),
        ("0 3 * * *", PARIS, utc(2026, 3, 26)),
        ("30 2 * * *", PARIS, utc(2026, 10, 22)),
        ("0 0 * * *", "Africa/Cairo", utc(2026, 4, 21)),
        ("@daily", "America/Santiago", utc(2026, 9, 3)),
        ("0 2 * * *", "Australia/Lord_Howe", utc(2026, 9, 30)),
    ],
)
def test_days_tile_where_the_clock_skips_or_repeats_the_time_of_the_cron(
    cron: str, zone: str, after: pendulum.DateTime
) -> None:
    inner = CronTriggerTimetable(cron, timezone=zone)
    several = SimpleNamespace(_timetables=[CronTriggerTimetable("0 12 1 1 *", timezone=zone), inner])
    ends = [scheduled(inner, after)["logical_date"]]
    while len(ends) < 7:
        ends.append(scheduled(inner, ends[-1])["logical_date"])
    for timetable in (inner, several):
        runs = [{**manual(inner, end), "dag": SimpleNamespace(timetable=timetable)} for end in ends]
        windows = [resolve_window(run, None, None, DAY) for run in runs]
        assert windows[1:] == [window(start, end) for start, end in pairwise(ends)]


@pytest.mark.skipif(not AIRFLOW_3, reason="the Task SDK came with Airflow 3")
@pytest.mark.parametrize("after", [utc(2026, 3, 26, 11), utc(2026, 10, 23, 11)])
def test_days_tile_where_a_timedelta_steps_over_a_clock_change(after: pendulum.DateTime) -> None:
    from airflow.sdk import DAG
    from airflow.timetables.trigger import DeltaTriggerTimetable

    with DAG("d", schedule=DAY, start_date=pendulum.datetime(2026, 1, 1, 12, tz=PARIS)) as dag:
        pass
    ends = [scheduled(DeltaTriggerTimetable(DAY), after)["logical_date"]]
    while len(ends) < 5:
        ends.append(scheduled(DeltaTriggerTimetable(DAY), ends[-1])["logical_date"])
    runs = [{**manual(DeltaTriggerTimetable(DAY), end), "dag": dag} for end in ends]
    windows = [resolve_window(run, None, None, DAY) for run in runs]
    assert windows[1:] == [window(start, end) for start, end in pairwise(ends)]


def test_a_run_by_hand_after_a_skipped_hour_has_its_own_days() -> None:
    run = manual(CRON_STRING, utc(2026, 3, 29, 1))
    run["dag"] = SimpleNamespace(timetable=CronTriggerTimetable("0 9 * * *", timezone=PARIS))
    assert resolve_window(run, None, None, DAY) == window(utc(2026, 3, 28, 2), utc(2026, 3, 29, 1))


def test_the_zone_of_a_wrapped_timetable_is_that_of_the_one_inside() -> None:
    inner = CronTriggerTimetable("0 0 * * *", timezone=PARIS)
    for wrapping in ({"timetable": inner}, {"_timetables": [inner]}):
        start, end, _ = CLOCK_CHANGES[1]
        run = {
            **manual(inner, end),
            "dag": SimpleNamespace(timetable=SimpleNamespace(**wrapping), timezone="UTC"),
        }
        assert resolve_window(run, None, None, DAY) == window(start, end)


@pytest.mark.skipif(not AIRFLOW_3, reason="the Task SDK came with Airflow 3")
@pytest.mark.parametrize(("start", "end", "_hours"), CLOCK_CHANGES)
def test_the_zone_of_a_cron_string_is_the_dags(
    start: pendulum.DateTime, end: pendulum.DateTime, _hours: int
) -> None:
    from airflow.sdk import DAG

    with DAG("d", schedule="@daily", start_date=pendulum.datetime(2026, 1, 1, tz=PARIS)) as dag:
        pass
    run = {**manual(CronTriggerTimetable("0 0 * * *", timezone=PARIS), end), "dag": dag}
    assert resolve_window(run, None, None, DAY) == window(start, end)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        ("2026-11-22", None, "only window_start"),
        ("", "2026-11-22", "only window_end"),
        ("None", "2026-11-22", "only window_end"),
        ("2026-11-22", "2026-11-22", "not after its start"),
        ("2026-11-23", "2026-11-22", "not after its start"),
        ("2026-11-22T00:00:00", "2026-11-23", "no time zone"),
        (datetime(2026, 11, 22), datetime(2026, 11, 23), "no time zone"),  # noqa: DTZ001 - that is the point
        ("2026-11-22T00:00:00.0005Z", "2026-11-23", "finer than 1 ms"),
    ],
)
def test_bad_bounds(start: object, end: object, says: str) -> None:
    with pytest.raises(Np6InputError, match=says):
        resolve_window(scheduled(INTERVALS, utc(2026, 11, 21)), start, end, None)


def test_unset_bounds_leave_the_runs_own_window() -> None:
    run = scheduled(INTERVALS, utc(2026, 11, 21))
    assert resolve_window(run, "None", "", None) == window(utc(2026, 11, 21), utc(2026, 11, 22))


@pytest.mark.parametrize("window_length", [timedelta(0), -DAY, 86_400])
def test_bad_periods(window_length: Any) -> None:
    with pytest.raises(Np6InputError, match="window_length is"):
        resolve_window(scheduled(CRON_STRING, utc(2026, 11, 21)), None, None, window_length)


NOW = to_ms(datetime(2026, 11, 22, 12, tzinfo=UTC))
MINUTE = 60_000


@pytest.mark.parametrize(
    ("end", "ready"),
    [
        (NOW - 60 * MINUTE, None),
        (NOW - MINUTE, None),
        (NOW - MINUTE + 1, NOW + 1),
        (NOW, NOW + MINUTE),
        (NOW + 5 * MINUTE, NOW + 6 * MINUTE),
    ],
)
def test_a_window_is_pulled_once_it_ended_settle_ago(end: int, ready: int | None) -> None:
    young = Window(end - MINUTE, end)
    assert wait_until(young, grace_period=timedelta(minutes=1), max_wait=300, now=NOW) == ready


def test_a_window_that_ends_far_ahead_is_refused() -> None:
    with pytest.raises(Np6InputError, match="ends in the future"):
        wait_until(Window(0, NOW + 5 * MINUTE + 1), grace_period=timedelta(0), max_wait=300, now=NOW)


def test_bad_settle() -> None:
    for grace_period in (-DAY, 60):
        with pytest.raises(Np6InputError, match="grace_period is"):
            wait_until(Window(0, NOW), grace_period=grace_period, max_wait=300, now=NOW)  # type: ignore[arg-type]
