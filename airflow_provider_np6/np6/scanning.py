"""Where elements stand in an array of any size, by counting brackets: slower than guessing, never wrong."""

from __future__ import annotations

import re

from airflow_provider_np6.np6.errors import Np6TruncatedError

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
