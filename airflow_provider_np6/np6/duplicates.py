"""How many events were dropped because their id had come already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.window import DAY

if TYPE_CHECKING:
    from airflow_provider_np6.np6.window import Window


class Duplicates:
    """Events whose id came already in the same response.

    A second that is requested again brings its duplicates again, so of one id the most that one response
    brought count.

    :param window: those outside of it do not count.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._counted: Counter[int] = Counter()
        self._open: dict[str, tuple[int, int]] = {}
        self._in_response: Counter[str] = Counter()

    @property
    def by_day(self) -> Mapping[int, int]:
        """Their number, by UTC day since the epoch."""
        total = self._counted.copy()
        for day, count in self._open.values():
            total[day] += count
        return total

    def begin(self) -> None:
        """Another response begins."""
        self._in_response.clear()

    def add(self, id_: str, timestamp: int) -> None:
        """Count one event."""
        if not self._window.start <= timestamp < self._window.end:
            return
        self._in_response[id_] += 1
        _, most = self._open.get(id_, (0, 0))
        self._open[id_] = (timestamp // DAY, max(most, self._in_response[id_]))

    def conclude(self) -> None:
        """What was counted does not come again."""
        if self._open:
            self._counted = Counter(self.by_day)
            self._open.clear()
            self._in_response.clear()
