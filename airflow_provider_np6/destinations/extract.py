"""Columns of many events at a time.

Documented events are decoded into typed structs made from the columns' paths, and read out in C; an event
with another shape anywhere (a number for a string, a null for an object) is read step by step. JSON that
msgspec does not take is made simpler first, so that it never breaks a pull: a lone surrogate becomes U+FFFD,
a number of thousands of digits a string, and what is nested deeper than any column's value is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter, is_not
from typing import Any

import msgspec

from airflow_provider_np6.destinations.schema import COLUMNS, FOUND, Column
from airflow_provider_np6.np6.lone_surrogates import replace_lone_surrogates
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery

Item = bytes | msgspec.Raw
Tree = dict[str, Any]
Values = Sequence[Any]

MAX_ACTION_ID = 100
"""Characters of an action's id that has a column, at most: a longer one stays in the payload alone, because
databases take neither a key nor an index of any length."""

MAX_NUMBER = 600
"""Characters of a number that every parser takes. Python reads integers of at least 640 digits."""


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
    events = _decode_array(b"".join((b"[", b",".join(items), b"]")))
    found: Iterable[Values]
    found = zip(*map(_one_by_one, items), strict=True) if events is None else _merged(events)
    values = dict(zip(_NAMES, found, strict=True))
    values["event_type"] = [query.event_type] * len(items)
    values["classification"] = [query.classification] * len(items)
    if query.action_id == ALL_ACTIONS:
        ids = values["action_id"]
        values["action_id"] = [None if id_ is None or len(id_) > MAX_ACTION_ID else id_ for id_ in ids]
    else:
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
_DEPTH = max(len(path) for column in FOUND for path in column.paths)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|-?[0-9][0-9.eE+-]*+', re.DOTALL)


def _decode_array(array: bytes) -> list[Any] | None:
    """Events as structs; None if one of them has another shape."""
    try:
        return list(_decode_typed(array))
    except (msgspec.DecodeError, RecursionError):
        readable = replace_lone_surrogates(array)
    if readable is array:
        return None
    try:
        return list(_decode_typed(readable))
    except (msgspec.DecodeError, RecursionError):
        return None


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
    try:
        event = _decode(item)
    except (msgspec.DecodeError, RecursionError):
        event = _decode(_simplify(bytes(item)))
    return [_found(event, column) for column in FOUND]


def _simplify(item: bytes) -> bytes:
    """An event that msgspec takes, with the same values in its columns."""
    pieces: list[bytes] = []
    begin = depth = 0
    for token in _TOKEN.finditer(item):
        mark = token[0][:1]
        if mark in b"{[":
            depth += 1
            if depth == _DEPTH + 1:
                pieces += [item[begin : token.start()], b"null"]
        elif mark in b"}]":
            if depth == _DEPTH + 1:
                begin = token.end()
            depth -= 1
        elif depth <= _DEPTH and mark != b'"' and len(token[0]) > MAX_NUMBER:
            pieces += [item[begin : token.start()], b'"', token[0], b'"']
            begin = token.end()
    return replace_lone_surrogates(b"".join([*pieces, item[begin:]]))


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
