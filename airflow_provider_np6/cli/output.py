"""How a command runs beside Airflow, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TypeVar

import click

from airflow_provider_np6.np6.errors import Np6Error

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

T = TypeVar("T")

EXIT_OK, EXIT_MISMATCH, EXIT_ERROR = 0, 1, 2
"""Exit codes: all is well; something is missing or wrong; the command could not find out."""

_WIDE = 10_000
"""Columns of anything that is not a terminal: lines in a file or a pipe are never cut or folded."""


class Command(click.Command):
    """A command that prints the provider's errors as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Np6Error as error:
            raise _CommandError(str(error)) from None


class _CommandError(click.ClickException):
    exit_code = EXIT_ERROR


@contextmanager
def beside_airflow() -> Iterator[None]:
    """Find connections where Airflow's own commands do, in its database too; send Airflow's logs to stderr,
    because stdout is the command's.

    Enter this before anything of Airflow is imported.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")  # as `airflow connections` has it
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    with redirect_stdout(sys.stderr):
        yield


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    click.echo(json.dumps(value, indent=1))


def console() -> Console:
    """The console that tables are printed on."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def table(*columns: str) -> Table:
    """An empty table, with no more lines than it needs."""
    from rich import box
    from rich.table import Table

    empty = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        empty.add_column(column, overflow="fold")
    return empty


def track(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """``items``, with a progress bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        yield from items
        return
    with Progress(console=stderr, transient=True) as progress:
        yield from progress.track(items, total=total, description=description)
