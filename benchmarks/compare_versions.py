"""``python -m benchmarks.compare_versions BEFORE``: the pulls of this checkout beside those of another.

Both run the operator on the same response, in turns. Figures are medians; data is compared with its sha256.
On a busy machine CPU seconds say more than seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import outputs
from benchmarks.comparison import Source, clear_folder
from benchmarks.ours import import_operator
from benchmarks.process import ROOT, Figures, Job, measure

WAYS = (
    "import_dag {}",
    *(f"pull {{}} {name}" for name in ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "postgres")),
)
QUERY = "SELECT event_id, occurred_at, payload FROM np6_events ORDER BY event_id"


def import_dag(job: Job, checkout: str) -> Iterator[Any]:
    sys.path.insert(0, checkout)
    yield from import_operator(job)


def pull(job: Job, checkout: str, output: str) -> Iterator[Any]:
    sys.path.insert(0, checkout)
    connection = {"conn_type": "np6", "host": job.url, "password": "key"}
    os.environ["AIRFLOW_CONN_NP6_DEFAULT"] = json.dumps(connection)
    import pyarrow.parquet  # noqa: F401 - loaded before the clock runs
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations import FileDestination, SqlDestination
    from airflow_provider_np6.operators.events import Np6EventsOperator

    BaseHook.get_hook("bench")
    sql, files = SqlDestination("bench"), FileDestination(str(job.folder), output)
    operator: Any = Np6EventsOperator(
        task_id="operator", event_type="bounces", action_id="000PE4", window_start="2024-10-04",
        window_end="2024-10-05", destination=sql if output == "postgres" else files,
    )  # fmt: skip
    yield
    yield {"events": operator.execute({})["events"]}


def _run(way: str, source: Source) -> Figures:
    """One run; ``sha256`` is that of its data."""
    outputs.clear("postgres")
    try:
        figures = measure(f"compare_versions {way}", source.job)
        digest = hashlib.sha256()
        for path in sorted(source.job.folder.glob("type=*/**/*.*")):
            digest.update(path.read_bytes())
        if way.endswith(" postgres"):
            digest.update(repr(outputs.select(QUERY)).encode())
        return {**figures, "sha256": digest.hexdigest()}
    finally:
        clear_folder(source.job.folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, help="folder of the other checkout")
    parser.add_argument("--events", type=int, default=500_000, help="bounces (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (%(default)s)")
    options = parser.parse_args()
    print("|  | s before | s | ratio | CPU s before | CPU s | ratio | peak MB before | MB | ratio | data |")
    print("| --- |" + " ---: |" * 9 + " --- |")
    with tempfile.TemporaryDirectory() as name, outputs.start_servers({"postgres"}, Path(name)):
        source = Source(Path(name), options.events, with_ids=False)
        for way in WAYS:
            runs: dict[Path, list[Figures]] = {options.before.resolve(): [], ROOT: []}
            for _ in range(options.rounds):
                for checkout, figures in runs.items():
                    figures.append(_run(way.format(checkout), source))
            print(f"| {way.replace(' {}', '')} | {_row(*runs.values())} |", flush=True)


def _row(before: list[Figures], after: list[Figures]) -> str:
    cells = []
    for name, digits in (("seconds", ".3f"), ("cpu", ".3f"), ("peak", ".0f")):
        old, new = (statistics.median(run[name] for run in runs) for runs in (before, after))
        cells += [f"{old:{digits}}", f"{new:{digits}}", f"{new / old:.2f}"]
    is_equal = len({run["sha256"] for run in before + after}) == 1
    return " | ".join([*cells, "equal" if is_equal else "differs"])


if __name__ == "__main__":
    main()
