"""JSON arrays as responses have them, and pieces of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

# Strings that look like a boundary between events, inside of them.
TRAPS = st.sampled_from(["},{", '"},{"', "} , {", '\\"},{', "[{},{}]", "]", "[", "\\", '"', "é📫", "\n"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | TRAPS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | TRAPS, inner, max_size=4)
    ),
    max_leaves=12,
)
EVENTS = st.lists(st.dictionaries(st.text(max_size=4) | TRAPS, VALUES, max_size=4), max_size=30)
GAPS = st.text(" \t\r\n", max_size=3)


@st.composite
def responses(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Elements, and an array of them with any white space between."""
    ascii_only = draw(st.booleans())
    elements = [json.dumps(event, ensure_ascii=ascii_only).encode() for event in draw(EVENTS)]
    space = [draw(GAPS).encode() for _ in range(4)]
    comma = space[0] + b"," + space[1]
    return elements, space[2] + b"[" + space[0] + comma.join(elements) + space[1] + b"]" + space[3]


def pieces(response: bytes, cuts: list[int]) -> Iterator[bytes]:
    """A response, cut at some positions, which are taken modulo its length."""
    places = [0, *sorted(cut % (len(response) + 1) for cut in cuts), len(response)]
    return (response[left:right] for left, right in pairwise(places))


# Pieces of a JSON string, each of them valid anywhere in it; halves of surrogate pairs may meet or not.
_PIECES = [
    *(rb"\ud83d", rb"\uDBFF", rb"\ude00", rb"\uDC00", rb"\ud83d\ude00", rb"\u00e9", rb"\ud7ff", rb"\ue000"),
    *(rb"\\", rb"\"", rb"\n", b"ud83d", b"\xc3\xa9", b"},{", b'\\"},{\\"a\\":', b"a"),
]
JSON_STRINGS = st.lists(st.sampled_from(_PIECES), max_size=8).map(lambda parts: b'"' + b"".join(parts) + b'"')
"""Strings in JSON with lone surrogates, pairs, escaped backslashes and look-alikes."""


@st.composite
def surrogate_elements(draw: st.DrawFn) -> list[bytes]:
    """Objects whose names and values are such strings."""
    members = st.lists(st.tuples(JSON_STRINGS, JSON_STRINGS), max_size=4)
    return [
        b"{" + b",".join(name + b":" + value for name, value in pairs) + b"}"
        for pairs in draw(st.lists(members, max_size=20))
    ]


def without_lone_surrogates(json_text: bytes) -> Any:
    """The value of JSON by Python's own parser, with U+FFFD for each lone surrogate; objects are lists."""
    return _replaced(json.loads(json_text, object_pairs_hook=list))


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    return [_replaced(item) for item in value] if isinstance(value, list | tuple) else value
