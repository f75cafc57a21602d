"""Keyed pseudonyms: the same text gives the same token wherever it stands, for as long as the key stays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from airflow_provider_np6.privacy.detect import MIN_DIGITS, PHONE

TOKEN = re.compile(r"[0-9a-f]{32}")
"""The shape of a token."""

_DIGEST = 16  # bytes
_SEPARATORS = re.compile(r"\D+")
_NUMBERS = re.compile("\0[\\d\\s+().\\-/\u2010-\u2015\u2212]++(?=\0)")
"""Between NULs, texts that may be phone numbers."""


def folded(text: str) -> str:
    """``text`` without a difference of letter case, character by character: as long as before."""
    folded = text.casefold()
    return folded if len(folded) == len(text) else "".join(map(_folded, text))


def _folded(character: str) -> str:
    folded = character.casefold()
    return folded if len(folded) == 1 else character


def normalised(text: str) -> str:
    """What of ``text`` is told apart: letter case and outer white space are not, nor how a phone number is
    written: its digits count, and whether it begins with ``+`` or ``00``, which are one."""
    text = folded(text.strip())
    digits = text.removeprefix("+")
    if not digits.isdecimal() or len(digits) < MIN_DIGITS:
        if "@" in text or not text[-1:].isdigit() or not PHONE.fullmatch(text):
            return text
        digits = _SEPARATORS.sub("", text)
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{digits}" if text.startswith(("+", "(+")) else digits


def _all_normalised(texts: Sequence[str]) -> list[bytes]:
    """Each of ``texts`` normalised, in UTF-8: all at once, where of most only the letter case must go."""
    joined = "\0".join(texts)
    plain = joined.casefold()
    if (
        len(plain) != len(joined)  # there are characters without a single folded one
        or plain.split() != [plain]  # white space, or nothing
        or plain.count("\0") >= len(texts)
    ):
        return [normalised(text).encode("utf-8", "surrogatepass") for text in texts]
    plain = _NUMBERS.sub(lambda number: "\0" + normalised(number[0][1:]), f"\0{plain}\0")
    return plain.encode("utf-8", "surrogatepass").split(b"\0")[1:-1]


class Pseudonyms:
    """Tokens of one key: BLAKE2b keyed with it, 16 bytes in hexadecimal.

    :param key: the secret; of any length, for it is hashed first.
    """

    def __init__(self, key: str) -> None:
        secret = blake2b(key.encode(), person=b"np6 pseudonyms").digest()
        self._keyed = blake2b(key=secret, digest_size=_DIGEST)
        self.fingerprint = blake2b(b"np6 fingerprint", key=secret, digest_size=8).hexdigest()
        """Tells keys apart without showing them."""

    def token(self, text: str) -> str:
        """The token of :func:`normalised` ``text``."""
        return self.tokens([text])[0]

    def tokens(self, texts: Sequence[str]) -> list[str]:
        """The token of each of ``texts``."""
        tokens = []
        copy = self._keyed.copy
        for plain in _all_normalised(texts):
            keyed = copy()
            keyed.update(plain)
            tokens.append(keyed.hexdigest())
        return tokens
