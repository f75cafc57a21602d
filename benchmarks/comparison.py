"""All contenders in turns, on the same bytes from one server, several rounds; every output is checked."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import outputs
from benchmarks.process import ContenderError, Figures, Job, measure
from benchmarks.source import read_ids, serve, write_body

if TYPE_CHECKING:
    from benchmarks.contenders import Contender

COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
BYTES = 700
"""Of an event, about."""


class Source:
    """A server with about so many events.

    :param folder: for the file that it sends, and for outputs.
    :param events: how many.
    :param with_ids: whether to keep their ids; not where they are too many to compare.
    """

    def __init__(self, folder: Path, events: int, *, with_ids: bool) -> None:
        body, made = folder / "body", folder / "outputs"
        made.mkdir(exist_ok=True)
        write_body(body, events)
        self.events = events
        self.ids = read_ids(body) if with_ids else None
        self.job = Job(serve(body), body, made)


def _run(contender: Contender, source: Source) -> Figures:
    """One run of one contender.

    :raises ContenderError: if its output does not hold what was sent.
    """
    outputs.clear(contender.output)
    folder, fault = source.job.folder, ""
    try:
        figures = measure(contender.run, source.job, contender.python)
        if source.ids is None:
            fault = "" if figures["events"] == source.events else f"{figures['events']:,} events"
        elif contender.holds:
            fault = outputs.find_fault(contender.holds, folder, source.ids)
    finally:
        clear_folder(folder)
    if fault:
        raise ContenderError(fault)
    print(f"{contender.output}, {contender.way}: {figures}", file=sys.stderr, flush=True)
    return figures


def clear_folder(folder: Path) -> None:
    """Remove what is in it."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def compare(contenders: Sequence[Contender], source: Source, rounds: int) -> dict[str, Any]:
    """Medians of some rounds.

    :param contenders: those that take turns, the slow ones in every other round; one that fails is void, and
        runs no further.
    :param source: of the events.
    :param rounds: how many.
    """
    runs: dict[Contender, list[Figures]] = {contender: [] for contender in contenders}
    void: dict[Contender, str] = {}
    for number in range(rounds):
        for contender in contenders:
            if contender in void or (number % 2 and contender.is_slow):
                continue
            try:
                runs[contender].append(_run(contender, source))
            except ContenderError as error:
                void[contender] = str(error)[-300:]
                print(f"{contender.output}, {contender.way}: void: {error}", file=sys.stderr, flush=True)
    ways = [
        {"output": contender.output, "way": contender.way}
        | ({"void": void[contender]} if contender in void else _medians(runs[contender], source))
        for contender in contenders
    ]
    return {"events": source.events, "bytes": source.job.body.stat().st_size, "ways": ways}


def _medians(runs: list[Figures], source: Source) -> dict[str, Any]:
    medians: dict[str, Any] = {"events": source.events, "rounds": len(runs)}
    for name in ("seconds", "peak", "above", "publish"):
        if name in runs[0]:
            medians[name] = round(statistics.median(run[name] for run in runs), 4)
    return medians


def measure_growth(contenders: Sequence[Contender], largest: int, folder: Path) -> list[dict[str, Any]]:
    """Time and peak memory of our pulls, from few events to very many.

    Counts whose bytes would not stay in the kernel's cache are left out: a disk would be measured.
    """
    rows = []
    for count in COUNTS:
        if count <= largest and count * BYTES < psutil.virtual_memory().total // 2:
            source = Source(folder, count, with_ids=False)
            for contender in contenders:
                runs = [_run(contender, source) for _ in range(3 if count <= 1_000_000 else 1)]
                rows.append({"output": contender.output, **_medians(runs, source)})
    return rows
