"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def destination_options(command: F) -> F:
    """Give a command ``path``, ``sql``, ``table`` and ``schema``, for :func:`named_destination`."""
    for decorate in (
        click.option("--schema", help="The table's schema, if it is not the connection's own."),
        click.option(
            "--table", default="np6_events", show_default=True, help="The table of events, with --sql."
        ),
        click.option("--sql", metavar="CONN_ID", help="Read this connection's database instead of files."),
        click.argument("path", required=False),
    ):
        command = decorate(command)
    return command


def named_destination(path: str | None, sql: str | None, table: str, schema: str | None) -> Destination:
    """The destination that the options of :func:`destination_options` name.

    :raises click.UsageError: if they name none, or two.
    """
    from airflow_provider_np6.destinations import FileDestination, SqlDestination

    if (path is None) == (sql is None):
        raise click.UsageError("Give the PATH of a file destination, or --sql CONN_ID.")
    if path is not None:
        return FileDestination(path if "://" in path else str(Path(path).absolute()))
    return SqlDestination(str(sql), table, schema, create=False, evolve=False)
