"""File formats: how verified events become bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_np6.destinations.files.formats.base import HashingFile, SliceFile
from airflow_provider_np6.destinations.files.formats.lines import LinesFile
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")

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


def open_slice_file(path: Path, format_: str, query: EventQuery) -> SliceFile:
    """A new file on the worker's disk.

    :param path: of a file that does not exist yet.
    """
    if format_ == "parquet":
        from airflow_provider_np6.destinations.files.formats.parquet import ParquetFile

        return ParquetFile(HashingFile(path), query)
    return LinesFile(HashingFile(path), format_)


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
    """The number of events in a data file."""
    if format_ == "parquet":
        check_format(format_)
        import pyarrow.parquet

        return int(pyarrow.parquet.read_metadata(file).num_rows)
    with unpacked(file, format_) as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(_BLOCK), b""))
