"""Every day, every action of the account, three event types, into files.

The actions are listed when the run starts; each (action, event type) pair is a task of its own, and one that
fails costs no other. The closing task names those that failed; if none did, it updates the asset that
``np6_bounces_summary`` is scheduled on.
"""

# Create the pool once, or the tasks are never scheduled: airflow pools set np6_api 4 "Requests to NP6"

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.operators.events import Np6EventsOperator

FILES = "/tmp/np6"
EVENTS = Asset(FileDestination(FILES).asset_uri)  # file:///tmp/np6
TYPES = ["bounces", "cancellations", "responses/stop"]

with DAG(
    "np6_events_daily",
    description="Bounces, cancellations and STOP answers of every action, into files",
    doc_md=__doc__,
    # A plain "@daily" has an empty data interval on Airflow 3; this timetable's days tile.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    params={
        "files": Param(FILES, type="string", description="Root of the files: a path or a URI, s3://…"),
    },
    tags=["np6"],
) as dag:

    @task
    def list_action_ids() -> list[str]:
        """Ids of the account's actions."""
        from airflow_provider_np6.hooks.np6 import Np6Hook

        return Np6Hook().list_action_ids()

    pull = Np6EventsOperator.partial(
        task_id="pull",
        destination="{{ params.files }}",
        pool="np6_api",
        max_active_tis_per_dagrun=4,
        retries=5,
        retry_delay=timedelta(minutes=2),
        retry_exponential_backoff=True,
        execution_timeout=timedelta(hours=2),
    ).expand(
        action_id=(action_ids := list_action_ids()),
        event_type=TYPES,
    )

    @task(trigger_rule="all_done", outlets=[EVENTS])
    def close(reports: Any, action_ids: Any, outlet_events: Any = None) -> dict[str, Any]:
        """The sum of all pulls, also in the asset's event; fails with the names of those that failed."""
        from airflow_provider_np6.fan_out import summarize_reports

        report = summarize_reports(reports, action_ids, TYPES)
        outlet_events[EVENTS].extra.update(report)
        return report

    close(pull.output, action_ids)
