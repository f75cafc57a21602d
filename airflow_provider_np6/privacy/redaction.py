"""Personal data in one text, replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import partial

from airflow_provider_np6.privacy.detect import MIN_DIGITS, PHONE, Span, addresses, phones
from airflow_provider_np6.privacy.escapes import read_simple, readings
from airflow_provider_np6.privacy.pseudonyms import folded

LONG = 6
"""Characters from which on a value of the event's own identity is found inside of words too."""

_ALONE = (re.compile(r"(?<![\w.+'@-])"), re.compile(r"(?![\w@+'-]|\.[\w@+'.-])"))
_A_WORD = (re.compile(r"(?<!\w)"), re.compile(r"(?!\w)"))

Replacement = Callable[[str], str]
Find = Callable[[str], Iterator[Span]]
Part = tuple[str, bool]
"""A text, and whether it stands for what was replaced."""


def redacted(
    text: str, own: Collection[str], replacement: Replacement, *, json: bool, numbers: bool = True
) -> str:
    """``text`` without personal data.

    First go the event's own values where they stand by themselves, then addresses, then phone numbers, then
    the own values wherever they stand. Of a text with escapes, the most decoded reading counts first.

    :param own: the values of the event's own identity, folded and stripped, none empty.
    :param replacement: gives what stands for a text that is personal data.
    :param json: whether ``text`` is what stands between the quotes of a string in JSON; so is the outcome.
    :param numbers: whether to look for phone numbers.
    """
    if _is_plain(text, own):
        return text
    finders: list[Find] = [addresses]
    if numbers:
        finders.append(phones)
    if own:
        finders = [partial(_alone, own), *finders, partial(_anywhere, own)]
    depths = range(len(readings(text, json=json)) - 1, -1, -1)
    parts: list[Part] = [(text, False)]
    for find in finders:
        for depth in depths:
            parts = [new for part in parts for new in _split(part, find, depth, replacement, json=json)]
    return "".join(part for part, _ in parts)


def is_alone(text: str, start: int, end: int) -> bool:
    """Whether a value of the event's own identity would be found there by itself."""
    before, after = _ALONE
    return bool(before.match(text, start) and after.match(text, end))


def _is_plain(text: str, own: Collection[str]) -> bool:
    """Whether there is nothing at all to look for."""
    if "@" in text or "%" in text:
        return False
    if "\\" in text:
        if "\\u" in text or "\\\\" in text:
            return False
        text = read_simple(text)
    if len(text) >= MIN_DIGITS and PHONE.search(text):
        return False
    if not own:
        return True
    text = folded(text)
    return not any(value in text for value in own)


def _split(part: Part, find: Find, depth: int, replacement: Replacement, *, json: bool) -> Iterator[Part]:
    text, replaced = part
    found = [] if replaced else readings(text, json=json)
    if depth >= len(found):
        yield part
        return
    reading = found[depth]
    position = 0
    for span in find(reading.text):
        start, end = reading.spelled(*span)
        yield text[position:start], False
        yield replacement(reading.text[slice(*span)]), True
        position = end
    if position < len(text):
        yield text[position:], False


def _alone(own: Collection[str], text: str) -> Iterator[Span]:
    return _values(text, own, *_ALONE)


def _anywhere(own: Collection[str], text: str) -> Iterator[Span]:
    yield from _apart(
        [
            *_occurrences(folded(text), [value for value in own if len(value) >= LONG]),
            *_values(text, [value for value in own if len(value) < LONG], *_A_WORD),
        ]
    )


def _values(
    text: str, own: Collection[str], before: re.Pattern[str], after: re.Pattern[str]
) -> Iterator[Span]:
    """Where values stand between what ``before`` and ``after`` want."""
    spans = _occurrences(folded(text), own)
    yield from _apart([(a, b) for a, b in spans if before.match(text, a) and after.match(text, b)])


def _occurrences(text: str, values: Collection[str]) -> list[Span]:
    spans = []
    for value in values:
        at = text.find(value)
        while at >= 0:
            spans.append((at, at + len(value)))
            at = text.find(value, at + 1)
    return spans


def _apart(spans: list[Span]) -> Iterator[Span]:
    """In order, of those that overlap the first, and of those that begin together the longest."""
    position = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= position:
            yield start, end
            position = end
