"""``coverage``: which days of which actions does a destination hold?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from airflow_provider_np6.cli.calendar import Calendar, print_calendar
from airflow_provider_np6.cli.heatmap import check_matplotlib, draw
from airflow_provider_np6.cli.options import as_json, destination, destination_options
from airflow_provider_np6.cli.printing import print_json
from airflow_provider_np6.cli.running import EXIT_MISMATCH, EXIT_OK, Command, beside_airflow
from airflow_provider_np6.np6.query import check_action_id, check_event_type
from airflow_provider_np6.np6.window import Window, parse_time


@click.command(cls=Command)
@destination_options
@click.option(
    "--type", "types", multiple=True, help="An event type to look at; repeatable. [default: all held]"
)
@click.option(
    "--action",
    "actions",
    multiple=True,
    metavar="ID",
    help="An action to look at, '*' for what was pulled for all at once; repeatable. [default: all held]",
)
@click.option("--start", required=True, help="First day, or moment with an offset.")
@click.option("--end", required=True, help="First day, or moment, that is not looked at any more.")
@click.option(
    "--png",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Draw it, too; needs the extra 'plot'.",
)
@as_json
def coverage(
    *,
    types: tuple[str, ...],
    actions: tuple[str, ...],
    start: str,
    end: str,
    png: Path | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Show which days of which actions were pulled.

    PATH is the root of a tree of files: a folder, or a URI such as s3://aws_default@lake/np6. A day is
    complete, empty (pulled, and without events), missing (in part or whole), or invalid (pulled, and
    events were set aside). No event is read. Exits with 1 if a day is missing or invalid.
    """
    if png is not None:
        check_matplotlib()
    span = Window(parse_time("--start", start), parse_time("--end", end))
    checked = frozenset(map(check_event_type, types)), frozenset(map(check_action_id, actions))
    with beside_airflow():
        found = Calendar.of(destination(**where), span, *checked)
    if png is not None:
        draw(found, png)
    if as_json:
        print_json(found.as_json())
    else:
        print_calendar(found)
    raise SystemExit(EXIT_OK if found.is_complete else EXIT_MISMATCH)
