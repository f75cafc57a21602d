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
@json_option
def verify(*, as_json: bool, **options: Any) -> None:
    """Compare what is stored with its record.

    PATH is the root of a file destination: each data file is read, and its size, sha256 and number of
    events are compared with its manifest. In SQL, the rows of each window are counted. Nothing is changed.
    Exits with 1 if something differs, and lists it.
    """
    with beside_airflow():
        destination = named_destination(**options)
        verification = destination.pending_verification()
        checks = list(track(verification.checks, verification.total, "Verifying"))
    windows = sum(check.window for check in checks)
    events, size = sum(check.events for check in checks), sum(check.bytes for check in checks)
    problems = [{"name": check.name, "problem": check.problem} for check in checks if check.problem]
    if as_json:
        print_json(
            {
                "ok": not problems,
                "destination": destination.uri,
                "windows": windows,
                "events": events,
                "bytes": size,
                "problems": problems,
            }
        )
    else:
        out = console()
        for problem in problems:
            out.print(f"{problem['name']}: {problem['problem']}", markup=False)
        out.print(_summary(windows, events, size, len(problems)))
    raise SystemExit(EXIT_MISMATCH if problems else EXIT_OK)


def _summary(windows: int, events: int, size: int, problems: int) -> str:
    read = f", {size:,} bytes" if size else ""
    return f"{_count(windows, 'window')} with {_count(events, 'event')}{read}: {_count(problems, 'problem')}"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s" if number else f"no {noun}s"
