"""The days of a window while they wait on the worker's disk, in the destination's format."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.files.formats import open_slice_file
from airflow_provider_np6.destinations.spool_folder import spool_errors
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.formats.base import SliceFile
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.query import EventQuery


@dataclass(frozen=True)
class SpooledFile:
    """A finished file on the worker's disk.

    :param size: in bytes.
    :param sha256: in hexadecimal.
    """

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class SpooledSlice:
    """One day of a window, ready to be published.

    :param window: the slice's own.
    :param format: of the data file.
    :param data: None if there are no events.
    :param quarantine: None if there are no invalid events.
    :param events: number of events in the data file.
    :param invalid: number of invalid events.
    :param first: smallest timestamp among the events, in ms; None if there are none.
    :param last: largest timestamp.
    """

    window: Window
    format: str
    data: SpooledFile | None = None
    quarantine: SpooledFile | None = None
    events: int = 0
    invalid: int = 0
    first: int | None = None
    last: int | None = None


class SliceSpool:
    """One day of a window, while its events come.

    :param folder: on the worker's disk.
    """

    def __init__(self, folder: Path, query: EventQuery, window: Window, format_: str) -> None:
        self._query = query
        self._format = format_
        self._window = window
        self._data_path = folder / f"{window.stem}.{format_}"
        self._quarantine_path = folder / f"{window.stem}.bad"
        self._file: SliceFile | None = None
        self._data: SpooledFile | None = None
        self._events = 0
        self._invalid = 0
        self._first: int | None = None
        self._last: int | None = None

    def write(self, events: Events) -> None:
        """Take some events, in order of time."""
        if self._file is None:
            self._file = open_slice_file(self._data_path, self._format, self._query)
        self._first = events.timestamps[0] if self._first is None else self._first
        self._last = events.timestamps[-1]
        self._events += len(events.items)
        self._file.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        """Take an invalid event."""
        self._invalid += 1
        with self._quarantine_path.open("ab") as file:
            file.write(quarantine.line(invalid))

    def close(self) -> None:
        """Finish the data file: no event of this day comes after this."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
            self._data = SpooledFile(file.path, file.size, file.sha256)

    def discard(self) -> None:
        """Close what is open; the file is removed with its folder."""
        if self._file is not None:
            self._file.discard()

    def spooled(self) -> SpooledSlice:
        """The finished slice."""
        self.close()
        aside = None
        if self._invalid:
            data = self._quarantine_path.read_bytes()
            aside = SpooledFile(self._quarantine_path, len(data), sha256(data).hexdigest())
        counts = (self._events, self._invalid, self._first, self._last)
        return SpooledSlice(self._window, self._format, self._data, aside, *counts)


class WindowSpool:
    """The slices of one window. Events come in order of time, so that one data file is open at a time.

    :param folder: on the worker's disk; it exists.
    """

    def __init__(self, folder: Path, query: EventQuery, format_: str) -> None:
        self._slices = [SliceSpool(folder, query, window, format_) for window in query.window.days()]
        self._first_day = query.window.start // DAY
        self._day = 0

    def write(self, events: Events) -> None:
        """Take some events, in order of time.

        :raises Np6DestinationError: if the worker's disk cannot take them.
        """
        with spool_errors():
            timestamps = events.timestamps
            begin = 0
            while begin < len(timestamps):
                day = timestamps[begin] // DAY
                end = (
                    len(timestamps)
                    if timestamps[-1] // DAY == day
                    else bisect_left(timestamps, (day + 1) * DAY, begin)
                )
                self._slice(day).write(
                    events
                    if end - begin == len(timestamps)
                    else type(events)(events.items[begin:end], timestamps[begin:end])
                )
                begin = end

    def set_aside(self, invalid: Invalid) -> None:
        """Take an invalid event.

        :raises Np6DestinationError: if the worker's disk cannot take it.
        """
        day = min(max(invalid.near // DAY - self._first_day, 0), len(self._slices) - 1)
        with spool_errors():
            self._slices[day].set_aside(invalid)

    def spooled(self) -> list[SpooledSlice]:
        """Every slice of the window, empty ones too, finished, in order of time.

        :raises Np6DestinationError: if the worker's disk cannot take them.
        """
        with spool_errors():
            return [slice_.spooled() for slice_ in self._slices]

    def discard(self) -> None:
        """Close what is open."""
        for slice_ in self._slices:
            slice_.discard()

    def _slice(self, day: int) -> SliceSpool:
        index = day - self._first_day
        if index != self._day:
            self._slices[self._day].close()
            self._day = index
        return self._slices[index]
