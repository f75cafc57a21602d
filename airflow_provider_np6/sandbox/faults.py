"""What the sandbox does wrong on request."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Literal

from airflow_provider_np6.sandbox.account import Stored

Change = Callable[[list[Stored]], list[Stored]]
"""What becomes of the events of an answer, in the order in which they were asked for."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One request answered otherwise.

    :param path: only requests whose path holds this.
    :param status: HTTP status; any other than 200 goes without events.
    :param headers: sent besides the usual ones, or instead of them.
    :param body: sent instead of the events.
    :param change: what becomes of the events.
    :param cut: end the answer after this many bytes of the body.
    :param ending: how: close the connection, reset it, or send nothing more for ``stall`` seconds.
    :param framing: how the body's length is told; ``close`` means by nothing but the connection's end.
    :param longer: bytes by which a ``Content-Length`` is too large, or too small below 0.
    :param stall: seconds to wait before the answer, or for its ``ending``.
    :param drip: seconds between two pieces of the body, each of 1 KiB.
    :param clock: seconds by which the ``Date`` header is ahead, or behind below 0.
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
    """No more than ``limit`` events, and no word about it."""
    return lambda events: events[:limit]


def shuffled(seed: int) -> Change:
    """No order, whatever was asked for."""

    def change(events: list[Stored]) -> list[Stored]:
        return random.Random(seed).sample(events, len(events))  # noqa: S311 - repeatable disorder

    return change


def doubled(index: int) -> Change:
    """One event twice."""
    return lambda events: [*events[: index + 1], *events[index : index + 1], *events[index + 1 :]]


def without(index: int) -> Change:
    """One event left out."""
    return lambda events: [*events[:index], *events[index + 1 :]]


def broken(index: int, json: bytes) -> Change:
    """Something that is no event, before the event of that index."""
    return lambda events: [*events[:index], Stored(0, "", json), *events[index:]]


def moved(index: int, by: int) -> Change:
    """One event at another time, ``by`` ms later, wherever that is."""

    def change(events: list[Stored]) -> list[Stored]:
        if index >= len(events):
            return events
        event = events[index]
        time = str(event.timestamp).encode()
        json = event.json.replace(b'"timestamp":' + time, b'"timestamp":%d' % (event.timestamp + by))
        changed = replace(event, timestamp=event.timestamp + by, json=json)
        return sorted([*events[:index], changed, *events[index + 1 :]], key=lambda one: one.timestamp)

    return change


class Plan:
    """Faults to come; each answers one request, the first that fits."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault, times: int = 1) -> None:
        """Let the next ``times`` fitting requests meet ``fault``."""
        with self._lock:
            self._faults += [fault] * times

    def take(self, path: str) -> Fault | None:
        """The fault that a request for ``path`` meets; it is used up."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.path in path:
                    return self._faults.pop(index)
        return None

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()
