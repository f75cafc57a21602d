"""``check``: does a connection work, and which event types may its key read?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

import click

from airflow_provider_np6.cli.options import json_option
from airflow_provider_np6.cli.output import (
    EXIT_MISMATCH,
    EXIT_OK,
    Command,
    beside_airflow,
    console,
    print_json,
    table,
    track,
)
from airflow_provider_np6.np6.errors import (
    Np6AuthenticationError,
    Np6ConnectionError,
    Np6Error,
    Np6InputError,
    Np6NotFoundError,
    Np6RateLimitError,
    Np6RefusedError,
)
from airflow_provider_np6.np6.event_types import EVENT_TYPES, Mark
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery, check_action_id
from airflow_provider_np6.np6.window import SECOND, Window
from airflow_provider_np6.provider_info import CONNECTION_TYPE, DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_np6.conformance import Finding
    from airflow_provider_np6.hooks.np6 import Np6Hook
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.config import Np6Config

_HOUR = 3_600 * SECOND
_MAX_ATTEMPTS = 2
_HOLDS_FOR_ALL_TYPES = (Np6AuthenticationError, Np6ConnectionError, Np6RateLimitError)
_OUTCOME_COLORS = {"readable": "green", "not requested": "dim"}
_VERDICT_COLORS = {"ok": "green", "with care": "yellow", "mismatch": "red", "not shown": "dim"}


@click.command(cls=Command)
@click.option("--conn-id", default=DEFAULT_CONN_ID, show_default=True, help="The connection to NP6.")
@click.option(
    "--action", default=ALL_ACTIONS, metavar="ID", help="Request events of one action instead of all actions."
)
@click.option("--live", metavar="ACTION_ID", help="Check instead what NP6's documentation leaves open.")
@json_option
def check(conn_id: str, action: str, live: str | None, as_json: bool) -> None:
    """Test a connection, and request each event type.

    Sends one request per type, and reads only the first bytes. Exits with 1 if the connection does not
    work, a documented type cannot be read, or a type gets no response; a type that is not documented may be
    refused. Exits with 2 if the connection does not exist.

    With --live, checks on an action that has events what the account does where NP6's documentation is
    silent, and whether pulls can rely on it. At most 80 requests, and no content of an event is shown. Exits
    with 1 if they cannot.
    """
    check_action_id(action)
    if live is not None:
        raise SystemExit(_check_live(conn_id, live, as_json=as_json))
    with beside_airflow():
        hook = _hook(conn_id)
        works, message = hook.test_connection()
        types = _types(hook, action)
    is_ok = works and all(event_type.is_ok for event_type in types)
    if as_json:
        print_json(
            {
                "ok": is_ok,
                "connection": {"conn_id": conn_id, "ok": works, "message": message},
                "action_id": action,
                "types": [asdict(event_type) for event_type in types],
            }
        )
    else:
        console().print(f"{conn_id}: {message}", markup=False)
        _print_types(types)
    raise SystemExit(EXIT_OK if is_ok else EXIT_MISMATCH)


def _hook(conn_id: str) -> Np6Hook:
    """:raises Np6InputError: if there is no such connection, or it is of another type."""
    from airflow_provider_np6.hooks.np6 import Np6Hook

    try:
        connection = Np6Hook.get_connection(conn_id)
    except Exception as error:  # its class differs by version
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        raise Np6InputError(
            f"connection {conn_id!r} cannot be read: {type(error).__name__}",
            hint=f"Check {variable}: it must be JSON such as"
            ' {"conn_type": "np6", "password": "KEY"}, or a URI.'
            if variable in os.environ
            else f"Create it with 'airflow connections add', or set {variable}.",
        ) from None
    if connection.conn_type != CONNECTION_TYPE:
        raise Np6InputError(
            f"connection {conn_id!r} is of type {connection.conn_type!r}", hint="NP6's type is 'np6'."
        )
    return Np6Hook(conn_id)


@dataclass(frozen=True)
class ReadableType:
    """Whether a key may read one event type.

    :param mark: whether NP6 documents its path.
    :param status: the HTTP status, if the request failed.
    :param reason: why it cannot be read.
    """

    event_type: str
    mark: Mark
    outcome: Literal["readable", "refused", "not found", "no response", "not requested"]
    status: int | None = None
    reason: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it can be read, or is refused without being documented."""
        optional = self.mark != "documented" and self.outcome in ("refused", "not found")
        return self.outcome == "readable" or optional


