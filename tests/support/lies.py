"""Servers that lie: what they do, and what must be stored then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.errors import Np6Error
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.operators._pull import EventPull
from airflow_provider_np6.sandbox import FakeAccount, Fault, ListedAccount, Sandbox, ServerBehavior
from airflow_provider_np6.sandbox.account import FakeEvent
from airflow_provider_np6.sandbox.faults import Change
from tests.support.databases import ask, payloads
from tests.support.files import all_lines, snapshot
from tests.support.pulls import HOUR, MIDNIGHT

ACTION = "000PE4"
HONEST = ServerBehavior()
HOURLY = Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)


def per_hour(count: int) -> FakeAccount:
    """An account with so many events in each hour, with ties, and on its first and its last ms."""
    return FakeAccount(events_per_day=24 * count)


def spaced(count: int, *, step: int = 10_000, start: int = HOURLY.start) -> ListedAccount:
    """An account with a number of events at equal distances.

    :param count: number of events.
    :param step: ms from one event to the next.
    :param start: time of the first one.
    """
    return ListedAccount(start + step * index for index in range(count))


def all_of(events: list[FakeEvent]) -> list[FakeEvent]:
    """Every event that the account has in the window."""
    return events


@dataclass(frozen=True, kw_only=True)
class Lie:
    """What a server does, and what must come of it.

    :param name: what it does, in words.
    :param account: what it truly has; events of its first action are pulled.
    :param behavior: what it does to every response.
    :param faults: what it does to its first responses, in their order.
    :param windows: what is pulled, one window after the other.
    :param is_stored: whether the windows were pulled before, from the same server while it was honest.
    :param quarantine: whether invalid events are set aside.
    :param on_shrink: what to do if the server has fewer events of a day than are stored.
    :param stored: what must be stored, made of what the server truly has.
    :param stored_in_sql: the same for SQL, if that differs.
    :param error: with which error the pull must fail; None: it succeeds. Then nothing that is stored may
        change.
    :param message: a part of the error's message.
    :param duplicates: in the reports.
    :param duplicates_in_sql: the same for SQL, if that differs.
    :param invalid: in the reports.
    :param outcome: in the last report.
    :param requests: in the reports; None where their number does not matter.
    :param ahead: s by which ``pulled_at`` is ahead of this machine's clock.
    :param unseen: whether no request can show the lie, so that less is stored than the server has: one of the
        limits that the documentation names.
    :param passed_before: whether the first version of the engine passed, by what it stored or by the kind of
        its error. It believed every response that ended well, unless its number of events was round.
    """

    name: str
    account: FakeAccount
    behavior: ServerBehavior = HONEST
    faults: Sequence[Fault] = ()
    windows: Sequence[Window] = (HOURLY,)
    is_stored: bool = False
    quarantine: bool = False
    on_shrink: str = "fail"
    stored: Change = all_of
    stored_in_sql: Change | None = None
    error: type[Np6Error] | None = None
    message: str = ""
    duplicates: int = 0
    duplicates_in_sql: int | None = None
    invalid: int = 0
    outcome: str = "created"
    requests: int | None = None
    ahead: float = 0.0
    unseen: bool = False
    passed_before: bool = False

    def truth(self) -> list[FakeEvent]:
        """What the server truly has of all windows, in order of time and id."""
        bounds = [(window.start, window.end) for window in self.windows]
        events = [event for bound in bounds for event in self.account.events("bounces", ACTION, *bound)]
        return sorted(events, key=lambda event: (event.timestamp, event.id))

    def expected(self, destination: Destination) -> list[bytes]:
        """What must be stored after a pull that succeeds, in order of time and id."""
        is_sql = not isinstance(destination, FileDestination)
        change = self.stored_in_sql if is_sql and self.stored_in_sql is not None else self.stored
        events = sorted(change(self.truth()), key=lambda event: (event.timestamp, event.id))
        return [event.json for event in events]

    def apply_to(self, sandbox: Sandbox) -> None:
        """Make a sandbox lie."""
        sandbox.behavior = self.behavior
        for fault in self.faults:
            sandbox.plan.add(fault)

    def pull(self, destination: Destination) -> list[dict[str, Any]]:
        """Pull all windows as the operator does; the reports."""
        hook = Np6Hook()
        options = (destination, None, timedelta(minutes=1), self.quarantine, self.on_shrink)
        queries = [EventQuery.checked("bounces", ACTION, window) for window in self.windows]
        try:
            return [EventPull(hook, query, *options).pull().to_dict() for query in queries]
        finally:
            hook.client.close()


def stored_lines(destination: Destination) -> list[bytes]:
    """Every stored event, by window, then in order of time and id."""
    return all_lines(Path(destination.path)) if isinstance(destination, FileDestination) else payloads()


def everything_stored(destination: Destination) -> Any:
    """What a pull that fails may not change: all but the tables and the header of an empty destination."""
    if isinstance(destination, FileDestination):
        files = snapshot(Path(destination.path))
        return {name: data for name, data in files.items() if name != "_header.json"}
    tables = [name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    return {name: rows for name in tables if (rows := ask(f"SELECT * FROM {name} ORDER BY 1, 2, 3"))}
