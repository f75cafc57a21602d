"""File formats: how proven events become bytes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from airflow_provider_np6.np6.errors import Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verification import Events

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")

_GZIP_LEVEL = 1  # twice as fast as the usual 6, for files about a fifth larger
_BLOCK = 1024 * 1024


class SliceFile(Protocol):
    """A file of one format, written from its beginning to its end.

    The same events in the same order give the same bytes, unless it was paused in between.
    """

    path: Path

    def write(self, events: Events) -> None:
        """Take some events."""

    def pause(self) -> None:
        """Give back the open file; the next write takes it again."""

    def close(self) -> None:
        """Finish the file; only then its size and sha256 are those of the whole."""

    def discard(self) -> None:
        """Let go of it, finished or not."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """In hexadecimal."""


def check_format(format_: object) -> None:
    """:raises Np6InputError: for a format that is unknown, or whose extra is not installed."""
    if format_ not in FORMATS:
        raise Np6InputError(f"unknown format {format_!r}", cure=f"Known are {', '.join(FORMATS)}.")
    if format_ in ("jsonl.zst", "parquet"):
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise Np6InputError(
                f"the format {format_} needs pyarrow, which is not installed",
                cure="pip install 'airflow-provider-np6[parquet]', or take jsonl.gz.",
            ) from None


def slice_file(path: Path, format_: str, query: EventQuery) -> SliceFile:
    """A new file.

    :param path: an empty file.
    """
    if format_ == "parquet":
        from airflow_provider_np6.destinations.parquet import ParquetFile

        return ParquetFile(Hashed(path), query)
    return LinesFile(Hashed(path), format_)


class Hashed:
    """A file that only grows, and knows its size and sha256. pyarrow and gzip write to it too."""

    closed = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        if self._file is None:
            self._file = self.path.open("ab")
        self._sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Give back the open file; the next write opens it again."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


class LinesFile:
    """``jsonl``, ``jsonl.gz`` and ``jsonl.zst``: one raw event a line, UTF-8.

    The gzip header has no name and no time. After a pause, another member or frame of the same archive
    begins.
    """

    def __init__(self, file: Hashed, format_: str) -> None:
        self.path = file.path
        self._file = file
        self._format = format_
        self._packer: Any = None

    def write(self, events: Events) -> None:
        lines = b"\n".join([*events.items, b""])
        if self._packer is None:
            self._packer = self._new_packer()
        self._packer.write(lines)

    def _new_packer(self) -> Any:
        if self._format == "jsonl.gz":
            return gzip.GzipFile("", "wb", _GZIP_LEVEL, cast("BinaryIO", self._file), mtime=0)
        if self._format == "jsonl.zst":
            import pyarrow

            return pyarrow.CompressedOutputStream(pyarrow.PythonFile(self._file, "w"), "zstd")
        return self._file

    def pause(self) -> None:
        self.close()

    def close(self) -> None:
        try:
            if self._packer is not None:
                packer, self._packer = self._packer, None
                packer.close()
        finally:
            self._file.close()

    def discard(self) -> None:
        self.close()

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def sha256(self) -> str:
        return self._file.sha256


@contextmanager
def unpacked(file: BinaryIO, format_: str) -> Iterator[Any]:
    """The lines of a data file that is open: an object to read from."""
    if format_ == "jsonl.gz":
        with gzip.GzipFile(fileobj=file) as lines:
            yield lines
    elif format_ == "jsonl.zst":
        check_format(format_)
        import pyarrow

        with pyarrow.CompressedInputStream(file, "zstd") as lines:
            yield lines
    else:
        yield file


def count(file: BinaryIO, format_: str) -> int:
    """How many events a data file holds."""
    if format_ == "parquet":
        check_format(format_)
        import pyarrow.parquet

        return int(pyarrow.parquet.read_metadata(file).num_rows)
    with unpacked(file, format_) as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(_BLOCK), b""))
