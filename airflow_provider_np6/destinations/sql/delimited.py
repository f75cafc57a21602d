"""Rows as text for databases that load such text in bulk: CSV with control characters as its marks.

JSON has no control characters but as escapes, so that events need no quoting at all: quote, delimiter
and the mark of NULL never occur in a payload, and in other columns only where an escape was decoded.
"""

from __future__ import annotations

from collections.abc import Sequence

QUOTE, DELIMITER = "\x01", "\x02"


def delimited(columns: Sequence[Sequence[str | None]], *, escapes: bool) -> bytes:
    """Rows, each ended by a newline; a value without quotes is NULL.

    :param columns: the values, column by column; at least one row.
    :param escapes: whether a value may have control characters; then each one is checked.
    """
    if escapes:
        rows = zip(*columns, strict=True)
        return "".join(DELIMITER.join(map(_quoted, row)) + "\n" for row in rows).encode()
    # What is the same in all rows goes into a template, and the rest is put into its gaps.
    count = len(columns[0])
    parts: list[str] = []
    varying: list[Sequence[str]] = []
    for values in columns:
        if values.count(values[0]) == count:
            parts.append(_quoted(values[0]).replace("%", "%%"))
        elif None in values:
            parts.append("%s")
            varying.append(["" if value is None else f"{QUOTE}{value}{QUOTE}" for value in values])
        else:
            parts.append(f"{QUOTE}%s{QUOTE}")
            varying.append(values)  # type: ignore[arg-type]
    row = DELIMITER.join(parts) + "\n"
    gaps = zip(*varying, strict=True) if varying else [()] * count
    return "".join(map(row.__mod__, gaps)).encode()


def _quoted(value: str | None) -> str:
    """A value between quotes; neither database takes a NUL, so such a one stays in the payload alone."""
    if value is None or "\0" in value:
        return ""
    return f"{QUOTE}{value.replace(QUOTE, QUOTE * 2)}{QUOTE}"
