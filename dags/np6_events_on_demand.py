"""Started manually: the actions, event types and window of the trigger form, into SQL."""

# Create the pool once, or the tasks are never scheduled: airflow pools set np6_api 4 "Requests to NP6"

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.operators.events import Np6EventsOperator

TYPES = [str(event_type) for event_type in EventType]

with DAG(
    "np6_events_on_demand",
    description="Chosen actions, event types and window, into SQL",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    params={
        "actions": Param(
            ["000PE4"], type="array", title="Actions", description="Ids of the actions, one per line"
        ),
        "event_types": Param(
            ["bounces", "cancellations", "responses/stop"],
            type="array",
            title="Event types",
            description="What to pull of each action",
            items={"type": "string", "enum": TYPES},
            examples=TYPES,
        ),
        "start": Param(
            "2026-11-01T00:00:00Z",
            type="string",
            format="date-time",
            title="Start",
            description="Start of the window",
        ),
        "end": Param(
            "2026-11-02T00:00:00Z",
            type="string",
            format="date-time",
            title="End",
            description="End of the window (exclusive)",
        ),
    },
    tags=["np6"],
) as dag:

    @task
    def chosen(name: str, params: dict[str, Any] | None = None) -> list[str]:
        """What the form says, one task instance for each."""
        return list((params or {})[name])

    Np6EventsOperator.partial(
        task_id="pull",
        destination=SqlDestination("np6_sql"),
        window_start="{{ params.start }}",
        window_end="{{ params.end }}",
        pool="np6_api",
        max_active_tis_per_dagrun=4,
        retries=3,
        retry_delay=timedelta(minutes=1),
        execution_timeout=timedelta(hours=2),
    ).expand(
        action_id=chosen.override(task_id="chosen_actions")("actions"),
        event_type=chosen.override(task_id="chosen_types")("event_types"),
    )
