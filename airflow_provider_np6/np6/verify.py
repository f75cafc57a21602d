"""Verifies the responses that make up one pull: every element is an event of what was requested, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.caps import ResponseSize
from airflow_provider_np6.np6.envelope import Elements, EnvelopeReader, pick
from airflow_provider_np6.np6.event_sorter import EventSorter, TieSorter
from airflow_provider_np6.np6.events import Events, Invalid, refuse
from airflow_provider_np6.np6.plan import Received, Request, StartOverError
from airflow_provider_np6.np6.seen_ids import OrderedIds, UnorderedIds
from airflow_provider_np6.np6.window import DAY

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.raw_batch import RawBatch


class Verifier:
    """Verifies responses, batch by batch.

    ``sort=asc`` is documented, so order is expected, and checked: then memory stays flat, and a response that
    broke off can be resumed from its last second. Otherwise (``ordered=False``) all ids stay in memory, and
    events are sorted on the worker's disk.

    :param query: what is pulled.
    :param ordered: whether responses must be in order of time.
    :param set_aside: takes what is invalid.
    """

    def __init__(
        self, query: EventQuery, *, ordered: bool = True, set_aside: Callable[[Invalid], None] = refuse
    ) -> None:
        self._window = query.window
        self._reader = EnvelopeReader(query)
        self._set_aside = set_aside
        self._ids = OrderedIds(query.window) if ordered else UnorderedIds(query.window)
        self._ties = TieSorter()
        self._sorter = None if ordered else EventSorter()
        self._digests: set[str] = set()
        self.events_by_day: Counter[int] = Counter()
        """Events that were handed on so far, by UTC day since the epoch."""
        self._request: Request | None = None

    @property
    def events(self) -> int:
        """Events so far."""
        return self._ids.taken if self._sorter is not None else self.events_by_day.total()

    @property
    def taken(self) -> int:
        """Ids that came for the first time, those outside of the window too."""
        return self._ids.taken

    @property
    def last(self) -> int:
        """Largest timestamp so far, in ms; before the first event, the window's start."""
        return self._window.start if self._ids.last is None else self._ids.last

    @property
    def is_order_shown(self) -> bool:
        """Whether so many events came in order that the server is believed to honor it."""
        return self._ids.is_order_shown

    @property
    def invalid(self) -> int:
        """Invalid events so far."""
        return len(self._digests)

    @property
    def duplicates_by_day(self) -> Mapping[int, int]:
        """Events that were dropped because their id had come already, by UTC day since the epoch."""
        return self._ids.duplicates.by_day

    @property
    def compared_all(self) -> bool:
        """Whether ids were compared with all others of their day."""
        return self._ids.compared_all

    def begin(self, request: Request) -> None:
        """Another response begins.

        :param request: what was requested.
        """
        self._request = request
        self._ids.begin(request)
        self._taken_before = self._ids.taken
        self._previous = request.part.start
        self.in_response = 0
        """Elements of the current response."""
        self._largest = 0
        self.is_broken = False
        """Whether an element of the current response was not an event at all."""
        self._is_unknown = False
        self.first: int | None = None
        """Smallest timestamp of the current response inside of its part, in ms."""
        self.latest: int | None = None
        """Largest timestamp, likewise."""
        self._is_begun = self._is_ended = False

    def verify(self, batch: RawBatch) -> Events:
        """The events of a batch that belong to the window and came for the first time, as far as their order
        is known.

        :param batch: some elements of the current response.
        :raises StartOverError: if order was expected, and they are not in order.
        """
        elements = self._read(batch)
        items, ids, timestamps = elements.items, elements.ids, elements.timestamps
        if not ids:
            return Events([], [])
        if self._sorter is None:
            if timestamps[0] < self._previous or timestamps != sorted(timestamps):
                raise StartOverError("events are not in order")
            self._previous = timestamps[-1]
            first, latest = timestamps[0], timestamps[-1]
        else:
            first, latest = min(timestamps), max(timestamps)
        self.first = first if self.first is None else min(self.first, first)
        self.latest = latest if self.latest is None else max(self.latest, latest)
        keep = self._ids.take(ids, timestamps)
        window = self._window
        if self._sorter is not None or timestamps[0] < window.start or timestamps[-1] >= window.end:
            keep = [i for i in keep if window.start <= timestamps[i] < window.end]
        if len(keep) < len(ids):
            items, ids, timestamps = pick(keep, items, ids, timestamps)
        if self._sorter is not None:
            self._sorter.add(items, ids, timestamps)
            return Events([], [])
        self._count(timestamps)
        return self._ties.add(items, ids, timestamps)

    def compare(self, batch: RawBatch) -> Events:
        """Look for events that have not come before; none is taken, and none returned.

        :param batch: some elements of a check's response.
        """
        invalid = self.invalid
        elements = self._read(batch)
        if not self._ids.compare(elements.ids) or self.invalid > invalid:
            self._is_unknown = True
        return Events([], [])

    def received(self, size: int) -> Received:
        """What the current response brought.

        :param size: of its JSON, in bytes.
        """
        return Received(
            size=ResponseSize(self.in_response, size, self._largest),
            is_new=self._is_unknown or self.is_new,
            is_missing=bool(self._ids.expected),
            first=self.first,
            last=self.latest,
            is_begun=self._is_begun,
            is_ended=self._is_ended,
        )

    @property
    def is_new(self) -> bool:
        """Whether the current response has brought an event that had not come before."""
        return self._ids.taken > self._taken_before

    @property
    def missing(self) -> int:
        """Events that the current response lacks, and an earlier one had."""
        return len(self._ids.expected)

    def finish(self) -> Iterator[Events]:
        """The events that were held back, when no more come."""
        if isinstance(self._ids, UnorderedIds) and self._sorter is not None:
            for events in self._sorter.sorted(self._ids.times):
                self._count(events.timestamps)
                yield events
        elif (rest := self._ties.rest()).items:
            yield rest

    def close(self) -> None:
        """Forget what was held back."""
        if self._sorter is not None:
            self._sorter.close()

    def _read(self, batch: RawBatch) -> Elements:
        """The events of a batch; what is invalid is set aside."""
        assert self._request is not None  # noqa: S101 - begin comes first
        self.in_response += len(batch.items)
        self._largest = max(self._largest, batch.largest)
        elements = self._reader.read(batch, self._request.part)
        self._is_begun |= elements.is_begun
        self._is_ended |= elements.is_ended
        self.is_broken |= elements.is_broken
        for item, reason, before in elements.rejected:
            near = elements.timestamps[before - 1] if before else self.last
            self._reject(item, reason, before, near)
        return elements

    def _reject(self, item: bytes, reason: str, before: int, near: int) -> None:
        invalid = Invalid(item, reason, self.events + before, near, sha256(item).hexdigest())
        if invalid.digest not in self._digests:
            self._set_aside(invalid)
            self._digests.add(invalid.digest)

    def _count(self, timestamps: Sequence[int]) -> None:
        if not timestamps:
            return
        if timestamps[0] // DAY == timestamps[-1] // DAY:  # they are in order
            self.events_by_day[timestamps[0] // DAY] += len(timestamps)
        else:
            self.events_by_day.update(timestamp // DAY for timestamp in timestamps)