def _types(hook: Np6Hook, action_id: str) -> list[ReadableType]:
    try:
        config = hook.config
    except Np6InputError:
        return []  # the connection's test says why
    return list(track(_readable_types(config, action_id), len(EVENT_TYPES), "Checking"))


def _readable_types(config: Np6Config, action_id: str) -> Iterator[ReadableType]:
    """Request the last hour's events of each known type, within the rate limit.

    After an error that holds for all types, the others are not requested.
    """
    from airflow_provider_np6.np6.client import Np6Client

    now = time.time_ns() // 1_000_000
    window = Window(now - _HOUR, now)
    holds_for_all = False
    few_attempts = replace(config, max_attempts=min(_MAX_ATTEMPTS, config.max_attempts))
    with closing(Np6Client(few_attempts)) as client:
        for info in EVENT_TYPES.values():
            mark = info.all_actions if action_id == ALL_ACTIONS else info.mark
            if holds_for_all:
                yield ReadableType(info.event_type, mark, "not requested")
                continue
            error = _request(client, EventQuery(info.event_type, action_id, window))
            holds_for_all = isinstance(error, _HOLDS_FOR_ALL_TYPES)
            status, reason = (error.status, str(error)) if error else (None, None)
            yield ReadableType(info.event_type, mark, _outcome(error), status, reason)


def _request(client: Np6Client, query: EventQuery) -> Np6Error | None:
    try:
        client.has_events(query)
    except Np6Error as error:
        return error
    return None


def _outcome(error: Np6Error | None) -> Literal["readable", "refused", "not found", "no response"]:
    if error is None:
        return "readable"
    if isinstance(error, Np6NotFoundError):
        return "not found"
    return "refused" if isinstance(error, Np6RefusedError) else "no response"


def _print_types(types: Sequence[ReadableType]) -> None:
    if not types:
        return
    out, rows = console(), table("event type", "path is", "may be read")
    for event_type in types:
        status = f" (HTTP {event_type.status})" if event_type.status else ""
        color = _OUTCOME_COLORS.get(event_type.outcome, "yellow" if event_type.is_ok else "red")
        rows.add_row(event_type.event_type, event_type.mark, f"[{color}]{event_type.outcome}{status}[/]")
    out.print(rows)
    for event_type in types:
        if not event_type.is_ok and event_type.reason:
            out.print(f"{event_type.event_type}: {event_type.reason}", markup=False)


def _check_live(conn_id: str, action_id: str, *, as_json: bool) -> int:
    """Examine the account of a connection; returns the exit code."""
    from airflow_provider_np6.conformance import Verdict

    with beside_airflow():
        findings = _findings(_hook(conn_id).config, action_id)
    is_ok = all(finding.verdict != Verdict.MISMATCH for finding in findings)
    if as_json:
        print_json({"ok": is_ok, "action_id": action_id, "findings": [asdict(each) for each in findings]})
    else:
        rows = table("what", "known", "assumed", "seen", "verdict")
        for finding in findings:
            verdict = f"[{_VERDICT_COLORS[finding.verdict]}]{finding.verdict}[/]"
            rows.add_row(finding.question, finding.mark, finding.assumed, finding.seen, verdict)
        console().print(rows)
    return EXIT_OK if is_ok else EXIT_MISMATCH


def _findings(config: Np6Config, action_id: str) -> list[Finding]:
    from airflow_provider_np6.conformance import QUESTIONS, examine
    from airflow_provider_np6.np6.client import Np6Client

    with closing(Np6Client(config)) as client:
        findings = examine(client, action_id, now=time.time_ns() // 1_000_000)
        return list(track(findings, len(QUESTIONS), "Checking"))
