"""Brings events into the order of time and id, so that the same events always give the same bytes."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter

from airflow_provider_np6.np6.envelope import pick
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.events import Events, Item
from airflow_provider_np6.np6.plan import StartOverError

_BATCH = 1_000
_NOTHING = Events([], [])
_time_and_id = itemgetter(0, 1)


class TieSorter:
    """Sorts events that come in order of time by their ids within each time.

    Events of the last time are held back: more of them may come.
    """

    def __init__(self) -> None:
        self._tail: list[tuple[int, str, Item]] = []

    def add(self, items: Sequence[Item], ids: Sequence[str], timestamps: Sequence[int]) -> Events:
        """Take some events, and return those that are in their place.

        :param items: raw events.
        :param ids: of these.
        :param timestamps: of these, in ms, in ascending order.
        :raises StartOverError: if the place of one of them is between events that were returned.
        """
        tail = self._tail
        if not ids:
            return _NOTHING
        if tail:
            if timestamps[0] < tail[0][0]:
                raise StartOverError("a new event came after later ones")
            if timestamps[-1] == tail[0][0]:
                tail.extend(zip(timestamps, ids, items, strict=True))
                return _NOTHING
            items = [*(item for *_, item in tail), *items]
            ids = [*(id_ for _, id_, _ in tail), *ids]
            timestamps = [*(timestamp for timestamp, *_ in tail), *timestamps]
        if len(set(timestamps)) < len(timestamps):
            keys = list(zip(timestamps, ids, strict=True))
            in_order = sorted(range(len(keys)), key=keys.__getitem__)
            items, ids, timestamps = pick(in_order, items, ids, timestamps)
        end = bisect_left(timestamps, timestamps[-1])
        self._tail = list(zip(timestamps[end:], ids[end:], items[end:], strict=True))
        return Events(items[:end], timestamps[:end])

    def rest(self) -> Events:
        """The events that were held back, when no more come."""
        tail, self._tail = sorted(self._tail, key=_time_and_id), []
        return Events([item for *_, item in tail], [timestamp for timestamp, *_ in tail])


class EventSorter:
    """Keeps events in a temporary file without a name, and of each its time, id and place in memory."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, str, int, int]] = []
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(prefix="np6-")  # noqa: SIM115 - it lives as long as the pull
        except OSError as error:
            raise _disk_error(error) from None

    def add(self, items: Sequence[Item], ids: Sequence[str], timestamps: Sequence[int]) -> None:
        """Take some events.

        :param items: raw events.
        :param ids: of these.
        :param timestamps: of these, in ms.
        :raises Np6DestinationError: if the worker's disk cannot take them.
        """
        for item, id_, timestamp in zip(items, ids, timestamps, strict=True):
            size = len(item)
            self._keys.append((timestamp, id_, self._end, size))
            self._end += size
        try:
            self._file.write(b"".join(items))
        except OSError as error:
            raise _disk_error(error) from None

    def sorted(self, times: Mapping[str, int]) -> Iterator[Events]:
        """The events, some at a time.

        :param times: of each id the first time at which it came, in ms; events of other times are left out.
        :raises Np6DestinationError: if they cannot be read.
        """
        self._keys.sort()
        try:
            self._file.flush()
            for begin in range(0, len(self._keys), _BATCH):
                keys = [key for key in self._keys[begin : begin + _BATCH] if times[key[1]] == key[0]]
                items = [os.pread(self._file.fileno(), size, offset) for *_, offset, size in keys]
                if items:
                    yield Events(items, [timestamp for timestamp, *_ in keys])
        except OSError as error:
            raise _disk_error(error) from None

    def close(self) -> None:
        """Give the file back."""
        with suppress(OSError):  # of a full disk, which is an error already
            self._file.close()


def _disk_error(error: OSError) -> Np6DestinationError:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return Np6DestinationError(
        f"the worker's disk cannot take the events: {reason}",
        hint="Make room below TMPDIR, or set TMPDIR to a folder with room.",
    )
