"""A text as it is spelled and as it reads: each reading knows where its characters are spelled."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DEPTH = 3
"""Times that escapes within escapes are looked through, JSON's own not counted."""

NO_TEXT = "base64:"
"""What begins the record of something that was set aside and is no text."""

_JSON = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^u]|u)", re.DOTALL
)
_ANY = re.compile(rf"(?:%[0-9a-fA-F]{{2}})+|{_JSON.pattern}", re.DOTALL)
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a text: most of its characters stand for themselves, some are decoded.

    :param of: what was decoded; None for the spelling itself.
    :param decoded: where in ``text`` decoded characters stand, in order.
    :param spans: where each of them is spelled in ``of``.
    """

    text: str
    of: Reading | None = None
    decoded: Sequence[int] = ()
    spans: Sequence[tuple[int, int]] = ()

    def spelled(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters ``start`` to ``end`` are spelled; there must be one at least."""
        if self.of is None:
            return start, end
        return self.of.spelled(self._span(start)[0], self._span(end - 1)[1])

    def _span(self, at: int) -> tuple[int, int]:
        index = bisect_right(self.decoded, at) - 1
        if index < 0:
            return at, at + 1
        beyond = at - self.decoded[index] - 1
        if beyond < 0:
            return self.spans[index]
        plain = self.spans[index][1] + beyond
        return plain, plain + 1


def readings(spelling: str, *, json: bool) -> list[Reading]:
    """How ``spelling`` reads, from the plainest reading to the most decoded one.

    :param json: whether it is what stands between the quotes of a string in JSON; whatever it holds, this
        never fails.
    """
    reading = Reading(spelling)
    if json and "\\" in spelling:
        reading = _decoded(reading, _JSON)
    found = [reading]
    while len(found) <= DEPTH and _ANY.search(reading.text):
        reading = _decoded(reading, _ANY)
        found.append(reading)
    return found


def read_json(spelling: str) -> str:
    """What stands between the quotes of a string in JSON, decoded."""
    return _decoded(Reading(spelling), _JSON).text if "\\" in spelling else spelling


def read_simple(spelling: str) -> str:
    """The same of a string without numbered escapes and escaped backslashes, and faster."""
    for escape, character in _SIMPLE.items():
        spelling = spelling.replace(f"\\{escape}", character)
    return spelling.replace("\\", "")


def _decoded(reading: Reading, escape: re.Pattern[str]) -> Reading:
    text = reading.text
    pieces: list[str] = []
    decoded: list[int] = []
    spans: list[tuple[int, int]] = []
    position = length = 0
    for found in escape.finditer(text):
        begin, end = found.span()
        pieces.append(text[position:begin])
        length += begin - position
        for character, width in _characters(found[0]):
            pieces.append(character)
            decoded.append(length)
            spans.append((begin, begin + width))
            begin += width
            length += 1
        position = end
    pieces.append(text[position:])
    return Reading("".join(pieces), reading, decoded, spans)


def _characters(escape: str) -> Iterator[tuple[str, int]]:
    """The characters of an escape, each with the length of its spelling."""
    if escape.startswith("%"):
        for character in bytes.fromhex(escape.replace("%", "")).decode("utf-8", "surrogateescape"):
            yield character, 3 * len(character.encode("utf-8", "surrogateescape"))
    elif len(escape) == 12:
        units = bytes.fromhex(escape[2:6] + escape[8:])
        yield units.decode("utf-16-be"), 12
    elif len(escape) == 6:
        yield chr(int.from_bytes(bytes.fromhex(escape[2:]))), 6
    else:
        yield _SIMPLE.get(escape[1], escape[1]), 2
