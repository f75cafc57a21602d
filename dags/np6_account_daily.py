"""Every day, eight event types of a whole account, into files: one request per type, whatever the actions.

``action_id="*"`` requests all actions at once: 200 actions take some 10 requests per day, not 2,000, need no
listing of actions, and may be more than Airflow maps a task over (``[core] max_map_length``, 1,024).

A fan-out as in ``np6_events_daily``, a task for each action and type, is the better choice where some actions
are enough, where the key's user may not read them all, where one that fails must cost no other, or where one
response for all would be too large: a pull resumes where it broke off, but its task has one timeout.
"""

# Create the pool once, or the tasks are never scheduled: airflow pools set np6_api 4 "Requests to NP6"

from __future__ import annotations

from datetime import datetime, timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.operators.events import Np6EventsOperator

# Not all of them are documented for all actions, see docs/event-types.md: take out what your account lacks.
# "hits" and "events" would show again what the others hold.
TYPES = [
    EventType.ACTIVATIONS,
    EventType.BOUNCES,
    EventType.CANCELLATIONS,
    EventType.RESPONSES_STOP,
    EventType.HITS_OPEN,
    EventType.HITS_REDIRECTION,
    EventType.HITS_UNSUBSCRIBE,
    EventType.HITS_MIRROR,
]

with DAG(
    "np6_account_daily",
    description="Eight event types of all actions at once, into files",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    params={
        # A root of its own: pulls of single actions and of all are refused where they would overlap.
        "files": Param("/tmp/np6_account", type="string", description="Root of the files: a path or a URI"),
    },
    tags=["np6"],
) as dag:
    Np6EventsOperator.partial(
        task_id="pull",
        action_id="*",
        destination="{{ params.files }}",
        pool="np6_api",
        max_active_tis_per_dagrun=4,
        retries=5,
        retry_delay=timedelta(minutes=2),
        retry_exponential_backoff=True,
        execution_timeout=timedelta(hours=6),
    ).expand(event_type=[str(each) for each in TYPES])
