"""Pulls into destinations without an operator around them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6PullAgainError, Np6ResponseError
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.pull import Spool, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY, SECOND, Window, iso_seconds
from airflow_provider_np6.sandbox import Sandbox

HOUR = 3_600_000
MIDNIGHT = 20_000 * DAY  # 2024-10-04
TODAY = Window(MIDNIGHT, MIDNIGHT + DAY)
GRACE_PERIOD = 60_000  # the operator's


class MemorySpool:
    """A spool in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.aside: list[Invalid] = []
        self.begun: list[int] = []
        """The ``pulled_at`` of each start."""

    @property
    def restarts(self) -> int:
        """How often the window was pulled again."""
        return len(self.begun) - 1

    def write(self, events: Events) -> None:
        self.lines += [bytes(item) for item in events.items]

    def set_aside(self, invalid: Invalid) -> None:
        self.aside.append(invalid)

    def restart(self, pulled_at: int) -> None:
        self.lines.clear()
        self.aside.clear()
        self.begun.append(pulled_at)


def whole(window: Window) -> str:
    """What the path of the request for all of a window contains, and those of its checks do not.

    :param window: in whole seconds.
    """
    start, end = (quote(iso_seconds(time)) for time in (window.start - SECOND, window.end + SECOND))
    return f"start={start}&end={end}"


def query_of(
    sandbox: Sandbox, window: Window = TODAY, event_type: str = "bounces", action: str | None = None
) -> EventQuery:
    return EventQuery.checked(event_type, action or sandbox.account.action_ids[0], window)


def land(
    client: Np6Client,
    destination: Destination,
    query: EventQuery,
    *,
    account: str = "test",
    pulled_at: int | None = None,
    quarantine: bool = False,
    on_shrink: str | None = None,
) -> dict[str, Any]:
    """One pull; the destination's own entries of its report.

    :param pulled_at: instead of the server's ``Date``.
    :param on_shrink: what to do if a day has fewer events than are stored. The window is pulled again as the
        operator does, without a wait in between; None pulls it once.
    """
    with destination.open(query, account, on_shrink=on_shrink or "fail") as writer:
        short: VerifiedPull | None = None
        for left in reversed(range(1 if on_shrink is None else 4)):
            verified = pull_into(client, query, writer, pulled_at=pulled_at, quarantine=quarantine)
            if short is not None and verified.counts != short.counts:
                raise Np6ResponseError("NP6 does not say the same twice")
            try:
                return writer.publish(verified, is_confirmed=short is not None).to_dict()
            except Np6PullAgainError as error:
                if not left:
                    raise
                short = verified if error.is_short else short
    raise AssertionError("the last pull returns or raises")


def pull_into(
    client: Np6Client,
    query: EventQuery,
    spool: Spool,
    *,
    pulled_at: int | None = None,
    quarantine: bool = False,
) -> VerifiedPull:
    """Pull once, at another time than the server's ``Date`` if one is given."""
    options: dict[str, Any] = {
        "quarantine": quarantine,
        "verified_size": getattr(spool, "verified_size", None),
        "grace_period": GRACE_PERIOD,
    }
    if pulled_at is None:
        return pull(client, query, spool, **options)
    verified = pull(client, query, _Dated(spool, pulled_at), **options)
    return replace(verified, pulled_at=pulled_at)


class _Dated:
    """A spool of a pull at another time."""

    def __init__(self, spool: Spool, pulled_at: int) -> None:
        self._spool = spool
        self._pulled_at = pulled_at
        self.write, self.set_aside = spool.write, spool.set_aside

    def restart(self, pulled_at: int) -> None:
        self._spool.restart(self._pulled_at)


def held(sandbox: Sandbox, query: EventQuery) -> list[bytes]:
    """The events that the sandbox has for a query, in order of time and id."""
    action = None if query.action_id == "*" else query.action_id
    bounds = (query.window.start, query.window.end)
    classes = frozenset(filter(None, query.classification.split(",")))
    events = sandbox.account.events(query.event_type, action, *bounds, classification=classes)
    return [event.json for event in sorted(events, key=lambda event: (event.timestamp, event.id))]


def in_order(lines: list[bytes]) -> list[bytes]:
    """Raw events by time and id."""
    return sorted(lines, key=lambda line: (json.loads(line)["timestamp"], json.loads(line)["id"]))
