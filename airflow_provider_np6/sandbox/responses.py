"""The bodies of the sandbox's responses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, HOUR, ROBOTS, UNIONS, FakeAccount, FakeEvent
from airflow_provider_np6.sandbox.behavior import RefusedError
from airflow_provider_np6.sandbox.misbehavior import misbehave

if TYPE_CHECKING:
    from airflow_provider_np6.sandbox.behavior import Order, ServerBehavior
    from airflow_provider_np6.sandbox.faults import Change

_EVENTS = re.compile(r"/actions(?:/(?P<action>[^/]+))?/events(?:/(?P<type>(?!events$).+))?")
_ACTION = re.compile(r"/actions/(?P<action>[^/]+)")


@dataclass(frozen=True)
class Responses:
    """Responses from an account, shaped by a behavior.

    :param account: the actions and events.
    :param behavior: how to respond.
    :param rng: where disorder comes from.
    """

    account: FakeAccount
    behavior: ServerBehavior
    rng: Random

    def body(self, path: str, parameters: dict[str, str], change: Change | None) -> Iterator[bytes]:
        """The body of the response to a GET, in pieces.

        :param path: path of the request.
        :param parameters: its query parameters.
        :param change: a change to the events first, if any.
        :raises RefusedError: with the status of an error.
        """
        if path == "/actions":
            return self._actions(parameters)
        if match := _EVENTS.fullmatch(path):
            event_type, action = match["type"] or "events", match["action"]
            known = event_type in (*ALL_EVENT_TYPES, *UNIONS) and (action is None or self.account.has(action))
            if known:
                return self._events(event_type, action, parameters, change)
            if self.behavior.unknown_actions:
                return iter([b"[]"])
        elif (match := _ACTION.fullmatch(path)) and self.account.has(match["action"]):
            return self._action(match["action"])
        raise RefusedError(404)

    def _actions(self, parameters: dict[str, str]) -> Iterator[bytes]:
        if not self.behavior.listing:
            raise RefusedError(410)
        start, end = self.behavior.bounds(parameters, "creation_start", "creation_end")
        actions = map(self.account.action, self.account.action_ids)
        return _encode([action for action in actions if start <= _created(action) < end])

    def _action(self, id_: str) -> Iterator[bytes]:
        return _encode({**self.account.action(id_), "description": "", "content": {"subject": "Bonjour"}})

    def _events(
        self, event_type: str, action: str | None, parameters: dict[str, str], change: Change | None
    ) -> Iterator[bytes]:
        window = self.behavior.window(parameters)
        order = self.behavior.order(parameters)
        classes = frozenset(filter(None, parameters.get(self.behavior.classification, "").split(",")))
        if self.behavior.mixed_robots:
            classes |= {"", *ROBOTS}
        events = misbehave(self._ordered(event_type, action, window, order, classes), self.behavior)
        if change is not None:
            events = iter(change(list(events)))
        return _array(event.json for event in events)

    def _ordered(
        self,
        event_type: str,
        action: str | None,
        bounds: tuple[int, int],
        order: Order | None,
        classes: frozenset[str],
    ) -> Iterator[FakeEvent]:
        """Events, hour by hour: memory holds those of one hour."""
        start, end = bounds
        hours = list(range(start // HOUR, -(-end // HOUR)))
        if order is None:
            self.rng.shuffle(hours)
        elif order == "desc":
            hours.reverse()
        for hour in hours:
            generated = self.account.hour(event_type, action, hour, classification=classes)
            events = [event for event in generated if start <= event.timestamp < end]
            if order is None or not self.behavior.stable_ties:
                self.rng.shuffle(events)
            if order is not None:
                events.sort(key=attrgetter("timestamp"), reverse=order == "desc")
            yield from events


def _created(action: dict[str, Any]) -> float:
    return datetime.fromisoformat(action["creationDate"]).timestamp() * 1_000


def _encode(value: Any) -> Iterator[bytes]:
    return iter([json.dumps(value).encode()])


def _array(elements: Iterable[bytes]) -> Iterator[bytes]:
    yield b"["
    comma = b""
    for element in elements:
        yield comma + element
        comma = b","
    yield b"]"
