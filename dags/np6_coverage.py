"""Every morning, which windows of the last days the files of ``np6_events_daily`` lack.

The run fails with their list, so that Airflow's own alerts show a hole before a report does. Clear the
pulls of those days, or backfill them, to fill it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

with DAG(
    "np6_coverage",
    description="Windows of the last days that the files lack",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    params={
        "files": Param("/tmp/np6", type="string", description="Root of the files: a path or a URI, s3://…"),
        "actions": Param(["000PE4", "000PEB"], type="array", description="Ids of the actions to check"),
        "event_types": Param(
            ["bounces", "cancellations", "responses/stop"], type="array", description="Their event types"
        ),
        "days": Param(7, type="integer", minimum=1, description="Whole days to look back"),
    },
    tags=["np6"],
) as dag:

    @task
    def check(params: dict[str, Any] | None = None, data_interval_end: Any = None) -> int:
        """Fails if a window is missing; returns the number of stored events."""
        from airflow_provider_np6.destinations import FileDestination

        given = params or {}
        end = data_interval_end.in_timezone("UTC").start_of("day")
        lake = FileDestination(given["files"])
        events, missing = 0, []
        for action in given["actions"]:
            for event_type in given["event_types"]:
                start = end - timedelta(days=given["days"])
                found = lake.coverage(event_type, action, start, end)
                events += found.events
                missing += [f"{event_type} of {action}: {window} is missing" for window in found.missing]
        if missing:
            raise AirflowFailException("\n".join(missing))
        return events

    check()
