"""One endless JSON array, cut into batches of whole elements while it arrives.

NP6 answers with one bare array, without paging (documented). Parsing it element by element in Python is
slow, holding it all is impossible; so the bytes are cut between two elements, and each piece is decoded
at once. A cut is a guess that proves itself: the piece plus ``]`` is valid JSON exactly when it ends
between two elements of the root array, because a cut inside a string leaves the string open, and one
inside a nested value leaves its brackets open.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
    Np6TransientError,
    Np6TruncatedError,
)

SPACE = b" \t\r\n"

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]"]', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class Scan:
    """Brackets and strings of a growing text that begins with the root array's ``[``.

    Remembers how far it has looked, so that each byte is looked at once.
    """

    def __init__(self) -> None:
        self.boundary: tuple[int, int] | None = None
        """The last ``(end of an element, begin of the next)`` at the root array's own level."""
        self.closed_at: int | None = None
        """Where the root array has ended, once it has."""
        self._spans: list[tuple[int, int]] = []
        self._begin = 0
        self._position = 0
        self._depth = 0
        self._in_string = False

    def run(self, data: bytearray) -> None:
        """Look at what has come since the last look.

        :raises Np6TruncatedError: if what stands between two elements is not a comma.
        """
        if self._in_string and not self._leave_string(data):
            return
        for token in _TOKEN.finditer(data, self._position):
            if self.closed_at is not None:
                return
            self._position = token.end()
            mark = token[0][:1]
            if mark in b"{[":
                self._open(data, token.start())
            elif mark in b"}]":
                self._close(data, token.end())
            elif len(token[0]) == 1:
                self._in_string = True
                self._leave_string(data)
                return
        self._position = len(data)

    def elements(self, data: bytearray, until: int) -> list[bytes]:
        """The elements that end at ``until`` or before."""
        return [bytes(memoryview(data)[begin:end]) for begin, end in self._spans if end <= until]

    def _open(self, data: bytearray, at: int) -> None:
        if self._depth == 1:
            if self._spans:
                end = self._spans[-1][1]
                self._expect(b",", data[end:at])
                self.boundary = (end, at)
            else:
                self._expect(b"", data[1:at])
            self._begin = at
        self._depth += 1

    def _close(self, data: bytearray, at: int) -> None:
        self._depth -= 1
        if self._depth == 1:
            self._spans.append((self._begin, at))
        elif self._depth == 0:
            self._expect(b"", data[self._spans[-1][1] if self._spans else 1 : at - 1])
            self.closed_at = at

    def _expect(self, mark: bytes, between: bytearray) -> None:
        if between.strip(SPACE) != mark:
            raise Np6TruncatedError("the answer is no array of objects any more from some event on")

    def _leave_string(self, data: bytearray) -> bool:
        """Go on to the string's closing quote, which had not come yet; False if it still has not."""
        inside = _IN_STRING.match(data, self._position)
        self._position = inside.end() if inside else self._position
        if data[self._position : self._position + 1] != b'"':
            return False
        self._position += 1
        self._in_string = False
        return True


BATCH = 256 * 1024
"""Bytes gathered before a cut is tried."""

