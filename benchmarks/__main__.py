"""``python -m benchmarks``: everything measured, and ``docs/performance.md`` and its chart written from it.

Ends with 1 where a contender failed, or did not bring every event once. ``--render`` measures nothing and
writes page and chart from the stored ``performance.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_np6 import __version__
from benchmarks.chart import drawn
from benchmarks.contenders import ENTRIES, OURS, OUTPUTS, Entry
from benchmarks.measuring import ROOT
from benchmarks.rendering import figures, with_figures

DOCS = ROOT / "docs"


def measured(given: argparse.Namespace, entries: Sequence[Entry], folder: Path) -> dict[str, Any]:
    """Figures of all that is asked for."""
    from benchmarks import growth, overheads
    from benchmarks.compare import Comparison
    from benchmarks.machine import described
    from benchmarks.requests_sent import backfill
    from benchmarks.servers import Servers

    outputs = {entry.output for entry in entries}
    results: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "version": __version__}
    results["machine"] = described()
    with Servers(postgres="postgres" in outputs, s3="s3" in outputs) as servers:
        if given.largest:
            counts = [count for count in growth.COUNTS if count <= given.largest]
            ours = [entry for entry in entries if entry.way == OURS and entry.output in growth.OUTPUTS]
            results["growth"] = growth.grown(ours, counts, folder, servers)
            results["importing"] = overheads.importing()
            results["mapped"] = overheads.mapped(folder / "airflow")
            results["backfill"] = backfill()
        comparison = Comparison(entries, given.events, folder, servers)
        comparison.rounds(given.rounds, given.minutes * 60)
        comparison.check_linear()
        results |= comparison.results()
    return results


def write(results: dict[str, Any], docs: Path) -> None:
    """The results, the page and its chart, into a folder."""
    page = docs / "performance.md"
    (docs / "performance.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (docs / "performance.svg").write_text(drawn(results))
    page.write_text(with_figures(page.read_text(), results))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=500_000, help="bounces (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="at most; slow ways in half (%(default)s)")
    parser.add_argument("--minutes", type=float, default=13, help="for all rounds (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=OUTPUTS, default=OUTPUTS, help="outputs to look at")
    parser.add_argument(
        "--largest",
        type=int,
        default=10_000_000,
        help="events up to which growth is measured (%(default)s); 0 leaves out what is around a pull too",
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of performance.md (%(default)s)")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    given = parser.parse_args()
    if given.render:
        write(json.loads((given.docs / "performance.json").read_text()), given.docs)
        return 0
    entries = [entry for entry in ENTRIES if entry.output in given.only and not entry.lacks]
    for entry in ENTRIES:
        if entry.output in given.only and entry.lacks:
            print(f"{entry.output}, {entry.way}: left out: {entry.lacks}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="np6-bench-") as made:
        folder = Path(made)
        os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
        results = measured(given, entries, folder)
    write(results, given.docs)
    print(figures(results))
    return int(any("void" in row for row in results["ways"]))


if __name__ == "__main__":
    sys.exit(main())
