"""File formats: how proven events become bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_np6.destinations.files.formats.base import PIECE, HashingFile, SliceFile, buffered
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verify import Events

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")

_GZIP_LEVEL = 1  # of igzip, up to 3: as small as zlib's, five times as fast
_BLOCK = 1024 * 1024
_ROWS = 4_096


def check_format(format_: object) -> None:
    """:raises Np6InputError: for a format that is unknown, or whose extra is not installed."""
    if format_ not in FORMATS:
        raise Np6InputError(f"unknown format {format_!r}", hint=f"Known are {', '.join(FORMATS)}.")
    if format_ in ("jsonl.zst", "parquet"):
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise Np6InputError(
                f"the format {format_} needs pyarrow, which is not installed",
                hint="pip install 'airflow-provider-np6[parquet]', or take jsonl.gz.",
            ) from None


def slice_file(path: Path, format_: str, query: EventQuery) -> SliceFile:
    """A new file.

    :param path: an empty file.
    """
    if format_ == "parquet":
        from airflow_provider_np6.destinations.files.formats.parquet import ParquetFile

        return ParquetFile(HashingFile(path), query)
    return LinesFile(HashingFile(path), format_)


class LinesFile(SliceFile):
    """``jsonl``, ``jsonl.gz`` and ``jsonl.zst``: one raw event a line, UTF-8.

    The gzip header has no name and no time. After a pause, another member or frame of the same archive
    begins.
    """

    def __init__(self, file: HashingFile, format_: str) -> None:
        super().__init__(file)
        self._format = format_
        self._packer: Any = None
        self._forget()

    def write(self, events: Events) -> None:
        lines = b"\n".join([*events.items, b""])
        self._lines.append(lines)
        self._bytes += len(lines)
        if self._bytes >= PIECE:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._lines:
            lines = self._lines
            self._forget()
            self._pack(self._write, lines)

    def _forget(self) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0

    def _write(self, lines: list[bytes]) -> None:
        if self._packer is None:
            self._packer = self._new_packer()
        self._packer.write(b"".join(lines))

    def _new_packer(self) -> Any:
        if self._format == "jsonl.gz":
            return _Gzip(self._file)
        if self._format == "jsonl.zst":
            import pyarrow

            return pyarrow.CompressedOutputStream(buffered(self._file), "zstd")
        return self._file

    def pause(self) -> None:
        self.close()

    def _finish(self) -> None:
        if self._packer is not None:
            packer, self._packer = self._packer, None
            packer.close()


class _Gzip:
    """A gzip archive without name and time, packed in pieces of one size: igzip's bytes tell where its input
    was cut."""

    def __init__(self, file: HashingFile) -> None:
        from isal import isal_zlib

        self._file = file
        self._packer = isal_zlib.compressobj(_GZIP_LEVEL, wbits=31)
        self._rest = b""

    def write(self, lines: bytes) -> None:
        data = memoryview(self._rest + lines)
        while len(data) >= PIECE:
            self._file.write(self._packer.compress(data[:PIECE]))
            data = data[PIECE:]
        self._rest = bytes(data)

    def close(self) -> None:
        self._file.write(self._packer.compress(self._rest) + self._packer.flush())


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


def events(file: BinaryIO, format_: str) -> Iterator[list[bytes]]:
    """The raw events of a data file that is open, some at a time."""
    if format_ == "parquet":
        check_format(format_)
        import pyarrow.parquet

        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(_ROWS, columns=["payload"]):
            yield [text.encode() for text in batch.column(0).to_pylist()]
        return
    with unpacked(file, format_) as lines:
        rest = b""
        while block := lines.read(_BLOCK):
            *whole, rest = (rest + block).split(b"\n")
            if whole:
                yield whole
    if rest:
        raise Np6DestinationError("a data file ends within an event", hint="Pull its window again.")


def count(file: BinaryIO, format_: str) -> int:
    """How many events a data file holds."""
    if format_ == "parquet":
        check_format(format_)
        import pyarrow.parquet

        return int(pyarrow.parquet.read_metadata(file).num_rows)
    with unpacked(file, format_) as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(_BLOCK), b""))
