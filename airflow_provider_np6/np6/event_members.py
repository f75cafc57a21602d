"""Members of an event that are checked, each decoded by itself: of the rest nothing is known."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""Documented as a uuid; any string of 1 to 64 characters is taken."""

_SHOWN = re.compile(r"[A-Za-z0-9_-]{1,32}")
_decode_id = msgspec.json.Decoder(Id).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_string = msgspec.json.Decoder(str).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class InvalidElementError(Exception):
    """An element that is an event, and not one that may be stored; the message is the reason."""


def is_null(member: msgspec.Raw) -> bool:
    """Whether a member is missing or null.

    :param member: raw; ``null`` for a missing one.
    """
    return bytes(member) == b"null"


def read_time(member: msgspec.Raw) -> int:
    """A timestamp, in ms since the epoch.

    :param member: raw.
    :raises InvalidElementError: if it is not an integer (documented: int64).
    """
    if is_null(member):
        raise InvalidElementError("has no timestamp")
    try:
        return _decode_int(member)
    except msgspec.DecodeError:
        raise InvalidElementError("has a timestamp that is not a number of milliseconds") from None


def read_id(member: msgspec.Raw, *, is_replaced: bool) -> str:
    """An id.

    :param member: raw.
    :param is_replaced: whether a lone surrogate of the element was replaced: two ids might become equal.
    :raises InvalidElementError: if it is not a printable string of 1 to 64 characters.
    """
    if is_null(member):
        raise InvalidElementError("has no id")
    try:
        id_ = _decode_id(member)
    except msgspec.DecodeError:
        raise InvalidElementError("has an id that is not a string of 1 to 64 characters") from None
    if not id_.isprintable() or (is_replaced and "\ufffd" in id_):
        raise InvalidElementError("has an id with unprintable characters")
    return id_


def read_string(member: msgspec.Raw | None) -> str | None:
    """A string; None if it is anything else.

    :param member: raw; None for a missing one.
    """
    try:
        return None if member is None else _decode_string(member)
    except msgspec.DecodeError:
        return None


def read_members(member: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The members of an object; none if it is anything else.

    :param member: raw; None for a missing one.
    """
    try:
        return {} if member is None else _decode_members(member)
    except (msgspec.DecodeError, RecursionError):
        return {}


def show_value(value: str) -> str:
    """A value that is documented to be an id or a type, unless it might be something else.

    :param value: as NP6 sent it.
    """
    return value if _SHOWN.fullmatch(value) else "(a value that is not an id)"
