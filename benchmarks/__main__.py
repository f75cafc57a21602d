"""``python -m benchmarks``: measures everything, and writes ``docs/performance.md`` and its chart.

Ends with 1 if a contender failed, or did not write every event once. ``--render`` measures nothing and
writes page and chart from the stored ``performance.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_np6 import __version__
from benchmarks.contenders import CONTENDERS, OURS, OUTPUTS, PEERS, Contender
from benchmarks.process import ROOT, Job, measure
from benchmarks.report import draw_chart, format_figures, update_page

VERSIONS = ("apache-airflow", "msgspec", "requests", "pyarrow", "duckdb", "apache-airflow-providers-http")
PEER_VERSIONS = ("dlt", "airbyte-cdk", "pandas", "pyarrow")

GROWING = ("jsonl.zst", "parquet")
IMPORTS = 9

BUSY = 2
"""Load per core, from other work, that no figure survives; making environments leaves less behind."""


def describe_machine() -> dict[str, Any]:
    """Cores, memory, system, and versions of all that runs; to be called before anything is measured."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    linux = platform.release().partition("-")[0]
    return {
        "cores": f"{cores} x {cpu[1] if cpu else platform.machine()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {linux}",
        "busy": load > BUSY * cores,
        "Python": platform.python_version(),
        "versions": _versions(VERSIONS, sys.path),
        "peers": _versions(PEER_VERSIONS, map(str, PEERS.parents[1].glob("lib/*/site-packages"))),
    }


def _versions(names: tuple[str, ...], path: Any) -> str:
    installed = {distribution.name: distribution.version for distribution in distributions(path=list(path))}
    return ", ".join(f"{name} {installed[name]}" for name in names if name in installed)


def measure_all(options: argparse.Namespace, contenders: list[Contender], folder: Path) -> dict[str, Any]:
    """Figures of everything that the options select."""
    from benchmarks.comparison import Source, compare, measure_growth
    from benchmarks.outputs import start_servers

    results: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "version": __version__}
    results["machine"] = describe_machine()
    with start_servers({contender.output for contender in contenders}, folder):
        if options.largest:
            ours = [one for one in contenders if one.way == OURS and one.output in GROWING]
            results["growth"] = measure_growth(ours, options.largest, folder)
            imports = [measure("ours import_operator", Job("", folder, folder)) for _ in range(IMPORTS)]
            results["importing"] = round(statistics.median(run["seconds"] for run in imports) * 1_000, 1)
        source = Source(folder, options.events, with_ids=True)
        return results | compare(contenders, source, options.rounds)


def write(results: dict[str, Any], docs: Path) -> None:
    """The results, the page and its chart, into a folder."""
    page = docs / "performance.md"
    (docs / "performance.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (docs / "performance.svg").write_text(draw_chart(results))
    page.write_text(update_page(page.read_text(), results))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=500_000, help="bounces (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="slow ways run in every other (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=OUTPUTS, default=OUTPUTS, help="outputs to measure")
    largest_help = "events up to which growth is measured (%(default)s); 0 leaves out import time too"
    parser.add_argument("--largest", type=int, default=10_000_000, help=largest_help)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of performance.md")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if options.render:
        write(json.loads((options.docs / "performance.json").read_text()), options.docs)
        return 0
    selected = [contender for contender in CONTENDERS if contender.output in options.only]
    for contender in selected:
        if contender.missing:
            print(f"{contender.output}, {contender.way}: no {contender.missing}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="np6-bench-") as name:
        results = measure_all(options, [one for one in selected if not one.missing], Path(name))
    write(results, options.docs)
    print(format_figures(results))
    return int(any("void" in row for row in results["ways"]))


if __name__ == "__main__":
    sys.exit(main())
