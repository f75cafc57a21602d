"""Personal data in one text, replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.detect import MIN_DIGITS, PHONE, Span, addresses, phones
from airflow_provider_np6.privacy.escapes import read_json, read_simple, readings
from airflow_provider_np6.privacy.event_fields import Part
from airflow_provider_np6.privacy.pseudonyms import folded
from airflow_provider_np6.privacy.scanner import Walk

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.policy import Policy
    from airflow_provider_np6.privacy.scanner import Found, Text

LONG = 6
"""Characters from which on a value of the event's own identity is found inside of words too."""

_ALONE = (re.compile(r"(?<![\w.+'@-])"), re.compile(r"(?![\w@+'-]|\.[\w@+'.-])"))
_A_WORD = (re.compile(r"(?<!\w)"), re.compile(r"(?!\w)"))

Replacement = Callable[[str], str]
Find = Callable[[str], Iterator[Span]]
Piece = tuple[str, bool]
"""A piece of a string, and whether it is a replacement."""


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
    pieces: list[Piece] = [(text, False)]
    for find in finders:
        for depth in depths:
            pieces = [new for piece in pieces for new in _split(piece, find, depth, replacement, json=json)]
    return "".join(piece for piece, _ in pieces)


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


def _split(piece: Piece, find: Find, depth: int, replacement: Replacement, *, json: bool) -> Iterator[Piece]:
    text, replaced = piece
    found = [] if replaced else readings(text, json=json)
    if depth >= len(found):
        yield piece
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


def redact(event: str, policy: Policy, found: Found | None = None) -> str:
    """``event``, a JSON object, without personal data.

    :param found: what stands in it, if that is known.
    """
    found = found or Walk(event, removes_own=policy.removes).found
    values = list(found.own_spelled(event))
    tokens = iter(policy.replacements(values))
    own = sorted({folded(value.strip()) for value in values} - {""})
    edits = [(*span, "") for span in found.removed]
    for text in found.texts:
        start, end, part, kind = text
        if part is Part.OWN and kind != "key":
            token = next(tokens)
            if kind == "number":
                edits.append((start, end, f'"{token}"'))
            elif read_json(event[start:end]).strip():
                edits.append((start, end, token))
        else:
            edits += edits_of(event, text, own, policy)
    edits.sort()
    pieces = []
    position = 0
    for start, end, new in edits:
        if start >= position:
            pieces += [event[position:start], new]
        position = max(position, end)
    return "".join([*pieces, event[position:]])


def edits_of(event: str, text: Text, own: Sequence[str], policy: Policy) -> list[tuple[int, int, str]]:
    """How a text or number changes that is not of the event's own identity.

    :param own: the values of the own identity, folded and stripped, none empty.
    """
    start, end, part, kind = text
    if part is Part.ENVELOPE or part is Part.DATA:
        return []
    spelled = event[start:end]
    if kind == "number":
        if part is Part.FREE and spelled in own:
            return [(start, end, f'"{policy.replacement(spelled)}"')]
        return []
    if part is Part.ID and not ("@" in spelled or "%" in spelled or "\\" in spelled):
        return []
    known = own if part is Part.FREE else ()
    new = redacted(spelled, known, policy.replacement, json=True, numbers=part is not Part.ID)
    return [] if new == spelled else [(start, end, new)]
