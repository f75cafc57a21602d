"""Verifies responses, batch by batch: every element is an event, inside the window, once.

The envelope of an event is documented: ``id`` (a uuid; any text up to 64 characters is taken) and
``timestamp`` (int64, ms). All else may change and is passed on as it came.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

import msgspec

from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.event_sorter import EventSorter
from airflow_provider_np6.np6.window import DAY, SECOND, Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.np6.json_stream import RawBatch

MAX_HELD_IDS = 2_000_000
"""Ids compared at a time; a set of so many takes about 250 MB."""

Item = bytes | msgspec.Raw


class _Envelope(msgspec.Struct, gc=False):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    timestamp: int


_decode_envelopes = msgspec.json.Decoder(list[_Envelope]).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode


_time_and_id = itemgetter(0, 1)


def _pick(
    places: Sequence[int], items: Sequence[Item], ids: Sequence[str], timestamps: Sequence[int]
) -> tuple[list[Item], list[str], list[int]]:
    """Some events, by their places."""
    return [items[i] for i in places], [ids[i] for i in places], [timestamps[i] for i in places]


class OutOfOrderError(Exception):
    """An answer is not in the order that was requested; pull afresh, holding all ids."""


@dataclass(frozen=True, slots=True)
class Events:
    """Proven events.

    :param items: each one's bytes on one line, as NP6 sent them, CR and LF (only white space in valid
        JSON) made spaces.
    :param timestamps: each one's time in ms since the epoch, UTC.
    """

    items: Sequence[Item]
    timestamps: Sequence[int]


@dataclass(frozen=True, slots=True)
class Invalid:
    """Something in an answer that is no event of its window.

    :param item: its bytes, as they came; None where they must not be kept.
    :param reason: what is wrong with it; never shows a part of it.
    :param position: how many events came before it.
    :param near: time in ms of the last event before it, or the window's start.
    :param digest: its sha256, in hexadecimal.
    """

    item: bytes | None
    reason: str
    position: int
    near: int
    digest: str


def refuse(invalid: Invalid) -> None:
    """Fail the pull.

    :raises Np6ResponseError: always.
    """
    raise Np6ResponseError(
        f"an event after the first {invalid.position} {invalid.reason}",
        hint="Nothing was stored. NP6's support can look up the request id;"
        ' on_invalid="quarantine" sets such events aside.',
    )


class Verifier:
    """Verifies the answers that make up one pull.

    ``sort=asc`` is documented, so order is expected, and checked: then memory stays flat, for only events
    of one second are compared, and a broken answer can be gone on with from its last second. Otherwise
    (``ordered=False``) all ids are held.

    :param window: events outside of it that the rounding to whole seconds requested are dropped; what
        lies beyond that rounding is invalid.
    :param set_aside: what is done with something invalid.
    """

    def __init__(
        self, window: Window, *, ordered: bool = True, set_aside: Callable[[Invalid], None] = refuse
    ) -> None:
        self._window = window
        self._asked = window.in_whole_seconds()
        self._ordered = ordered
        self._set_aside = set_aside
        self._ids: set[str] = set()
        self._seam: set[str] = set()
        self._digests: set[str] = set()
        self._previous = self._asked.start
        self.last = self._asked.start
        """Largest timestamp so far, or the window's start."""
        self.events_by_day: Counter[int] = Counter()
        """Events let through so far, by UTC day since the epoch."""
        self.duplicates_by_day: Counter[int] = Counter()
        """Events dropped because their id had come already in the same response, by UTC day since the
        epoch."""
        self._sorter = None if ordered else EventSorter()
        self._tail: list[tuple[int, str, Item]] = []
        self._known_may_come = False
        self.taken = 0
        """Ids seen for the first time."""
        self.in_response = 0
        """Elements of the current answer."""

    @property
    def events(self) -> int:
        """Events let through so far."""
        return self.events_by_day.total()

    @property
    def duplicates(self) -> int:
        """Events dropped because their id had come already in the same response."""
        return self.duplicates_by_day.total()

    @property
    def invalid(self) -> int:
        """Things set aside so far."""
        return len(self._digests)

    @property
    def missing(self) -> int:
        """Events that came before in what the current answer is for, and have not come again yet."""
        return len(self._seam)

    def begin(self, requested: Window, *, again: bool = False) -> None:
        """Another answer begins, for ``requested``: what came before it in its first second comes again.

        :param again: whether all of ``requested`` came before, so that what is known is no duplicate.
        """
        self._asked = requested
        self._known_may_come = again
        self._previous = requested.start
        self._seam = set(self._ids) if self._ordered and self.last >= requested.start else set()
        self.in_response = 0

    def verify(self, batch: RawBatch) -> Events:
        """The events of ``batch`` that belong to the window and came for the first time.

        :raises OutOfOrderError: if order was expected and is not there.
        """
        self.in_response += len(batch.items)
        items, ids, timestamps = self._sifted(batch)
        if not ids:
            return Events([], [])
        if self._ordered and (timestamps[0] < self._previous or timestamps != sorted(timestamps)):
            raise OutOfOrderError
        self._previous = timestamps[-1]
        keep = self._first_seen(ids, timestamps)
        self.taken += len(keep)
        window = self._window
        if timestamps[0] < window.start or timestamps[-1] >= window.end or not self._ordered:
            keep = [i for i in keep if window.start <= timestamps[i] < window.end]
        if len(keep) < len(items):
            items, ids, timestamps = _pick(keep, items, ids, timestamps)
        self._count(timestamps)
        return self._ordered_by_id(items, ids, timestamps)

    def _count(self, timestamps: Sequence[int]) -> None:
        if timestamps and self._ordered and timestamps[0] // DAY == timestamps[-1] // DAY:
            self.events_by_day[timestamps[0] // DAY] += len(timestamps)
        else:
            self.events_by_day.update(timestamp // DAY for timestamp in timestamps)

    def finish(self) -> Iterator[Events]:
        """The events that were held back, when no more come."""
        if self._sorter is not None:
            for items, timestamps in self._sorter.sorted():
                yield Events(items, timestamps)
            return
        tail, self._tail = sorted(self._tail, key=_time_and_id), []
        if tail:
            yield Events([item for *_, item in tail], [timestamp for timestamp, *_ in tail])

    def close(self) -> None:
        """Forget what was held back."""
        if self._sorter is not None:
            self._sorter.close()

    def _ordered_by_id(self, items: Sequence[Item], ids: Sequence[str], timestamps: Sequence[int]) -> Events:
        """Events of one time in order of their ids, so that the same events always give the same bytes. Those
        of the last time are held back: more of them may come."""
        if not ids:
            return Events([], [])
        tail = self._tail
        if self._sorter is not None:
            self._sorter.add(items, ids, timestamps)
            return Events([], [])
        if tail:
            if timestamps[0] < tail[0][0]:
                raise OutOfOrderError  # a new event of the second that comes again, after later ones
            if timestamps[-1] == tail[0][0]:
                tail.extend(zip(timestamps, ids, items, strict=True))
                return Events([], [])
            items = [*(item for *_, item in tail), *items]
            ids = [*(id_ for _, id_, _ in tail), *ids]
            timestamps = [*(timestamp for timestamp, *_ in tail), *timestamps]
        if len(set(timestamps)) < len(timestamps):
            keys = list(zip(timestamps, ids, strict=True))
            in_order = sorted(range(len(keys)), key=keys.__getitem__)
            items, ids, timestamps = _pick(in_order, items, ids, timestamps)
        end = bisect_left(timestamps, timestamps[-1])
        self._tail = list(zip(timestamps[end:], ids[end:], items[end:], strict=True))
        return Events(items[:end], timestamps[:end])

    def knows(self, batch: RawBatch) -> bool:
        """Whether all of ``batch`` came already, within the last second, or was set aside."""
        return all(self._knows(bytes(item)) for item in batch.items)

    def _knows(self, item: bytes) -> bool:
        try:
            return _decode_envelope(item).id in self._ids
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return sha256(item).hexdigest() in self._digests

    def _sifted(self, batch: RawBatch) -> tuple[Sequence[Item], list[str], list[int]]:
        """Items with their ids and timestamps, each of them an event inside of what was requested."""
        array, items = batch.array, batch.items
        if array is not None:
            if b"\n" in array or b"\r" in array:
                items = [bytes(item).replace(b"\n", b" ").replace(b"\r", b" ") for item in items]
            try:
                array.decode()  # parsing skips over text without looking at its encoding
                envelopes = _decode_envelopes(array)
            except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
                pass
            else:
                ids = [envelope.id for envelope in envelopes]
                timestamps = [envelope.timestamp for envelope in envelopes]
                inside = (
                    not timestamps
                    or self._asked.start <= min(timestamps) <= max(timestamps) < self._asked.end
                )
                if inside and "".join(ids).isprintable():
                    return items, ids, timestamps
        return self._sifted_one_by_one(items)

    def _sifted_one_by_one(self, items: Sequence[Item]) -> tuple[list[Item], list[str], list[int]]:
        good: list[Item] = []
        ids: list[str] = []
        timestamps: list[int] = []
        for item in items:
            near = timestamps[-1] if timestamps else self.last
            envelope = self._envelope(bytes(item), len(good), near)
            if envelope is not None:
                good.append(bytes(item).replace(b"\n", b" ").replace(b"\r", b" "))
                ids.append(envelope.id)
                timestamps.append(envelope.timestamp)
        return good, ids, timestamps

    def _envelope(self, item: bytes, before: int, near: int) -> _Envelope | None:
        try:
            item.decode()
            envelope = _decode_envelope(item)
        except UnicodeDecodeError:
            reason = "is not UTF-8"
        except msgspec.ValidationError as error:
            reason = f"lacks its documented envelope: {error}"
        except msgspec.DecodeError:
            reason = "is not valid JSON"
        except RecursionError:
            reason = "is nested too deeply"
        else:
            time = envelope.timestamp
            if not envelope.id.isprintable():
                reason = "has an id with unprintable characters"
            elif self._asked.start <= time < self._asked.end:
                return envelope
            else:
                moment = iso(time) if 0 <= time < 253_402_300_800_000 else f"{time} ms"
                reason = f"has the time {moment}, outside of what was requested"
        invalid = Invalid(item, reason, self.events + before, near, sha256(item).hexdigest())
        if invalid.digest not in self._digests:
            self._set_aside(invalid)
            self._digests.add(invalid.digest)
        return None

    def _first_seen(self, ids: list[str], timestamps: list[int]) -> Sequence[int]:
        """Positions of the events whose id is new; remembers what later ones must be compared with."""
        if self._ordered and len(set(ids)) == len(ids) and self._ids.isdisjoint(ids):
            self._remember_last_second(ids, timestamps)
            return range(len(ids))
        keep = []
        for i, (id_, timestamp) in enumerate(zip(ids, timestamps, strict=True)):
            if self._ordered and timestamp // SECOND > self.last // SECOND:
                self._ids.clear()
            self.last = max(timestamp, self.last)
            if id_ not in self._ids:
                self._ids.add(id_)
                keep.append(i)
            elif id_ in self._seam:
                self._seam.discard(id_)
            elif not self._known_may_come:
                self.duplicates_by_day[timestamp // DAY] += 1
        self._check_held()
        return keep

    def _remember_last_second(self, ids: list[str], timestamps: list[int]) -> None:
        last = timestamps[-1]
        if last // SECOND > self.last // SECOND:
            self._ids.clear()
        self.last = max(last, self.last)
        for id_, timestamp in zip(reversed(ids), reversed(timestamps), strict=True):
            if timestamp // SECOND < last // SECOND:
                break
            self._ids.add(id_)
        self._check_held()

    def _check_held(self) -> None:
        if len(self._ids) > MAX_HELD_IDS:
            raise Np6ResponseError(
                f"more than {MAX_HELD_IDS} events {'within one second' if self._ordered else 'without order'}"
                " cannot be told apart",
                hint="Pull smaller windows.",
            )
