"""Every action and three event types: a day a run into files, for a backfill; five days a run into
PostgreSQL, for the scheduler to catch up with. And eight actions over forty days, a run by hand."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.operators.events import Np6EventsOperator

START = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=int(os.environ["NP6_CLUSTER_DAYS"]))
DAY, STEP = timedelta(days=1), timedelta(days=5)
ACTIONS = os.environ["NP6_CLUSTER_ACTION_IDS"].split()
TYPES = ["bounces", "cancellations", "responses/stop"]
FILES = os.environ["NP6_CLUSTER_FILES"]
AGAIN = {"retries": 5, "retry_delay": timedelta(seconds=10)}

with DAG(
    "files_daily",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=START,
    end_date=START + SPAN - DAY,
    catchup=False,
):
    Np6EventsOperator.partial(task_id="pull", destination=FileDestination(f"{FILES}/daily"), **AGAIN).expand(
        action_id=ACTIONS, event_type=TYPES
    )

with DAG(
    "sql_caught_up",
    schedule=DeltaDataIntervalTimetable(STEP),
    start_date=START,
    end_date=START + SPAN - STEP,
    catchup=True,
    max_active_runs=2,
):
    Np6EventsOperator.partial(task_id="pull", destination=SqlDestination("np6_sql"), **AGAIN).expand(
        action_id=ACTIONS, event_type=TYPES
    )

with DAG("limited", schedule=None):
    Np6EventsOperator.partial(
        task_id="pull",
        event_type="executions",
        destination=FileDestination(f"{FILES}/limited"),
        window_start=START,
        window_end=START + 40 * DAY,
    ).expand(action_id=ACTIONS[:8])
