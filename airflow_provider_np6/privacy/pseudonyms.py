"""Keyed pseudonyms: with the same key, equal values have the same token everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from airflow_provider_np6.privacy.detect import LONE_SURROGATE, MIN_DIGITS, PHONE

TOKEN = re.compile(r"[0-9a-f]{32}")
"""Matches a token."""

_DIGEST_SIZE = 16  # bytes
_SEPARATORS = re.compile(r"\D+")
_NUMBERS = re.compile("\0[\\d\\s+().\\-/\u2010-\u2015\u2212]++(?=\0)")
"""Values between NULs that may be phone numbers."""


def fold_case(text: str) -> str:
    """Remove the differences of letter case, character by character, so that the length stays the same.

    :param text: any string.
    """
    folded = text.casefold()
    return folded if len(folded) == len(text) else "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    folded = character.casefold()
    return folded if len(folded) == 1 else character


def normalize(value: str) -> str:
    """Give equal values the same form: letter case and outer white space do not count.

    Lone surrogates become U+FFFD, as in the columns, so that a value can be erased as it is shown there. Of a
    phone number only the digits count, and whether it begins with ``+`` or ``00``, which are equal.

    :param value: an address, phone number or other identifier.
    """
    if not value.isascii():
        value = LONE_SURROGATE.sub("\ufffd", value)
    value = fold_case(value.strip())
    digits = value.removeprefix("+")
    if not digits.isdecimal() or len(digits) < MIN_DIGITS:
        if "@" in value or not value[-1:].isdigit() or not PHONE.fullmatch(value):
            return value
        digits = _SEPARATORS.sub("", value)
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{digits}" if value.startswith(("+", "(+")) else digits


def _normalize_all(values: Sequence[str]) -> list[bytes]:
    """Normalize values, in UTF-8: all at once, because most of them differ in letter case only."""
    joined = "\0".join(values)
    folded = joined.casefold()
    if (
        len(folded) != len(joined)  # some characters fold to several
        or folded.split() != [folded]  # white space, or nothing
        or folded.count("\0") >= len(values)
    ):
        return [normalize(value).encode() for value in values]
    folded = _NUMBERS.sub(lambda number: "\0" + normalize(number[0][1:]), f"\0{folded}\0")
    try:
        return folded.encode().split(b"\0")[1:-1]
    except UnicodeEncodeError:  # a lone surrogate
        return [normalize(value).encode() for value in values]


class Pseudonyms:
    """The tokens of one key: BLAKE2b keyed with it, 16 bytes in hexadecimal.

    :param key: the secret, of any length: it is hashed first.
    """

    def __init__(self, key: str) -> None:
        secret = blake2b(key.encode(), person=b"np6 pseudonyms").digest()
        self._keyed = blake2b(key=secret, digest_size=_DIGEST_SIZE)
        self.fingerprint = blake2b(b"np6 fingerprint", key=secret, digest_size=8).hexdigest()
        """Distinguishes keys without revealing them."""

    def token(self, value: str) -> str:
        """The token of a value.

        :param value: normalized here, see :func:`normalize`.
        """
        return self.tokens([value])[0]

    def tokens(self, values: Sequence[str]) -> list[str]:
        """The token of each value.

        :param values: normalized here, see :func:`normalize`.
        """
        tokens = []
        copy = self._keyed.copy
        for normalized in _normalize_all(values):
            keyed = copy()
            keyed.update(normalized)
            tokens.append(keyed.hexdigest())
        return tokens
