"""What stands where in one event: all its texts and numbers, and what goes without being replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_np6.privacy.escapes import read_json
from airflow_provider_np6.privacy.event_fields import EVENT, Part, Shape, below, is_documented

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.detect import Span

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?|[{}\[\]]|[^\s{}\[\],:"]++', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]")

Text = tuple[int, int, Part, str]
"""Begin and end of a text without its quotes or of a number, what it holds, and which of these it is:
``string``, ``key`` or ``number``."""


class Found(NamedTuple):
    """What stands in an event.

    :param removed: what goes without being replaced, in order of its end.
    """

    texts: list[Text]
    removed: list[Span]

    def own_spelled(self, event: str) -> Iterator[str]:
        """The values of the event's own identity."""
        for start, end, part, kind in self.texts:
            if part is Part.OWN and kind != "key":
                spelled = event[start:end]
                yield read_json(spelled) if kind == "string" else spelled


@dataclass(slots=True)
class _Frame:
    """An object or array that is open.

    :param place: what stands in it.
    :param key: where its current member's key begins.
    :param value: what stands in the current member.
    :param end: where its last member ends.
    :param kept: whether one of its members stays.
    :param gone: where members that go begin, while none before them stays.
    """

    is_object: bool
    place: Shape | Part
    key: int = 0
    value: Shape | Part = Part.FREE
    end: int = 0
    kept: bool = False
    gone: int | None = None


class Walk:
    """One look at an event, token by token.

    :param event: a JSON object.
    :param removes_own: whether the event's own identity goes altogether.
    """

    def __init__(self, event: str, *, removes_own: bool) -> None:
        self.found = Found([], [])
        self.data: list[Span] = []
        """Members of free data, from the begin of their keys."""
        self._removes_own = removes_own
        self._frames: list[_Frame] = [_Frame(is_object=False, place=EVENT)]
        for token in _TOKEN.finditer(event):
            self._take(token)

    def _take(self, token: re.Match[str]) -> None:
        frame = self._frames[-1]
        mark = token[0][0]
        if token[2] is not None and frame.is_object:
            self._key(frame, token)
        elif mark in "{[":
            place = frame.value if frame.is_object else frame.place
            self._frames.append(_Frame(is_object=mark == "{", place=place))
        elif mark in "}]":
            self._frames.pop()
            if frame.gone is not None:
                self.found.removed.append((frame.gone, frame.end))
            self._member(self._frames[-1], token.end(), is_object=mark == "}")
        else:
            self._scalar(frame, token)

    def _key(self, frame: _Frame, token: re.Match[str]) -> None:
        key = read_json(token[1])
        frame.key = token.start()
        frame.value = below(frame.place, key)
        if not is_documented(frame.place, key):
            self.found.texts.append((*token.span(1), Part.FREE, "key"))

    def _scalar(self, frame: _Frame, token: re.Match[str]) -> None:
        place = frame.value if frame.is_object else frame.place
        part = Part.FREE if isinstance(place, dict) else place
        if token[1] is not None:
            self.found.texts.append((*token.span(1), part, "string"))
        elif _NUMBER.match(token[0]):
            self.found.texts.append((*token.span(), part, "number"))
        self._member(frame, token.end(), is_object=False)

    def _member(self, frame: _Frame, end: int, *, is_object: bool) -> None:
        """A member of an object ends."""
        if not frame.is_object:
            return
        is_data = frame.value is Part.DATA
        if is_data and frame.place is not Part.DATA:
            self.data.append((frame.key, end))
        goes = is_data or (
            self._removes_own and frame.value is Part.OWN and (not is_object or frame.place is Part.OWN)
        )
        removed = self.found.removed
        if goes and frame.kept:
            removed.append((frame.end, end))
        elif goes:
            frame.gone = frame.key if frame.gone is None else frame.gone
        else:
            if frame.gone is not None:
                removed.append((frame.gone, frame.key))
                frame.gone = None
            frame.kept = True
        frame.end = end
