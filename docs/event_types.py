"""The tables of event-types.md, made from the catalogue: ``python docs/event_types.py`` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_provider_np6.np6.event_types import COMMON, EVENT_TYPES, EventTypeInfo

PAGE = Path(__file__).with_name("event-types.md")

_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end -->)", re.DOTALL)
_TYPES = ("event type", "what", "one action", "all actions", "`type` in the event", "parameter")
_COLUMNS = ("event type", "columns")


def with_table(page: str) -> str:
    """``page`` with its tables as the catalogue has them now."""
    filled: dict[tuple[str, ...], list[str]] = {}
    for row in EVENT_TYPES.values():
        filled.setdefault(row.columns, []).append(row.event_type)
    lines = [
        *_table(_TYPES, map(_cells, EVENT_TYPES.values())),
        "",
        f"Events of every type fill {_code(COMMON)}. Besides these:",
        "",
        *_table(_COLUMNS, ((_code(types), _code(columns)) for columns, types in filled.items())),
    ]
    return _TABLE.sub(lambda _: "\n".join(lines) + "\n", page)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def _cells(row: EventTypeInfo) -> tuple[str, ...]:
    return (
        f"`{row.event_type}`",
        row.what,
        row.mark,
        row.all_actions,
        f"`{row.payload_type}`" if row.payload_type else "",
        "`classification`" if row.has_classification else "",
    )


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
