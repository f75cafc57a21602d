"""Redacts events column by column: columns that are kept, the subjects' identifiers, and the rest.

The rest is the same in most events except for the address in it. What was found in a rest is remembered,
with a placeholder for the address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, repeat
from operator import contains
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.escapes import decode_json_string, decodings
from airflow_provider_np6.privacy.event_fields import FieldRole
from airflow_provider_np6.privacy.pseudonyms import fold_case
from airflow_provider_np6.privacy.redaction import is_isolated, scalar_edits

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Item
    from airflow_provider_np6.privacy.fast.cuts import Cut
    from airflow_provider_np6.privacy.fast.layouts import LayoutCache
    from airflow_provider_np6.privacy.policy import Policy

MAX_KNOWN = 2 * 1024 * 1024
"""Bytes of the rests that are remembered; beyond that, all are forgotten."""

MAX_REST = 4_096
"""Bytes of a rest that is remembered, at most."""

_PLACEHOLDER = b"\0"  # JSON cannot contain it unescaped
_IN_NO_REST = "\0\0"
_REFUSED = ""
"""In place of a decoded rest: the event must be redacted by the plain walk."""


class Columns:
    """Redacts the events that a cut fits.

    :param cut: how they are cut.
    :param policy: how personal data is replaced.
    :param layouts: scans the events whose rest is new.
    """

    def __init__(self, cut: Cut, policy: Policy, layouts: LayoutCache) -> None:
        self._cut = cut
        pattern = re.compile(cut.pattern, re.DOTALL)
        self.split = pattern.split
        """Splits lines into gaps (what is between the events that fit) and their columns, in turn."""
        self.width = pattern.groups + 1
        self.length = len(cut.pattern)
        self._policy = policy
        self._layouts = layouts
        self._known: dict[bytes, str] = {}
        self._known_bytes = 0

    def redact(self, pieces: list[bytes], items: Sequence[Item]) -> tuple[list[bytes], set[int]]:
        """Redact events.

        :param pieces: the events as :attr:`split` returned them.
        :param items: the same events, whole.
        :return: the redacted events, and which of them must be redacted by the plain walk instead.
        """
        columns = [pieces[group :: self.width] for group in range(1, self.width)]
        rests = list(map(self._known.get, columns[-1], repeat(_REFUSED)))
        doubtful = self._find_suspicious(columns)
        subjects: list[_SubjectColumn] = []
        for group, is_kept in self._cut.subject.items():
            values = columns[group - 1]
            # An event may repeat the address.
            column = next((column for column in subjects if column.values == values), None)
            if column is None:
                column = _SubjectColumn(values, self._policy)
                subjects.append(column)
            columns[group - 1] = column.tokens if is_kept else [b""] * len(items)
            doubtful |= column.doubtful
        doubtful |= self._redact_rests(columns[-1], rests, items, subjects)
        for column in subjects:
            doubtful |= column.find_mentions(rests)
        return list(map(b"".join, zip(*columns, strict=True))), doubtful

    def _find_suspicious(self, columns: list[list[bytes]]) -> set[int]:
        """The events whose ids or codes may contain an address or an escape."""
        kept = [columns[group - 1] for group in self._cut.kept]
        if not _is_suspicious(b"".join(chain.from_iterable(kept))):
            return set()
        return {at for at, parts in enumerate(zip(*kept, strict=True)) if _is_suspicious(b"".join(parts))}

    def _redact_rests(
        self,
        raw_rests: list[bytes],
        rests: list[str],
        items: Sequence[Item],
        subjects: Sequence[_SubjectColumn],
    ) -> set[int]:
        """Redact the rests that are not known as they are.

        :param raw_rests: changed in place.
        :param rests: the decoded rests, as :meth:`_learn` returns them; the missing ones are filled in.
        :return: the events that must be redacted by the plain walk.
        """
        refused = set()
        addressed = [column for column in subjects if column.has_addresses]
        are_words = all(column.is_words for column in subjects if not column.has_addresses)
        for at in [at for at, rest in enumerate(rests) if not rest]:
            template = raw = raw_rests[at]
            token = b""
            if addressed and are_words and b"@" in raw:
                address, token = addressed[0].values[at], addressed[0].tokens[at]
                is_same = all(column.values[at] == address for column in addressed[1:])
                if is_same and b"\\" not in address and b"%" not in address:
                    template = raw.replace(address, _PLACEHOLDER)
            rest = self._known.get(template)
            if rest is None:
                rest = self._learn(template, bytes(items[at])[: -len(raw)])
            if rest is _REFUSED:
                rests[at] = rest
                refused.add(at)
            else:
                raw_rests[at], rests[at] = template.replace(_PLACEHOLDER, token), rest
        return refused

    def _learn(self, template: bytes, head: bytes) -> str:
        """Decode a rest, and remember the result.

        :param template: the rest, with :data:`_PLACEHOLDER` for the address of the event's subject.
        :param head: the event up to the rest.
        :return: all decodings of the rest, case-folded, if its only personal data is that address; else
            :data:`_REFUSED`.
        """
        if b"@" in template or len(template) > MAX_REST:
            return _REFUSED
        if _PLACEHOLDER in template and _has_unclear_escape(template):
            return _REFUSED
        self._known_bytes += len(template)
        if self._known_bytes > MAX_KNOWN:
            self._known.clear()
            self._known_bytes = len(template)
        before, after = head.decode(), template.decode()
        self._known[template] = self._decode(before + after, len(before))
        return self._known[template]

    def _decode(self, event: str, begin: int) -> str:
        scan = self._layouts.scan(event)
        scalars = [scalar for scalar in scan.scalars if scalar[0] >= begin]
        if any(end > begin for _, end in scan.removed) or any(
            scalar[2] is FieldRole.SUBJECT or scalar_edits(event, scalar, [], self._policy)
            for scalar in scalars
        ):
            return _REFUSED
        placeholder = _PLACEHOLDER.decode()
        filled = event.replace(placeholder, "x")  # two placeholders side by side are one word
        strings = [scalar for scalar in scalars if scalar[2] is FieldRole.TEXT and scalar[3] != "number"]
        for at in (at for at, character in enumerate(event) if character == placeholder):
            is_in_string = any(start <= at < end for start, end, *_ in strings)
            if not (is_isolated(filled, at, at + 1) and is_in_string):
                return _REFUSED
        decoded = event[begin:]
        for start, end, *_ in scalars:
            for decoding in decodings(event[start:end], json=True):
                decoded += "" if decoding.source is None else f"\n{decoding.text}"
        return _REFUSED if "@" in decoded else fold_case(decoded)


class _SubjectColumn:
    """A column of values that identify the events' subjects.

    :param values: as they are written.
    :param policy: how they are replaced.
    """

    def __init__(self, values: list[bytes], policy: Policy) -> None:
        self.values = values
        joined = b"\0".join(values)
        text = joined.decode()
        decoded = text.split("\0")
        self.doubtful: set[int] = set()
        """Events with outer white space, or where the pattern may have missed the value's end."""
        if b"\\" in joined:
            decoded = list(map(decode_json_string, decoded))
            self.doubtful = {at for at, value in enumerate(values) if value.endswith(b"\\")}
        if text.split() != [text]:
            self.doubtful |= {at for at, value in enumerate(decoded) if value != value.strip()}
        self.tokens = list(map(str.encode, policy.replacements(decoded)))
        self.has_addresses = b"@" in joined
        self.is_words = joined.replace(b"\0", b"").isalnum()
        self._decoded = decoded

    def find_mentions(self, rests: list[str]) -> set[int]:
        """The events whose rest contains the value; no rest contains an address.

        :param rests: the events' decoded rests.
        """
        if self.has_addresses and all(map(contains, self._decoded, repeat("@"))):
            return set()
        if self.is_words:
            words = list(map(str.lower, self._decoded))
        else:
            words = [_IN_NO_REST if "@" in value else fold_case(value.strip()) for value in self._decoded]
        is_mentioned = list(map(contains, rests, words))
        return {at for at, is_in in enumerate(is_mentioned) if is_in} if True in is_mentioned else set()


def _is_suspicious(text: bytes) -> bool:
    return b"@" in text or b"%" in text or b"\\" in text


def _has_unclear_escape(text: bytes) -> bool:
    """Whether a character may be written as a number, or :data:`_PLACEHOLDER` ends an escape."""
    at = text.find(b"\\")
    while at >= 0:
        if text[at + 1] in b"\\u" + _PLACEHOLDER:
            return True
        at = text.find(b"\\", at + 2)
    return b"%" in text
