"""The results as Markdown, between the two marks of ``docs/performance.md``, and as a chart."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from benchmarks.contenders import BY_HAND, DLT, OURS

_MARKED = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end -->)", re.DOTALL)
_TITLES = {"parquet": "Parquet", "postgres": "PostgreSQL", "s3": "S3", "xcom": "XCom"}

Row = dict[str, Any]
Goal = tuple[str, str, float | None, float | None, float | None]
"""What, its unit, the figure (None: not measured), and the least and most that are wanted."""


def update_page(page: str, results: Row) -> str:
    """``page`` with the figures of ``results``."""
    return _MARKED.sub(lambda _: format_figures(results), page)


def format_figures(results: Row) -> str:
    """All tables."""
    contenders = (row for row in results["ways"] if row["output"] != "promises")
    head = "into | way | >events | >s | >events/s | >ours / this | >peak MB | >above imports | >runs"
    parts = [
        _machine(results),
        _table(head, (_contender(row, results) for row in contenders)),
        "![Events per second, by output and way](performance.svg)",
        "### Goals",
        _table("what | >wanted | >reached | met", map(_goal, goals(results))),
        "### What each promise costs",
        _table("into plain lines | >s | >adds s | >peak MB", _promises(results)),
    ]
    if "growth" in results:
        growth = sorted(results["growth"], key=lambda row: (row["output"], row["events"]))
        head = "into | >events | >s | >events/s | >peak MB | >above imports"
        parts += ["### Growth", _table(head, ((_title(row["output"]), *_figures(row)) for row in growth))]
    return "\n\n".join(parts) + "\n"


def _title(output: str) -> str:
    return _TITLES.get(output, output)


def _find(results: Row, output: str, way: str) -> Row | None:
    """The row of a way, which is found by how its name begins; None if it was not measured, or is void."""
    for row in results["ways"]:
        if row["output"] == output and row["way"].startswith(way) and "void" not in row:
            return {**row, "rate": row["events"] / row["seconds"]}
    return None


def _ratio(results: Row, output: str, way: str, other: str) -> float | None:
    """How many times as fast as ``other`` ``way`` is."""
    row, other_row = _find(results, output, way), _find(results, output, other)
    return row["rate"] / other_row["rate"] if row and other_row else None


_RATIOS = (
    # output, what may be faster, than what, its name, least, most
    ("jsonl", OURS, BY_HAND, "times as fast as by hand", 14, None),
    ("jsonl.zst", OURS, BY_HAND, "times as fast as by hand", 12, None),
    ("jsonl.gz", OURS, BY_HAND, "times as fast as by hand", 14, None),
    ("parquet", OURS, BY_HAND, "times as fast as by hand", 8, None),
    ("postgres", OURS, BY_HAND, "times as fast as by hand", 3, None),
    ("jsonl", OURS, DLT, "times as fast as dlt", 25, None),
    ("parquet", OURS, DLT, "times as fast as dlt", 10, None),
    ("postgres", OURS, DLT, "times as fast as dlt", 5, None),
    ("jsonl.zst", "floor: curl", OURS, "in times of curl, zstd -1", None, 1.2),
    ("parquet", "floor: DuckDB", OURS, "in times of DuckDB from a local file", None, 1.5),
    ("postgres", "floor: COPY", OURS, "the whole in times of a bare COPY", None, 2),
)


def goals(results: Row) -> Iterator[Goal]:
    """What was aimed at, beside what was reached."""
    for output, way, other, name, least, most in _RATIOS:
        yield f"{_title(output)}: {name}", "times", _ratio(results, output, way, other), least, most
    ours, copy = _find(results, "postgres", OURS), _find(results, "postgres", "floor: COPY")
    load = ours["publish"] / copy["seconds"] if ours and copy else None
    yield "PostgreSQL: the load in times of a bare COPY", "times", load, None, 1.25
    for output, megabytes in {"jsonl.zst": 120, "parquet": 250}.items():
        rows = [row for row in results.get("growth", ()) if row["output"] == output]
        # With fewer events, the fixed cost of each pull shows too.
        many = [row for row in rows if row["events"] >= 100_000]
        exponent = change = None
        if len(many) > 1:
            logs = ([math.log(row[name]) for row in many] for name in ("events", "seconds"))
            exponent = statistics.linear_regression(*logs).slope
            change = max(abs(row["peak"] / many[0]["peak"] - 1) for row in many) * 100
        above = max((row["above"] for row in rows), default=None)
        yield f"{_title(output)}: exponent of time, from 100,000 events", "", exponent, 0.97, 1.03
        yield f"{_title(output)}: peak memory, from 100,000 events, changes by", "%", change, None, 10
        yield f"{_title(output)}: peak memory above imports", "MB", above, None, megabytes
    yield "a DAG file with the operator, beyond BaseOperator", "ms", results.get("importing"), None, 30


def _goal(goal: Goal) -> tuple[str, ...]:
    what, unit, value, least, most = goal
    is_plain = unit in ("times", "")
    suffix = "" if is_plain else "%" if unit == "%" else f" {unit}"
    sign = "" if least and most else "≥ " if least else "≤ "
    wanted = f"{sign}{' to '.join(f'{bound:g}' for bound in (least, most) if bound)}{suffix}"
    if value is None:
        return what, wanted, "not measured", ""
    is_met = (least or value) <= value <= (most or value)
    digits = ".0f" if not is_plain else ".2f" if value < 10 else ".1f"
    return what, wanted, f"{value:{digits}}{suffix}", "yes" if is_met else "no"


def _table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """Columns whose names begin with ``>`` are figures."""
    names = head.split(" | ")
    lines = [[name.lstrip(">") for name in names], ["---:" if name[:1] == ">" else "---" for name in names]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [*lines, *map(list, rows)])


def _machine(results: Row) -> str:
    text = (
        "Measured on {date}: {machine[cores]}, {machine[memory]}, {machine[system]},"
        " Python {machine[Python]}.\nVersions: airflow-provider-np6 {version}, {machine[versions]}."
    )
    if results["machine"]["peers"]:
        text += "\nPeers, in an environment of their own: {machine[peers]}."
    text += "\n{events:,} bounces, {megabytes:,.0f} MB, from one server on loopback."
    if results["machine"]["busy"]:
        text += "\nIt was busy with other work: these figures only show that everything runs."
    return text.format(**results, megabytes=results["bytes"] / 1e6)


def _contender(row: Row, results: Row) -> tuple[str, ...]:
    title, way = _title(row["output"]), row["way"]
    if "void" in row:
        reason = " ".join(row["void"].replace("|", "/").split())
        return title, way, "", f"void: {reason[-100:]}", *[""] * 5
    ratio = _ratio(results, row["output"], OURS, way)
    events, *rate, peak, above = _figures(row)
    times = f"{ratio:.1f}" if ratio and way != OURS else ""
    memory = ("", "") if "curl" in way else (peak, above)
    return title, way, events, *rate, times, *memory, str(row["rounds"])


def _figures(row: Row) -> list[str]:
    """Events, seconds, events per second, peak memory, and that above imports."""
    rate = row["events"] / row["seconds"]
    memory = (f"{row[name]:.0f}" for name in ("peak", "above"))
    return [f"{row['events']:,}", f"{row['seconds']:.2f}", f"{rate:,.0f}", *memory]


def _promises(results: Row) -> Iterator[tuple[str, ...]]:
    seconds: dict[int, float] = {}
    for number, (what, output, way, before) in enumerate((
        ("the bytes read, and dropped", "promises", "read", -1),
        ("+ complete, each once: every event verified", "promises", "verified and", 0),
        ("+ its line in a file", "promises", "verified, straight", 1),
        ("+ all or nothing: spool, sha256, manifest, publication", "jsonl", OURS, 2),
        ('`personal_data="drop"` instead of "keep"', "jsonl, drop", OURS, 3),
        ('`personal_data="pseudonymize"` instead of "keep"', "jsonl, pseudonymize", OURS, 3),
    )):  # fmt: skip
        if row := _find(results, output, way):
            seconds[number] = row["seconds"]
            adds = f"{row['seconds'] - seconds[before]:+.2f}" if before in seconds else ""
            yield what, f"{row['seconds']:.2f}", adds, f"{row['peak']:.0f}"


_CHARTED = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "postgres", "s3")
_WIDTH, _NAMES = 840, 250
"""Pixels: of all; for the names of ways, and nearly as many for the text after the longest bar."""


def draw_chart(results: Row) -> str:
    """An SVG: one bar per way, as long as its events per second."""
    rows = [{**row, "rate": row["events"] / row["seconds"]} for row in results["ways"] if "void" not in row]
    rows = [row for row in rows if row["output"] in _CHARTED]
    rows.sort(key=lambda row: (_CHARTED.index(row["output"]), -row["rate"]))
    scale = (_WIDTH - 2 * _NAMES + 30) / max((row["rate"] for row in rows), default=1.0)
    marks = [
        _text(16, 26, f"Events per second, {results['events']:,} bounces", 'font-size="16"'),
        _text(16, 46, f"and peak memory; {results['machine']['cores']}; hollow: a floor", 'fill="#555"'),
    ]
    y, output = 50, "jsonl"
    for row in rows:
        y += 20 if row["output"] == output else 34
        output = row["output"]
        marks += _bar(row, y, row["rate"] * scale)
    size = f'width="{_WIDTH}" height="{y + 34}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect {size} fill="#ffffff"/>', *marks, "</svg>\n"])


def _bar(row: Row, y: int, width: float) -> Iterator[str]:
    is_floor = row["way"].startswith("floor")
    fill = "#0b6e99" if row["way"] == OURS else "#ffffff" if is_floor else "#9aa5ad"
    stroke = "#9aa5ad" if is_floor else "none"
    yield _text(_NAMES - 8, y + 11, f"{_title(row['output'])} · {row['way']}", 'text-anchor="end"')
    yield f'<rect x="{_NAMES}" y="{y}" width="{width:.1f}" height="14" fill="{fill}" stroke="{stroke}"/>'
    memory = "" if "curl" in row["way"] else f", {row['peak']:,.0f} MB"
    yield _text(_NAMES + width + 8, y + 11, f"{row['rate']:,.0f}/s{memory}", "")


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
