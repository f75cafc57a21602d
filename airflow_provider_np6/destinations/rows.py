"""Columns of many events at a time.

Documented events are decoded into typed structs made from the columns' paths, and read out in C; an event
with another shape anywhere (a number for a text, a null for an object) is taken apart step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from airflow_provider_np6.destinations.columns import COLUMNS, FOUND, Column
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery

Item = bytes | msgspec.Raw
Tree = dict[str, Any]
Values = Sequence[Any]


def columns_of(items: Sequence[Item], query: EventQuery, pulled_at: int) -> list[Values]:
    """The columns of :data:`COLUMNS`, each with one value an event: text, or ms since the epoch for
    moments, or None.

    :param items: raw events, each on one line.
    :param pulled_at: ms since the epoch.
    """
    try:
        events = _decode_typed(b"".join((b"[", b",".join(items), b"]")))
    except msgspec.DecodeError:
        found: list[Values] = list(zip(*map(_one_by_one, items), strict=True))
    else:
        found = _merged(events)
    count = len(items)
    values = dict(zip(_NAMES, found, strict=True))
    values["event_type"] = [query.event_type] * count
    values["classification"] = [query.classification] * count
    values["pulled_at"] = [pulled_at] * count
    values["payload"] = [str(item, "utf-8") for item in items]
    if query.action_id != ALL_ACTIONS:
        values["action_id"] = [query.action_id] * count
    return [values[column.name] for column in COLUMNS]


def _tree(columns: Iterable[Column]) -> Tree:
    """The objects that the columns' paths lead through, with their leaves' types."""
    root: Tree = {}
    for column in columns:
        for path in column.paths:
            node = root
            for step in path[:-1]:
                node = node.setdefault(step, {})
            node[path[-1]] = int | None if column.kind == "moment" else str | None
    return root


def _struct(name: str, tree: Tree) -> type[msgspec.Struct]:
    """A struct for ``tree``; an object that is missing is an empty one, so that reading never meets None."""
    fields: list[tuple[str, Any, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            node = _struct(key, value)
            fields.append((key, node, node()))
        else:
            fields.append((key, value, None))
    return msgspec.defstruct(name, fields, frozen=True, gc=False)


_NAMES = [column.name for column in FOUND]
_decode_typed = msgspec.json.Decoder(list[_struct("event", _tree(FOUND))]).decode  # type: ignore[misc]
_decode = msgspec.json.Decoder(float_hook=str).decode  # a number keeps its text, whatever its size
_read_first = attrgetter(*(".".join(column.paths[0]) for column in FOUND))
_others = [[attrgetter(".".join(path)) for path in column.paths[1:]] for column in FOUND]


def _merged(events: list[Any]) -> list[Values]:
    """For each column, of the paths where its value may stand the first that is there."""
    merged: list[Values] = []
    for first, others in zip(zip(*map(_read_first, events), strict=True), _others, strict=True):
        values: Values = first
        for other in others:
            if None not in values:
                break
            values = [
                other(event) if value is None else value for value, event in zip(values, events, strict=True)
            ]
        merged.append(values)
    return merged


def _one_by_one(item: Item) -> list[Any]:
    event = _decode(item)
    return [_found(event, column) for column in FOUND]


def _found(event: Any, column: Column) -> Any:
    for path in column.paths:
        value = event
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if column.kind == "moment":
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        elif isinstance(value, str):
            return value
        elif isinstance(value, int):
            return str(value).lower()
    return None
