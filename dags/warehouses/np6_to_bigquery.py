"""A day's bounces from a lake of Parquet in Google's store into BigQuery, where the day is replaced.

Never run against BigQuery. The table is made by the first load, a partition for each day.
"""

from __future__ import annotations

from datetime import datetime

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.google.cloud.transfers.gcs_to_bigquery import GCSToBigQueryOperator
from airflow.timetables.interval import CronDataIntervalTimetable

DAY = "data_interval_start.in_timezone('UTC')"

with DAG(
    "np6_to_bigquery",
    description="A day's bounces from Google's store into BigQuery",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),  # after np6_events_daily
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    tags=["np6"],
) as dag:
    GCSToBigQueryOperator(
        task_id="load",
        bucket="lake",
        # BigQuery takes one star: one action a load, for the date comes after the action.
        source_objects=[f"np6/type=bounces/action=000PE4/date={{{{ {DAY}.to_date_string() }}}}/*.parquet"],
        source_format="PARQUET",
        destination_project_dataset_table=f"crm.np6_bounces_000PE4${{{{ {DAY}.format('YYYYMMDD') }}}}",
        time_partitioning={"type": "DAY", "field": "occurred_at"},
        write_disposition="WRITE_TRUNCATE",
        gcp_conn_id="google_cloud_default",
    )
