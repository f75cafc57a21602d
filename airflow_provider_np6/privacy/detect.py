r"""What counts as an e-mail address and as a phone number in a text: rather too much than too little.

An address is a local part, ``@`` and a domain. The local part is any run of characters other than white
space, control characters, ``" ( ) , : ; < > @ [ \ ]`` and typographic quotes, or a text in double quotes;
the domain is labels of letters, digits, ``-``, ``_`` and characters beyond ASCII, joined by dots, a dot not
being required, or an address in brackets. Apostrophes before it are no part of it.

A phone number is 8 digits or more, of any script, between which up to five of white space,
``. - / ( )`` and dashes may stand; ``+`` and an opening parenthesis before it belong to it. The digits of
a UUID are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MIN_DIGITS = 8
"""Of a phone number."""

Span = tuple[int, int]

_QUOTES = "\u00ab\u00bb\u2018\u201b-\u201f\u2039\u203a"
_LOCAL = re.compile(rf'[^\x00-\x20\x7f"(),:;<>@\[\\\]\s{_QUOTES}]*+')
_LABEL = rf"[^\x00-\x2c./\x3a-\x40\x5b-\x5e`\x7b-\x7f\s{_QUOTES}\u2019\ud800-\udfff]++"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*+|\[[0-9A-Za-z.:]+\])")
_SEPARATOR = r"[\s().\-/\u2010-\u2015\u2212]"
PHONE = re.compile(rf"(?:\+{_SEPARATOR}{{0,3}})?\(?\+?\d(?:{_SEPARATOR}{{0,5}}\d){{{MIN_DIGITS - 1},}}")
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])")


def addresses(text: str) -> Iterator[Span]:
    """Where addresses stand in ``text``, in order."""
    begin = 0
    while (at := text.find("@", begin)) >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = _local_start(text, begin, at)
        begin = at + 1
        if domain is None or start == at:
            continue
        while (again := text[domain.end() : domain.end() + 1]) == "@":
            further = _DOMAIN.match(text, domain.end() + len(again))
            if further is None:
                break
            domain = further
        begin = domain.end()
        yield start, begin


def phones(text: str) -> Iterator[Span]:
    """Where phone numbers stand in ``text``, in order."""
    begin = 0
    for uuid in _UUID.finditer(text):
        yield from _phones(text, begin, uuid.start())
        begin = uuid.end()
    yield from _phones(text, begin, len(text))


def _phones(text: str, begin: int, end: int) -> Iterator[Span]:
    return (found.span() for found in PHONE.finditer(text, begin, end))


def domain_of(text: str) -> str | None:
    """The domain of an address, in lower case; None for another text, or if it may tell more than a domain:
    a number, for one."""
    local, at, domain = text.strip().rpartition("@")
    if not (local and at and _DOMAIN.fullmatch(domain)) or domain.startswith("["):
        return None
    if next(phones(domain), None) or domain.replace(".", "").isdigit():
        return None
    return domain.lower()


def _local_start(text: str, begin: int, at: int) -> int:
    """Where the local part that ends at ``at`` begins, at ``begin`` at the earliest."""
    if text[at - 1 : at] == '"' and (quote := text.rfind('"', begin, at - 1)) >= 0:
        return quote
    backward = _LOCAL.match(text[begin:at][::-1])
    start = at - (backward.end() if backward else 0)
    return start + len(text[start:at]) - len(text[start:at].lstrip("'"))
