"""``check``: does a connection work, and what may its key read?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from airflow_provider_np6.cli.live import examined, tell
from airflow_provider_np6.cli.options import as_json
from airflow_provider_np6.cli.printing import console, print_json, table, tracked
from airflow_provider_np6.cli.readable import Readable, readable_types
from airflow_provider_np6.cli.running import EXIT_MISMATCH, EXIT_OK, Command, beside_airflow
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.event_types import EVENT_TYPES
from airflow_provider_np6.np6.query import ALL_ACTIONS, check_action_id
from airflow_provider_np6.provider_info import CONNECTION_TYPE, DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_np6.hooks.np6 import Np6Hook

_COLOURS = {"readable": "green", "not asked": "dim"}


@click.command(cls=Command)
@click.option("--conn-id", default=DEFAULT_CONN_ID, show_default=True, help="The connection to NP6.")
@click.option(
    "--action", default=ALL_ACTIONS, metavar="ID", help="Ask for events of one action, not of all at once."
)
@click.option("--live", metavar="ACTION_ID", help="Ask instead what NP6's documentation leaves open.")
@as_json
def check(conn_id: str, action: str, live: str | None, as_json: bool) -> None:
    """Test a connection, and ask for each event type.

    One request a type, of which only the first bytes are read. Exits with 1 if the connection does not
    work, a documented type cannot be read, or a type gave no answer; that other types are refused is
    told, and no failure. Exits with 2 if the connection is not there.

    With --live, an action that has events is looked at instead: what the account does where NP6's
    documentation is silent, and whether pulls cope with it. At most 80 requests, and nothing that an
    event holds is shown. Exits with 1 if pulls do not cope.
    """
    check_action_id(action)
    if live is not None:
        with beside_airflow():
            findings = examined(_hook(conn_id).config, live)
        raise SystemExit(tell(findings, live, as_json=as_json))
    with beside_airflow():
        hook = _hook(conn_id)
        works, says = hook.test_connection()
        types = _types(hook, action)
    well = works and all(one.is_ok for one in types)
    if as_json:
        connection = {"conn_id": conn_id, "works": works, "says": says}
        print_json(
            {
                "ok": well,
                "connection": connection,
                "action_id": action,
                "types": [asdict(one) for one in types],
            }
        )
    else:
        _print(conn_id, says, types)
    raise SystemExit(EXIT_OK if well else EXIT_MISMATCH)


def _hook(conn_id: str) -> Np6Hook:
    """:raises Np6InputError: if there is no such connection, or it is of another type."""
    from airflow_provider_np6.hooks.np6 import Np6Hook

    try:
        connection = Np6Hook.get_connection(conn_id)
    except Exception as error:  # its class differs by version
        raise Np6InputError(
            f"connection {conn_id!r} cannot be looked up: {type(error).__name__}",
            hint=f"Look at AIRFLOW_CONN_{conn_id.upper()}: is it JSON, with fields of those names?"
            if f"AIRFLOW_CONN_{conn_id.upper()}" in os.environ
            else "Create it, by 'airflow connections add' or by a variable AIRFLOW_CONN_….",
        ) from None
    if connection.conn_type != CONNECTION_TYPE:
        raise Np6InputError(
            f"connection {conn_id!r} is of type {connection.conn_type!r}", hint="NP6's type is 'np6'."
        )
    return Np6Hook(conn_id)


def _types(hook: Np6Hook, action_id: str) -> list[Readable]:
    try:
        config = hook.config
    except Np6InputError:
        return []  # the connection's test has told why
    return list(tracked(readable_types(config, action_id), len(EVENT_TYPES), "Asking"))


def _print(conn_id: str, says: str, types: Sequence[Readable]) -> None:
    out = console()
    out.print(f"{conn_id}: {says}", markup=False)
    if not types:
        return
    shown = table("event type", "path is", "may be read")
    for one in types:
        status = f" (HTTP {one.status})" if one.status else ""
        colour = _COLOURS.get(one.outcome, "yellow" if one.is_ok else "red")
        shown.add_row(one.event_type, one.mark, f"[{colour}]{one.outcome}{status}[/]")
    out.print(shown)
    for one in types:
        if not one.is_ok and one.reason:
            out.print(f"{one.event_type}: {one.reason}", markup=False)
