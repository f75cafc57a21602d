"""Every hour, chosen actions into SQL, then checks, then a table of bounces by day and verdict.

Runs on SQLite and PostgreSQL alike: only the connection ``np6_sql`` differs.
"""

# Create the pool once, or the tasks are never scheduled: airflow pools set np6_api 4 "Requests to NP6"

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task
from airflow.providers.common.sql.operators.sql import (
    SQLColumnCheckOperator,
    SQLExecuteQueryOperator,
    SQLTableCheckOperator,
)
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.operators.events import Np6EventsOperator

DAY = "{{ data_interval_start.in_timezone('UTC').to_date_string() }}"
NEXT_DAY = "{{ data_interval_start.in_timezone('UTC').add(days=1).to_date_string() }}"
OF_THE_DAY = f"occurred_at >= '{DAY}T00:00:00.000Z' AND occurred_at < '{NEXT_DAY}T00:00:00.000Z'"

with DAG(
    "np6_bounces_hourly",
    description="Chosen actions into SQL, checked and summed up",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    max_active_runs=1,  # the hours of one day share its rows of the summary
    params={
        "actions": Param(["000PE4", "000PEB"], type="array", description="Ids of the actions to pull"),
    },
    tags=["np6"],
) as dag:

    @task
    def chosen_actions(params: dict[str, Any] | None = None) -> list[str]:
        """The run's actions; change the default above, or give others when you trigger it."""
        return list((params or {})["actions"])

    pull = Np6EventsOperator.partial(
        task_id="pull",
        destination=SqlDestination("np6_sql"),
        pool="np6_api",
        max_active_tis_per_dagrun=4,
        retries=5,
        retry_delay=timedelta(minutes=1),
        execution_timeout=timedelta(minutes=30),
    ).expand(
        action_id=chosen_actions(),
        event_type=["bounces", "cancellations", "responses/stop"],
    )

    check_columns = SQLColumnCheckOperator(
        task_id="check_columns",
        conn_id="np6_sql",
        table="np6_events",
        partition_clause=OF_THE_DAY,
        column_mapping={"action_id": {"null_check": {"equal_to": 0}}},
        accept_none=True,
    )

    check_table = SQLTableCheckOperator(
        task_id="check_table",
        conn_id="np6_sql",
        table="np6_events",
        partition_clause=f"{OF_THE_DAY} AND event_type = 'bounces'",
        checks={
            "each_event_once": {"check_statement": "COUNT(DISTINCT event_id) = COUNT(*)"},
            "bounces_have_a_verdict": {"check_statement": "COUNT(bounce_verdict) = COUNT(*)"},
        },
    )

    sum_up = SQLExecuteQueryOperator(
        task_id="sum_up",
        conn_id="np6_sql",
        sql=[
            """CREATE TABLE IF NOT EXISTS np6_bounces_by_day (
                day VARCHAR(10), action_id VARCHAR(100), verdict VARCHAR(100), bounces BIGINT
            )""",
            f"DELETE FROM np6_bounces_by_day WHERE day = '{DAY}'",
            f"""INSERT INTO np6_bounces_by_day
                SELECT '{DAY}', action_id, bounce_verdict, COUNT(*)
                FROM np6_events
                WHERE event_type = 'bounces' AND {OF_THE_DAY}
                GROUP BY action_id, bounce_verdict""",
        ],
        autocommit=False,
    )

    pull >> [check_columns, check_table] >> sum_up
