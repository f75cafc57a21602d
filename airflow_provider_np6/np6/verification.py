"""Proof of what an answer holds, batch by batch: every element an event, inside the window, once.

The envelope of an event is documented: ``id`` (a uuid; any text up to 64 characters is taken) and
``timestamp`` (int64, ms). All else may change and is passed on as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from airflow_provider_np6.np6.errors import Np6AnswerError
from airflow_provider_np6.np6.streaming import RawBatch
from airflow_provider_np6.np6.window import Window, iso

MAX_HELD_IDS = 2_000_000
"""Ids compared at a time; a set of so many takes about 250 MB."""


class _Envelope(msgspec.Struct, gc=False):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    timestamp: int


_decode_envelopes = msgspec.json.Decoder(list[_Envelope]).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class OutOfOrderError(Exception):
    """The answer is not in the order that was asked for; verify it anew, holding all ids."""


@dataclass(frozen=True, slots=True)
class Events:
    """Proven events.

    :param items: each one's bytes on one line, as NP6 sent them, CR and LF (only white space in valid
        JSON) made spaces.
    :param timestamps: each one's time in ms since the epoch, UTC.
    """

    items: Sequence[bytes | msgspec.Raw]
    timestamps: Sequence[int]


class Verifier:
    """Verifies one answer.

    ``sort=asc`` is documented, so order is expected, and checked: then two events with one id can only
    be told apart from neighbours with equal timestamps, and memory stays flat. Otherwise
    (``ordered=False``) all ids of the answer are held.

    :param window: events outside of it that the rounding to whole seconds asked for are dropped; what
        lies beyond that rounding is an error.
    """

    def __init__(self, window: Window, *, ordered: bool = True) -> None:
        self._window = window
        self._asked = window.in_whole_seconds()
        self._ordered = ordered
        self._last = self._asked.start
        self._ids: set[str] = set()
        self.events = 0
        """Events let through so far."""
        self.duplicates = 0
        """Events dropped because their id had come already."""

    def verify(self, batch: RawBatch) -> Events:
        """The events of ``batch`` that belong to the window and came for the first time.

        :raises Np6AnswerError: if one is not an event, or lies outside of what was asked for.
        :raises OutOfOrderError: if order was expected and is not there.
        """
        envelopes = self._envelopes(batch)
        if not envelopes:
            return Events([], [])
        ids = [envelope.id for envelope in envelopes]
        timestamps = [envelope.timestamp for envelope in envelopes]
        if self._ordered and (timestamps[0] < self._last or timestamps != sorted(timestamps)):
            self._check_bounds(timestamps)
            raise OutOfOrderError
        self._check_bounds(timestamps)
        items: Sequence[bytes | msgspec.Raw] = batch.items
        if b"\n" in batch.array or b"\r" in batch.array:
            items = [bytes(item).replace(b"\n", b" ").replace(b"\r", b" ") for item in items]
        keep = self._first_seen(ids, timestamps)
        window = self._window
        if window != self._asked:
            keep = [i for i in keep if window.start <= timestamps[i] < window.end]
        self.events += len(keep)
        if len(keep) == len(ids):
            return Events(items, timestamps)
        return Events([items[i] for i in keep], [timestamps[i] for i in keep])

    def _envelopes(self, batch: RawBatch) -> list[_Envelope]:
        try:
            batch.array.decode()  # parsing skips over text without looking at its encoding
            return _decode_envelopes(batch.array)
        except (UnicodeDecodeError, msgspec.ValidationError):
            pass
        for item in batch.items:
            try:
                bytes(item).decode()
                _decode_envelope(item)
            except UnicodeDecodeError:
                raise self._invalid("is not UTF-8") from None
            except msgspec.ValidationError as error:
                raise self._invalid(f"lacks its documented envelope: {error}") from None
        raise AssertionError("a batch is as valid as its items")

    def _check_bounds(self, timestamps: list[int]) -> None:
        for bound in (min(timestamps), max(timestamps)):
            if not self._asked.start <= bound < self._asked.end:
                moment = iso(bound) if 0 <= bound < 253_402_300_800_000 else f"{bound} ms"
                raise self._invalid(f"has the time {moment}, outside of what was asked for")

    def _invalid(self, reason: str) -> Np6AnswerError:
        return Np6AnswerError(
            f"an event after the first {self.events} {reason}",
            cure="Nothing was stored. NP6's support can look up the request id.",
        )

    def _first_seen(self, ids: list[str], timestamps: list[int]) -> Sequence[int]:
        """Positions of the events whose id is new; remembers what later ones must be compared with."""
        if self._ordered and len(set(ids)) == len(ids):
            if timestamps[0] > self._last or self._ids.isdisjoint(ids):
                self._remember_ties(ids, timestamps)
                return range(len(ids))
        keep = []
        for i, (id_, timestamp) in enumerate(zip(ids, timestamps, strict=True)):
            if self._ordered and timestamp > self._last:
                self._ids.clear()
                self._last = timestamp
            if id_ not in self._ids:
                self._ids.add(id_)
                keep.append(i)
        self._check_held()
        self.duplicates += len(ids) - len(keep)
        return keep

    def _remember_ties(self, ids: list[str], timestamps: list[int]) -> None:
        last = timestamps[-1]
        if last > self._last:
            self._ids.clear()
            self._last = last
        for id_, timestamp in zip(reversed(ids), reversed(timestamps), strict=True):
            if timestamp < last:
                break
            self._ids.add(id_)
        self._check_held()

    def _check_held(self) -> None:
        if len(self._ids) > MAX_HELD_IDS:
            raise Np6AnswerError(
                f"more than {MAX_HELD_IDS} events {'at one time' if self._ordered else 'without order'}"
                " cannot be told apart",
                cure="Pull smaller windows.",
            )
