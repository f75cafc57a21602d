"""Elements of a response, as bytes and as one JSON array that can be decoded at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from airflow_provider_np6.np6.errors import Np6TruncatedError
from airflow_provider_np6.np6.lone_surrogates import replace_lone_surrogates

SEPARATOR = rb"\}[ \t\r\n]*,[ \t\r\n]*"
"""Pattern of what separates two objects of an array."""

_OPENING = re.compile(rb'\[[ \t\r\n]*(\{[ \t\r\n]*"[^"\\]{0,40}")')
_BEFORE_ELEMENT = re.compile(rb"[ \t\r\n,]*")

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some successive elements of a response.

    :param items: the bytes of each element, as NP6 sent them.
    :param array: all of them as a JSON array that can be decoded; None if an element is not valid JSON.
    :param has_lone_surrogates: whether ``array`` differs from what NP6 sent: it has the escape of U+FFFD in
        place of each escape of a lone surrogate, which no parser accepts. Positions are the same.
    :param largest: size of the largest element, in bytes.
    """

    items: Sequence[bytes | msgspec.Raw]
    array: bytes | None
    has_lone_surrogates: bool = False
    largest: int = 0


def decode_array(array: bytes) -> RawBatch | None:
    """Split an array into its elements.

    :param array: a JSON array from bracket to bracket; white space may follow.
    :returns: None if it is not valid JSON, apart from lone surrogates.
    """
    items = _elements(array)
    if items is not None:
        return RawBatch(items, array)
    replaced = replace_lone_surrogates(array)
    if replaced is array:
        return None
    items = _elements(replaced)
    if items is None:
        return None
    return RawBatch(_slices(array, items), replaced, has_lone_surrogates=True)


def check_elements(items: Sequence[bytes]) -> RawBatch:
    """Make a batch of elements of which some are not valid JSON.

    Where a quote in a string is not escaped, everything up to the next such quote looks like one element:
    thousands of events would pass for a single invalid one. So an invalid element that may contain others
    breaks the response.

    :param items: the bytes of each element.
    :raises Np6TruncatedError: if an invalid element may contain others.
    """
    for item in items:
        another = SEPARATOR + opening_pattern(b"[" + item)  # often the same one, which re keeps compiled
        if re.search(another, item) and decode_array(b"[" + item + b"]") is None:
            raise Np6TruncatedError("from some event on, it is unclear where an event of the response ends")
    return RawBatch(items, None)


def opening_pattern(array: bytes | bytearray) -> bytes:
    """The pattern of an object that begins as the first one of ``array`` does, up to its first key.

    :param array: an array from its bracket on.
    """
    opening = _OPENING.match(array)
    return re.escape(opening[1]) if opening else rb"\{"


def _elements(array: bytes) -> list[msgspec.Raw] | None:
    try:
        return _decode(array)
    except (msgspec.DecodeError, RecursionError):
        return None


def _slices(array: bytes, items: Sequence[msgspec.Raw]) -> list[bytes]:
    """The bytes of ``array`` at the positions of ``items``, which come from an array of the same layout."""
    slices = []
    end = 1
    for item in items:
        start = _BEFORE_ELEMENT.match(array, end).end()  # type: ignore[union-attr]  # it matches anything
        end = start + len(item)
        slices.append(array[start:end])
    return slices
