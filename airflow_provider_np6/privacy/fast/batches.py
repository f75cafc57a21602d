"""Many events at a time: cut by the pattern of their layout, changed column by column, and joined again.

Whatever such a pattern does not fit, or may need another look, is left to
:mod:`~airflow_provider_np6.privacy.redaction`, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.fast.columns import Columns
from airflow_provider_np6.privacy.fast.cuts import cut_of
from airflow_provider_np6.privacy.fast.layouts import Layouts
from airflow_provider_np6.privacy.redaction import redact

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verify import Item
    from airflow_provider_np6.privacy.policy import Policy

MAX_CUTS = 8
"""Ways to cut events that are tried one after another."""


class Batches:
    """Takes personal data out of events, and remembers what such events are like."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._layouts = Layouts(removes_own=policy.removes)
        self._patterns: set[bytes] = set()
        self._columns: list[Columns] = []

    def redacted(self, items: Sequence[Item]) -> list[bytes]:
        """The events without personal data, each on one line as it came."""
        whole = [b""] * len(items)
        left: Sequence[int] = range(len(items))
        tried = 0
        while left:
            if self._learned_columns():
                tried = 0
            if tried < len(self._columns):
                left = self._cut(self._columns[tried], items, left, whole)
                tried += 1
            else:
                whole[left[0]] = self._redacted_alone(items[left[0]])
                left = left[1:]
        return whole

    def _cut(
        self, columns: Columns, items: Sequence[Item], left: Sequence[int], whole: list[bytes]
    ) -> Sequence[int]:
        """Redact those events of ``left`` that ``columns`` fits, into ``whole``; which are left then."""
        some = items if len(left) == len(items) else [items[at] for at in left]
        pieces = columns.pieces(b"\n".join([*some, b""]))
        gaps = pieces[:: columns.width]
        if len(gaps) == 1 or any(gap and not gap.endswith(b"\n") for gap in gaps):  # it fits inside an event
            return left
        mine, rest = _around(gaps, left) if any(gaps) else (left, left[:0])
        if len(mine) != len(gaps) - 1:  # it fits across events
            return left
        lines, doubtful = columns.redacted(pieces, some if mine is left else [items[at] for at in mine])
        for at in doubtful:
            lines[at] = self._redacted_alone(items[mine[at]])
        if len(mine) == len(whole):
            whole[:] = lines
        else:
            for at, line in zip(mine, lines, strict=True):
                whole[at] = line
        return rest

    def _redacted_alone(self, item: Item) -> bytes:
        event = bytes(item).decode()
        return redact(event, self._policy, self._layouts.found(event)).encode()

    def _learned_columns(self) -> bool:
        """Whether there are new columns, of layouts that were seen since."""
        new = []
        for layout in self._layouts.taken_new():
            cut = cut_of(layout)
            if cut is not None and cut.pattern not in self._patterns and len(self._patterns) < MAX_CUTS:
                self._patterns.add(cut.pattern)
                new.append(Columns(cut, self._policy, self._layouts))
        if not new:
            return False
        # What fits the beginning of events that another fits better comes later.
        self._columns = sorted([*self._columns, *new], key=lambda columns: -columns.length)
        return True


def _around(gaps: Iterable[bytes], left: Sequence[int]) -> tuple[list[int], list[int]]:
    """Which of ``left`` stand between gaps, and which are the lines in them."""
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
