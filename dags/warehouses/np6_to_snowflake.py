"""A day's bounces from a lake of Parquet in S3 into Snowflake, by an external stage.

Never run against a Snowflake. ``NP6_EVENTS`` has the columns of the Parquet files; ``NP6_LAKE`` is a stage
at the root of the files.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, task
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.snowflake.transfers.copy_into_snowflake import CopyFromExternalStageToSnowflakeOperator
from airflow.timetables.interval import CronDataIntervalTimetable

LAKE = "s3://aws_default@lake/np6"
DAY = "{{ data_interval_start.in_timezone('UTC').to_date_string() }}"

with DAG(
    "np6_to_snowflake",
    description="A day's bounces from S3 into Snowflake",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),  # after np6_events_daily
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    tags=["np6"],
) as dag:

    @task
    def files(data_interval_start: Any = None) -> list[str]:
        """The day's files that manifests name, below the stage; without one, the operator would load all that
        the stage has."""
        from airflow_provider_np6.destinations import FileDestination

        start = data_interval_start.in_timezone("UTC").start_of("day")
        day = (start, start.add(days=1))
        lake = FileDestination(LAKE)
        names = [
            slice_.data
            for action_id in lake.action_ids("bounces")
            for manifest in lake.manifests("bounces", action_id, *day)
            for slice_ in manifest.slices
            if slice_.data
        ]
        if not names:
            raise AirflowSkipException("There are no bounces to load.")
        return names

    delete = SQLExecuteQueryOperator(
        task_id="delete",
        conn_id="snowflake_default",
        sql=f"DELETE FROM np6_events WHERE event_type = 'bounces' AND occurred_at::date = '{DAY}'",
    )
    load = CopyFromExternalStageToSnowflakeOperator(
        task_id="load",
        snowflake_conn_id="snowflake_default",
        stage="NP6_LAKE",
        table="NP6_EVENTS",
        files=files(),
        file_format="(TYPE = PARQUET)",
        # Files that were loaded before are else passed over, and the day has just been deleted.
        copy_options="MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE",
    )
    delete >> load
