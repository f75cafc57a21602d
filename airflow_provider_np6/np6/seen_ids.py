"""Which ids came already: each event passes once, the first in time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.duplicates import Duplicates
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.plan import Step
from airflow_provider_np6.np6.window import DAY, SECOND

if TYPE_CHECKING:
    from airflow_provider_np6.np6.plan import Request
    from airflow_provider_np6.np6.window import Window

MAX_COMPARED_IDS = 250_000
"""Ids of one UTC day that are compared in ordered responses; beyond that only those within one second are.
They take about 35 MB."""

MAX_HELD_IDS = 2_000_000
"""Ids of one second, or of responses without order, that are held at most."""


ENOUGH_TIMES = 10
"""Different times that one response brings in order by chance once in 3.6 million."""


class OrderedIds:
    """Ids of events that come in order of time.

    :param window: what is pulled.
    """

    def __init__(self, window: Window) -> None:
        self.duplicates = Duplicates(window)
        self.last: int | None = None
        """Largest timestamp so far, in ms; None as long as no event has come."""
        self.taken = 0
        """Ids that came for the first time."""
        self.compared_all = True
        """Whether each id was compared with all of its day."""
        self.expected: set[str] = set()
        """Ids that the current response must bring again, and has not brought yet."""
        self._known: Collection[str] = ()
        self._day = -1
        self._ids: set[str] = set()
        self._is_exact = True
        self._second = -1
        self._second_ids: set[str] = set()
        self._old_ids: set[str] = set()  # of the last second, which came in an earlier one already
        self.is_order_shown = False
        """Whether one response brought so many times in order that this is no chance."""
        self._times_in_response = 0
        self._last_in_response = -1
        self._first_seconds: dict[str, int] = {}

    def begin(self, request: Request) -> None:
        """Another response begins: what is known of its part comes again."""
        self.duplicates.begin()
        is_resumed = self.last is not None and self.last >= request.part.start
        self._known = ()
        if request.step.brings_events:
            if is_resumed:
                self._known = self._second_ids
            else:
                self._first_seconds.clear()
        else:
            start, end = request.part.start // SECOND, request.part.end // SECOND
            self._known = {id_ for id_, second in self._first_seconds.items() if start <= second < end}
            if request.step is Step.REVERSE and start == self._second:
                self._known = self._second_ids
        self._times_in_response, self._last_in_response = 0, -1
        self.expected = set(self._known)

    def compare(self, ids: Sequence[str]) -> bool:
        """Whether ids of a check's response are all known."""
        self.expected.difference_update(ids)
        return all(id_ in self._known for id_ in ids)

    def take(self, ids: Sequence[str], timestamps: Sequence[int]) -> Sequence[int]:
        """The places of the events that came for the first time.

        :param ids: of some events, in order of time.
        :param timestamps: of these, in ms.
        :raises Np6ResponseError: if more ids must be held than :data:`MAX_HELD_IDS`.
        """
        end = self._end_of_run(ids, timestamps, 0)
        if end == len(ids):
            return self._take(ids, timestamps)
        places: list[int] = []
        begin = 0
        while begin < len(ids):
            places += [begin + place for place in self._take(ids[begin:end], timestamps[begin:end])]
            begin, end = end, self._end_of_run(ids, timestamps, end)
        return places

    def _end_of_run(self, ids: Sequence[str], timestamps: Sequence[int], begin: int) -> int:
        """Up to where events are surely compared in the same way: to the end of the day, or until its ids may
        be too many."""
        if begin == len(ids):
            return begin
        day = timestamps[begin] // DAY
        end = len(ids) if timestamps[-1] // DAY == day else bisect_left(timestamps, (day + 1) * DAY, begin)
        self._begin_day(day)
        room = max(0, MAX_COMPARED_IDS - len(self._ids))
        return min(end, begin + room + 1) if self._is_exact else end

    def _take(self, ids: Sequence[str], timestamps: Sequence[int]) -> Sequence[int]:
        """Likewise, of events of one day."""
        self._note_first_seconds(ids, timestamps)
        if self._are_new(ids):
            places: Sequence[int] = range(len(ids))
            self._note_second(ids, timestamps)
        else:
            places = self._pick(ids, timestamps)
        if self._is_exact and len(self._ids) > MAX_COMPARED_IDS:
            self._is_exact = self.compared_all = False
            self._ids = self._second_ids
        self.last = max(timestamps[-1], self.last or 0)
        self.taken += len(places)
        check_held(len(self._second_ids), "within one second")
        return places

    def _are_new(self, ids: Sequence[str]) -> bool:
        """Whether none of them came before, or comes twice; if so, they are remembered for the day."""
        if not self._ids.isdisjoint(ids):
            return False
        if not self._is_exact:
            return len(set(ids)) == len(ids)
        total = len(self._ids) + len(ids)
        self._ids.update(ids)
        if len(self._ids) == total:
            return True
        self._ids.difference_update(ids)
        return False

    def _begin_day(self, day: int) -> None:
        if day != self._day:
            self._day = day
            self._is_exact = True
            self._ids = set()

    def _begin_second(self, second: int) -> None:
        if second > self._second:
            self._second = second
            self._second_ids = set()
            self._old_ids.clear()
            self.duplicates.conclude()
            if not self._is_exact:
                self._ids = self._second_ids

    def _note_second(self, ids: Sequence[str], timestamps: Sequence[int]) -> None:
        """Remember the ids of the last second."""
        second = timestamps[-1] // SECOND
        self._begin_second(second)
        begin = bisect_left(timestamps, second * SECOND)
        self._second_ids.update(ids[begin:])

    def _note_first_seconds(self, ids: Sequence[str], timestamps: Sequence[int]) -> None:
        """Remember the ids of the part's first second, and more of them until order is shown."""
        first = self._first_seconds
        second = next(iter(first.values()), timestamps[0] // SECOND)
        if self.is_order_shown and timestamps[0] // SECOND > second:
            return
        times = len(set(timestamps)) - (timestamps[0] == self._last_in_response)
        self._last_in_response = timestamps[-1]
        end = len(ids) if not self.is_order_shown else bisect_left(timestamps, (second + 1) * SECOND)
        for id_, time in zip(ids[:end], timestamps[:end], strict=True):
            first.setdefault(id_, time // SECOND)
        check_held(len(first), "within one second")
        self._times_in_response += times
        self.is_order_shown |= self._times_in_response >= ENOUGH_TIMES

    def _pick(self, ids: Sequence[str], timestamps: Sequence[int]) -> list[int]:
        places = []
        for place, (id_, timestamp) in enumerate(zip(ids, timestamps, strict=True)):
            self._begin_second(timestamp // SECOND)
            if id_ not in self._ids:
                self._ids.add(id_)
                places.append(place)
            else:
                if id_ not in self._second_ids:
                    self._old_ids.add(id_)
                if id_ not in self.expected or id_ in self._old_ids:
                    self.duplicates.add(id_, timestamp)
                self.expected.discard(id_)
            self._second_ids.add(id_)
        return places


class UnorderedIds:
    """Ids of events that come in any order, all of them with their times.

    :param window: what is pulled.
    """

    compared_all = True
    is_order_shown = False

    def __init__(self, window: Window) -> None:
        self.duplicates = Duplicates(window)
        self.last: int | None = None
        self.times: dict[str, int] = {}
        """The first time of each id, in ms."""
        self.expected: set[str] = set()

    @property
    def taken(self) -> int:
        """Ids that came for the first time."""
        return len(self.times)

    def begin(self, request: Request) -> None:
        """Another response begins: what is known of its part comes again."""
        self.duplicates.begin()
        part = request.part
        self.expected = {id_ for id_, time in self.times.items() if part.start <= time < part.end}

    def compare(self, ids: Sequence[str]) -> bool:
        """Whether ids of a check's response are all known."""
        self.expected.difference_update(ids)
        return all(map(self.times.__contains__, ids))

    def take(self, ids: Sequence[str], timestamps: Sequence[int]) -> list[int]:
        """The places of the events that came for the first time, or with an earlier time than before.

        :param ids: of some events.
        :param timestamps: of these, in ms.
        :raises Np6ResponseError: if more ids must be held than :data:`MAX_HELD_IDS`.
        """
        places = []
        for place, (id_, timestamp) in enumerate(zip(ids, timestamps, strict=True)):
            known = self.times.get(id_)
            if known is None or timestamp < known:
                self.times[id_] = timestamp
                places.append(place)
            if known is None:
                continue
            if timestamp == known and id_ in self.expected:
                self.expected.discard(id_)
            else:
                self.duplicates.add(id_, timestamp)
        self.last = max(*timestamps, self.last or 0)
        check_held(len(self.times), "without order")
        return places


def check_held(count: int, where: str) -> None:
    """:raises Np6ResponseError: if there are more ids than can be held."""
    if count > MAX_HELD_IDS:
        raise Np6ResponseError(
            f"more than {MAX_HELD_IDS:,} events {where} cannot be compared", hint="Pull smaller windows."
        )
