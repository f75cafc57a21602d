"""Events as columns: what stays as it is, the values of the event's own identity, and the rest of it.

The rest is alike in most events but for the address in it: what was found in one is remembered, without the
address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, repeat
from operator import contains
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.escapes import read_json, readings
from airflow_provider_np6.privacy.event_fields import Part
from airflow_provider_np6.privacy.pseudonyms import folded
from airflow_provider_np6.privacy.redaction import edits_of, is_alone

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verify import Item
    from airflow_provider_np6.privacy.fast.cuts import Cut
    from airflow_provider_np6.privacy.fast.layouts import Layouts
    from airflow_provider_np6.privacy.policy import Policy

MAX_KNOWN = 2 * 1024 * 1024
"""Bytes of rests that are remembered, after which all are forgotten."""

MAX_REST = 4_096
"""Bytes of a rest that is remembered."""

_MARK = b"\0"  # no JSON holds it unescaped
_NEVER = "\0\0"
_REFUSED = ""


class Columns:
    """Takes personal data out of the events that a cut fits."""

    def __init__(self, cut: Cut, policy: Policy, layouts: Layouts) -> None:
        self._cut = cut
        pattern = re.compile(cut.pattern, re.DOTALL)
        self.pieces = pattern.split
        """Cuts lines into what lies between events that fit, and their columns, by turns."""
        self.width = pattern.groups + 1
        self.length = len(cut.pattern)
        self._policy = policy
        self._layouts = layouts
        self._known: dict[bytes, str] = {}
        self._known_bytes = 0

    def redacted(self, pieces: list[bytes], items: Sequence[Item]) -> tuple[list[bytes], set[int]]:
        """The events without personal data; and which of them must be looked at string by string instead.

        :param pieces: the events as :attr:`pieces` left them.
        :param items: the same, whole.
        """
        columns = [pieces[group :: self.width] for group in range(1, self.width)]
        texts = list(map(self._known.get, columns[-1], repeat(_REFUSED)))
        doubtful = self._suspicious(columns)
        own: list[_Own] = []
        for group, stays in self._cut.own.items():
            values = columns[group - 1]
            one = next((one for one in own if one.values == values), None)  # an address may be told twice
            if one is None:
                one = _Own(values, self._policy)
                own.append(one)
            columns[group - 1] = one.tokens if stays else [b""] * len(items)
            doubtful |= one.doubtful
        doubtful |= self._look_at_rests(columns[-1], texts, items, own)
        for column in own:
            doubtful |= column.named_in(texts)
        return list(map(b"".join, zip(*columns, strict=True))), doubtful

    def _suspicious(self, columns: list[list[bytes]]) -> set[int]:
        """The events in whose ids or codes an address or an escape may be."""
        kept = [columns[group - 1] for group in self._cut.kept]
        if not _is_suspicious(b"".join(chain.from_iterable(kept))):
            return set()
        return {at for at, parts in enumerate(zip(*kept, strict=True)) if _is_suspicious(b"".join(parts))}

    def _look_at_rests(
        self, rests: list[bytes], texts: list[str], items: Sequence[Item], own: Sequence[_Own]
    ) -> set[int]:
        """Replace what are not known as they stand, and set their texts, as of :meth:`_learned`.

        :return: the events whose rests must be looked at string by string.
        """
        refused = set()
        addressed = [column for column in own if column.has_addresses]
        are_words = all(column.is_words for column in own if not column.has_addresses)
        for at in [at for at, text in enumerate(texts) if not text]:
            template = rest = rests[at]
            token = b""
            if addressed and are_words and b"@" in rest:
                address, token = addressed[0].values[at], addressed[0].tokens[at]
                alike = all(column.values[at] == address for column in addressed[1:])
                if alike and b"\\" not in address and b"%" not in address:
                    template = rest.replace(address, _MARK)
            text = self._known.get(template)
            if text is None:
                text = self._learned(template, bytes(items[at])[: -len(rest)])
            if text is _REFUSED:
                texts[at] = text
                refused.add(at)
            else:
                rests[at], texts[at] = template.replace(_MARK, token), text
        return refused

    def _learned(self, template: bytes, head: bytes) -> str:
        """All that a rest may be read as, folded, if there is no personal data in it but the event's own;
        else :data:`_REFUSED`. It is remembered.

        :param template: the rest, its event's own address replaced by :data:`_MARK`.
        :param head: its event up to it.
        """
        if b"@" in template or len(template) > MAX_REST:
            return _REFUSED
        if _MARK in template and _is_escaped_oddly(template):
            return _REFUSED
        self._known_bytes += len(template)
        if self._known_bytes > MAX_KNOWN:
            self._known.clear()
            self._known_bytes = len(template)
        before, text = head.decode(), template.decode()
        self._known[template] = self._read(before + text, len(before))
        return self._known[template]

    def _read(self, event: str, begin: int) -> str:
        found = self._layouts.found(event)
        texts = [text for text in found.texts if text[0] >= begin]
        if any(end > begin for _, end in found.removed) or any(
            text[2] is Part.OWN or edits_of(event, text, [], self._policy) for text in texts
        ):
            return _REFUSED
        mark = _MARK.decode()
        filled = event.replace(mark, "x")  # two marks side by side are one word
        free = [text for text in texts if text[2] is Part.FREE and text[3] != "number"]
        for at in (at for at, character in enumerate(event) if character == mark):
            if not (is_alone(filled, at, at + 1) and any(start <= at < end for start, end, *_ in free)):
                return _REFUSED
        read = event[begin:]
        for start, end, *_ in texts:
            for reading in readings(event[start:end], json=True):
                read += "" if reading.of is None else f"\n{reading.text}"
        return _REFUSED if "@" in read else folded(read)


class _Own:
    """A column of values of the events' own identities.

    :param values: as they are spelled.
    """

    def __init__(self, values: list[bytes], policy: Policy) -> None:
        self.values = values
        joined = b"\0".join(values)
        text = joined.decode()
        read = text.split("\0")
        self.doubtful: set[int] = set()
        """Those with white space around, or where the pattern may have missed the value's end."""
        if b"\\" in joined:
            read = list(map(read_json, read))
            self.doubtful = {at for at, value in enumerate(values) if value.endswith(b"\\")}
        if text.split() != [text]:
            self.doubtful |= {at for at, value in enumerate(read) if value != value.strip()}
        self.tokens = list(map(str.encode, policy.replacements(read)))
        self.has_addresses = b"@" in joined
        self.is_words = joined.replace(b"\0", b"").isalnum()
        self._read = read

    def named_in(self, texts: list[str]) -> set[int]:
        """The events in whose text, folded, the value stands; where it is an address, it does not."""
        if self.has_addresses and all(map(contains, self._read, repeat("@"))):
            return set()
        if self.is_words:
            words = list(map(str.lower, self._read))
        else:
            words = [_NEVER if "@" in value else folded(value.strip()) for value in self._read]
        found = list(map(contains, texts, words))
        return {at for at, is_in in enumerate(found) if is_in} if True in found else set()


def _is_suspicious(text: bytes) -> bool:
    return b"@" in text or b"%" in text or b"\\" in text


def _is_escaped_oddly(text: bytes) -> bool:
    """Whether something may be spelled by a number, in JSON or in a text, or :data:`_MARK` ends an escape."""
    at = text.find(b"\\")
    while at >= 0:
        if text[at + 1] in b"\\u" + _MARK:
            return True
        at = text.find(b"\\", at + 2)
    return b"%" in text
