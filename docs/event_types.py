"""The table of event-types.md, made from the catalogue: ``python docs/event_types.py`` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_np6.np6.catalogue import CATALOGUE, COMMON, CatalogueRow

PAGE = Path(__file__).with_name("event-types.md")

_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end -->)", re.DOTALL)
_HEAD = ("event type", "what", "one action", "all actions", "`type` in the event", "parameter", "columns")


def with_table(page: str) -> str:
    """``page`` with its table as the catalogue has it now."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_cells, CATALOGUE.values())]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", f"Events of every type fill {_code(COMMON)}."]
    return _TABLE.sub(lambda _: "\n".join(lines) + "\n", page)


def _cells(row: CatalogueRow) -> tuple[str, ...]:
    return (
        f"`{row.event_type}`",
        row.what,
        row.mark,
        row.all_actions,
        f"`{row.payload_type}`" if row.payload_type else "",
        "`classification`" if row.classified else "",
        _code(row.columns),
    )


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
