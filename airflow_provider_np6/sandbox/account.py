"""What the sandbox holds: actions and their events, a pure function of seed, action, type and time.

Events come hour by hour of UTC, so that any window holds what the windows inside of it hold. Many stand
on one whole second, and some on the first and the last millisecond of every hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import Any

import msgspec

from airflow_provider_np6.sandbox.payloads import SHAPES, uuid

HOUR = 3_600_000

EVENT_TYPES = ("bounces", "cancellations", "responses/stop")
"""The event types that demonstrations and most tests pull."""

ALL_EVENT_TYPES = tuple(SHAPES)
"""Every event type that is no union of others."""

UNIONS = {
    "hits": tuple(event_type for event_type in ALL_EVENT_TYPES if event_type.startswith("hits/")),
    "events": ALL_EVENT_TYPES,
}
"""Event types that show the events of others; ``events`` is the mixed stream."""

ROBOTS = ("genericrobot", "mpp", "gsr")
"""Classes of robots (documented). That one hit in five is by a robot is the sandbox's own choice."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PEOPLE = frozenset({""})


@dataclass(frozen=True, slots=True)
class Stored:
    """One event of the sandbox: its time in ms, its id, its JSON, and for a robot's hit the robot's class.

    How NP6 shows the class in an event is unknown: the sandbox does not.
    """

    timestamp: int
    id: str
    json: bytes
    robot: str = ""


class FakeAccount:
    """All that one sandbox holds.

    :param seed: worlds of one seed are alike.
    :param actions: how many actions there are.
    :param events_per_day: events of each type of each action in a UTC day, about.
    :param withheld: share of the events that are not published yet, 0 to 1; a world with less of it shows
        what was withheld, at the times that it had all along.
    """

    def __init__(
        self, *, seed: int = 6, actions: int = 4, events_per_day: int = 200, withheld: float = 0.0
    ) -> None:
        self._seed = seed
        self._events_per_day = events_per_day
        self._withheld = withheld
        self.action_ids = [_action_id(index) for index in range(actions)]
        self._indexes = {action_id: index for index, action_id in enumerate(self.action_ids)}

    def has(self, action_id: str) -> bool:
        """Whether there is such an action."""
        return action_id in self._indexes

    def action(self, action_id: str) -> dict[str, Any]:
        """One item of ``GET /actions``."""
        index = self._indexes[action_id]
        kind = ("mailMessage", "mailCampaign", "smsMessage")[index % 3]
        return {
            "type": kind,
            "id": action_id,
            "name": f"{kind} n° {index + 1}",
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
    ) -> Iterator[Stored]:
        """Events of ``[start, end)`` (ms) in order of time, of one action or (None) of all."""
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
    ) -> list[Stored]:
        """Events of one hour since the epoch, in order of time.

        Hits are those by robots of the classes in ``classification``, or by people if there is none
        (inferred). What it does to other types is unknown: nothing here, and the mixed stream always shows
        the hits of people.
        """
        if not self._events_per_day:
            return []  # at once, however many hours are asked for
        robots = classification if event_type.partition("/")[0] == "hits" and classification else _PEOPLE
        events = [
            event
            for action in (self.action_ids if action_id is None else [action_id])
            for leaf in UNIONS.get(event_type, (event_type,))
            for event in self._made(leaf, action, hour)
            if event.robot in robots
        ]
        return sorted(events, key=attrgetter("timestamp"))

    def _made(self, event_type: str, action_id: str, hour: int) -> Iterator[Stored]:
        rng = Random(f"{self._seed}/{action_id}/{event_type}/{hour}")  # noqa: S311 - a world, not a secret
        shape = SHAPES[event_type]
        hits = event_type in UNIONS["hits"]
        for timestamp in self._timestamps(rng, hour):
            id_ = uuid(rng)
            event = shape(rng, action_id, timestamp, id_)
            if not _is_withheld(id_, self._withheld):
                yield Stored(timestamp, id_, msgspec.json.encode(event), _robot(id_) if hits else "")

    def _timestamps(self, rng: Random, hour: int) -> list[int]:
        per_hour, rest = divmod(self._events_per_day, 24)
        count = per_hour + (rng.randrange(24) < rest)
        offsets = [0, HOUR - 1][:count]
        while len(offsets) < count:
            offset = rng.randrange(HOUR)
            if rng.random() < 0.5:
                offset -= offset % 1_000
                offsets += [offset] * min(rng.randrange(1, 4), count - len(offsets))
            else:
                offsets.append(offset)
        return sorted(hour * HOUR + offset for offset in offsets)


def _is_withheld(id_: str, share: float) -> bool:
    """By the first digits of the id; by the last ones ``_robot`` goes."""
    return int(id_[:8], 16) < share * 16**8


def _robot(id_: str) -> str:
    """The class of the robot that made a hit; "" for a person's."""
    chance = int(id_[-8:], 16) % (5 * len(ROBOTS))
    return ROBOTS[chance] if chance < len(ROBOTS) else ""


def _action_id(index: int) -> str:
    """Six characters, such as ``000PE4``."""
    number, text = 32_908 + 7 * index, ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(6, "0")
