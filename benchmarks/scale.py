"""``python -m benchmarks.scale``: a pull, coverage and verification in a large destination on a local disk.

The destination is generated: each action has a manifest with one slice per event type and day, and each slice
has a data file. The data files are links to a few, so that they need no room.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.inventory import Scope
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.sandbox import FakeAccount, Sandbox

ACTION = "000PE4"
BEGIN = 20_000 * DAY
TYPES = ("bounces", "cancellations", "activations")
_LINKS = 50_000
"""Links to one file; ext4 takes 65,000."""


def generate(root: Path, actions: int, days: int, types: int, pattern: Path) -> None:
    """Copy the one slice of the destination at ``pattern`` to each action and day."""
    (path,) = pattern.glob("_manifests/*/*/*.json")
    manifest = Manifest.decode(path.read_bytes(), str(path))
    (slice_,) = manifest.slices
    data = (pattern / str(slice_.data)).read_bytes()
    linked = 0
    source = root / ".source"
    for event_type in TYPES[:types]:
        for number in range(actions):
            action = f"A{number:05}" if number else ACTION
            series = f"type={event_type}/action={action}"
            (root / "_manifests" / series).mkdir(parents=True)
            for day in range(days):
                window = Window(BEGIN + day * DAY, BEGIN + (day + 1) * DAY)
                name = f"{series}/date={window.date}/{window.stem}-e0-ab.jsonl.gz"
                part = replace(slice_, window_start=iso(window.start), window_end=iso(window.end), data=name)
                new = replace(
                    manifest, event_type=event_type, action_id=action, date=window.date, slices=(part,)
                )
                (root / "_manifests" / series / f"{window.date}.json").write_bytes(new.encode())
                if linked % _LINKS == 0:
                    source.unlink(missing_ok=True)
                    source.write_bytes(data)
                linked += 1
                target = root / name
                target.parent.mkdir(parents=True)
                os.link(source, target)
    source.unlink()


def timed(work: Callable[[], object], rounds: int = 1) -> float:
    """Seconds, the median of some rounds."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--types", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        Sandbox(FakeAccount(events_per_day=96), key="k") as sandbox,
    ):
        client = Np6Client(Np6Config(base_url=sandbox.url, api_key="k", account="scale"))

        def pull_day(root: Path, action: str, day: int) -> None:
            window = Window(BEGIN + day * DAY, BEGIN + (day + 1) * DAY)
            query = EventQuery("bounces", action, window)
            with FileDestination(str(root)).open(query, "scale", on_shrink="replace") as writer:
                writer.publish(pull(client, query, writer), is_confirmed=True)

        empty, large = Path(folder) / "empty", Path(folder) / "large"
        pull_day(empty, ACTION, 0)
        large.mkdir()
        (large / "_header.json").write_bytes((empty / "_header.json").read_bytes())
        made = timed(lambda: generate(large, options.actions, options.days, options.types, empty))
        slices = options.actions * options.days * options.types
        print(f"{slices:,} slices of {options.actions:,} actions, made in {made:.0f} s")
        destination = FileDestination(str(large))
        last = Window(BEGIN, BEGIN + options.days * DAY)
        month = Scope(Window(last.end - 30 * DAY, last.end))
        days = iter(range(options.days, 10_000))
        replaced = iter(range(options.days))
        rows = {
            "a pull into an empty destination, new day": timed(
                lambda: pull_day(empty, ACTION, next(days)), 5
            ),
            "a pull, new day": timed(lambda: pull_day(large, ACTION, next(days)), 5),
            "a pull, replacing a day": timed(lambda: pull_day(large, ACTION, next(replaced)), 5),
            "coverage of an action over all days": timed(
                lambda: destination.coverage("bounces", ACTION, iso(last.start), iso(last.end))
            ),
            "the same again": timed(
                lambda: destination.coverage("bounces", ACTION, iso(last.start), iso(last.end)), 5
            ),
            "coverage of all, over 30 days": timed(lambda: destination.stored_windows(month)),
            "verify, sizes only": timed(lambda: destination.verify(read_files=False)),
            "verify, files read": timed(destination.verify),
        }
        for name, seconds in rows.items():
            print(f"{name}: {seconds:.3f} s")


if __name__ == "__main__":
    main()
