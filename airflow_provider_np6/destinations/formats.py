"""File formats: how proven events become bytes."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verification import Events

FORMATS = ("jsonl", "jsonl.gz")

_GZIP_LEVEL = 1  # twice as fast as the usual 6, for files about a fifth larger


class _Output(Protocol):
    def write(self, data: bytes, /) -> object: ...
    def close(self) -> None: ...


class _Hashed:
    """A file that knows how many bytes it holds and their sha256."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._sha256 = hashlib.sha256()
        self.size = 0

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


class LinesFile:
    """``jsonl`` and ``jsonl.gz``: one raw event a line, UTF-8.

    The same events in the same order give the same bytes: the gzip header has no name and no time.
    """

    def __init__(self, path: Path, format_: str) -> None:
        self._hashed = _Hashed(path)
        self._out: _Output = self._hashed
        if format_ == "jsonl.gz":
            self._out = gzip.GzipFile(
                filename="",
                mode="wb",
                compresslevel=_GZIP_LEVEL,
                fileobj=cast(BinaryIO, self._hashed),
                mtime=0,
            )

    def write(self, events: Events) -> None:
        self._out.write(b"\n".join([*events.items, b""]))

    def close(self) -> None:
        """Finish the file; only then its size and sha256 are known."""
        if self._out is not self._hashed:
            self._out.close()
        self._hashed.close()

    @property
    def size(self) -> int:
        return self._hashed.size

    @property
    def sha256(self) -> str:
        return self._hashed.sha256
