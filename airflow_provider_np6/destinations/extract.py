"""Columns of many events at a time.

Documented events are decoded into typed structs made from the columns' paths, and read out in C; an event
with another shape anywhere (a number for a string, a null for an object) is read step by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter, is_not
from typing import Any

import msgspec

from airflow_provider_np6.destinations.schema import COLUMNS, FOUND, Column
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery

Item = bytes | msgspec.Raw
Tree = dict[str, Any]
Values = Sequence[Any]


def to_columns(items: Sequence[Item], query: EventQuery, pulled_at: int) -> list[Values]:
    """The columns of :data:`COLUMNS`, each with one value per event: a string, a time in ms since the epoch,
    or None.

    :param items: raw events, each on one line.
    :param pulled_at: ms since the epoch.
    """
    values = found_columns(items, query)
    values["payload"] = [str(item, "utf-8") for item in items]
    values["pulled_at"] = [pulled_at] * len(items)
    return [values[column.name] for column in COLUMNS]


def found_columns(items: Sequence[Item], query: EventQuery) -> dict[str, Values]:
    """The same by name, without ``payload`` and ``pulled_at``."""
    try:
        events = _decode_typed(b"".join((b"[", b",".join(items), b"]")))
    except msgspec.DecodeError:
        found: Iterable[Values] = zip(*map(_one_by_one, items), strict=True)
    else:
        found = _merged(events)
    values = dict(zip(_NAMES, found, strict=True))
    values["event_type"] = [query.event_type] * len(items)
    values["classification"] = [query.classification] * len(items)
    if query.action_id != ALL_ACTIONS:
        values["action_id"] = [query.action_id] * len(items)
    return values


def _tree(columns: Iterable[Column]) -> Tree:
    """The objects that the columns' paths lead through, with their leaves' types."""
    root: Tree = {}
    for column in columns:
        for path in column.paths:
            node = root
            for step in path[:-1]:
                node = node.setdefault(step, {})
            node[path[-1]] = int | None if column.kind == "timestamp" else str | None
    return root


def _struct(name: str, members: Tree) -> type[msgspec.Struct]:
    """A struct for nested fields; a missing object is an empty one, so that reading never meets None.

    :param members: their types by name; an object is a dict of its own.
    """
    fields: list[tuple[str, Any, Any]] = []
    for key, value in members.items():
        if isinstance(value, dict):
            node = _struct(key, value)
            fields.append((key, node, node()))
        else:
            fields.append((key, value, None))
    return msgspec.defstruct(name, fields, frozen=True, gc=False)


_NAMES = [column.name for column in FOUND]
_TREE = _tree(FOUND)
_EVENT = _struct("event", _TREE)
_decode_typed = msgspec.json.Decoder(list[_EVENT]).decode  # type: ignore[valid-type]
_decode = msgspec.json.Decoder(float_hook=str).decode  # a number keeps its text, whatever its size


def _merged(events: list[Any]) -> list[Values]:
    """The values of each column, from the first of its paths that an event has."""
    read: dict[tuple[str, ...], Values] = {}
    _read(events, _TREE, _EVENT(), (), read)
    missing = [None] * len(events)
    merged: list[Values] = []
    for column in FOUND:
        values, *others = (read.get(path, missing) for path in column.paths)
        for other in others:
            if other is missing:
                continue
            if None not in values:
                break
            values = [two if one is None else one for one, two in zip(values, other, strict=True)]
        merged.append(values)
    return merged


def _read(
    nodes: Sequence[Any], tree: Tree, empty: Any, at: tuple[str, ...], read: dict[tuple[str, ...], Values]
) -> None:
    """Read the leaves below ``nodes``, each node once; what none of them has is left out.

    :param empty: what stands for a node that is missing.
    :param read: gets the values, by path.
    """
    for key, value in tree.items():
        column = list(map(attrgetter(key), nodes))
        if not isinstance(value, dict):
            read[(*at, key)] = column
        elif any(map(is_not, column, repeat(getattr(empty, key)))):
            _read(column, value, getattr(empty, key), (*at, key), read)


def _one_by_one(item: Item) -> list[Any]:
    event = _decode(item)
    return [_found(event, column) for column in FOUND]


def _found(event: Any, column: Column) -> Any:
    for path in column.paths:
        value = event
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if column.kind == "timestamp":
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        elif isinstance(value, str):
            return value
        elif isinstance(value, int):
            return str(value).lower()
    return None
