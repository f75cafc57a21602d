"""One UTC day's part of a window, while it waits on the worker's disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.formats import open_slice_file
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.formats.base import SliceFile
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verify import Events, Invalid

MAX_OPEN = 16
"""Files that a pull of many days holds open at a time."""


class SliceSpool:
    """Events of one day, in a temporary of the destination's format; invalid ones in another."""

    def __init__(self, store: Store, query: EventQuery, window: Window, format_: str) -> None:
        self._store = store
        self._query = query
        self._format = format_
        self.window = window
        self.folder = layout.partition(query, window)
        self.data: SliceFile | None = None
        self.aside: Path | None = None
        self.events = 0
        self.invalid = 0
        self.first: int | None = None
        self.last: int | None = None

    @property
    def data_name(self) -> str | None:
        """The data file's name; None if there are no events."""
        return f"{self.window.stem}.{self._format}" if self.events else None

    @property
    def aside_name(self) -> str | None:
        """The name of the file with what was set aside; None if nothing was."""
        return f"{self.window.stem}.bad" if self.invalid else None

    def open(self) -> SliceFile:
        """Make the temporary, unless it is there."""
        if self.data is None:
            name = f"{self.window.stem}.{self._format}"
            self.data = open_slice_file(self._store.temporary(self.folder, name), self._format, self._query)
        return self.data

    def write(self, events: Events) -> None:
        first, last = min(events.timestamps), max(events.timestamps)
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)
        self.events += len(events.items)
        self.open().write(events)

    def set_aside(self, invalid: Invalid) -> None:
        if self.aside is None:
            name = f"{self.window.stem}.bad"
            self.aside = self._store.temporary(f"{layout.QUARANTINE}/{self.folder}", name)
        self.invalid += 1
        with self.aside.open("ab") as file:
            file.write(quarantine.line(invalid))

    def pause(self) -> None:
        if self.data is not None:
            self.data.pause()

    def close(self) -> None:
        if self.data is not None:
            self.data.close()

    def discard(self) -> None:
        if self.data is not None:
            self.data.discard()


class SliceSpools:
    """The slices of one window, made as events come."""

    def __init__(self, store: Store, query: EventQuery, format_: str) -> None:
        self._store = store
        self._windows = {window.start // DAY: window for window in query.window.days()}
        self._slices = {
            day: SliceSpool(store, query, window, format_) for day, window in self._windows.items()
        }
        self._open: list[SliceSpool] = []

    def __len__(self) -> int:
        return len(self._slices)

    def close(self) -> list[SliceSpool]:
        """Every slice of the window, empty ones too, closed, in order of time."""
        for slice_ in self._slices.values():
            slice_.close()
        return list(self._slices.values())

    def first(self) -> SliceSpool:
        return next(iter(self._slices.values()))

    def write(self, events: Events) -> None:
        days = [timestamp // DAY for timestamp in (min(events.timestamps), max(events.timestamps))]
        parts = {days[0]: events} if days[0] == days[1] else _by_day(events)
        for day, part in parts.items():
            self._opened(self._slices[day]).write(part)

    def set_aside(self, invalid: Invalid) -> None:
        day = min(max(invalid.near // DAY, min(self._slices)), max(self._slices))
        self._slices[day].set_aside(invalid)

    def discard(self) -> None:
        """Forget all; whatever the disk says to that."""
        for slice_ in self._slices.values():
            with suppress(OSError):
                slice_.discard()
        self._store.close()

    def _opened(self, slice_: SliceSpool) -> SliceSpool:
        if slice_ not in self._open:
            self._open.append(slice_)
            if len(self._open) > MAX_OPEN:
                self._open.pop(0).pause()
        return slice_


def _by_day(events: Events) -> dict[int, Events]:
    parts: dict[int, tuple[list[Any], list[int]]] = {}
    for item, timestamp in zip(events.items, events.timestamps, strict=True):
        items, timestamps = parts.setdefault(timestamp // DAY, ([], []))
        items.append(item)
        timestamps.append(timestamp)
    return {day: type(events)(items, timestamps) for day, (items, timestamps) in parts.items()}
