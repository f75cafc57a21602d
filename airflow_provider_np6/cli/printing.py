"""Tables and JSON on stdout, progress on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

T = TypeVar("T")

_WIDE = 10_000
"""Columns of what is no terminal: lines are never cut or folded in a file or a pipe."""


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1))


def console() -> Console:
    """Where tables are printed."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDE)


def table(*columns: str, **options: Any) -> Table:
    """An empty table, without more lines than it needs."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, **options)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def tracked(each: Iterable[T], total: int, what: str) -> Iterator[T]:
    """``each``, with a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        yield from each
        return
    with Progress(console=stderr, transient=True) as progress:
        yield from progress.track(each, total=total, description=what)
