"""One pull's events on the worker's disk, as the load takes them."""

from __future__ import annotations

import json
import os
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.destinations.spool_folder import spool_errors
from airflow_provider_np6.np6.window import DAY, Window, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.loading import InsertLoader
    from airflow_provider_np6.np6.events import Events, Invalid

_BLOCK = 1024 * 1024
_FORM = "\0".join(column.name for column in COLUMNS).encode()
"""Events have other rows once a release adds a column, so their digest begins with the columns' names."""


class SqlSpool:
    """The window's events as the load takes them, in files without a name: a killed worker leaves nothing.

    :param events: for events.
    :param aside: for invalid ones.
    :param loader: of the table of events.
    :param window: what is pulled.
    """

    def __init__(self, events: IO[bytes], aside: IO[bytes], loader: InsertLoader, window: Window) -> None:
        self.file = events
        self._aside = aside
        self._loader = loader
        self._window = window

    def restart(self, pulled_at: int) -> None:
        """Forget all that was taken.

        :param pulled_at: of the pull, ms since the epoch.
        """
        for file in (self.file, self._aside):
            file.seek(0)
            file.truncate()
        self.events: Counter[int] = Counter()
        """Events by UTC day since the epoch."""
        self.invalid: Counter[int] = Counter()
        """Invalid events, likewise."""
        self._starts: dict[int, int] = {}
        self._digests: dict[tuple[int, str], Any] = {}
        self._encode = self._loader.encoder(pulled_at)

    def write(self, events: Events) -> None:
        timestamps = events.timestamps
        begin = 0
        while begin < len(timestamps):
            day = timestamps[begin] // DAY
            end = bisect_left(timestamps, (day + 1) * DAY, begin)
            self.events[day] += end - begin
            items = events.items[begin:end]
            lines = b"\n".join([*items, b""])
            self._hash(day, "events").update(lines)
            with spool_errors():
                self._starts.setdefault(day, self.file.tell())
                self.file.write(self._encode(items, lines))
            begin = end

    def set_aside(self, invalid: Invalid) -> None:
        day = self._place(invalid.near) // DAY
        self.invalid[day] += 1
        line = quarantine.line(invalid)
        self._hash(day, "aside").update(line)
        with spool_errors():
            self._aside.write(line)

    def digest(self, day: int) -> str:
        """Distinguishes what was pulled of a day: its events and invalid events.

        :param day: since the epoch.
        """
        parts = [_FORM, *(self._hash(day, part).digest() for part in ("events", "aside"))]
        return sha256(b"\0".join(parts)).hexdigest()

    @contextmanager
    def without(self, days: Collection[int]) -> Iterator[IO[bytes]]:
        """The file of events, of which those of some days are left out."""
        if not days:
            yield self.file
            return
        bounds = [*self._starts.values(), self.file.seek(0, os.SEEK_END)]
        with spool_errors():
            part = tempfile.TemporaryFile(prefix="np6-")  # noqa: SIM115 - it is closed below
        with part:
            with spool_errors():
                for day, (start, end) in zip(self._starts, pairwise(bounds), strict=True):
                    if day not in days:
                        self.file.seek(start)
                        _copy(self.file, part, end - start)
            yield part

    def set_aside_by_day(self) -> dict[int, list[dict[str, Any]]]:
        """The invalid events that were set aside, as :func:`quarantine.record` has them, with ``near`` in ms
        and within the window; those that are equal once."""
        by_day: dict[int, dict[tuple[int, str], dict[str, Any]]] = {}
        self._aside.seek(0)
        for line in self._aside:
            record = json.loads(line)
            near = self._place(parse_time("near", record["near"]))
            rows = by_day.setdefault(near // DAY, {})
            rows.setdefault((near, record["sha256"]), {"event": None, **record, "near": near})
        return {day: list(rows.values()) for day, rows in by_day.items()}

    def _place(self, near: int) -> int:
        return min(max(near, self._window.start), self._window.end - 1)

    def _hash(self, day: int, part: str) -> Any:
        """Of what was taken of a day so far; events and invalid events come in any turn."""
        return self._digests.setdefault((day, part), sha256())


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (block := source.read(min(size, _BLOCK))):
        target.write(block)
        size -= len(block)
