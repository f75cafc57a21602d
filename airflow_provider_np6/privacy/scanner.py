"""Locates every string and number in an event, and the members to remove."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_np6.privacy.escapes import decode_json_string
from airflow_provider_np6.privacy.event_fields import (
    EVENT,
    FieldRole,
    Fields,
    is_documented,
    resolve_member,
)

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.detect import Span

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?|[{}\[\]]|[^\s{}\[\],:"]++', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]")

Scalar = tuple[int, int, FieldRole, str]
"""Start and end of a string or key (without its quotes) or of a number, its role, and its type: ``string``,
``key`` or ``number``."""


class Scan(NamedTuple):
    """What an event contains.

    :param scalars: its strings, numbers and undocumented keys, in order.
    :param removed: the parts to remove without a replacement, ordered by their end.
    :param data: its members of free data, from the start of their keys; empty if a layout located the
        scalars.
    """

    scalars: list[Scalar]
    removed: list[Span]
    data: Sequence[Span] = ()

    def identifiers(self, event: str) -> Iterator[str]:
        """The values that identify the event's subject, decoded.

        :param event: the event that was scanned.
        """
        for start, end, role, type_ in self.scalars:
            if role is FieldRole.SUBJECT and type_ != "key":
                raw = event[start:end]
                yield decode_json_string(raw) if type_ == "string" else raw


def scan_event(event: str, *, removes_subject: bool) -> Scan:
    """Scan an event, token by token.

    :param event: a JSON object.
    :param removes_subject: whether the members that identify the event's subject are removed.
    """
    scanner = _Scanner(removes_subject=removes_subject)
    for token in _TOKEN.finditer(event):
        scanner.take(token)
    return Scan(scanner.scalars, scanner.removed, scanner.data)


@dataclass(slots=True)
class _Frame:
    """An open object or array.

    :param field: what it holds.
    :param key_start: where the key of its current member starts.
    :param member: what its current member holds.
    :param end: where its last member ends.
    :param has_kept: whether one of its members is kept.
    :param removal_start: where the members to remove start, while no member before them is kept.
    """

    is_object: bool
    field: Fields | FieldRole
    key_start: int = 0
    member: Fields | FieldRole = FieldRole.TEXT
    end: int = 0
    has_kept: bool = False
    removal_start: int | None = None


class _Scanner:
    """The state of a scan."""

    def __init__(self, *, removes_subject: bool) -> None:
        self.scalars: list[Scalar] = []
        self.removed: list[Span] = []
        self.data: list[Span] = []
        self._removes_subject = removes_subject
        self._frames: list[_Frame] = [_Frame(is_object=False, field=EVENT)]

    def take(self, token: re.Match[str]) -> None:
        frame = self._frames[-1]
        mark = token[0][0]
        if token[2] is not None and frame.is_object:
            self._take_key(frame, token)
        elif mark in "{[":
            field = frame.member if frame.is_object else frame.field
            self._frames.append(_Frame(is_object=mark == "{", field=field))
        elif mark in "}]":
            self._frames.pop()
            if frame.removal_start is not None:
                self.removed.append((frame.removal_start, frame.end))
            self._end_member(self._frames[-1], token.end(), is_object=mark == "}")
        else:
            self._take_scalar(frame, token)

    def _take_key(self, frame: _Frame, token: re.Match[str]) -> None:
        key = decode_json_string(token[1])
        frame.key_start = token.start()
        frame.member = resolve_member(frame.field, key)
        if not is_documented(frame.field, key):
            self.scalars.append((*token.span(1), FieldRole.TEXT, "key"))

    def _take_scalar(self, frame: _Frame, token: re.Match[str]) -> None:
        field = frame.member if frame.is_object else frame.field
        role = FieldRole.TEXT if isinstance(field, dict) else field
        if token[1] is not None:
            self.scalars.append((*token.span(1), role, "string"))
        elif _NUMBER.match(token[0]):
            self.scalars.append((*token.span(), role, "number"))
        self._end_member(frame, token.end(), is_object=False)

    def _end_member(self, frame: _Frame, end: int, *, is_object: bool) -> None:
        """End the current member, if ``frame`` is an object; an array has none."""
        if not frame.is_object:
            return
        is_data = frame.member is FieldRole.DATA
        if is_data and frame.field is not FieldRole.DATA:
            self.data.append((frame.key_start, end))
        is_removed = is_data or (
            self._removes_subject
            and frame.member is FieldRole.SUBJECT
            and (not is_object or frame.field is FieldRole.SUBJECT)
        )
        if is_removed and frame.has_kept:
            self.removed.append((frame.end, end))
        elif is_removed:
            if frame.removal_start is None:
                frame.removal_start = frame.key_start
        else:
            if frame.removal_start is not None:
                self.removed.append((frame.removal_start, frame.key_start))
                frame.removal_start = None
            frame.has_kept = True
        frame.end = end
