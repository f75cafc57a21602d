r"""Finds e-mail addresses and phone numbers in strings; in doubt, it finds too much rather than too little.

An address is a local part, ``@`` and a domain. The local part is a string in double quotes, or any run of
characters other than white space, control characters, ``" ( ) , : ; < > @ [ \ ]`` and typographic quotes;
leading apostrophes do not belong to it. The domain is an address in brackets, or labels of letters, digits,
``-``, ``_`` and characters beyond ASCII, joined by dots; one label is enough. Lone surrogates
before and between the labels belong to the domain.

A phone number is 8 or more digits of any script, with up to five separators between two of them: white
space, ``. - / ( )`` and dashes. ``+`` and an opening parenthesis before it belong to it. The digits of a
UUID do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MIN_DIGITS = 8
"""Digits of a phone number, at least."""

Span = tuple[int, int]
"""Start and end of a part of a string."""

_QUOTES = "\u00ab\u00bb\u2018\u201b-\u201f\u2039\u203a"
_LOCAL = re.compile(rf'[^\x00-\x20\x7f"(),:;<>@\[\\\]\s{_QUOTES}]*+')
_LABEL = rf"[^\x00-\x2c./\x3a-\x40\x5b-\x5e`\x7b-\x7f\s{_QUOTES}\u2019\ud800-\udfff]++"
_HALF = r"[\ud800-\udfff]"
_JOINT = rf"(?:{_HALF}*+\.{_HALF}*+|{_HALF}++)"
_DOMAIN = re.compile(rf"(?:(?:{_HALF}++\.?)?+{_LABEL}(?:{_JOINT}{_LABEL})*+|\[[0-9A-Za-z.:]+\])")
LONE_SURROGATE = re.compile(_HALF)
"""Matches half a character: what a string holds after ``\\ud83d`` without its partner was decoded."""

_SEPARATOR = r"[\s().\-/\u2010-\u2015\u2212]"
PHONE = re.compile(rf"(?:\+{_SEPARATOR}{{0,3}})?\(?\+?\d(?:{_SEPARATOR}{{0,5}}\d){{{MIN_DIGITS - 1},}}")
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])")


def find_addresses(text: str) -> Iterator[Span]:
    """Find e-mail addresses, in order.

    :param text: the string to search.
    """
    begin = 0
    while (at := text.find("@", begin)) >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = _find_local_start(text, begin, at)
        begin = at + 1
        if domain is None or start == at:
            continue
        while text[domain.end() : domain.end() + 1] == "@":
            next_domain = _DOMAIN.match(text, domain.end() + 1)
            if next_domain is None:
                break
            domain = next_domain
        begin = domain.end()
        yield start, begin


def find_phones(text: str) -> Iterator[Span]:
    """Find phone numbers, in order.

    :param text: the string to search.
    """
    begin = 0
    for uuid in _UUID.finditer(text):
        yield from _find_phones(text, begin, uuid.start())
        begin = uuid.end()
    yield from _find_phones(text, begin, len(text))


def _find_phones(text: str, begin: int, end: int) -> Iterator[Span]:
    return (match.span() for match in PHONE.finditer(text, begin, end))


def parse_domain(address: str) -> str | None:
    """The domain of an address, in lower case.

    :param address: any string.
    :return: None if the string is not an address, or if the domain may identify more than a domain does: an
        IP address, or a domain with a phone number. None too if the domain has a lone surrogate, which UTF-8
        cannot store.
    """
    local, at, domain = address.strip().rpartition("@")
    if not (local and at and _DOMAIN.fullmatch(domain)) or domain.startswith("["):
        return None
    if LONE_SURROGATE.search(domain):
        return None
    if next(find_phones(domain), None) or domain.replace(".", "").isdigit():
        return None
    return domain.lower()


def _find_local_start(text: str, begin: int, at: int) -> int:
    """Where the local part that ends at ``at`` starts: at ``begin`` or later."""
    if text[at - 1 : at] == '"' and (quote := text.rfind('"', begin, at - 1)) >= 0:
        return quote
    backward = _LOCAL.match(text[begin:at][::-1])
    start = at - (backward.end() if backward else 0)
    return start + len(text[start:at]) - len(text[start:at].lstrip("'"))
