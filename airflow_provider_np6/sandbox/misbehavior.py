"""What a behavior does to the events of a response: other ids and types, repetitions, limits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from airflow_provider_np6.sandbox.account import FakeEvent
    from airflow_provider_np6.sandbox.behavior import ServerBehavior

_LATER = 3
"""After how many other events an event comes again."""


def misbehave(events: Iterator[FakeEvent], behavior: ServerBehavior) -> Iterator[FakeEvent]:
    """The events as a server of this behavior sends them.

    :param events: those of the window, in the order of the response.
    :param behavior: how the server responds.
    """
    if behavior.foreign_action or behavior.foreign_type:
        events = (rename(event, behavior.foreign_action, behavior.foreign_type) for event in events)
    if behavior.repeated is not None:
        events = _repeat(events, behavior.repeated)
    if behavior.max_events is not None or behavior.max_bytes is not None:
        events = _limit(events, behavior)
    return events


def rename(event: FakeEvent, action_id: str, type_: str) -> FakeEvent:
    """An event that shows another action or type.

    :param event: the event.
    :param action_id: the id that ``activation`` or ``execution`` in its ``source.detail`` shows then; "" for
        its own. An event without them stays as it is.
    :param type_: its ``type`` then; "" for its own.
    """
    json: dict[str, Any] = msgspec.json.decode(event.json)
    if type_:
        json["type"] = type_
    detail = json["source"].get("detail", {})
    for member in {"activation", "execution"} & set(detail):
        detail[member]["id"] = action_id or detail[member]["id"]
    return replace(event, json=msgspec.json.encode(json))


def _repeat(events: Iterator[FakeEvent], one_in: int) -> Iterator[FakeEvent]:
    waiting: list[tuple[int, FakeEvent]] = []
    for index, event in enumerate(events):
        yield event
        if _rank(event) % one_in == 0:
            waiting.append((index + _LATER, event))
        if waiting and waiting[0][0] <= index:
            yield waiting.pop(0)[1]
    yield from (event for _, event in waiting)


def _limit(events: Iterator[FakeEvent], behavior: ServerBehavior) -> Iterator[FakeEvent]:
    """No more events than fit into the limits of number and size."""
    if behavior.kept == "first":
        yield from (event for _, event in _fitting(enumerate(events), behavior))
        return
    order = _orders(behavior)[behavior.kept]
    numbered = list(enumerate(events))
    preferred = iter(sorted(numbered, key=order))
    yield from (event for _, event in sorted(_fitting(preferred, behavior), key=lambda item: item[0]))


_Numbered = tuple[int, "FakeEvent"]


def _orders(behavior: ServerBehavior) -> dict[str, Callable[[_Numbered], Any]]:
    """For each kind of limit, the order in which events are kept. Ids decide between equal times if the
    server's order of ties is stable, else the order of this response decides."""

    def tie(item: _Numbered) -> Any:
        return item[1].id if behavior.stable_ties else item[0]

    return {
        "oldest": lambda item: (item[1].timestamp, tie(item)),
        "newest": lambda item: (-item[1].timestamp, tie(item)),
        "sample": lambda item: _rank(item[1]),
    }


def _fitting(events: Iterator[_Numbered], behavior: ServerBehavior) -> Iterator[_Numbered]:
    size = 1  # a bracket; the other one replaces the last comma
    for number, item in enumerate(events):
        size += len(item[1].json) + 1
        too_large = behavior.max_bytes is not None and size > behavior.max_bytes
        if too_large or number == behavior.max_events:
            return
        yield item


def _rank(event: FakeEvent) -> int:
    """A number that depends on the id alone."""
    return int.from_bytes(hashlib.blake2b(event.id.encode(), digest_size=8).digest(), "big")
