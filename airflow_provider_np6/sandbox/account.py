"""A fake account: actions and their events, a pure function of seed, action, event type and time.

Events are generated for each hour of UTC on its own, so that a window has exactly the events of the windows
inside it. Many have the time of a whole second, and some the first or the last millisecond of an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import Any

import msgspec

from airflow_provider_np6.sandbox.payloads import SHAPES, Occasion, uuid
from airflow_provider_np6.sandbox.sends import PLANS, SendPlan

MINUTE = 60_000
HOUR = 60 * MINUTE

EVENT_TYPES = ("bounces", "cancellations", "responses/stop")
"""The event types that most tests pull."""

ALL_EVENT_TYPES = tuple(SHAPES)
"""Every event type that is not a union of others."""

UNIONS = {
    "hits": tuple(event_type for event_type in ALL_EVENT_TYPES if event_type.startswith("hits/")),
    "events": ALL_EVENT_TYPES,
}
"""Event types that return the events of others; ``events`` is the mixed stream."""

ROBOTS = ("genericrobot", "mpp", "gsr")
"""Classes of robots (documented). That robots make one hit in five is the sandbox's own choice."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PEOPLE = frozenset({""})


@dataclass(frozen=True, slots=True)
class FakeEvent:
    """One event: its time in ms, its id, its JSON, and for a robot's hit the class of the robot.

    How NP6 shows the class in an event is unknown: the sandbox does not show it.
    """

    timestamp: int
    id: str
    json: bytes
    robot: str = ""


