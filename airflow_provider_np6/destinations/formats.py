"""File formats: how proven events become bytes."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verification import Events

FORMATS = ("jsonl", "jsonl.gz")

_GZIP_LEVEL = 1  # twice as fast as the usual 6, for files about a fifth larger


class _Hashed:
    """A file that is written from its beginning to its end, and knows its size and sha256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        if self._file is None:
            self._file = self._path.open("ab")
        self._sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


class LinesFile:
    """``jsonl`` and ``jsonl.gz``: one raw event a line, UTF-8.

    The same events in the same order give the same bytes: the gzip header has no name and no time. A file
    that was closed can be written on; in gzip, another member of the same archive begins.

    :param path: an empty file.
    """

    def __init__(self, path: Path, format_: str) -> None:
        self.path = path
        self._packed = format_ == "jsonl.gz"
        self._hashed = _Hashed(path)
        self._gzip: gzip.GzipFile | None = None

    def write(self, events: Events) -> None:
        lines = b"\n".join([*events.items, b""])
        if not self._packed:
            self._hashed.write(lines)
            return
        if self._gzip is None:
            file = cast("BinaryIO", self._hashed)
            self._gzip = gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)
        self._gzip.write(lines)

    def close(self) -> None:
        """Finish the file; only then its size and sha256 are those of the whole."""
        try:
            if self._gzip is not None:
                packed, self._gzip = self._gzip, None
                packed.close()
        finally:
            self._hashed.close()

    @property
    def size(self) -> int:
        return self._hashed.size

    @property
    def sha256(self) -> str:
        return self._hashed.sha256
