"""Finds the elements of a JSON array by its brackets and strings, while it arrives.

This is the slow way, for elements that are large or are not valid JSON: it needs no complete value, and it
reads each byte once.
"""

from __future__ import annotations

import re

from airflow_provider_np6.np6.errors import Np6TruncatedError

JSON_SPACE = b" \t\r\n"
"""The white space that JSON allows between two tokens (RFC 8259)."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]"]', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


class BracketScan:
    """Counts the brackets of a growing array that begins with its ``[``.

    All positions are in bytes since that bracket. The scan remembers how far it has read, so that it reads
    each byte once.
    """

    def __init__(self) -> None:
        self.boundary: tuple[int, int] | None = None
        """End of the last element that another one follows, and the start of that one."""
        self.closed_at: int | None = None
        """Position after the closing bracket, once that has come."""
        self.position = 0
        """Everything before it has been read."""
        self._spans: list[tuple[int, int]] = []
        self._start = 0
        self._depth = 0
        self._in_string = False

    def run(self, array: bytearray) -> None:
        """Read what has arrived since the last call.

        :param array: everything from the opening bracket on.
        :raises Np6TruncatedError: if two elements have something else than one comma and white space between
            them, or if something that is not an object or an array is an element.
        """
        if self._in_string and not self._leave_string(array):
            return
        for token in _TOKEN.finditer(array, self.position):
            if self.closed_at is not None:
                return
            self.position = token.end()
            mark = token[0][:1]
            if mark in b"{[":
                self._open(array, token.start())
            elif mark in b"}]":
                self._close(array, token.end())
            elif len(token[0]) == 1:
                self._in_string = True
                self._leave_string(array)
                return
        self.position = len(array)

    def elements(self, array: bytearray, until: int) -> list[bytes]:
        """The complete elements, byte for byte.

        :param array: everything from the opening bracket on.
        :param until: position at which the last one ends at the latest.
        """
        return [bytes(memoryview(array)[start:end]) for start, end in self._spans if end <= until]

    def _open(self, array: bytearray, start: int) -> None:
        if self._depth == 1:
            if self._spans:
                end = self._spans[-1][1]
                self._expect(b",", array[end:start])
                self.boundary = (end, start)
            else:
                self._expect(b"", array[1:start])
            self._start = start
        self._depth += 1

    def _close(self, array: bytearray, end: int) -> None:
        self._depth -= 1
        if self._depth == 1:
            self._spans.append((self._start, end))
        elif self._depth == 0:
            self._expect(b"", array[self._spans[-1][1] if self._spans else 1 : end - 1])
            self.closed_at = end

    def _expect(self, separator: bytes, between: bytearray) -> None:
        if between.strip(JSON_SPACE) != separator:
            raise Np6TruncatedError("from some event on, the response is not an array of objects")

    def _leave_string(self, array: bytearray) -> bool:
        """Skip to the end of the string whose closing quote was missing; False if it is still missing."""
        inside = _IN_STRING.match(array, self.position)
        self.position = inside.end() if inside else self.position
        if array[self.position : self.position + 1] != b'"':
            return False
        self.position += 1
        self._in_string = False
        return True
