"""Replaces the personal data of one event where it is written; all other bytes stay as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.detect import MIN_DIGITS, PHONE, Span, find_addresses, find_phones
from airflow_provider_np6.privacy.escapes import decode_json_string, decode_simple_escapes, decodings
from airflow_provider_np6.privacy.event_fields import FieldRole
from airflow_provider_np6.privacy.pseudonyms import fold_case
from airflow_provider_np6.privacy.scanner import scan_event

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.policy import Policy
    from airflow_provider_np6.privacy.scanner import Scalar, Scan

MIN_INNER_LENGTH = 6
"""Characters of an identifier that is found inside words too, at least."""

_ISOLATED = (re.compile(r"(?<![\w.+'@-])"), re.compile(r"(?![\w@+'-]|\.[\w@+'.-])"))
_WORD = (re.compile(r"(?<!\w)"), re.compile(r"(?!\w)"))

Edit = tuple[int, int, str]
"""Start and end of a part of an event, and what replaces it."""

_Find = Callable[[str], Iterator[Span]]
_Piece = tuple[str, bool]
"""A piece of a string, and whether it is a replacement."""


def redact_event(event: str, policy: Policy, scan: Scan | None = None) -> str:
    """Replace the personal data of an event of any shape.

    :param event: a JSON object.
    :param policy: how personal data is replaced.
    :param scan: what the event contains, if it was scanned before.
    """
    scan = scan or scan_event(event, removes_subject=policy.removes_subject)
    values = list(scan.identifiers(event))
    replacements = iter(policy.replacements(values))
    identifiers = sorted({fold_case(value.strip()) for value in values} - {""})
    edits = [(*span, "") for span in scan.removed]
    for scalar in scan.scalars:
        start, end, role, type_ = scalar
        if role is FieldRole.SUBJECT and type_ != "key":
            replacement = next(replacements)
            if type_ == "number":
                edits.append((start, end, f'"{replacement}"'))
            elif decode_json_string(event[start:end]).strip():
                edits.append((start, end, replacement))
        else:
            edits += scalar_edits(event, scalar, identifiers, policy)
    return _apply(sorted(edits), event)


def scalar_edits(event: str, scalar: Scalar, identifiers: Collection[str], policy: Policy) -> list[Edit]:
    """The edits of a string, key or number that does not itself identify the subject: one or none.

    :param event: the whole event.
    :param scalar: where it is, and what it holds.
    :param identifiers: of the event's subject, case-folded and stripped, none of them empty.
    :param policy: how personal data is replaced.
    """
    start, end, role, type_ = scalar
    if role is FieldRole.ENVELOPE or role is FieldRole.DATA:
        return []
    raw = event[start:end]
    if type_ == "number":
        if role is FieldRole.TEXT and raw in identifiers:
            return [(start, end, f'"{policy.replacement(raw)}"')]
        return []
    if role is FieldRole.ID and not ("@" in raw or "%" in raw or "\\" in raw):
        return []
    searched = identifiers if role is FieldRole.TEXT else ()
    redacted = redact_string(raw, searched, policy.replacement, json=True, phones=role is not FieldRole.ID)
    return [] if redacted == raw else [(start, end, redacted)]


def redact_string(
    raw: str,
    identifiers: Collection[str],
    replacement: Callable[[str], str],
    *,
    json: bool,
    phones: bool = True,
) -> str:
    """Replace the personal data in a string.

    Isolated identifiers come first, then addresses, then phone numbers, then identifiers inside words. In a
    string with escapes, the most decoded form is searched first.

    :param raw: the string as it is written.
    :param identifiers: of the event's subject, case-folded and stripped, none of them empty.
    :param replacement: returns the replacement of a value.
    :param json: whether the string is between the quotes of a JSON string; the result is, too.
    :param phones: whether to search for phone numbers.
    """
    if _is_clean(raw, identifiers):
        return raw
    finders: list[_Find] = [find_addresses]
    if phones:
        finders.append(find_phones)
    if identifiers:
        finders = [partial(_find_isolated, identifiers), *finders, partial(_find_anywhere, identifiers)]
    depths = range(len(decodings(raw, json=json)) - 1, -1, -1)
    pieces: list[_Piece] = [(raw, False)]
    for find in finders:
        for depth in depths:
            pieces = [new for piece in pieces for new in _split(piece, find, depth, replacement, json=json)]
    return "".join(piece for piece, _ in pieces)


def is_isolated(text: str, start: int, end: int) -> bool:
    """Whether an identifier at this place is neither part of a word nor of an address.

    :param text: the string that contains it.
    :param start: its first character.
    :param end: behind its last character.
    """
    before, after = _ISOLATED
    return bool(before.match(text, start) and after.match(text, end))


def _apply(edits: list[Edit], event: str) -> str:
    """Make the edits; one that starts inside an earlier one is left out."""
    pieces = []
    position = 0
    for start, end, replacement in edits:
        if start >= position:
            pieces += [event[position:start], replacement]
        position = max(position, end)
    return "".join([*pieces, event[position:]])


def _is_clean(raw: str, identifiers: Collection[str]) -> bool:
    """Whether a quick look shows that there is nothing to replace."""
    if "@" in raw or "%" in raw:
        return False
    if "\\" in raw:
        if "\\u" in raw or "\\\\" in raw:
            return False
        raw = decode_simple_escapes(raw)
    if len(raw) >= MIN_DIGITS and PHONE.search(raw):
        return False
    if not identifiers:
        return True
    folded = fold_case(raw)
    return not any(identifier in folded for identifier in identifiers)


def _split(
    piece: _Piece, find: _Find, depth: int, replacement: Callable[[str], str], *, json: bool
) -> Iterator[_Piece]:
    raw, is_replacement = piece
    steps = [] if is_replacement else decodings(raw, json=json)
    if depth >= len(steps):
        yield piece
        return
    decoding = steps[depth]
    position = 0
    for span in find(decoding.text):
        start, end = decoding.to_raw_span(*span)
        yield raw[position:start], False
        yield replacement(decoding.text[slice(*span)]), True
        position = end
    if position < len(raw):
        yield raw[position:], False


def _find_isolated(identifiers: Collection[str], text: str) -> Iterator[Span]:
    return _find_between(text, identifiers, *_ISOLATED)


def _find_anywhere(identifiers: Collection[str], text: str) -> Iterator[Span]:
    long = [identifier for identifier in identifiers if len(identifier) >= MIN_INNER_LENGTH]
    short = [identifier for identifier in identifiers if len(identifier) < MIN_INNER_LENGTH]
    yield from _without_overlaps([*_occurrences(fold_case(text), long), *_find_between(text, short, *_WORD)])


def _find_between(
    text: str, values: Collection[str], before: re.Pattern[str], after: re.Pattern[str]
) -> Iterator[Span]:
    """Find values with ``before`` on their left and ``after`` on their right."""
    spans = _occurrences(fold_case(text), values)
    yield from _without_overlaps([(a, b) for a, b in spans if before.match(text, a) and after.match(text, b)])


def _occurrences(text: str, values: Collection[str]) -> list[Span]:
    spans = []
    for value in values:
        at = text.find(value)
        while at >= 0:
            spans.append((at, at + len(value)))
            at = text.find(value, at + 1)
    return spans


def _without_overlaps(spans: list[Span]) -> Iterator[Span]:
    """In order; of spans that overlap the first, and of spans that start together the longest."""
    position = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= position:
            yield start, end
            position = end