_BETWEEN = rb"\}[ \t\r\n]*,[ \t\r\n]*"
_OPENING = re.compile(rb'\[[ \t\r\n]*(\{[ \t\r\n]*"[^"\\]{0,40}")')
_LOOK_BACK = 16 * 1024
_TRIES = 4

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some elements of the root array.

    :param items: each one's bytes, as NP6 sent them.
    :param array: all of them as a JSON array; None if one of them is not valid JSON by itself.
    """

    items: Sequence[bytes | msgspec.Raw]
    array: bytes | None


def batches(pieces: Iterable[bytes], max_event_bytes: int) -> Iterator[RawBatch]:
    """The elements of the array that ``pieces`` spell, in batches.

    Where ``pieces`` break off with an error, the whole elements that came are handed on before it.

    :raises Np6ResponseError: if it is not an array, or one element is too large.
    :raises Np6TruncatedError: if it ends before the closing bracket, or its brackets break.
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
    """Holds what has arrived and was not cut yet: ``[`` and then elements from the beginning of one."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._held = bytearray()
        self._opened = False
        self._scan: Scan | None = None
        self._between: re.Pattern[bytes] | None = None

    def feed(self, piece: bytes) -> RawBatch | None:
        self._held += piece
        if not self._opened:
            self._opened = self._open()
        if len(self._held) < BATCH:
            return None
        batch = self.cut()
        # Besides the event, its commas and white space are held; its very size is looked at once it is cut.
        if batch is None and len(self._held) > self._max_event_bytes + BATCH:
            raise self._too_large()
        return batch

    def cut(self) -> RawBatch | None:
        """The whole elements that are held, if an end of one can be seen."""
        if not self._opened:
            return None
        return (self._guess() if self._scan is None else None) or self._search()

    def finish(self) -> Iterator[RawBatch]:
        if not self._opened:
            raise Np6TruncatedError("the answer is empty")
        array = bytes(self._held)
        try:
            yield self._checked(RawBatch(_decode(array), array))
            return
        except (msgspec.DecodeError, RecursionError):
            pass
        scan = Scan()
        scan.run(self._held)
        if scan.closed_at is not None and not self._held[scan.closed_at :].strip(SPACE):
            yield self._checked(_told_apart(scan.elements(self._held, scan.closed_at)))
            return
        batch = self.cut()
        if batch is not None:
            yield batch
        raise Np6TruncatedError(
            "the answer ends before its closing bracket"
            if scan.closed_at is None
            else "something follows the answer's closing bracket"
        )

    def _open(self) -> bool:
        """Look at the first character that is no white space; the answer must be an array."""
        held = bytes(self._held)
        if len(held) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(held):
            return False
        self._held = bytearray(held.removeprefix(codecs.BOM_UTF8).lstrip(SPACE))
        if not self._held:
            return False
        first = bytes(self._held[:1])
        if first != b"[":
            kind = {b"{": "a JSON object", b"<": "a page of HTML or XML"}.get(first, "something else")
            raise Np6ResponseError(
                f"the answer is {kind}, not the array of events that NP6 documents",
                hint="Check that the connection's host is NP6's API and not a proxy's page.",
            )
        return True

    def _guess(self) -> RawBatch | None:
        """Try the last places that look like a boundary.

        Nested objects look like it too; so a place counts only if what follows begins as the first element
        began, up to its first key.
        """
        if self._between is None:
            opening = _OPENING.match(self._held)
            begin = re.escape(opening[1]) if opening else rb"\{"
            self._between = re.compile(_BETWEEN + rb"(?=" + begin + rb")")
        for look_back in (_LOOK_BACK, len(self._held)):
            places = list(self._between.finditer(self._held, max(1, len(self._held) - look_back)))
            for place in places[: -_TRIES - 1 : -1]:
                array = self._array(place.start() + 1)
                try:
                    items = _decode(array)
                except (msgspec.DecodeError, RecursionError):
                    continue
                return self._taken(RawBatch(items, array), place.end())
            if places:
                break
        return None

    def _search(self) -> RawBatch | None:
        """Count brackets, each byte once, however long an element grows."""
        self._scan = scan = self._scan or Scan()
        scan.run(self._held)
        if scan.boundary is None:
            return None
        end, begin = scan.boundary
        array = self._array(end)
        try:
            batch = RawBatch(_decode(array), array)
        except (msgspec.DecodeError, RecursionError):
            batch = _told_apart(scan.elements(self._held, end))
        return self._taken(batch, begin)

    def _array(self, end: int) -> bytes:
        return b"".join((memoryview(self._held)[:end], b"]"))

    def _taken(self, batch: RawBatch, begin: int) -> RawBatch:
        """Forget what ``batch`` holds; the next element begins at ``begin``."""
        self._held[begin - 1 : begin] = b"["
        del self._held[: begin - 1]
        self._scan = None
        return self._checked(batch)

    def _checked(self, batch: RawBatch) -> RawBatch:
        if batch.items and max(map(len, batch.items)) > self._max_event_bytes:
            raise self._too_large()
        return batch

    def _too_large(self) -> Np6ResponseError:
        return Np6ResponseError(
            f"one event is larger than {self._max_event_bytes} bytes",
            hint="If such events are right, raise the connection's extra max_event_bytes.",
        )


def _told_apart(items: Sequence[bytes]) -> RawBatch:
    """Elements of which some are not valid JSON.

    Such a one must not hold others: where a quote in a text is not escaped, all up to the next such quote
    looks like one element, thousands of events that would pass for a single invalid one.

    :raises Np6TruncatedError: if it may.
    """
    for item in items:
        opening = _OPENING.match(b"[" + item)
        begin = re.escape(opening[1]) if opening else rb"\{"
        if re.search(_BETWEEN + begin, item) and not _is_json(item):
            raise Np6TruncatedError("the answer's events cannot be told apart any more from some event on")
    return RawBatch(items, None)


def _is_json(item: bytes) -> bool:
    try:
        _decode(b"[" + item + b"]")
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
