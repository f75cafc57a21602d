"""A pattern that cuts all events of a layout, one a line, into columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_np6.privacy.detect import PHONE
from airflow_provider_np6.privacy.event_fields import Part

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.fast.layouts import Layout, Mark

_STRING: Final = '[^"]*+'
"""A string whose last character, if it has any, is no backslash, which is looked at later."""

_NUMBER: Final = "-?[0-9]++"


@dataclass(slots=True)
class Cut:
    """How lines are cut: by a pattern, each of whose groups is a column.

    Between the columns stands what goes. The last column, the rest, begins where ids, times and the event's
    own identity end; in those before it are no texts but codes.

    :param own: the groups with values of the own identity, and whether a token takes a value's place.
    :param kept: the other groups before the rest.
    """

    pattern: bytes = b""
    own: dict[int, bool] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)


def cut_of(layout: Layout) -> Cut | None:
    """How to cut events of ``layout`` with the same codes.

    None if texts are before the rest, or numbers of the own identity, or a phone number in a code.
    """
    event = layout.event
    ends = [mark.end for mark in layout.marks if mark.part not in (Part.FREE, Part.CODE)]
    marks = [mark for mark in layout.marks if ends and mark.end <= ends[-1]]
    if any(not _fits(mark, event) for mark in marks):
        return None
    cut = Cut()
    run, position, removing = "", 0, False
    groups = 0

    def end_run() -> None:
        nonlocal run, groups
        if run and not removing:
            groups += 1
            cut.kept.append(groups)
            run = f"({run})"
        cut.pattern += run.encode()
        run = ""

    for mark in marks:
        run += re.escape(event[position : mark.start])
        position = mark.end
        if mark.part is None:
            end_run()
            removing = mark.kind == "begin"
        elif mark.part is Part.OWN:
            end_run()
            groups += 1
            cut.own[groups] = not removing
            cut.pattern += f"({_STRING})".encode()
        elif mark.part is Part.CODE:
            run += re.escape(event[mark.start : mark.end])
        elif mark.kind == "string" and not removing:
            run += _STRING
        else:
            run += _NUMBER if mark.kind == "number" else mark.pattern
    end_run()
    cut.pattern += rb"([^\n]++)\n"
    return cut


def _fits(mark: Mark, event: str) -> bool:
    if mark.part is Part.OWN:
        return mark.kind == "string"
    if mark.part is Part.CODE:
        return not PHONE.search(event, mark.start, mark.end)
    return mark.part is not Part.FREE
