"""Time and peak memory of our pulls, from few events to very many."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.compare import run, sent
from benchmarks.machine import memory_bytes
from benchmarks.measuring import medians

if TYPE_CHECKING:
    from benchmarks.contenders import Entry
    from benchmarks.servers import Servers

COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
OUTPUTS = ("jsonl.zst", "parquet")
LINEAR_FROM = 100_000
"""With fewer events, what each pull costs however little it brings is seen too."""

_EVENT = 700
"""Bytes, about."""


def grown(entries: Sequence[Entry], counts: Sequence[int], folder: Path, servers: Servers) -> dict[str, Any]:
    """Figures by count, and by entry the exponent that time grows by and what memory does.

    Counts whose bytes would not stay in the kernel's cache are left out: a disk would be measured.
    """
    rows = []
    for count in counts:
        if count * _EVENT > memory_bytes() // 2:
            continue
        source = sent(folder, count, with_ids=False)
        for entry in entries:
            rounds = 3 if count <= 1_000_000 else 1
            figures = medians([run(entry, source, servers) for _ in range(rounds)])
            row = {"output": entry.output, "events": source.events, "seconds": round(figures["seconds"], 4)}
            rows.append({**row, "peak": figures["peak"], "above": figures["above"]})
            print(f"growth: {rows[-1]}", file=sys.stderr, flush=True)
        source.place.body.unlink()
    return {"rows": rows, "trends": [_trend(entry.output, rows) for entry in entries]}


def _trend(output: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    of_output = [row for row in rows if row["output"] == output]
    many = [row for row in of_output if row["events"] >= LINEAR_FROM]
    if len(many) < 2:
        return {"output": output}
    peaks = [row["peak"] for row in many]
    return {
        "output": output,
        "exponent": _exponent(many),
        "exponent of all": _exponent(of_output),
        "memory": round(max(abs(peak / peaks[0] - 1) for peak in peaks), 3),
        "above": max(row["above"] for row in of_output),
        "events": many[-1]["events"],
    }


def _exponent(rows: list[dict[str, Any]]) -> float:
    found = statistics.linear_regression(
        [math.log(row["events"]) for row in rows], [math.log(row["seconds"]) for row in rows]
    )
    return round(found.slope, 3)
