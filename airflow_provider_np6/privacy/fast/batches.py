"""Redacts a batch of events with the columns that fit; events that none fits are redacted one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.fast.columns import Columns
from airflow_provider_np6.privacy.fast.cuts import make_cut
from airflow_provider_np6.privacy.fast.layouts import LayoutCache
from airflow_provider_np6.privacy.redaction import redact_event

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Item
    from airflow_provider_np6.privacy.policy import Policy

MAX_CUTS = 8
"""Cuts that are tried one after another, at most."""


class BatchRedactor:
    """Redacts batches of events, and remembers their layouts.

    :param policy: how personal data is replaced.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._layouts = LayoutCache(removes_subject=policy.removes_subject)
        self._patterns: set[bytes] = set()
        self._columns: list[Columns] = []

    def redact(self, items: Sequence[Item]) -> list[bytes]:
        """Redact events.

        :param items: each on one line.
        """
        lines = [b""] * len(items)
        left: Sequence[int] = range(len(items))
        tried = 0
        while left:
            if self._learn_columns():
                tried = 0
            if tried < len(self._columns):
                left = self._redact_columns(self._columns[tried], items, left, lines)
                tried += 1
            else:
                lines[left[0]] = self._redact_event(items[left[0]])
                left = left[1:]
        return lines

    def _redact_columns(
        self, columns: Columns, items: Sequence[Item], left: Sequence[int], lines: list[bytes]
    ) -> Sequence[int]:
        """Redact those events of ``left`` that ``columns`` fits, into ``lines``; return the others."""
        batch = items if len(left) == len(items) else [items[at] for at in left]
        pieces = columns.split(b"\n".join([*batch, b""]))
        gaps = pieces[:: columns.width]
        if len(gaps) == 1 or any(gap and not gap.endswith(b"\n") for gap in gaps):  # it fits inside an event
            return left
        fitting, others = _split_at_gaps(gaps, left) if any(gaps) else (left, left[:0])
        if len(fitting) != len(gaps) - 1:  # it fits across events
            return left
        if fitting is not left:
            batch = [items[at] for at in fitting]
        redacted, doubtful = columns.redact(pieces, batch)
        for at in doubtful:
            redacted[at] = self._redact_event(items[fitting[at]])
        if len(fitting) == len(lines):
            lines[:] = redacted
        else:
            for at, line in zip(fitting, redacted, strict=True):
                lines[at] = line
        return others

    def _redact_event(self, item: Item) -> bytes:
        event = bytes(item).decode()
        return redact_event(event, self._policy, self._layouts.scan(event)).encode()

    def _learn_columns(self) -> bool:
        """Whether there are new columns, for layouts that were added since."""
        new = []
        for layout in self._layouts.take_new():
            cut = make_cut(layout)
            if cut is not None and cut.pattern not in self._patterns and len(self._patterns) < MAX_CUTS:
                self._patterns.add(cut.pattern)
                new.append(Columns(cut, self._policy, self._layouts))
        if not new:
            return False
        # A pattern that fits only the start of events comes after one that fits more of them.
        self._columns = sorted([*self._columns, *new], key=lambda columns: -columns.length)
        return True


def _split_at_gaps(gaps: Iterable[bytes], left: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which events of ``left`` are between gaps, and which are the lines inside them."""
    between: list[int] = []
    inside: list[int] = []
    at = 0
    for gap in gaps:
        lines = gap.count(b"\n")
        inside += left[at : at + lines]
        at += lines
        between += left[at : at + 1]
        at += 1
    return between, inside
