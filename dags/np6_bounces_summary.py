"""Whenever ``np6_events_daily`` is through, its bounces by action and verdict, as a small CSV file a window.

The asset's event says which window, and where its files are; their manifests say which of them count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, Param, task

from airflow_provider_np6.destinations import FileDestination

EVENTS = Asset(FileDestination("/tmp/np6").asset_uri)  # as in np6_events_daily

BOUNCE = """STRUCT(detail STRUCT(
    activation STRUCT(id VARCHAR), bounce STRUCT(analysis STRUCT(verdict VARCHAR))
))"""
SUMMARY = f"""
    SELECT source.detail.activation.id AS action, source.detail.bounce.analysis.verdict AS verdict,
           count(*) AS bounces
    FROM read_json($files, format = 'newline_delimited', columns = {{'source': '{BOUNCE}'}})
    GROUP BY ALL ORDER BY ALL
"""

with DAG(
    "np6_bounces_summary",
    description="Bounces by action and verdict, of the files that np6_events_daily wrote",
    doc_md=__doc__,
    schedule=[EVENTS],
    start_date=datetime(2026, 1, 1, tzinfo=pendulum.UTC),
    catchup=False,
    params={"summaries": Param("/tmp/np6_summaries", type="string", description="Folder for the CSV files")},
    tags=["np6"],
) as dag:

    @task
    def sum_up(
        params: dict[str, Any] | None = None,
        triggering_asset_events: Any = None,
        triggering_dataset_events: Any = None,  # their name on Airflow 2
    ) -> list[str]:
        """Paths of the files written: one for each event that started this run, none for one by hand."""
        told = triggering_asset_events or triggering_dataset_events or {}
        folder = Path((params or {})["summaries"])
        return [write(folder, event.extra) for events in told.values() for event in events]

    def write(folder: Path, told: Mapping[str, Any]) -> str:
        """One window's file, replaced."""
        import duckdb

        from airflow_provider_np6.destinations import FileDestination

        lake, start, end = FileDestination(told["destination"]), told["window_start"], told["window_end"]
        files = [
            file
            for action_id in lake.action_ids("bounces")
            for file in lake.data_files("bounces", action_id, start, end)
        ]
        folder.mkdir(parents=True, exist_ok=True)
        goal = folder / f"bounces_{start[:10]}_{end[:10]}.csv"
        if files:
            duckdb.execute(f"COPY ({SUMMARY}) TO '{goal}' (HEADER)", {"files": files})
        else:
            goal.write_text("action,verdict,bounces\n")
        return str(goal)

    sum_up()
