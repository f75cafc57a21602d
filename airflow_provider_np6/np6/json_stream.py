"""Cuts one endless JSON array into batches of whole elements while it arrives.

NP6 responds with one bare array, without paging (documented). It may not fit into memory, and Python is slow
at parsing it element by element. So the array is cut between two elements, and each piece is decoded at once.
A cut is a guess that decoding verifies: the piece plus ``]`` is valid JSON exactly when it ends between two
elements of the root array, because a cut inside a string leaves the string open, and a cut inside a nested
value leaves its brackets open. Where no guess is right, brackets are counted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from airflow_provider_np6.np6.bracket_scan import JSON_SPACE, BracketScan
from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
    Np6TransientError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.raw_batch import (
    SEPARATOR,
    RawBatch,
    check_elements,
    decode_array,
    opening_pattern,
)

__all__ = ["BATCH", "RawBatch", "batches"]

BATCH = 256 * 1024
"""Bytes gathered before a cut is tried."""

_LOOK_BACK = 16 * 1024
"""Bytes at the end of a batch in which a cut is searched for first."""
_GUESSES = 4
"""Cuts that are tried before brackets are counted."""


def batches(pieces: Iterable[bytes], max_event_bytes: int) -> Iterator[RawBatch]:
    """Yield the elements of an array, in batches.

    Where ``pieces`` ends with an error, the whole elements that have arrived are yielded before it.

    :param pieces: the array's bytes, cut anywhere.
    :param max_event_bytes: size of an element, in bytes, beyond which it is refused.
    :raises Np6ResponseError: if it is not an array, or an element is too large.
    :raises Np6TruncatedError: if it ends before its closing bracket, or its elements cannot be separated.
    """
    cutter = _Cutter(max_event_bytes)
    try:
        for piece in pieces:
            batch = cutter.feed(piece)
            if batch is not None:
                yield batch
    except Np6TransientError:
        batch = cutter.cut()
        if batch is not None:
            yield batch
        raise
    yield from cutter.finish()


class _Cutter:
    """Keeps what has arrived and is not cut yet: ``[``, and everything from the start of an element on."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._array = bytearray()
        self._is_open = False
        self._scan: BracketScan | None = None
        self._boundary: re.Pattern[bytes] | None = None

    def feed(self, piece: bytes) -> RawBatch | None:
        """Add the next bytes, and cut if there are enough."""
        self._array += piece
        if not self._is_open:
            self._is_open = self._open()
        if len(self._array) < BATCH:
            return None
        batch = self.cut()
        # Commas and white space count here beside the element. Its own size is checked once it is cut.
        if batch is None and len(self._array) > self._max_event_bytes + BATCH:
            raise self._too_large()
        return batch

    def cut(self) -> RawBatch | None:
        """Cut off the whole elements; None if the end of none is visible."""
        if not self._is_open:
            return None
        return (self._guess() if self._scan is None else None) or self._count_brackets()

    def finish(self) -> Iterator[RawBatch]:
        """Yield the rest, which must end with the closing bracket."""
        if not self._is_open:
            raise Np6TruncatedError("the response is empty")
        batch = decode_array(bytes(self._array))
        if batch is not None:
            yield self._checked(batch)
            return
        scan = BracketScan()
        scan.run(self._array)
        if scan.closed_at is not None and not self._array[scan.closed_at :].strip(JSON_SPACE):
            yield self._checked(check_elements(scan.elements(self._array, scan.closed_at)))
            return
        batch = self.cut()
        if batch is not None:
            yield batch
        raise Np6TruncatedError(
            "the response ends before its closing bracket"
            if scan.closed_at is None
            else "something follows the response's closing bracket"
        )

    def _open(self) -> bool:
        """Check the first character that is not white space: the response must be an array."""
        start = bytes(self._array)
        if len(start) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(start):
            return False
        self._array = bytearray(start.removeprefix(codecs.BOM_UTF8).lstrip(JSON_SPACE))
        if not self._array:
            return False
        first = bytes(self._array[:1])
        if first != b"[":
            kind = {b"{": "a JSON object", b"<": "a page of HTML or XML"}.get(first, "something else")
            raise Np6ResponseError(
                f"the response is {kind}, not the array of events that NP6 documents",
                hint="Check that the connection's host is NP6's API and not a proxy's page.",
            )
        return True

    def _guess(self) -> RawBatch | None:
        """Try the last places that look like the boundary of two elements.

        Nested objects look like that too; so what follows must begin as the first element began.
        """
        if self._boundary is None:
            self._boundary = re.compile(SEPARATOR + rb"(?=" + opening_pattern(self._array) + rb")")
        for look_back in (_LOOK_BACK, len(self._array)):
            places = list(self._boundary.finditer(self._array, max(1, len(self._array) - look_back)))
            for place in places[: -_GUESSES - 1 : -1]:
                batch = decode_array(self._closed(place.start() + 1))
                if batch is not None:
                    return self._cut_off(batch, place.end())
            if places:
                break
        return None

    def _count_brackets(self) -> RawBatch | None:
        """Read each byte once, however long an element grows."""
        self._scan = scan = self._scan or BracketScan()
        scan.run(self._array)
        if scan.boundary is None:
            return None
        end, start = scan.boundary
        batch = decode_array(self._closed(end)) or check_elements(scan.elements(self._array, end))
        return self._cut_off(batch, start)

    def _closed(self, end: int) -> bytes:
        """The array up to ``end``, with a closing bracket."""
        return b"".join((memoryview(self._array)[:end], b"]"))

    def _cut_off(self, batch: RawBatch, start: int) -> RawBatch:
        """Drop the elements of ``batch``; the next one begins at ``start``."""
        self._array[start - 1 : start] = b"["
        del self._array[: start - 1]
        self._scan = None
        return self._checked(batch)

    def _checked(self, batch: RawBatch) -> RawBatch:
        largest = max(map(len, batch.items), default=0)
        if largest > self._max_event_bytes:
            raise self._too_large()
        return replace(batch, largest=largest)

    def _too_large(self) -> Np6ResponseError:
        return Np6ResponseError(
            f"one event is larger than {self._max_event_bytes} bytes",
            hint="If such events are right, raise the connection's extra max_event_bytes.",
        )
