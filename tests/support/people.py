"""Generated people, and the ways in which their addresses and numbers are written."""

from __future__ import annotations

import json
import string
from urllib.parse import quote, unquote

from hypothesis import strategies as st

KEY = "a-key-for-pseudonyms-of-40-characters---"

_ATEXT = string.ascii_letters + string.digits + "!#$&'*+-/=?^_{|}~"
_NAMES = st.sampled_from(
    ["anna", "björn", "chloé", "дмитрий", "ğizem", "小林", "o'neill", "zoë+news", "Ann.B"]
)
_DOMAINS = st.sampled_from(
    ["example.com", "exämple.de", "mail.example.org", "почта.рф", "xn--exmple-cua.de", "host"]
)
addresses = st.builds(
    lambda name, number, domain: f"{name}.{number}@{domain}",
    _NAMES | st.text(_ATEXT, min_size=1, max_size=12).map(lambda text: f"x{text}y"),
    st.integers(0, 9_999),
    _DOMAINS,
)

_SEPARATORS = st.sampled_from(["", " ", ".", "-", "/", " - ", "\u00a0", "\u202f", "\u2011"])


def _phone(prefix: str, digits: str, separator: str) -> str:
    return prefix + separator.join(digits[at : at + 2] for at in range(0, len(digits), 2))


phones = st.builds(
    _phone,
    st.sampled_from(["+33 (0)", "+", "00", "(0)", "0", ""]),
    st.text("123456789", min_size=8, max_size=11),
    _SEPARATORS,
)
ids = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=8, max_size=8)
hashes = st.text("0123456789abcdef", min_size=32, max_size=32)


def percented(text: str) -> str:
    return "".join(f"%{byte:02x}" if byte % 2 else f"%{byte:02X}" for byte in text.encode())


def unicoded(text: str) -> str:
    """As JSON spells a text when it escapes every character."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def plain(text: str) -> str:
    """As JSON spells a text when it escapes what it must."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


LOST = "\ue000"
"""Stands for a lone surrogate until a text is written as JSON; a character that no other text has."""

LONE_SURROGATES = ("\\ud83d", "\\uDE00", "\\uDBFF\\ud800", "\\udc00")
"""Escapes of half characters."""


def with_lone_surrogates(text: str, escape: str) -> str:
    """JSON in which each :data:`LOST` is a lone surrogate, however it was written."""
    return text.replace(LOST, escape).replace("\\ue000", escape)


SPELLINGS = (
    plain,
    unicoded,
    lambda text: json.dumps(text)[1:-1],
    lambda text: plain(text).replace("/", "\\/"),
    lambda text: plain(text).replace("@", "\\u0040"),
    lambda text: plain(quote(text)),
    lambda text: plain(quote(quote(text))),
    lambda text: plain(quote(text).lower()),
    lambda text: plain(percented(text)),
    lambda text: plain(percented(percented(text))),
    lambda text: plain(unicoded(text)),
    lambda text: plain(text.upper()) if len(text.upper()) == len(text) else plain(text),
)
"""Ways to write a text between the quotes of a string in JSON."""


def readable(text: str) -> str:
    """All that ``text`` may be read as, in lower case."""
    readings = [text]
    for _ in range(4):
        read = unquote(readings[-1])
        if "\\" in read:
            read = _without_escapes(read)
        readings.append(read)
    return "\n".join(readings).casefold()


def _without_escapes(text: str) -> str:
    pieces = text.split("\\u")
    made = pieces[0]
    for piece in pieces[1:]:
        try:
            made += chr(int(piece[:4], 16)) + piece[4:]
        except ValueError:
            made += "\\u" + piece
    return made.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\\", "")


def digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())
