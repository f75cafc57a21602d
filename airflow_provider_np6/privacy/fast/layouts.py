"""Where texts and numbers stand in events, remembered: events of one layout differ in nothing else.

What a text stands for follows from the keys and brackets around it. So one look at an event, token by token,
holds for all whose keys, brackets and white space are the same, and a pattern tells which are.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_np6.privacy.event_fields import Part
from airflow_provider_np6.privacy.scanner import Found, Text, Walk

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.detect import Span

MAX = 16
"""Layouts that are remembered."""

MAX_MARKS, MAX_LENGTH = 100, 8_192
"""Texts, numbers and characters of an event whose layout is remembered: making its pattern takes as long as
looking at a hundred events."""

EVERY = 1_000
"""Of so many events of new layouts, one takes the place of the oldest layout once there are :data:`MAX`."""

STRING: Final = r'(?:[^"\\]++|\\.)*+'
NUMBER: Final = r'-?[0-9][^\s{}\[\],:"]*+'
_KEY = re.compile(rf'"{STRING}"\s*+:\s*+', re.DOTALL)


def _nested(depth: int) -> str:
    inner = f"|{_nested(depth - 1)}" if depth else ""
    return rf'[{{\[](?:[^"{{}}\[\]]++|"{STRING}"{inner})*+[}}\]]'


_VALUE = rf'(?:"{STRING}"|{_nested(5)}|[^\s{{}}\[\],:"]++)'


class Mark(NamedTuple):
    """Something in an event that varies, or where what goes begins or ends.

    :param pattern: how it is spelled, in any event of its layout.
    :param part: what it holds; None for a begin or an end.
    :param kind: of a text, or ``data``, ``begin``, ``end``.
    """

    start: int
    end: int
    pattern: str
    part: Part | None
    kind: str


class Layout:
    """The layout of an event.

    :param walk: the look at it.
    """

    def __init__(self, event: str, walk: Walk) -> None:
        self.event = event
        self.marks = sorted(_marks(event, walk), key=lambda mark: mark[:2])
        pattern, position = "", 0
        self._texts: list[tuple[int, Part, str]] = []
        self._borders: list[list[int]] = [[], []]
        group = 0
        for mark in self.marks:
            pattern += re.escape(event[position : mark.start])
            position = mark.end
            if mark.kind == "data":
                pattern += mark.pattern
                continue
            pattern += f"({mark.pattern})"
            group += 1
            if mark.part is None:
                self._borders[mark.kind == "end"].append(group)
            else:
                self._texts.append((group, mark.part, mark.kind))
        self._pattern = re.compile(pattern + re.escape(event[position:]), re.DOTALL)

    def found(self, event: str) -> Found | None:
        """What stands in ``event``, if it has this layout."""
        match = self._pattern.fullmatch(event)
        if match is None:
            return None
        spans = match.regs
        texts: list[Text] = [(*spans[group], part, kind) for group, part, kind in self._texts]
        begins, ends = ([spans[group][0] for group in groups] for groups in self._borders)
        return Found(texts, list(zip(begins, ends, strict=True)))


class Layouts:
    """Layouts of events that were looked at."""

    def __init__(self, *, removes_own: bool) -> None:
        self._removes_own = removes_own
        self._known: deque[Layout] = deque(maxlen=MAX)
        self._new: list[Layout] = []
        self._misses = 0

    def found(self, event: str) -> Found:
        """What stands in ``event``."""
        for layout in self._known:
            found = layout.found(event)
            if found is not None:
                return found
        walk = Walk(event, removes_own=self._removes_own)
        self._misses += 1
        if (
            (len(self._known) < MAX or self._misses % EVERY == 0)
            and len(event) <= MAX_LENGTH
            and len(walk.found.texts) <= MAX_MARKS
        ):
            layout = Layout(event, walk)
            if layout.found(event) is not None:  # free data may be nested too deeply
                self._known.append(layout)
                self._new.append(layout)
        return walk.found

    def taken_new(self) -> list[Layout]:
        """Those that are remembered since this was asked last."""
        new, self._new = self._new, []
        return new


def _marks(event: str, walk: Walk) -> list[Mark]:
    def within(at: int) -> bool:
        return any(start < at < end for start, end in walk.data)

    marks = [
        Mark(start, end, _pattern_of(event[start:end], kind), part, kind)
        for start, end, part, kind in walk.found.texts
        if not within(start)
    ]
    for start, end in walk.data:
        key = _KEY.match(event, start)
        spelled = key[0] if key else ""
        marks.append(Mark(start, end, re.escape(spelled) + _VALUE, Part.DATA, "data"))
    for span in _merged(walk.found.removed):
        marks += [Mark(at, at, "", None, kind) for at, kind in zip(span, ("begin", "end"), strict=True)]
    return marks


def _pattern_of(spelled: str, kind: str) -> str:
    """How a text may be spelled in another event of the same layout."""
    return {"string": STRING, "number": NUMBER, "key": re.escape(spelled)}[kind]


def _merged(spans: list[Span]) -> list[Span]:
    """Spans that overlap or touch made one, in order."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
