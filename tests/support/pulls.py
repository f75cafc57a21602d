"""Pulls into destinations without an operator around them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import Spool, pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verify import Events, Invalid
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Sandbox

HOUR = 3_600_000
MIDNIGHT = 20_000 * DAY  # 2024-10-04
TODAY = Window(MIDNIGHT, MIDNIGHT + DAY)


class MemorySpool:
    """A spool in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.aside: list[Invalid] = []
        self.restarts = 0

    def write(self, events: Events) -> None:
        self.lines += [bytes(item) for item in events.items]

    def set_aside(self, invalid: Invalid) -> None:
        self.aside.append(invalid)

    def begin(self, pulled_at: int) -> None:
        pass

    def restart(self) -> None:
        self.lines.clear()
        self.aside.clear()
        self.restarts += 1


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
) -> dict[str, Any]:
    """One pull; its report's own entries."""
    with destination.open(query, account) as landing:
        if pulled_at is None:
            return landing.publish(pull(client, query, landing.spool, quarantine=quarantine))
        proof = pull(client, query, _Dated(landing.spool, pulled_at), quarantine=quarantine)
        return landing.publish(replace(proof, pulled_at=pulled_at))


class _Dated:
    """A spool of a pull that began at another time."""

    def __init__(self, spool: Spool, pulled_at: int) -> None:
        self._spool = spool
        self._pulled_at = pulled_at
        self.write, self.set_aside, self.restart = spool.write, spool.set_aside, spool.restart

    def begin(self, pulled_at: int) -> None:
        self._spool.begin(self._pulled_at)


def held(sandbox: Sandbox, query: EventQuery) -> list[bytes]:
    """The events that the sandbox holds for a query, in order."""
    action = None if query.action_id == "*" else query.action_id
    bounds = (query.window.start, query.window.end)
    classes = frozenset(filter(None, query.classification.split(",")))
    return [
        event.json
        for event in sandbox.account.events(query.event_type, action, *bounds, classification=classes)
    ]


def in_order(lines: list[bytes]) -> list[bytes]:
    """Raw events by time and id."""
    return sorted(lines, key=lambda line: (json.loads(line)["timestamp"], json.loads(line)["id"]))
