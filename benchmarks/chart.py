"""The results as a chart: one bar a way, as long as its events a second, below what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from benchmarks.contenders import OURS
from benchmarks.goals import title

CHARTED = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "postgres", "s3")

_WIDTH = 840
_NAMES = 210
"""Pixels for the names of ways, and as many again for what stands behind the longest bar."""

_BAR, _STEP, _GAP, _TOP = 14, 20, 14, 66
_STYLE = 'font-family="system-ui, sans-serif" font-size="12" fill="#222"'
_OURS, _OTHERS, _FLOOR = "#0b6e99", "#9aa5ad", "#ffffff"


def drawn(results: dict[str, Any]) -> str:
    """An SVG."""
    rows = [row for row in results["ways"] if "void" not in row and row["output"] in CHARTED]
    groups = {output: [row for row in rows if row["output"] == output] for output in CHARTED}
    groups = {output: found for output, found in groups.items() if found}
    most = max((_rate(row) for row in rows), default=1.0)
    y, marks = _TOP, []
    for output, found in groups.items():
        marks.append(_text(16, y + 11, title(output), 'font-weight="600"'))
        y += _STEP
        for row in sorted(found, key=_rate, reverse=True):
            marks += _bar(row, y, _rate(row) / most, all_of_them=row["events"] == results["events"])
            y += _STEP
        y += _GAP
    size = f'width="{_WIDTH}" height="{y}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {y}" {_STYLE}>',
        f'<rect {size} fill="#ffffff"/>',
        _text(16, 26, f"Events a second, {results['events']:,} bounces", 'font-size="16" font-weight="600"'),
        _text(16, 46, f"and peak memory; {results['machine']['cores']}; hollow: a floor", 'fill="#555"'),
    ]
    return "\n".join([*head, *marks, "</svg>"]) + "\n"


def _rate(row: dict[str, Any]) -> float:
    return float(row["events"] / row["seconds"])


def _bar(row: dict[str, Any], y: int, share: float, *, all_of_them: bool) -> Iterator[str]:
    floor = row["way"].startswith("floor")
    colour = _OURS if row["way"] == OURS else _FLOOR if floor else _OTHERS
    width = max(1.0, share * (_WIDTH - 2 * _NAMES))
    edge = f'stroke="{_OTHERS}"' if floor else 'stroke="none"'
    yield _text(_NAMES - 8, y + 11, row["way"], 'text-anchor="end"')
    yield f'<rect x="{_NAMES}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}" {edge}/>'
    memory = "" if "curl" in row["way"] else f", {row['peak']:,.0f} MB"
    fewer = "" if all_of_them else f" for {row['events']:,}"
    yield _text(_NAMES + width + 8, y + 11, f"{_rate(row):,.0f}/s{memory}{fewer}", "")


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
