"""A day's bounces from a lake of Parquet in S3 into Redshift, inserted or replaced by their key.

Never run against a Redshift. ``np6_events`` has the columns of the Parquet files.
"""

from __future__ import annotations

from datetime import datetime

import pendulum
from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

DAY = "{{ data_interval_start.in_timezone('UTC').to_date_string() }}"

with DAG(
    "np6_to_redshift",
    description="A day's bounces from S3 into Redshift",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),  # after np6_events_daily
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    tags=["np6"],
) as dag:
    S3ToRedshiftOperator(
        task_id="load",
        s3_bucket="lake",
        # Redshift takes a prefix: one action a load, for the date comes after the action.
        s3_key=f"np6/type=bounces/action=000PE4/date={DAY}/",
        schema="public",
        table="np6_events",
        method="UPSERT",
        upsert_keys=["event_type", "classification", "event_id"],
        copy_options=["FORMAT AS PARQUET"],
        redshift_conn_id="redshift_default",
        aws_conn_id="aws_default",
    )
