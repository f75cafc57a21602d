"""Ours beside what people write by hand, and beside the floors: the same bytes, from one server, in turns.

``python -m benchmarks.compare [--events 500000] [--rounds 3] [--only jsonl.zst …]`` prints a table of
medians, and fails where ours misses its goals. ``--growth`` measures ours alone, from few events to many.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.measuring import Figures, Place, measured, medians
from benchmarks.source import drain, serve, write_body

OUTPUTS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "postgres")
GOALS = {"jsonl.zst": 10.0, "parquet": 5.0, "postgres": 3.0}
"""How many times as fast as by hand each must be: files against plain lines, the table against itself."""

SPREAD = 0.10
"""Share by which peak memory may grow from the fewest events to the most."""


def empty_tables() -> None:
    """The tables as a first pull would make them, and nothing dead in them."""
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations.database import Database

    hook: Any = BaseHook.get_hook("bench")
    database = Database(hook, None, "np6_events")
    with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
        for table in (database.events, database.windows, database.quarantine):
            cursor.execute(f"DROP TABLE IF EXISTS {table.quoted}")
            for statement in table.creation:
                cursor.execute(statement)
        connection.commit()
        connection.autocommit = True
        cursor.execute("CHECKPOINT")  # what an earlier run left to be written costs this one nothing


def run(module: str, name: str, place: Place) -> Figures:
    if name in ("postgres", "copy"):
        empty_tables()
    figures = measured(module, name, place)
    for path in place.folder.iterdir():
        if path.name not in (place.body.name, "prepared"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return figures


def compare(place: Place, rounds: int, only: list[str]) -> dict[tuple[str, str], Figures]:
    """Medians by module and name; what takes long runs in every other round."""
    turns = [("floors", "curl"), ("floors", "curl | zstd -1"), ("by_hand", "jsonl")]
    turns += [("ours", name) for name in only]
    turns += [
        ("ours", f"{name}, {mode}")
        for name in only
        for mode in ("pseudonymize", "drop")
        if name in ("jsonl", "jsonl.gz")
    ]
    turns += [("by_hand", name) for name in only if name in ("jsonl.gz", "jsonl.zst", "postgres")]
    turns += [("floors", "copy")] if "postgres" in only else []
    runs: dict[tuple[str, str], list[Figures]] = {turn: [] for turn in turns}
    for number in range(rounds):
        for module, name in turns:
            if module == "by_hand" and number % 2:
                continue
            runs[module, name].append(run(module, name, place))
            print(
                f"round {number + 1}: {module} {name} {runs[module, name][-1]}", file=sys.stderr, flush=True
            )
    return {turn: medians(found) for turn, found in runs.items()}


def show(found: dict[tuple[str, str], Figures], events: int, drained: float) -> None:
    lines = found["by_hand", "jsonl"]["seconds"]
    print(f"| {events:,} bounces into | way | s | events/s | by hand / this | peak MB | above imports |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for (module, name), figures in sorted(found.items(), key=lambda item: (item[0][1], item[0][0])):
        s = figures["seconds"]
        memory = f"{figures['peak']:.0f} | {figures['above']:.0f}" if module != "floors" else " | "
        way = module.replace("_", " ")
        print(f"| {name} | {way} | {s:.2f} | {events / s:,.0f} | {lines / s:.1f} | {memory} |")
    print(f"\nThe server itself needs {drained:.2f} s.")


def goals(found: dict[tuple[str, str], Figures], only: list[str]) -> bool:
    """Whether ours is as fast as it must be; says so."""
    met = True
    for name in set(only) & set(GOALS):
        hand = found["by_hand", "postgres" if name == "postgres" else "jsonl"]["seconds"]
        times = hand / found["ours", name]["seconds"]
        met &= times >= GOALS[name]
        print(f"{name}: {times:.1f} times as fast as by hand, wanted {GOALS[name]:g}")
    if "postgres" in only:
        ours, bare = found["ours", "postgres"], found["floors", "copy"]["seconds"]
        whole, load = ours["seconds"] / bare, ours["load"] / bare
        met &= whole <= 2 and load <= 1.25
        print(
            f"postgres: the whole {whole:.2f} times a bare COPY, wanted 2; its load {load:.2f}, wanted 1.25"
        )
    return met


def growth(folder: Path, counts: list[int], only: list[str]) -> bool:
    """Time and peak memory of ours from few events to many; whether one is linear and the other flat."""
    met = True
    print("| into | events | s | peak MB | above imports |\n| --- | ---: | ---: | ---: | ---: |")
    runs: dict[str, list[tuple[int, Figures]]] = {name: [] for name in only}
    for count in counts:
        body = folder / "body"
        write_body(body, count)
        place = Place(serve(body), body, folder)
        for name in only:
            figures = medians([run("ours", name, place) for _ in range(3 if count < 1_000_000 else 1)])
            runs[name].append((count, figures))
            row = f"{figures['seconds']:.2f} | {figures['peak']:.0f} | {figures['above']:.0f}"
            print(f"| {name} | {count:,} | {row} |", flush=True)
    for name, found in runs.items():
        slope = statistics.linear_regression(
            [math.log(count) for count, _ in found], [math.log(figures["seconds"]) for _, figures in found]
        ).slope
        grown = found[-1][1]["peak"] / found[0][1]["peak"] - 1
        print(f"{name}: log-log slope {slope:.3f}, peak memory {grown:+.1%}")
        met &= grown <= SPREAD
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=500_001, help="bounces (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", choices=OUTPUTS, default=list(OUTPUTS), help="outputs to look at"
    )
    parser.add_argument("--growth", nargs="+", type=int, metavar="N", help="event counts to measure ours at")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="np6-bench-")))
        if "postgres" in given.only:
            from tests.postgres import Postgres

            server = stack.enter_context(Postgres())
            os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(server.database())
        if given.growth:
            return int(not growth(folder, given.growth, given.only))
        body = folder / "body"
        write_body(body, given.events)
        place = Place(serve(body), body, folder)
        drained = statistics.median(drain(place.port) for _ in range(3))
        found = compare(place, given.rounds, given.only)
        show(found, given.events, drained)
        return int(not goals(found, given.only))


if __name__ == "__main__":
    sys.exit(main())
