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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from airflow_provider_np6.np6.errors import Np6AnswerError, Np6TruncatedError

BATCH = 256 * 1024
"""Bytes gathered before a cut is tried."""

_SPACE = b" \t\r\n"
_BETWEEN = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]"]', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_LOOK_BACK = 16 * 1024
_TRIES = 4

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some elements of the root array.

    :param array: them as a JSON array of their own.
    :param items: each one's bytes, as NP6 sent them, views of ``array``.
    """

    array: bytes
    items: list[msgspec.Raw]


def batches(pieces: Iterable[bytes], max_event_bytes: int) -> Iterator[RawBatch]:
    """The elements of the array that ``pieces`` spell, in batches.

    :raises Np6AnswerError: if it is not an array, not JSON, or one element is too large.
    :raises Np6TruncatedError: if it ends before the closing bracket.
    """
    cutter = _Cutter(max_event_bytes)
    for piece in pieces:
        batch = cutter.feed(piece)
        if batch is not None:
            yield batch
    yield cutter.finish()


class _Cutter:
    """Holds what has arrived and was not cut yet: ``[`` and then elements from the beginning of one."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._held = bytearray()
        self._opened = False
        self._scan: _Scan | None = None

    def feed(self, piece: bytes) -> RawBatch | None:
        self._held += piece
        if not self._opened:
            self._opened = self._open()
        if len(self._held) < BATCH:
            return None
        batch = self._guess() if self._scan is None else None
        if batch is None:
            batch = self._search()
        if batch is None and len(self._held) > self._max_event_bytes:
            raise self._too_large()
        return batch

    def finish(self) -> RawBatch:
        array = bytes(self._held)
        if not self._opened:
            raise Np6TruncatedError("the answer is empty")
        try:
            return self._checked(RawBatch(array, _decode(array)))
        except msgspec.DecodeError as error:
            if "truncated" in str(error):
                raise Np6TruncatedError("the answer ends before its closing bracket") from None
            raise _not_json() from None
        except RecursionError:
            raise _not_json() from None

    def _open(self) -> bool:
        """Look at the first character that is no white space; the answer must be an array."""
        held = bytes(self._held)
        if len(held) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(held):
            return False
        self._held = bytearray(held.removeprefix(codecs.BOM_UTF8).lstrip(_SPACE))
        if not self._held:
            return False
        first = bytes(self._held[:1])
        if first != b"[":
            kind = {b"{": "a JSON object", b"<": "a page of HTML or XML"}.get(first, "something else")
            raise Np6AnswerError(
                f"the answer is {kind}, not the array of events that NP6 documents",
                cure="Check that the connection's host is NP6's API and not a proxy's page.",
            )
        return True

    def _cut(self, end: int, begin: int) -> RawBatch | None:
        """Cut behind the element that ends at ``end``; the next one begins at ``begin``."""
        array = b"".join((memoryview(self._held)[:end], b"]"))
        try:
            items = _decode(array)
        except (msgspec.DecodeError, RecursionError):
            return None
        self._held[begin - 1 : begin] = b"["
        del self._held[: begin - 1]
        self._scan = None
        return self._checked(RawBatch(array, items))

    def _guess(self) -> RawBatch | None:
        """Try the last places that look like a boundary; nested objects look like it too."""
        places = list(_BETWEEN.finditer(self._held, max(1, len(self._held) - _LOOK_BACK)))
        for place in places[: -_TRIES - 1 : -1]:
            batch = self._cut(place.start() + 1, place.end() - 1)
            if batch is not None:
                return batch
        return None

    def _search(self) -> RawBatch | None:
        """Count brackets, each byte once, however long an element grows."""
        self._scan = self._scan or _Scan()
        place = self._scan.last_boundary(self._held)
        if place is None:
            return None
        batch = self._cut(*place)
        if batch is None:
            raise _not_json()
        return batch

    def _checked(self, batch: RawBatch) -> RawBatch:
        if batch.items and max(map(len, batch.items)) > self._max_event_bytes:
            raise self._too_large()
        return batch

    def _too_large(self) -> Np6AnswerError:
        return Np6AnswerError(
            f"one event is larger than {self._max_event_bytes} bytes",
            cure="If such events are right, raise the connection's extra max_event_bytes.",
        )


class _Scan:
    """Where brackets and strings stand in a growing text; remembers how far it has looked."""

    def __init__(self) -> None:
        self._position = 0
        self._depth = 0
        self._in_string = False
        self._element_end = 0

    def last_boundary(self, data: bytearray) -> tuple[int, int] | None:
        """The last ``(end of an element, begin of the next)`` at the root array's own level."""
        found = None
        if self._in_string and not self._leave_string(data):
            return None
        for token in _TOKEN.finditer(data, self._position):
            self._position = token.end()
            mark = token[0][:1]
            if mark in b"{[":
                if self._depth == 1 and self._element_end:
                    if data[self._element_end : token.start()].strip(_SPACE) != b",":
                        raise _not_json()
                    found = (self._element_end, token.start())
                self._depth += 1
            elif mark in b"}]":
                self._depth -= 1
                if self._depth == 1:
                    self._element_end = token.end()
            elif len(token[0]) == 1:
                self._in_string = True
                self._leave_string(data)
                break
        else:
            self._position = len(data)
        return found

    def _leave_string(self, data: bytearray) -> bool:
        """Go on to the string's closing quote, which had not come yet; False if it still has not."""
        inside = _IN_STRING.match(data, self._position)
        self._position = inside.end() if inside else self._position
        if data[self._position : self._position + 1] != b'"':
            return False
        self._position += 1
        self._in_string = False
        return True


def _not_json() -> Np6AnswerError:
    return Np6AnswerError(
        "the answer is not valid JSON", cure="NP6's support can look up the request id of this answer."
    )
