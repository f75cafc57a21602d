"""Events that came without order, brought into the order of time and id."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from airflow_provider_np6.np6.errors import Np6DestinationError

_BATCH = 1_000


class EventSorter:
    """Keeps events in a temporary file without a name, and of each its time, id and place in memory."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, str, int, int]] = []
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(prefix="np6-")  # noqa: SIM115 - it lives as long as the pull
        except OSError as error:
            raise _disk_error(error) from None

    def add(self, items: Sequence[Any], ids: Sequence[str], timestamps: Sequence[int]) -> None:
        """Take some events.

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

    def sorted(self) -> Iterator[tuple[list[bytes], list[int]]]:
        """All events with their timestamps, some at a time."""
        self._keys.sort()
        try:
            self._file.flush()
            for begin in range(0, len(self._keys), _BATCH):
                keys = self._keys[begin : begin + _BATCH]
                items = [os.pread(self._file.fileno(), size, offset) for *_, offset, size in keys]
                yield items, [timestamp for timestamp, *_ in keys]
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
