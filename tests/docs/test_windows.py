"""The table of docs/windows.md, row by row, beside what Airflow makes of such a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.base import DataInterval, TimeRestriction, Timetable
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window, from_ms
from airflow_provider_np6.operators._window import resolve_window
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.airflow_runs import AIRFLOW_3, AIRFLOW_3_2, run_source
from tests.support.pages import Page
from tests.support.pulls import held

pytestmark = pytest.mark.core

PAGE = Page("docs/windows.md")
ROWS = PAGE.rows("## What each kind of run pulls")
COLUMN = 3 if AIRFLOW_3 else 2
DAY = timedelta(days=1)
MIDNIGHT = pendulum.datetime(2026, 11, 22)


def test_the_table_has_all_kinds_of_schedules() -> None:
    assert {row[0].split("`")[1].split("(")[0].strip('"') for row in ROWS} == {
        *("CronDataIntervalTimetable", "@daily", "timedelta", "None", "CronPartitionTimetable")
    }


@pytest.mark.parametrize("row", [row for row in ROWS if row[COLUMN]], ids=lambda row: " · ".join(row[:2]))
def test_a_run_pulls_what_the_table_says(row: list[str]) -> None:
    schedule, run = row[:2]
    if "from Airflow 3.2 on" in run and not AIRFLOW_3_2:
        pytest.skip("partitions came with Airflow 3.2")
    made = dag(schedule.split("`")[1])
    context = {"dag": made, **of_run(stored_timetable(made), by_hand="by hand" in run)}
    window_length = DAY if "with `window_length`" in schedule else None
    if row[COLUMN] == "**none**":
        with pytest.raises(Np6InputError, match="interval is empty"):
            resolve_window(context, None, None, window_length)
    else:
        assert in_words(resolve_window(context, None, None, window_length)) == row[COLUMN]


@pytest.mark.usefixtures("airflow_db", "np6_connection")
def test_a_second_pull_shows_late_events(sandbox: Sandbox, tmp_path: Path) -> None:
    written = PAGE.block("python", "np6_late_events").replace("/data/np6", str(tmp_path))
    source = written.replace("\n):", "\n) as dag:").replace('"np6_late_events"', "DAG_ID")
    there = held(sandbox, EventQuery.between("bounces", "000PE4", "2026-11-20", "2026-11-23"))
    middle = len(there) // 2
    early = [*there[:middle], *there[middle + 1 :]]  # one comes late, where no check of the response sees it
    sandbox.plan.add(Fault(body=b"[" + b",".join(early) + b"]"))
    night = datetime(2026, 11, 22, 3, tzinfo=UTC)
    (before,), (after,) = (run_source(source, night).reports("pull_again") for _ in range(2))
    assert (before["window_start"][:10], before["window_end"][:10]) == ("2026-11-20", "2026-11-23")
    assert (before["outcome"], before["previous_events"]) == ("created", 0)
    assert (after["outcome"], after["previous_events"]) == ("changed", len(there) - 1)
    assert after["events"] - after["previous_events"] == 1


def dag(schedule: str) -> DAG:
    """A DAG with what stands in the table as its schedule."""
    timetables: dict[str, Any] = {"CronDataIntervalTimetable": CronDataIntervalTimetable}
    if AIRFLOW_3_2:
        from airflow.sdk import CronPartitionTimetable

        timetables["CronPartitionTimetable"] = CronPartitionTimetable
    written = schedule.replace("(…", '("0 0 * * *", timezone="UTC"')
    value = eval(written, {"timedelta": timedelta, **timetables})  # noqa: S307 - the page's own words
    return DAG("d", schedule=value, start_date=pendulum.datetime(2026, 1, 1))


def stored_timetable(made: DAG) -> Timetable:
    """The timetable as the scheduler has it."""
    if not AIRFLOW_3_2:
        return made.timetable  # type: ignore[return-value]  # the Task SDK's class from Airflow 3.2 on
    from airflow.serialization.serialized_objects import DagSerialization

    stored: Timetable = DagSerialization.from_dict(DagSerialization.to_dict(made)).timetable
    return stored


def of_run(timetable: Timetable, *, by_hand: bool) -> dict[str, Any]:
    """What a task sees of its run: of the one at midnight, or of one by hand for 15:00."""
    if by_hand:
        asked = MIDNIGHT.add(hours=15)
        return interval_of(asked, timetable.infer_manual_data_interval(run_after=asked))
    earliest = TimeRestriction(earliest=MIDNIGHT, latest=None, catchup=True)
    if getattr(timetable, "partitioned", False):
        partition = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=earliest)
        assert partition is not None
        return {"partition_date": partition.partition_date, "partition_key": partition.partition_key}
    yesterday = MIDNIGHT.subtract(days=1)
    info = timetable.next_dagrun_info(
        last_automated_data_interval=DataInterval(yesterday.subtract(days=1), yesterday),
        restriction=earliest._replace(earliest=None),
    )
    assert info is not None
    assert info.data_interval is not None
    return interval_of(info.data_interval.start, info.data_interval)


def interval_of(logical_date: datetime, interval: DataInterval) -> dict[str, Any]:
    return {
        "logical_date": logical_date,
        "data_interval_start": interval.start,
        "data_interval_end": interval.end,
    }


def in_words(window: Window) -> str:
    start, end = from_ms(window.start), from_ms(window.end)
    if end - start == DAY and start.hour == 0:
        return f"all of {start:%d %b}"
    return f"{start:%d %b %H:%M} to {end:%d %b %H:%M}"
