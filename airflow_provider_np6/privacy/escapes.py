"""Decodes the escapes in a string, and finds where each decoded character is written."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_DEPTH = 3
"""Levels of escapes within escapes that are decoded, JSON's own not counted."""

BASE64_PREFIX = "base64:"
"""What the stored form of an invalid event begins with if it is not text; Base64 follows."""

_JSON = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^u]|u)", re.DOTALL
)
_JSON_OR_PERCENT = re.compile(rf"(?:%[0-9a-fA-F]{{2}})+|{_JSON.pattern}", re.DOTALL)
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Decoding:
    """A string after one step of decoding. Most of its characters are written as they are.

    :param text: the decoded string.
    :param source: what it was decoded from; None for the raw string itself.
    :param positions: where in ``text`` the decoded characters are, in order.
    :param spans: where in ``source`` each of them is written.
    """

    text: str
    source: Decoding | None = None
    positions: Sequence[int] = ()
    spans: Sequence[tuple[int, int]] = ()

    def to_raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Where in the raw string a part of ``text`` is written.

        :param start: its first character.
        :param end: behind its last character; after ``start``.
        """
        if self.source is None:
            return start, end
        return self.source.to_raw_span(self._to_source_span(start)[0], self._to_source_span(end - 1)[1])

    def _to_source_span(self, at: int) -> tuple[int, int]:
        index = bisect_right(self.positions, at) - 1
        if index < 0:
            return at, at + 1
        beyond = at - self.positions[index] - 1
        if beyond < 0:
            return self.spans[index]
        plain = self.spans[index][1] + beyond
        return plain, plain + 1


def decodings(raw: str, *, json: bool) -> list[Decoding]:
    """All decodings of a string, from the raw string (decoded once, if it is JSON) to the most decoded one.

    :param raw: the string as it is written.
    :param json: whether it was between the quotes of a JSON string. Invalid escapes are no error.
    """
    decoding = Decoding(raw)
    if json and "\\" in raw:
        decoding = _decode(decoding, _JSON)
    steps = [decoding]
    while len(steps) <= MAX_DEPTH and _JSON_OR_PERCENT.search(decoding.text):
        decoding = _decode(decoding, _JSON_OR_PERCENT)
        steps.append(decoding)
    return steps


def decode_json_string(raw: str) -> str:
    """Decode a JSON string.

    :param raw: what is between its quotes.
    """
    return _decode(Decoding(raw), _JSON).text if "\\" in raw else raw


def decode_simple_escapes(raw: str) -> str:
    r"""Decode a JSON string that has neither ``\u`` nor an escaped backslash; the faster way.

    :param raw: what is between its quotes.
    """
    for escape, character in _SIMPLE.items():
        raw = raw.replace(f"\\{escape}", character)
    return raw.replace("\\", "")


def _decode(source: Decoding, escape: re.Pattern[str]) -> Decoding:
    text = source.text
    pieces: list[str] = []
    positions: list[int] = []
    spans: list[tuple[int, int]] = []
    end = length = 0
    for match in escape.finditer(text):
        begin = match.start()
        pieces.append(text[end:begin])
        length += begin - end
        for character, width in _decode_escape(match[0]):
            pieces.append(character)
            positions.append(length)
            spans.append((begin, begin + width))
            begin += width
            length += 1
        end = match.end()
    pieces.append(text[end:])
    return Decoding("".join(pieces), source, positions, spans)


def _decode_escape(escape: str) -> Iterator[tuple[str, int]]:
    """The characters of an escape, each with the length of its raw form."""
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
