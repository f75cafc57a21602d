"""Each night, the last three days of chosen actions again, in the files of ``np6_events_daily``.

Each day is a window of its own: counted anew, and pulled again where late events came or it is missing.
"""

# Create the pool once, or the tasks are never scheduled: airflow pools set np6_api 4 "Requests to NP6"

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Param, conf, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_np6.operators.reconcile import Np6ReconcileOperator

with DAG(
    "np6_nightly_reconcile",
    description="Late events of the last days, found and pulled",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    max_active_runs=1,  # two nights share two of their days
    params={
        "files": Param("/tmp/np6", type="string", description="Root of the files: a path or a URI, s3://…"),
        "actions": Param(["000PE4", "000PEB"], type="array", description="Ids of the actions to look at"),
        "event_types": Param(
            ["bounces", "cancellations", "responses/stop"], type="array", description="Their event types"
        ),
        "days": Param(3, type="integer", minimum=1, description="Whole days to look back"),
    },
    tags=["np6"],
) as dag:

    @task
    def list_windows(
        params: dict[str, Any] | None = None, data_interval_end: Any = None
    ) -> list[dict[str, str]]:
        """A day of an action and an event type for each task instance."""
        given = params or {}
        end = data_interval_end.in_timezone("UTC").start_of("day")
        windows = [
            {
                "action_id": action,
                "event_type": event_type,
                "window_start": end.subtract(days=back).to_date_string(),
                "window_end": end.subtract(days=back - 1).to_date_string(),
            }
            for back, action, event_type in product(
                range(given["days"], 0, -1), given["actions"], given["event_types"]
            )
        ]
        most = conf.getint("core", "max_map_length", fallback=1_024)
        if len(windows) > most:
            raise AirflowFailException(
                f"There are {len(windows)} windows, and Airflow maps a task over {most} at most"
                " ([core] max_map_length): choose fewer actions, types or days, or pull the actions by one"
                " request, '*'."
            )
        return windows

    reconcile = Np6ReconcileOperator.partial(
        task_id="reconcile",
        destination="{{ params.files }}",
        map_index_template="{{ task.window_start }} · {{ task.event_type }} · {{ task.action_id }}",
        pool="np6_api",
        max_active_tis_per_dagrun=4,
        retries=5,
        retry_delay=timedelta(minutes=2),
        retry_exponential_backoff=True,
        execution_timeout=timedelta(hours=2),
    ).expand_kwargs(windows := list_windows())

    @task(trigger_rule="all_done")
    def close(windows: Any, reports: Any) -> dict[str, int]:
        """How many windows had which outcome; tells those that grew, and fails with those that failed."""
        if windows is None:
            raise AirflowFailException("Nothing was compared: see the log of list_windows.")
        outcomes = {"equal": 0, "grown": 0, "shrunk": 0, "missing": 0}
        left = [(one["window_start"], one["event_type"], one["action_id"]) for one in windows]
        for report in reports or []:
            day = report["window_start"][:10]
            left.remove((day, report["event_type"], report["action_id"]))
            outcomes[report["outcome"]] += 1
            if report["outcome"] == "grown":
                print(
                    f"{report['event_type']} of {report['action_id']} on {day} grew:"
                    f" {report['held']} events were held, {report['fresh']} are there now."
                )
        print(f"Windows by outcome: {outcomes}")
        if left:
            failed = ", ".join(" · ".join(one) for one in left[:20])
            raise AirflowFailException(f"{len(left)} windows could not be reconciled: {failed}")
        return outcomes

    close(windows, reconcile.output)
