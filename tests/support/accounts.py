"""Accounts with events that a test chooses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import attrgetter

from airflow_provider_np6.sandbox import FakeAccount
from airflow_provider_np6.sandbox.account import HOUR, FakeEvent


class FixedAccount(FakeAccount):
    """An account that has these events, of whatever type and action is requested.

    :param events: those of one time come in this order.
    """

    def __init__(self, events: Iterable[FakeEvent]) -> None:
        super().__init__()
        self.given = list(events)

    def hour(
        self,
        event_type: str,
        action_id: str | None,
        hour: int,
        *,
        classification: frozenset[str] = frozenset(),
    ) -> list[FakeEvent]:
        events = [event for event in self.given if event.timestamp // HOUR == hour]
        return sorted(events, key=attrgetter("timestamp"))


class GivenAccount(FixedAccount):
    """The same, of raw events.

    :param events: raw; those of one time come in this order.
    """

    def __init__(self, events: Iterable[bytes]) -> None:
        decoded = [(json.loads(item), item) for item in events]
        super().__init__(FakeEvent(event["timestamp"], event["id"], item) for event, item in decoded)
