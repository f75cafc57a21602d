"""All contenders in turns, on the same bytes from one server, several rounds; what each made is looked at."""

from __future__ import annotations

import math
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import outputs
from benchmarks.measuring import FailedError, Figures, Place, measured, medians
from benchmarks.ours import PREPARED
from benchmarks.source import drain, ids_in, serve, write_body

if TYPE_CHECKING:
    from benchmarks.contenders import Entry
    from benchmarks.servers import Servers


@dataclass(frozen=True)
class Sent:
    """A server and all that it sends.

    :param events: how many.
    :param ids: of each; None where they are too many to compare.
    """

    place: Place
    events: int
    ids: set[str] | None


class VoidError(Exception):
    """A contender failed, or lost, doubled or invented events."""


def sent(folder: Path, events: int, *, with_ids: bool = True) -> Sent:
    """A server of about so many events."""
    body, made = folder / f"body-{events}", folder / "made"
    made.mkdir(exist_ok=True)
    written = write_body(body, events)
    return Sent(Place(serve(body), body, made), written, ids_in(body) if with_ids else None)


def run(entry: Entry, source: Sent, servers: Servers) -> Figures:
    """One run of one contender.

    :raises VoidError: if what it made is not what was sent.
    """
    servers.empty(entry.output)
    try:
        figures = measured(entry.module, entry.name, source.place, entry.python)
        if source.ids is not None:
            fault = outputs.fault(entry, source.place.folder, servers, source.ids)
        else:
            fault = None if figures["events"] == source.events else f"{figures['events']:,} events"
    except FailedError as error:
        fault = str(error)
    finally:
        empty(source.place.folder)
    if fault:
        raise VoidError(fault)
    return figures


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != PREPARED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


class Comparison:
    """Runs of the entries, and what came of them.

    :param events: bounces that are sent to all but those that get a share.
    """

    def __init__(self, entries: Sequence[Entry], events: int, folder: Path, servers: Servers) -> None:
        self._servers = servers
        self._sources = {
            share: sent(folder, events // share) for share in sorted({1} | {entry.share for entry in entries})
        }
        self._folder = folder
        self.runs: dict[Entry, list[Figures]] = {entry: [] for entry in entries}
        self.void: dict[Entry, str] = {}
        self.exponents: dict[Entry, float] = {}
        self._drained: list[float] = []

    def rounds(self, most: int, seconds: float) -> None:
        """As many rounds as end within ``seconds``, but one at least and ``most`` at most."""
        begun = time.monotonic()
        taken: list[float] = []
        for number in range(most):
            started = time.monotonic()
            expected = sum(taken[-2:-1] or taken)  # as the last round but one, with or without the slow
            if started + expected > begun + seconds:
                break
            self._round(number)
            taken.append(time.monotonic() - started)

    def _round(self, number: int) -> None:
        """Each entry once; the slow ones in every other round."""
        self._drained += [drain(self._sources[1].place.port) for _ in range(3)]
        for entry in self.runs:
            if (entry.slow and number % 2) or entry in self.void:
                continue
            figures = self._run(entry, self._sources[entry.share])
            if figures:
                self.runs[entry].append(figures)
                told = f"{figures['seconds']:.2f} s, peak {figures['peak']:.0f} MB"
                print(f"round {number + 1}: {entry.output}, {entry.way}: {told}", file=sys.stderr, flush=True)

    def check_linear(self) -> None:
        """The exponent by which time grows for those that get a share: from half of it to the whole."""
        for share in {entry.share for entry in self.runs} - {1}:
            count = self._sources[share].events
            half = sent(self._folder, count // 2)
            for entry in self.runs:
                figures = self._run(entry, half) if entry.share == share and self.runs[entry] else None
                if figures:
                    growth = math.log(medians(self.runs[entry])["seconds"] / figures["seconds"])
                    self.exponents[entry] = growth / math.log(count / half.events)

    def _run(self, entry: Entry, source: Sent) -> Figures | None:
        """None where it is void, from then on."""
        try:
            return run(entry, source, self._servers)
        except VoidError as error:
            self.void[entry] = str(error)
            print(f"{entry.output}, {entry.way}: void: {error}", file=sys.stderr, flush=True)
            return None

    def results(self) -> dict[str, Any]:
        """All of it, for JSON."""
        source = self._sources[1]
        return {
            "events": source.events,
            "bytes": source.place.body.stat().st_size,
            "drained": round(statistics.median(self._drained), 4),
            "ways": [self._result(entry) for entry in self.runs],
        }

    def _result(self, entry: Entry) -> dict[str, Any]:
        told: dict[str, Any] = {"output": entry.output, "way": entry.way}
        if entry in self.void or not self.runs[entry]:
            return {**told, "void": self.void.get(entry, "not run")[-300:]}
        figures = medians(self.runs[entry])
        events = self._sources[entry.share].events
        told |= {"events": events, "rounds": len(self.runs[entry]), "seconds": round(figures["seconds"], 4)}
        told |= {name: figures[name] for name in ("peak", "above")}
        if "load" in figures:
            told["load"] = round(figures["load"], 4)
        if entry in self.exponents:
            told["exponent"] = round(self.exponents[entry], 3)
        return told