class FakeAccount:
    """The actions and events of an account.

    :param seed: accounts with the same seed are equal.
    :param actions: number of actions.
    :param events_per_day: events of each type of each action per UTC day, about; None for numbers as in a
        real account, where events follow the sends of each action.
    :param withheld: share of the events that are not published yet, 0 to 1; an account that withholds less
        has the late events too, with the times that they had all along.
    """

    def __init__(
        self, *, seed: int = 6, actions: int = 4, events_per_day: int | None = None, withheld: float = 0.0
    ) -> None:
        self._seed = seed
        self._events_per_day = events_per_day
        self._withheld = withheld
        self.action_ids = [_action_id(index) for index in range(actions)]
        self._indexes = {action_id: index for index, action_id in enumerate(self.action_ids)}

    def has(self, action_id: str) -> bool:
        """Whether the action exists.

        :param action_id: an id, of an action or not.
        """
        return action_id in self._indexes

    def action(self, action_id: str) -> dict[str, Any]:
        """An action, as an item of ``GET /actions``.

        :param action_id: id of one of its actions.
        """
        index = self._indexes[action_id]
        plan = self._plan(action_id)
        return {
            "type": plan.type,
            "id": action_id,
            "name": f"{plan.name} n° {index + 1}",
            "creationDate": f"2026-{index % 12 + 1:02d}-15T08:30:00Z",
            "informations": {"folder": 7_082, "category": None, "state": (50, 60, 20)[index % 3]},
            "settings": {"templating": {"version": "4"}},
            "scheduler": {"type": "asap", "startDate": f"2026-{index % 12 + 1:02d}-16T06:00:00Z"},
        }

    def events(
        self,
        event_type: str,
        action_id: str | None,
        start: int,
        end: int,
        *,
        classification: frozenset[str] = frozenset(),
    ) -> Iterator[FakeEvent]:
        """Events of ``[start, end)``, ordered by time.

        :param event_type: path of the event type, such as ``bounces``; ``events`` for the mixed stream.
        :param action_id: the action; None for all actions.
        :param start: in ms since the epoch.
        :param end: in ms since the epoch (exclusive).
        :param classification: see :meth:`hour`.
        """
        for hour in range(start // HOUR, -(-end // HOUR)):
            for event in self.hour(event_type, action_id, hour, classification=classification):
                if start <= event.timestamp < end:
                    yield event

    def hour(
        self,
        event_type: str,
        action_id: str | None,
        hour: int,
        *,
        classification: frozenset[str] = frozenset(),
    ) -> list[FakeEvent]:
        """Events of one hour, counted from the epoch, ordered by time.

        Hits are those of robots of the classes in ``classification``, or those of people if it is empty
        (inferred). What it does to other types is unknown: here it does nothing, and the mixed stream always
        has the hits of people.

        :param event_type: path of the event type; ``events`` for the mixed stream.
        :param action_id: the action; None for all actions.
        :param hour: the hour.
        :param classification: classes of robots.
        """
        if self._events_per_day == 0:
            return []  # at once, however many hours the window has
        robots = classification if event_type.partition("/")[0] == "hits" and classification else _PEOPLE
        events = [
            event
            for action in (self.action_ids if action_id is None else [action_id])
            for leaf in UNIONS.get(event_type, (event_type,))
            for event in self._generate(leaf, action, hour)
            if event.robot in robots
        ]
        return sorted(events, key=attrgetter("timestamp"))

    def _generate(self, event_type: str, action_id: str, hour: int) -> Iterator[FakeEvent]:
        rng = Random(f"{self._seed}/{action_id}/{event_type}/{hour}")  # noqa: S311 - repeatable, not secret
        shape = SHAPES[event_type]
        is_hit = event_type in UNIONS["hits"]
        is_sms = self._events_per_day is None and self._plan(action_id).is_sms
        for timestamp, sent in self._times(rng, event_type, action_id, hour):
            id_ = uuid(rng)
            event = shape(rng, Occasion(action_id, timestamp, id_, sent, is_sms))
            if not _is_withheld(id_, self._withheld):
                yield FakeEvent(timestamp, id_, msgspec.json.encode(event), _robot(id_) if is_hit else "")

    def _times(
        self, rng: Random, event_type: str, action_id: str, hour: int
    ) -> Iterator[tuple[int, int | None]]:
        """Times of an hour's events, in order, each with the time of the send that it follows."""
        if self._events_per_day is not None:
            per_hour, rest = divmod(self._events_per_day, 24)
            count = per_hour + (rng.randrange(24) < rest)
            yield from ((time, None) for time in _timestamps(rng, hour, count, edges=count))
            return
        plan = self._plan(action_id)
        count = int(plan.expect(event_type, hour) + rng.random())
        times = _timestamps(rng, hour, count, edges=count // 4)
        origins = plan.choose_origins(rng, event_type, hour, count)
        for time, origin in zip(times, origins, strict=True):
            yield time, min(origin * HOUR + rng.randrange(HOUR), time - rng.randrange(1, MINUTE))

    def _plan(self, action_id: str) -> SendPlan:
        return PLANS[self._indexes[action_id] % len(PLANS)]


def _timestamps(rng: Random, hour: int, count: int, *, edges: int) -> list[int]:
    """Times in an hour, in order: many on a whole second, and two of ``edges`` on its first and last ms."""
    offsets = [0, HOUR - 1][:edges]
    while len(offsets) < count:
        offset = rng.randrange(HOUR)
        if rng.random() < 0.5:
            offset -= offset % 1_000
            offsets += [offset] * min(rng.randrange(1, 4), count - len(offsets))
        else:
            offsets.append(offset)
    return sorted(hour * HOUR + offset for offset in offsets)


def _is_withheld(id_: str, share: float) -> bool:
    """Decided by the first digits of the id; ``_robot`` uses the last ones."""
    return int(id_[:8], 16) < share * 16**8


def _robot(id_: str) -> str:
    """The class of the robot that made a hit; "" for a person."""
    chance = int(id_[-8:], 16) % (5 * len(ROBOTS))
    return ROBOTS[chance] if chance < len(ROBOTS) else ""


def _action_id(index: int) -> str:
    """Six characters, such as ``000PE4``."""
    number, text = 32_908 + 7 * index, ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(6, "0")
