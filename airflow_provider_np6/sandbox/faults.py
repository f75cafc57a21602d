"""Faults: what the sandbox does wrong on request."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from threading import Lock
from typing import Literal

from airflow_provider_np6.sandbox.account import FakeEvent
from airflow_provider_np6.sandbox.misbehavior import rename

Change = Callable[[list[FakeEvent]], list[FakeEvent]]
"""A change to the events of a response, which come in the order that was requested."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What the sandbox does wrong in one response.

    :param path: only for requests whose path with query contains this.
    :param status: HTTP status; any other than 200 comes without events.
    :param headers: headers to add or to replace.
    :param body: body to send instead of the events.
    :param change: a change to the events.
    :param cut: end the response after this many bytes of the body.
    :param ending: how it ends then: close the connection, reset it, or send nothing for ``stall`` seconds.
    :param framing: how the response shows its length; ``close``: only with the end of the connection.
    :param longer: bytes by which ``Content-Length`` is too large; negative: too small.
    :param stall: seconds to wait before the response, or for its ``ending``.
    :param drip: seconds between two pieces of the body, each of 1 KiB.
    :param clock: seconds by which the ``Date`` header is ahead; negative: behind.
    """

    path: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    change: Change | None = None
    cut: int | None = None
    ending: Literal["close", "reset", "stall"] = "close"
    framing: Literal["chunked", "length", "close"] = "chunked"
    longer: int = 0
    stall: float = 0.0
    drip: float = 0.0
    clock: float = 0.0


def capped(limit: int) -> Change:
    """No more events than a limit, silently.

    :param limit: number of events.
    """
    return lambda events: events[:limit]


def shuffled(seed: int) -> Change:
    """Events without order.

    :param seed: the same seed, the same disorder.
    """

    def change(events: list[FakeEvent]) -> list[FakeEvent]:
        return random.Random(seed).sample(events, len(events))  # noqa: S311 - repeatable disorder

    return change


def doubled(index: int) -> Change:
    """One event twice.

    :param index: its index; an event that does not exist changes nothing.
    """
    return lambda events: [*events[: index + 1], *events[index : index + 1], *events[index + 1 :]]


def without(index: int) -> Change:
    """One event left out.

    :param index: its index; an event that does not exist changes nothing.
    """
    return lambda events: [*events[:index], *events[index + 1 :]]


def broken(index: int, json: bytes) -> Change:
    """An invalid event among the others.

    :param index: its index.
    :param json: the invalid event.
    """
    return lambda events: [*events[:index], FakeEvent(0, "", json), *events[index:]]


def moved(index: int, by: int) -> Change:
    """One event at another time, inside the window or not, in its place by time.

    :param index: its index; an event that does not exist changes nothing.
    :param by: ms by which it is later.
    """

    def change(events: list[FakeEvent]) -> list[FakeEvent]:
        if index >= len(events):
            return events
        return _insert([*events[:index], *events[index + 1 :]], _later(events[index], by))

    return change


def repeated_later(index: int, by: int) -> Change:
    """One event again in the same response, with a later time and in its place by that time.

    :param index: its index; an event that does not exist changes nothing.
    :param by: ms by which it is later then.
    """
    return lambda events: events if index >= len(events) else _insert(events, _later(events[index], by))


def empty() -> Change:
    """No events."""
    return lambda events: events[:0]


def error_element(index: int, json: bytes = b'{"error":{"message":"internal"}}') -> Change:
    """An error instead of the events from an index on; the response ends well after it.

    :param index: number of events before the error.
    :param json: the error.
    """
    return lambda events: [*events[:index], FakeEvent(0, "", json)]


def lone_surrogate(index: int, member: str = "agency") -> Change:
    """Half of a character in a string of one event: ``\\ud83d`` without its partner.

    :param index: its index; an event that does not exist changes nothing.
    :param member: name of a member that has a string; ``agency`` is in every event.
    """
    start = f'"{member}":"'.encode()
    return _edited(index, lambda json: json.replace(start, start + b"\\ud83d", 1))


def huge_number(index: int, number: bytes = b"1e999") -> Change:
    """One event with one more member, whose number no float has.

    :param index: its index; an event that does not exist changes nothing.
    :param number: the number.
    """
    return _edited(index, lambda json: json[:-1] + b',"extra":' + number + b"}")


def renamed(index: int, action_id: str = "", type_: str = "") -> Change:
    """One event that shows another action or type.

    :param index: its index; an event that does not exist changes nothing.
    :param action_id: the action's id that it shows; "" for its own.
    :param type_: the ``type`` that it shows; "" for its own.
    """
    return lambda events: [
        rename(event, action_id, type_) if at == index else event for at, event in enumerate(events)
    ]


def _edited(index: int, edit: Callable[[bytes], bytes]) -> Change:
    return lambda events: [
        replace(event, json=edit(event.json)) if at == index else event for at, event in enumerate(events)
    ]


def _later(event: FakeEvent, by: int) -> FakeEvent:
    old, new = (b'"timestamp":%d' % time for time in (event.timestamp, event.timestamp + by))
    return replace(event, timestamp=event.timestamp + by, json=event.json.replace(old, new))


def _insert(events: list[FakeEvent], event: FakeEvent) -> list[FakeEvent]:
    """The events with one more, in the order of time that they have."""
    descending = len(events) > 1 and events[0].timestamp > events[-1].timestamp
    return sorted([*events, event], key=attrgetter("timestamp"), reverse=descending)


class Plan:
    """Faults to come; each applies to the first request that it fits."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault, times: int = 1) -> None:
        """Apply a fault to the next requests that it fits.

        :param fault: the fault.
        :param times: number of requests.
        """
        with self._lock:
            self._faults += [fault] * times

    def take(self, path: str) -> Fault | None:
        """Remove and return the fault for a request, if any.

        :param path: path of the request, with its query.
        """
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.path in path:
                    return self._faults.pop(index)
        return None

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()
