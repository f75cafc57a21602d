"""``verify``: does a destination contain what it records?"""

from __future__ import annotations

from typing import Any

import click

from airflow_provider_np6.cli.options import destination_options, json_option, named_destination
from airflow_provider_np6.cli.output import (
    EXIT_MISMATCH,
    EXIT_OK,
    Command,
    beside_airflow,
    console,
    print_json,
    track,
)


@click.command(cls=Command)
@destination_options
@click.option(
    "--remove-orphans", is_flag=True, help="Remove the files that no manifest names; they are listed anyway."
)
@json_option
def verify(*, remove_orphans: bool, as_json: bool, **options: Any) -> None:
    """Compare what is stored with its record.

    PATH is the root of a file destination: each data file is read, and its size, sha256 and number of
    events are compared with its manifest. In SQL, the rows of each slice are counted. Exits with 1 if
    something differs, and lists it.

    Files that no manifest names are listed as orphans. They are no damage: a pull that was killed left them,
    or a pull that still runs is about to publish them. Nothing is changed, unless --remove-orphans removes
    them; a pull that runs meanwhile writes its files again.
    """
    with beside_airflow():
        destination = named_destination(**options)
        pending = destination.pending_verification(remove_orphans=remove_orphans)
        checks = list(track(pending.checks, pending.total, "Verifying"))
    problems = [{"name": check.name, "problem": check.problem} for check in checks if check.problem]
    counts = {
        "windows": sum(check.window for check in checks),
        "events": sum(check.events for check in checks),
        "bytes": sum(check.bytes for check in checks),
    }
    orphans = [check.name for check in checks if check.orphan]
    if as_json:
        print_json(
            {
                "ok": not problems,
                "destination": destination.uri,
                **counts,
                "problems": problems,
                "orphans": orphans,
            }
        )
    else:
        out, removed = console(), " removed" if remove_orphans else ""
        for problem in problems:
            out.print(f"{problem['name']}: {problem['problem']}", markup=False)
        for name in orphans:
            out.print(f"{name}: orphan{removed}", markup=False)
        summary = f"{_summary(**counts)}: {_count(len(problems), 'problem')}"
        out.print(f"{summary}, {_count(len(orphans), 'orphan')}{removed}" if orphans else summary)
    raise SystemExit(EXIT_MISMATCH if problems else EXIT_OK)


def _summary(windows: int, events: int, bytes: int) -> str:  # noqa: A002 - the name in JSON
    read = f", {bytes:,} bytes" if bytes else ""
    return f"{_count(windows, 'window')} with {_count(events, 'event')}{read}"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s" if number else f"no {noun}s"
