"""Remembers where strings and numbers are: events of the same layout differ in these only.

The role of a string follows from the keys and brackets around it. So one scan of an event is valid for all
events with the same keys, brackets and white space, and a pattern recognizes them.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_np6.privacy.event_fields import FieldRole
from airflow_provider_np6.privacy.scanner import Scalar, Scan, scan_event

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.detect import Span

MAX_LAYOUTS = 16
"""Layouts that are remembered."""

MAX_SCALARS, MAX_LENGTH = 100, 8_192
"""Scalars and characters of an event whose layout is remembered, at most: making its pattern takes as long
as a hundred scans."""

REPLACE_EVERY = 1_000
"""Once :data:`MAX_LAYOUTS` are remembered, one of so many events with a new layout replaces the oldest."""

STRING: Final = r'(?:[^"\\]++|\\.)*+'
NUMBER: Final = r'-?[0-9][^\s{}\[\],:"]*+'
_KEY = re.compile(rf'"{STRING}"\s*+:\s*+', re.DOTALL)


def _nested_pattern(depth: int) -> str:
    inner = f"|{_nested_pattern(depth - 1)}" if depth else ""
    return rf'[{{\[](?:[^"{{}}\[\]]++|"{STRING}"{inner})*+[}}\]]'


_VALUE = rf'(?:"{STRING}"|{_nested_pattern(5)}|[^\s{{}}\[\],:"]++)'


class Mark(NamedTuple):
    """A part of an event that varies, or where a removed part begins or ends.

    :param pattern: matches it in any event of the layout.
    :param role: of the field; None for a begin or an end.
    :param type: of a scalar; or ``data``, ``begin``, ``end``.
    """

    start: int
    end: int
    pattern: str
    role: FieldRole | None
    type: str


class Layout:
    """The layout of an event.

    :param event: an event that has it.
    :param scan: what this event contains.
    """

    def __init__(self, event: str, scan: Scan) -> None:
        self.event = event
        self.marks = sorted(_make_marks(event, scan), key=lambda mark: mark[:2])
        pattern, position = "", 0
        self._scalars: list[tuple[int, FieldRole, str]] = []
        self._removals: list[list[int]] = [[], []]
        group = 0
        for mark in self.marks:
            pattern += re.escape(event[position : mark.start])
            position = mark.end
            if mark.type == "data":
                pattern += mark.pattern
                continue
            pattern += f"({mark.pattern})"
            group += 1
            if mark.role is None:
                self._removals[mark.type == "end"].append(group)
            else:
                self._scalars.append((group, mark.role, mark.type))
        self._pattern = re.compile(pattern + re.escape(event[position:]), re.DOTALL)

    def scan(self, event: str) -> Scan | None:
        """What an event contains, without scanning it; None if it has another layout.

        :param event: a JSON object.
        """
        match = self._pattern.fullmatch(event)
        if match is None:
            return None
        spans = match.regs
        scalars: list[Scalar] = [(*spans[group], role, type_) for group, role, type_ in self._scalars]
        begins, ends = ([spans[group][0] for group in groups] for groups in self._removals)
        return Scan(scalars, list(zip(begins, ends, strict=True)))


class LayoutCache:
    """The layouts of events that were scanned.

    :param removes_subject: whether the members that identify an event's subject are removed.
    """

    def __init__(self, *, removes_subject: bool) -> None:
        self._removes_subject = removes_subject
        self._layouts: deque[Layout] = deque(maxlen=MAX_LAYOUTS)
        self._new: list[Layout] = []
        self._misses = 0

    def scan(self, event: str) -> Scan:
        """What an event contains.

        :param event: a JSON object.
        """
        for layout in self._layouts:
            scan = layout.scan(event)
            if scan is not None:
                return scan
        scan = scan_event(event, removes_subject=self._removes_subject)
        self._misses += 1
        if (
            (len(self._layouts) < MAX_LAYOUTS or self._misses % REPLACE_EVERY == 0)
            and len(event) <= MAX_LENGTH
            and len(scan.scalars) <= MAX_SCALARS
        ):
            layout = Layout(event, scan)
            if layout.scan(event) is not None:  # free data may be nested too deeply
                self._layouts.append(layout)
                self._new.append(layout)
        return scan

    def take_new(self) -> list[Layout]:
        """The layouts that were added since the last call."""
        new, self._new = self._new, []
        return new


def _make_marks(event: str, scan: Scan) -> list[Mark]:
    def is_in_data(at: int) -> bool:
        return any(start < at < end for start, end in scan.data)

    marks = [
        Mark(start, end, _scalar_pattern(event[start:end], type_), role, type_)
        for start, end, role, type_ in scan.scalars
        if not is_in_data(start)
    ]
    for start, end in scan.data:
        key = _KEY.match(event, start)
        raw_key = key[0] if key else ""
        marks.append(Mark(start, end, re.escape(raw_key) + _VALUE, FieldRole.DATA, "data"))
    for span in _merge(scan.removed):
        marks += [Mark(at, at, "", None, type_) for at, type_ in zip(span, ("begin", "end"), strict=True)]
    return marks


def _scalar_pattern(raw: str, type_: str) -> str:
    """Matches a scalar in another event of the same layout."""
    return {"string": STRING, "number": NUMBER, "key": re.escape(raw)}[type_]


def _merge(spans: list[Span]) -> list[Span]:
    """Merge spans that overlap or touch; in order."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
