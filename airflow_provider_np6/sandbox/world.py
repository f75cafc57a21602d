"""What the sandbox holds: actions and their events, a pure function of seed, action, type and time.

Events come hour by hour of UTC, so that any window holds what the windows inside of it hold. Shapes are
those of NP6's documented samples, with values that real accounts have: addresses beyond ASCII, an empty
``mta``, no ``data``, many events on one whole second, and events on the first and last millisecond of
every hour.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from random import Random
from typing import Any

import msgspec

HOUR = 3_600_000

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = ("anna", "björn", "chloé", "дмитрий", "example", "françois", "ğizem", "小林", "o'neill", "zoë+news")
_DOMAINS = ("np6.com", "blabla.com", "exämple.de", "mail.example.org", "почта.рф")
_BOUNCES = (
    ("soft", "5.4.4", "unable to route: no mail hosts for domain", "other or undefined status", None),
    ("hard", "5.1.2", "bad destination system: no such domain", "address", "bad destination system address"),
    ("hard", "5.1.1", "550 5.1.1 <{0}>: user unknown\r\n", "address", "bad destination mailbox address"),
    ("soft", "4.2.2", "452 4.2.2 boîte pleine «quota» 📫", "mailbox", "mailbox full"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One event of the sandbox: its time in ms, its id, and its JSON."""

    timestamp: int
    id: str
    json: bytes


def _uuid(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _address(rng: Random) -> str:
    return f"{rng.choice(_NAMES)}.{rng.randrange(10_000)}@{rng.choice(_DOMAINS)}"


def _envelope(timestamp: int, id_: str, source: dict[str, Any]) -> dict[str, Any]:
    identity = {"type": "customer", "agency": "DEMO", "customer": "028"}
    return {"id": id_, "timestamp": timestamp, "identity": identity, "source": source}


def _stamp(rng: Random, timestamp: int) -> dict[str, Any]:
    return {"time": timestamp - rng.randrange(1, 60_000), "id": _uuid(rng), "thread": _uuid(rng)}


def _bounce(rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    verdict, code, diagnostic, subject, detail = rng.choice(_BOUNCES)
    address = _address(rng)
    activation = {
        "id": action,
        "kind": "message",
        "receiver": {"type": "id", "value": f"{rng.randrange(16**6):08X}"},
        "stamp": _stamp(rng, timestamp),
        "recipient": address,
    }
    bounce = {
        "status": {
            "type": "sync",
            "code": {"enhanced": code},
            "diagnostic": diagnostic.format(address),
            "mta": rng.choice(("", "mx1.example.org")),
        },
        "analysis": {
            "verdict": verdict,
            "subject": {"type": subject, **({"detail": {"type": detail}} if detail else {})},
        },
    }
    source = {"type": "email", "detail": {"activation": activation, "bounce": bounce}}
    return {"type": "bounce", **_envelope(timestamp, id_, source)}


def _cancellation(rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    address = _address(rng)
    execution: dict[str, Any] = {
        "id": action,
        "kind": "message",
        "recipient": {
            "type": "footprint",
            "id": f"{rng.randrange(16**6):08X}",
            "unicity": address,
            "hash": f"{rng.getrandbits(128):032x}",
        },
    }
    if rng.random() < 0.5:
        execution["data"] = {"foo": rng.randrange(9), "baskets": [{"sku": "A"}, {"sku": "B"}]}
    execution["stamp"] = _stamp(rng, timestamp)
    cancellation: dict[str, Any] = {"type": "redlisted target"}
    if rng.random() < 0.5:
        value = {"type": "render", "message": "Variable „prénom“ is missing"}
        cancellation = {"type": "user defined policy", "value": value}
    source = {"type": "email", "detail": {"execution": execution, "cancellation": cancellation}}
    return {"type": "cancellation", **_envelope(timestamp, id_, source)}


def _stop(_rng: Random, _action: str, timestamp: int, id_: str) -> dict[str, Any]:
    return _envelope(timestamp, id_, {"type": "sms"})


_MAKERS: dict[str, Callable[[Random, str, int, str], dict[str, Any]]] = {
    "bounces": _bounce,
    "cancellations": _cancellation,
    "responses/stop": _stop,
}

EVENT_TYPES = tuple(_MAKERS)
"""Event types that the sandbox has."""


class World:
    """All that one sandbox holds.

    :param seed: worlds of one seed are alike.
    :param actions: how many actions there are.
    :param events_per_day: events of each type of each action in a UTC day, about.
    """

    def __init__(self, *, seed: int = 6, actions: int = 4, events_per_day: int = 200) -> None:
        self._seed = seed
        self._events_per_day = events_per_day
        self.action_ids = [_action_id(index) for index in range(actions)]

    def action(self, action_id: str) -> dict[str, Any]:
        """One item of ``GET /actions``."""
        index = self.action_ids.index(action_id)
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

    def events(self, event_type: str, action_id: str | None, start: int, end: int) -> Iterator[Stored]:
        """Events of ``[start, end)`` (ms) in order of time, of one action or (None) of all."""
        for hour in range(start // HOUR, -(-end // HOUR)):
            for event in self.hour(event_type, action_id, hour):
                if start <= event.timestamp < end:
                    yield event

    def hour(self, event_type: str, action_id: str | None, hour: int) -> list[Stored]:
        """Events of one hour since the epoch, in order of time."""
        actions = self.action_ids if action_id is None else [action_id]
        parts = [self._made(event_type, action, hour) for action in actions]
        return list(heapq.merge(*parts, key=attrgetter("timestamp")))

    def _made(self, event_type: str, action_id: str, hour: int) -> list[Stored]:
        rng = Random(f"{self._seed}/{action_id}/{event_type}/{hour}")  # noqa: S311 - a world, not a secret
        make = _MAKERS[event_type]
        events = []
        for timestamp in self._timestamps(rng, hour):
            id_ = _uuid(rng)
            event = msgspec.json.encode(make(rng, action_id, timestamp, id_))
            events.append(Stored(timestamp, id_, event))
        return events

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


def _action_id(index: int) -> str:
    """Six characters, such as ``000PE4``."""
    number, text = 32_908 + 7 * index, ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(6, "0")
