"""Makes a pattern that cuts all events of a layout, one event per line, into columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_provider_np6.privacy.detect import PHONE
from airflow_provider_np6.privacy.event_fields import FieldRole

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.fast.layouts import Layout, Mark

_STRING: Final = '[^"]*+'
"""A string; if it ends in a backslash, its end may be further on, which is checked later."""

_NUMBER: Final = "-?[0-9]++"


@dataclass(slots=True)
class Cut:
    """How lines are cut into columns.

    What is removed is between the columns. The last column, the rest, starts behind the ids, times and
    identifiers of the subject; the columns before it have no free text but codes.

    :param pattern: has one group per column.
    :param subject: the groups with identifiers, and whether a token replaces them.
    :param kept: the other groups before the rest.
    """

    pattern: bytes = b""
    subject: dict[int, bool] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)


def make_cut(layout: Layout) -> Cut | None:
    """Make the cut for events with the same layout and codes.

    :param layout: of these events.
    :return: None if there is free text before the rest, or a number that identifies the subject, or a phone
        number in a code.
    """
    event = layout.event
    ends = [mark.end for mark in layout.marks if mark.role not in (FieldRole.TEXT, FieldRole.CODE)]
    marks = [mark for mark in layout.marks if ends and mark.end <= ends[-1]]
    if any(not _is_cuttable(mark, event) for mark in marks):
        return None
    cut = Cut()
    run, position, is_removed = "", 0, False
    groups = 0

    def end_run() -> None:
        nonlocal run, groups
        if run and not is_removed:
            groups += 1
            cut.kept.append(groups)
            run = f"({run})"
        cut.pattern += run.encode()
        run = ""

    for mark in marks:
        run += re.escape(event[position : mark.start])
        position = mark.end
        if mark.role is None:
            end_run()
            is_removed = mark.type == "begin"
        elif mark.role is FieldRole.SUBJECT:
            end_run()
            groups += 1
            cut.subject[groups] = not is_removed
            cut.pattern += f"({_STRING})".encode()
        elif mark.role is FieldRole.CODE:
            run += re.escape(event[mark.start : mark.end])
        elif mark.type == "string" and not is_removed:
            run += _STRING
        else:
            run += _NUMBER if mark.type == "number" else mark.pattern
    end_run()
    cut.pattern += rb"([^\n]++)\n"
    return cut


def _is_cuttable(mark: Mark, event: str) -> bool:
    if mark.role is FieldRole.SUBJECT:
        return mark.type == "string"
    if mark.role is FieldRole.CODE:
        return not PHONE.search(event, mark.start, mark.end)
    return mark.role is not FieldRole.TEXT
