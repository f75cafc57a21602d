"""``verify``: is what a destination holds what it says that it holds?"""

from __future__ import annotations

from typing import Any

import click

from airflow_provider_np6.cli.options import as_json, destination, destination_options
from airflow_provider_np6.cli.printing import console, print_json, tracked
from airflow_provider_np6.cli.running import EXIT_MISMATCH, EXIT_OK, Command, beside_airflow


@click.command(cls=Command)
@destination_options
@as_json
def verify(*, as_json: bool, **where: Any) -> None:
    """Compare what is stored with what is recorded of it.

    PATH is the root of a tree of files: each is read, and its size, sha256 and number of events are
    compared with its manifest. In SQL, the rows of each window are counted. Nothing is changed. Exits
    with 1 if something does not hold, and lists it.
    """
    with beside_airflow():
        looked_at = destination(**where)
        verification = looked_at.pending_verification()
        checks = list(tracked(verification.checks, verification.total, "Verifying"))
    windows = sum(one.window for one in checks)
    events, size = sum(one.events for one in checks), sum(one.bytes for one in checks)
    problems = [one for one in checks if one.problem]
    if as_json:
        print_json(
            {
                "ok": not problems,
                "destination": looked_at.uri,
                "windows": windows,
                "events": events,
                "bytes": size,
                "problems": [{"name": one.name, "problem": one.problem} for one in problems],
            }
        )
    else:
        out = console()
        for one in problems:
            out.print(f"{one.name}: {one.problem}", markup=False)
        read = f" in {size:,} bytes" if size else ""
        out.print(f"{windows:,} windows with {events:,} events{read}, {len(problems)} problems")
    raise SystemExit(EXIT_MISMATCH if problems else EXIT_OK)
