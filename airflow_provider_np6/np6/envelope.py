"""What makes an element of a response an event of what was requested.

Documented: ``id`` (a uuid; any string of 1 to 64 characters is taken) and ``timestamp`` (int64, ms);
``source.detail.activation.id`` (activations, bounces, hits) and ``source.detail.execution.id`` (executions,
cancellations) are the action's id; ``type``, where it is sent, is the type of the event. All else may change,
and is passed on as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_provider_np6.np6.event_members import (
    Id,
    InvalidElementError,
    is_null,
    read_id,
    read_members,
    read_string,
    read_time,
    show_value,
)
from airflow_provider_np6.np6.event_types import EVENT_TYPES, EventType
from airflow_provider_np6.np6.lone_surrogates import replace_lone_surrogates
from airflow_provider_np6.np6.plan import EDGE
from airflow_provider_np6.np6.query import ALL_ACTIONS
from airflow_provider_np6.np6.window import Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Item
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.raw_batch import RawBatch

MARGIN = 2 * EDGE
"""How far outside its part an event is dropped, in ms; further out it is invalid."""

_SENDS = ("activation", "execution")
"""Members of ``source.detail`` whose ``id`` is the action's."""

_LAST_TIME = 253_402_300_800_000  # the year 10000


class _Loose(msgspec.Struct, gc=False):
    """An element of which nothing is known; its members are decoded one by one."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    timestamp: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")
    source: msgspec.Raw = msgspec.Raw(b"null")


_decode_loose = msgspec.json.Decoder(_Loose).decode


class BrokenElementError(Exception):
    """An element that is not an event at all: the response broke inside its array."""


@dataclass(frozen=True, slots=True)
class Elements:
    """The events among the elements of a batch, each with its id and timestamp.

    :param items: raw, each on one line.
    :param ids: of the events.
    :param timestamps: of the events, in ms.
    :param rejected: raw elements that are invalid, each with the reason, and with the number of events before
        it.
    :param is_begun: whether there was something from before the part.
    :param is_ended: whether there was something from after the part.
    :param is_broken: whether an element was not an event at all; what follows it is left out.
    """

    items: Sequence[Item]
    ids: Sequence[str]
    timestamps: Sequence[int]
    rejected: Sequence[tuple[bytes, str, int]] = ()
    is_begun: bool = False
    is_ended: bool = False
    is_broken: bool = False


def pick(
    places: Sequence[int], items: Sequence[Item], ids: Sequence[str], timestamps: Sequence[int]
) -> tuple[list[Item], list[str], list[int]]:
    """Some events, by their places."""
    return [items[i] for i in places], [ids[i] for i in places], [timestamps[i] for i in places]


class EnvelopeReader:
    """Reads the envelopes of one query's events.

    :param query: what is requested: events of another action or type are invalid.
    """

    def __init__(self, query: EventQuery) -> None:
        self._action_id = None if query.action_id == ALL_ACTIONS else query.action_id
        self._type: str | None = None
        if query.event_type.startswith("/"):  # nothing is known about the events of other paths
            self._action_id = None
        else:
            self._type = EVENT_TYPES[EventType(query.event_type)].expected_type
        self._decode_all = _decoder(self._action_id, self._type)

    def read(self, batch: RawBatch, part: Window) -> Elements:
        """The events of a batch.

        :param batch: some elements.
        :param part: what was requested; what lies just outside of it is dropped.
        """
        array, items = batch.array, batch.items
        if array is None:
            return self._read_one_by_one(items, part)
        try:
            array.decode()  # msgspec skips strings without checking their encoding
            envelopes = self._decode_all(array)
        except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
            return self._read_one_by_one(items, part)
        if not envelopes:
            return Elements([], [], [])
        ids = [envelope.id for envelope in envelopes]
        timestamps = [envelope.timestamp for envelope in envelopes]
        first, last = min(timestamps), max(timestamps)
        joined = "".join(ids)
        if first < part.start - MARGIN or last >= part.end + MARGIN or not joined.isprintable():
            return self._read_one_by_one(items, part)
        if batch.has_lone_surrogates and "\ufffd" in joined:
            return self._read_one_by_one(items, part)
        if b"\n" in array or b"\r" in array:
            items = [_on_one_line(item) for item in items]
        is_begun, is_ended = first < part.start, last >= part.end
        if is_begun or is_ended:
            inside = [i for i, time in enumerate(timestamps) if part.start <= time < part.end]
            items, ids, timestamps = pick(inside, items, ids, timestamps)
        return Elements(items, ids, timestamps, (), is_begun, is_ended)

    def _read_one_by_one(self, items: Sequence[Item], part: Window) -> Elements:
        good: list[Item] = []
        ids: list[str] = []
        timestamps: list[int] = []
        rejected: list[tuple[bytes, str, int]] = []
        is_begun = is_ended = is_broken = False
        for item in items:
            raw = bytes(item)
            try:
                id_, time = self._read_one(raw, part)
            except InvalidElementError as error:
                rejected.append((raw, str(error), len(good)))
                continue
            except BrokenElementError:
                is_broken = True
                break
            if time < part.start:
                is_begun = True
            elif time >= part.end:
                is_ended = True
            else:
                good.append(_on_one_line(raw))
                ids.append(id_)
                timestamps.append(time)
        return Elements(good, ids, timestamps, rejected, is_begun, is_ended, is_broken)

    def _read_one(self, item: bytes, part: Window) -> tuple[str, int]:
        """Id and timestamp of one element; of one outside of the part nothing but the timestamp is read.

        :raises InvalidElementError: if it may not be stored.
        :raises BrokenElementError: if it is not an event at all.
        """
        json = replace_lone_surrogates(item)
        try:
            envelope = _decode_loose(json)
        except msgspec.ValidationError:
            raise BrokenElementError from None
        except msgspec.DecodeError:
            raise InvalidElementError("is not valid JSON") from None
        except RecursionError:
            raise InvalidElementError("is nested too deeply") from None
        if is_null(envelope.id) and is_null(envelope.timestamp):
            raise BrokenElementError
        time = read_time(envelope.timestamp)
        if not part.start <= time < part.end and part.start - MARGIN <= time < part.end + MARGIN:
            return "", time
        if not part.start <= time < part.end:
            shown = iso(time) if 0 <= time < _LAST_TIME else "beyond the calendar"
            raise InvalidElementError(f"has the time {shown}, outside of what was requested")
        try:
            item.decode()
        except UnicodeDecodeError:
            raise InvalidElementError("is not UTF-8") from None
        id_ = read_id(envelope.id, is_replaced=json is not item)
        self._check_type(envelope.type)
        self._check_action(envelope.source)
        return id_, time

    def _check_type(self, member: msgspec.Raw) -> None:
        value = read_string(member)
        if self._type is not None and value is not None and value != self._type:
            raise InvalidElementError(f"has the type {show_value(value)}, not {self._type}")

    def _check_action(self, source: msgspec.Raw) -> None:
        if self._action_id is None:
            return
        detail = read_members(read_members(source).get("detail"))
        for name in _SENDS:
            value = read_string(read_members(detail.get(name)).get("id"))
            if value is not None and value != self._action_id:
                raise InvalidElementError(
                    f"belongs to action {show_value(value)} by its source.detail.{name}.id, not to action"
                    f" {self._action_id}"
                )


@lru_cache(64)
def _decoder(action_id: str | None, type_: str | None) -> Callable[[bytes], list[Any]]:
    """Decodes an array of events that are as documented; any other makes it fail.

    A literal is compared while msgspec decodes, and takes no object of its own.
    """
    members: list[Any] = [("id", Id), ("timestamp", int)]
    if type_ is not None:
        members.append(("type", Literal[type_] | None, None))
    if action_id is not None:
        send = msgspec.defstruct("Send", [("id", Literal[action_id] | None, None)], gc=False)
        detail = msgspec.defstruct("Detail", [(name, send | None, None) for name in _SENDS], gc=False)
        source = msgspec.defstruct("Source", [("detail", detail | None, None)], gc=False)
        members.append(("source", source | None, None))
    envelope = msgspec.defstruct("Envelope", members, gc=False)
    return msgspec.json.Decoder(list[envelope]).decode  # type: ignore[valid-type]


def _on_one_line(item: Item) -> bytes:
    """CR and LF are only white space in valid JSON."""
    return bytes(item).replace(b"\n", b" ").replace(b"\r", b" ")
