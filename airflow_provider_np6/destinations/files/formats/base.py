"""A data file while it is written: hashed as it grows, packed in a thread while the next events come."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Events

PIECE = 4 * 1024 * 1024
"""Bytes that are packed at a time: few and large pieces, for each costs the packing thread some waits for
its turn."""

_BUFFER = 256 * 1024


class HashingFile:
    """A new file that knows its size and sha256. pyarrow writes to it too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("wb")
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes, /) -> int:
        self._sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def buffered(file: HashingFile) -> Any:
    """``file`` as a stream for pyarrow, whose many small writes would each wait for their turn."""
    import pyarrow

    return pyarrow.BufferedOutputStream(pyarrow.PythonFile(file, "w"), _BUFFER)


class SliceFile(ABC):
    """A file of one format, written from its beginning to its end.

    Packing uses no Python objects, so it runs in a thread, one piece at a time, while the next piece is
    gathered. The same events in the same order give the same bytes.
    """

    def __init__(self, file: HashingFile) -> None:
        self._file = file
        self._thread: ThreadPoolExecutor | None = None
        self._packed: Future[None] | None = None

    @abstractmethod
    def write(self, events: Events) -> None:
        """Take some events."""

    @abstractmethod
    def _hand_over(self) -> None:
        """Let what is gathered be packed."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop what is gathered."""

    @abstractmethod
    def _finish(self) -> None:
        """End the file."""

    def close(self) -> None:
        """Finish the file; only then its size and sha256 are those of the whole."""
        try:
            self._hand_over()
            self._wait_for_thread()
            self._finish()
        finally:
            self._end_thread()
            self._file.close()

    def discard(self) -> None:
        """Close what is open, finished or not."""
        self._forget()
        self._end_thread()
        with suppress(OSError):
            self._finish()
        with suppress(OSError):
            self._file.close()

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def size(self) -> int:
        """Bytes."""
        return self._file.size

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._file.sha256

    def _pack(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do ``work`` in the thread, once the last is done."""
        self._wait_for_thread()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "np6-packing")
        self._packed = self._thread.submit(work, *arguments)

    def _wait_for_thread(self) -> None:
        """Wait for what is being packed; an error of it comes up here."""
        if self._packed is not None:
            packed, self._packed = self._packed, None
            packed.result()

    def _end_thread(self) -> None:
        if self._thread is not None:
            thread, self._thread = self._thread, None
            thread.shutdown()
