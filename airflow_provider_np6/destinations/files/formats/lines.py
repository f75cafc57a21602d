"""Lines: one raw event per line, plain or compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.files.formats.base import PIECE, HashingFile, SliceFile, buffered

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Events

_GZIP_LEVEL = 1  # of igzip, up to 3: as small as zlib's, five times as fast


class LinesFile(SliceFile):
    """``jsonl``, ``jsonl.gz`` and ``jsonl.zst``: one raw event per line, UTF-8."""

    def __init__(self, file: HashingFile, format_: str) -> None:
        super().__init__(file)
        self._packer: Any = _packer(file, format_)
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
        self._packer.write(b"".join(lines))

    def _finish(self) -> None:
        self._packer.close()


def _packer(file: HashingFile, format_: str) -> Any:
    if format_ == "jsonl.gz":
        return _Gzip(file)
    if format_ == "jsonl.zst":
        import pyarrow

        return pyarrow.CompressedOutputStream(buffered(file), "zstd")
    return file


class _Gzip:
    """A gzip archive without name and time, packed in pieces of one size: igzip's bytes depend on where its
    input was cut."""

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
