"""The responses of one pull are verified: every element is an event of what was requested, once."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6.caps import ResponseSize
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.events import Events, Invalid, refuse
from airflow_provider_np6.np6.plan import Received, Request, StartOverError, Step
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.raw_batch import RawBatch, decode_array
from airflow_provider_np6.np6.verify import Verifier
from airflow_provider_np6.np6.window import DAY, Window

pytestmark = pytest.mark.core

WINDOW = Window(10_000, 20_000)


def encode(*events: Any) -> list[bytes]:
    return [json.dumps(event, separators=(",", ":")).encode() for event in events]


def batch(*elements: Any) -> RawBatch:
    """A batch of elements: JSON, or values."""
    items = [element if isinstance(element, bytes) else encode(element)[0] for element in elements]
    decoded = decode_array(b"[" + b",".join(items) + b"]") or RawBatch(items, None)
    return RawBatch(
        decoded.items, decoded.array, decoded.has_lone_surrogates, max(map(len, items), default=0)
    )


def event(id_: str, timestamp: int) -> dict[str, Any]:
    return {"id": id_, "timestamp": timestamp}


def begin(verifier: Verifier, start: int, end: int, step: Step = Step.PULL) -> None:
    part = Window(start, end)
    verifier.begin(Request(part, part, step))


def verifier_of(window: Window = WINDOW, *, ordered: bool = True, **options: Any) -> Verifier:
    """A verifier to which the response for all of a window comes."""
    verifier = Verifier(EventQuery.checked("bounces", "000PE4", window), ordered=ordered, **options)
    whole = window.in_whole_seconds()
    begin(verifier, whole.start, whole.end)
    return verifier


def verified(verifier: Verifier, *batches: RawBatch) -> tuple[list[bytes], list[int]]:
    """All events of some batches with their timestamps, with those that are held back."""
    parts = [*map(verifier.verify, batches), *verifier.finish()]
    verifier.close()
    items = [bytes(item) for events in parts for item in events.items]
    return items, [timestamp for events in parts for timestamp in events.timestamps]


def ids(items: list[bytes]) -> list[str]:
    return [json.loads(item)["id"] for item in items]


def duplicates(verifier: Verifier) -> int:
    return sum(verifier.duplicates_by_day.values())


@given(st.data())
def test_in_an_ordered_response_each_id_passes_once_whatever_the_batches(data: st.DataObject) -> None:
    times = sorted(data.draw(st.lists(st.integers(10_000, 10_005), min_size=1, max_size=40)))
    names = [f"{time}-{data.draw(st.integers(0, 2))}" for time in times]
    verifier, batches, rest = verifier_of(), [], list(zip(names, times, strict=True))
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        batches.append(batch(*(event(*pair) for pair in part)))
    items, timestamps = verified(verifier, *batches)
    assert ids(items) == sorted(set(names))  # by time, then id
    assert timestamps == [int(name.split("-")[0]) for name in ids(items)]
    assert (verifier.events, duplicates(verifier)) == (len(items), len(names) - len(items))


@given(st.permutations([("a", 11_000), ("b", 11_000), ("c", 11_000), ("a2", 12_000), ("b2", 12_000)]))
def test_without_order_events_come_by_time_and_id_at_the_end(order: list[tuple[str, int]]) -> None:
    verifier = verifier_of(ordered=False)
    batches = [batch(*(event(*pair) for pair in part)) for part in (order[:2], order[2:])]
    assert [verifier.verify(part).items for part in batches] == [[], []]
    items, timestamps = verified(verifier)
    assert ids(items) == ["a", "b", "c", "a2", "b2"]
    assert timestamps == [11_000] * 3 + [12_000] * 2


def test_events_of_the_last_time_are_held_back_until_a_later_one_comes() -> None:
    verifier = verifier_of()
    assert verifier.verify(batch(event("b", 11_000))).items == []
    assert verifier.verify(batch(event("a", 11_000))).items == []
    events = verifier.verify(batch(event("c", 11_001)))
    assert ids([bytes(item) for item in events.items]) == ["a", "b"]
    assert ids(verified(verifier)[0]) == ["c"]
    assert verifier.events == 3


def test_events_and_duplicates_are_counted_by_day() -> None:
    for ordered in (True, False):
        verifier = verifier_of(Window(0, 3 * DAY), ordered=ordered)
        first, second = event("a", DAY - 1), event("b", DAY)
        verified(verifier, batch(first, first, second), batch(event("c", 3 * DAY - 1)))
        assert verifier.events_by_day == {0: 1, 1: 1, 2: 1}
        assert verifier.duplicates_by_day == {0: 1}
        assert verifier.events == 3


def test_events_of_one_batch_and_several_days_are_counted_by_day() -> None:
    verifier = verifier_of(Window(0, 3 * DAY))
    verified(verifier, batch(event("a", 0), event("b", 1), event("c", DAY), event("d", 2 * DAY)))
    assert verifier.events_by_day == {0: 2, 1: 1, 2: 1}


def test_a_new_event_of_the_second_that_comes_again_needs_a_pull_without_order() -> None:
    """Its place is between events that are taken already."""
    verifier = verifier_of()
    verifier.verify(batch(event("a", 11_000), event("b", 11_500)))
    begin(verifier, 11_000, 20_000)
    with pytest.raises(StartOverError, match=r"^a new event came after later ones"):
        verifier.verify(batch(event("a", 11_000), event("new", 11_100), event("b", 11_500)))


def test_without_order_all_ids_are_compared() -> None:
    verifier = verifier_of(ordered=False)
    first, second = (
        batch(event("a", 15_000), event("b", 12_000)),
        batch(event("c", 11_000), event("a", 15_000)),
    )
    assert verified(verifier, first, second)[1] == [11_000, 12_000, 15_000]
    assert (duplicates(verifier), verifier.last, verifier.compared_all) == (1, 15_000, True)


def test_without_order_the_earliest_of_equal_ids_is_kept() -> None:
    verifier = verifier_of(ordered=False)
    later = batch({**event("a", 15_000), "x": 1}, event("b", 12_000))
    earlier = batch({**event("a", 11_000), "x": 2}, {**event("a", 11_000), "x": 3})
    items, timestamps = verified(verifier, later, earlier)
    assert items == encode({**event("a", 11_000), "x": 2}, event("b", 12_000))
    assert timestamps == [11_000, 12_000]
    assert (verifier.events_by_day, verifier.duplicates_by_day) == ({0: 2}, {0: 2})


@pytest.mark.parametrize(
    "later",
    [[("b", 15_000), ("c", 14_999)], [("b", 10_999)], [("b", 15_000), ("c", 14_999), ("d", 16_000)]],
)
def test_order_is_verified_within_and_between_batches(later: list[tuple[str, int]]) -> None:
    verifier = verifier_of()
    verifier.verify(batch(event("a", 11_000)))
    with pytest.raises(StartOverError, match=r"^events are not in order"):
        verifier.verify(batch(*(event(*pair) for pair in later)))


def test_order_is_verified_in_each_response() -> None:
    verifier = verifier_of()
    verifier.verify(batch(event("a", 11_000), event("b", 12_000)))
    begin(verifier, 11_000, 20_000)
    verifier.verify(batch(event("a", 11_000)))  # a repeated event is in order
    verifier.verify(batch(event("b", 12_000)))
    with pytest.raises(StartOverError, match=r"^events are not in order"):
        verifier.verify(batch(event("a", 11_000)))


def test_what_is_dropped_need_not_be_in_order() -> None:
    verifier = verifier_of()
    verifier.verify(batch(event("x", 20_500), event("a", 11_000), event("y", 9_000)))
    assert verified(verifier, batch(event("z", 9_000), event("b", 12_000)))[1] == [11_000, 12_000]


def test_what_lies_within_its_seconds_and_outside_of_the_window_is_dropped() -> None:
    times = (10_399, 10_400, 19_599, 19_600, 19_999)
    for batches in ([times], [[time] for time in times]):
        verifier = verifier_of(Window(10_400, 19_600))
        parts = [batch(*(event(str(time), time) for time in part)) for part in batches]
        assert verified(verifier, *parts)[1] == [10_400, 19_599]
        assert (verifier.events, verifier.taken, verifier.events_by_day) == (2, 5, {0: 2})


def test_without_order_what_lies_outside_of_the_window_is_dropped_too() -> None:
    verifier = verifier_of(Window(10_400, 19_600), ordered=False)
    times = (15_000, 10_399, 10_400, 19_999, 19_599, 19_600, 15_001)
    kept = verified(verifier, batch(*(event(str(time), time) for time in times)))
    assert kept[1] == [10_400, 15_000, 15_001, 19_599]
    assert (verifier.events, verifier.taken, verifier.events_by_day) == (7, 7, {0: 4})


def test_order_is_expected_unless_it_is_not() -> None:
    verifier = Verifier(EventQuery.checked("bounces", "000PE4", WINDOW))
    begin(verifier, 10_000, 20_000)
    assert verifier.verify(batch(event("a", 11_000), event("b", 12_000))).timestamps == [11_000]


def test_nothing_is_left_on_the_disk_of_what_was_held_back() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for ordered in (True, False):
        verifier = verifier_of(ordered=ordered)
        verifier.verify(batch(event("a", 11_000)))
        verifier.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_only_ids_of_its_second_are_compared_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_np6.np6.seen_ids.MAX_COMPARED_IDS", 2)
    verifier = verifier_of()
    names = (("a", 11_000), ("b", 12_000), ("c", 13_000), ("a", 14_000), ("a", 14_500))
    parts = [batch(event(*pair)) for pair in names]
    assert ids(verified(verifier, *parts)[0]) == ["a", "b", "c", "a"]
    assert (verifier.compared_all, duplicates(verifier)) == (False, 1)


@pytest.mark.parametrize("ordered", [True, False])
def test_an_invalid_event_fails_the_pull_unless_it_is_set_aside(ordered: bool) -> None:
    verifier = verifier_of(ordered=ordered)
    with pytest.raises(Np6ResponseError) as caught:
        verifier.verify(batch(event("fine", 15_000), {"id": "secret@example.com"}))
    verifier.close()
    assert str(caught.value) == (
        'event 2 has no timestamp. Nothing was stored. Pull again, or set on_invalid="quarantine" to set'
        " such events aside; NP6's support can look up the request id."
    )
    assert caught.value.retryable


def test_a_large_position_has_separators() -> None:
    with pytest.raises(Np6ResponseError, match=r"^event 12,346 has no id\. Nothing was stored\."):
        refuse(Invalid(b"{}", "has no id", 12_345, 0, ""))


def test_what_is_set_aside_has_its_place() -> None:
    aside: list[Invalid] = []
    verifier = verifier_of(set_aside=aside.append)
    bad = encode(*({"id": str(n)} for n in range(4)))
    verifier.verify(batch(bad[0]))
    verifier.verify(batch(event("a", 11_000), event("b", 12_000)))
    verifier.verify(batch(bad[1], event("c", 13_000), event("d", 14_000), bad[2]))
    verifier.verify(batch(bad[3]))
    assert aside == [
        Invalid(item, "has no timestamp", position, near, sha256(item).hexdigest())
        for item, position, near in zip(bad, (0, 2, 4, 4), (10_000, 12_000, 14_000, 14_000), strict=True)
    ]
    assert (verifier.invalid, verifier.events) == (4, 4)


def test_without_order_what_is_set_aside_has_its_place_among_all_events() -> None:
    aside: list[Invalid] = []
    verifier = verifier_of(ordered=False, set_aside=aside.append)
    verifier.verify(batch(event("a", 15_000), event("b", 12_000)))
    verifier.verify(batch({"id": "x"}, event("c", 11_000), {"id": "y"}))
    verifier.close()
    assert [(invalid.position, invalid.near) for invalid in aside] == [(2, 15_000), (3, 11_000)]


DEEP = b'{"id":"deep","timestamp":11000,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NOT_UTF8 = b'{"id":"\xff","timestamp":11000}'


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (DEEP, "is nested too deeply"),
        (NOT_UTF8, "is not UTF-8"),
        (b'{"id":"nan","timestamp":NaN}', "is not valid JSON"),
        (b'{"id":"a","timestamp":11000,"type":"hit"}', "has the type hit, not bounce"),
    ],
)
def test_what_was_set_aside_is_known(bad: bytes, reason: str) -> None:
    aside: list[Invalid] = []
    verifier = verifier_of(set_aside=aside.append)
    good = b'{"id":"a","timestamp":11000}'
    assert verifier.verify(batch(good, bad, bad)).items == []
    assert [(invalid.item, invalid.reason) for invalid in aside] == [(bad, reason)]
    begin(verifier, 11_000, 12_000, Step.REVERSE)
    verifier.compare(batch(bad, good))
    assert (verifier.invalid, verifier.received(0).is_new, verifier.received(0).is_missing) == (
        1,
        False,
        False,
    )
    begin(verifier, 11_000, 20_000, Step.TAIL)
    verifier.verify(batch(good, bad))
    assert (len(aside), verifier.invalid, verifier.received(0).is_new) == (1, 1, False)
    begin(verifier, 11_000, 12_000, Step.REVERSE)
    verifier.compare(batch(good, bad.replace(b'"timestamp"', b' "timestamp"'), good))
    assert verifier.received(0).is_new
    verifier.compare(batch(good))
    assert verifier.received(0).is_new
    assert verified(verifier)[1] == [11_000]


def test_a_check_takes_nothing_and_sees_what_is_new() -> None:
    verifier = verifier_of()
    assert verifier.verify(batch(event("a", 11_000), event("b", 11_900), event("c", 12_000))).timestamps == [
        11_000,
        11_900,
    ]
    begin(verifier, 10_000, 12_000, Step.HEAD)
    assert verifier.received(2) == Received(ResponseSize(0, 2, 0), is_missing=True)
    verifier.compare(batch(event("b", 11_900), event("x", 9_500)))
    assert verifier.missing == 1
    verifier.compare(batch(event("a", 11_000), event("y", 12_000)))
    size = ResponseSize(4, 99, len(encode(event("a", 11_000))[0]))
    assert verifier.received(99) == Received(size, is_begun=True, is_ended=True)
    verifier.compare(batch(event("new", 11_000)))
    assert verifier.received(99).is_new
    assert not verifier.is_new  # it was not taken
    assert (verifier.taken, verifier.events) == (3, 3)
    begin(verifier, 10_000, 12_000, Step.HEAD)
    assert not verifier.received(0).is_new
    assert verified(verifier)[1] == [12_000]


def test_what_a_response_brought_is_known() -> None:
    verifier = verifier_of(set_aside=lambda _: None)
    assert verifier.received(2) == Received(ResponseSize(0, 2, 0))
    large = {**event("b", 11_500), "x": "x" * 100}
    verifier.verify(batch(event("a", 11_000), large, {"id": "invalid"}))
    verifier.verify(batch(event("a", 12_000)))
    size = ResponseSize(4, 300, len(encode(large)[0]))
    assert verifier.received(300) == Received(size, is_new=True, first=11_000, last=12_000)
    assert (verifier.first, verifier.latest, verifier.in_response, verifier.is_new) == (
        11_000,
        12_000,
        4,
        True,
    )
    begin(verifier, 12_000, 20_000)
    assert verifier.received(2) == Received(ResponseSize(0, 2, 0), is_missing=True)
    assert (verifier.first, verifier.latest, verifier.in_response) == (None, None, 0)
    assert (verifier.is_new, verifier.missing) == (False, 1)
    verifier.verify(batch(event("edge", 11_999), event("a", 12_000)))
    assert verifier.received(70) == Received(
        ResponseSize(2, 70, 31), first=12_000, last=12_000, is_begun=True
    )
    verifier.verify(batch(event("c", 19_000), event("edge", 20_000)))
    assert verifier.received(140) == Received(
        ResponseSize(4, 140, 31), is_new=True, first=12_000, last=19_000, is_begun=True, is_ended=True
    )


def test_the_first_and_last_time_are_known_without_order() -> None:
    verifier = verifier_of(ordered=False)
    for times in ((15_000, 14_000), (12_000, 13_000), (16_000, 15_500)):
        verifier.verify(batch(*(event(str(time), time) for time in times)))
    received = verifier.received(0)
    assert (received.first, received.last, verifier.last) == (12_000, 16_000, 16_000)
    verifier.close()


def test_the_last_time_is_the_windows_start_until_an_event_comes() -> None:
    verifier = verifier_of(Window(10_400, 20_000))
    assert verifier.last == 10_400
    verifier.verify(batch(event("a", 10_100)))
    assert verifier.last == 10_100
    verifier.verify(batch(event("b", 12_000)))
    assert verifier.last == 12_000


def test_a_broken_element_ends_what_is_taken() -> None:
    aside: list[Invalid] = []
    verifier = verifier_of(set_aside=aside.append)
    assert not verifier.is_broken
    events = verifier.verify(
        batch(event("a", 11_000), event("b", 12_000), {"error": "e"}, event("c", 13_000))
    )
    assert events == Events(events.items, [11_000])
    assert verifier.is_broken
    assert (verifier.taken, verifier.latest, verifier.in_response) == (2, 12_000, 4)
    begin(verifier, 12_000, 20_000)
    assert not verifier.is_broken
    begin(verifier, 10_000, 12_000, Step.HEAD)
    verifier.compare(batch(5))
    assert verifier.is_broken
    verifier.compare(batch(event("a", 11_000)))
    assert verifier.is_broken
    assert aside == []


def test_what_comes_again_after_a_break_is_a_duplicate_the_second_time() -> None:
    verifier = verifier_of()
    assert verifier.verify(batch(event("a", 11_000), event("b", 11_100))).timestamps == [11_000]
    begin(verifier, 11_000, 20_000)
    assert verifier.verify(batch(event("a", 11_000), event("b", 11_100))).items == []
    assert (duplicates(verifier), verifier.in_response) == (0, 2)
    assert verified(verifier, batch(event("b", 11_100), event("c", 11_200)))[1] == [11_100, 11_200]
    assert (duplicates(verifier), verifier.taken, verifier.events) == (1, 3, 3)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("extra", [{}, {"type": "hit"}, {"x": "\0"}])
def test_each_response_is_held_to_its_own_part(ordered: bool, extra: dict[str, str]) -> None:
    aside: list[Invalid] = []
    verifier = verifier_of(ordered=ordered, set_aside=aside.append)
    begin(verifier, 10_000, 15_000)
    verifier.verify(batch({**event("a", 14_999), "x": "\0"}))
    verifier.verify(batch({**event("b", 15_000), **extra}, {**event("c", 16_999), **extra}))
    assert (aside, verifier.received(0).is_ended) == ([], True)
    verifier.verify(batch({**event("d", 17_000), **extra}))
    assert [invalid.reason for invalid in aside] == [
        "has the time 1970-01-01T00:00:17.000Z, outside of what was requested"
    ]
    assert ids(verified(verifier)[0]) == ["a"]


def test_events_come_on_one_line_otherwise_byte_for_byte() -> None:
    raw = batch(b'{"id":"a",\r\n "timestamp":15000 ,"x":"\\n\\ud83d"}')
    assert raw.has_lone_surrogates
    assert verified(verifier_of(), raw)[0] == [b'{"id":"a",   "timestamp":15000 ,"x":"\\n\\ud83d"}']


@pytest.mark.parametrize("sizes", [(4,), (1, 1, 1, 1), (2, 2)])
def test_an_id_that_comes_again_later_in_its_second_is_a_duplicate(sizes: tuple[int, ...]) -> None:
    verifier, batches = verifier_of(), []
    events = [event(*pair) for pair in (("a", 11_000), ("b", 11_500), ("b", 11_600), ("a", 11_999))]
    for size in sizes:
        part, events = events[:size], events[size:]
        batches.append(batch(*part))
    items, _ = verified(verifier, *batches)
    assert (len(items), duplicates(verifier), verifier.events) == (2, 2, 2)


def test_a_batch_with_an_element_that_is_not_json_is_read_one_by_one() -> None:
    aside: list[Invalid] = []
    verifier = verifier_of(set_aside=aside.append)
    items = [
        b'{"id":"a",\r\n"timestamp":15000}',
        b'{"id":"b","timestamp":NaN}',
        b'{"id":"c","timestamp":15001}',
    ]
    events, timestamps = verified(verifier, RawBatch(items, None))
    assert events == [b'{"id":"a",  "timestamp":15000}', items[2]]
    assert timestamps == [15_000, 15_001]
    assert [(invalid.item, invalid.reason, invalid.position) for invalid in aside] == [
        (items[1], "is not valid JSON", 1)
    ]
