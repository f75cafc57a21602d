from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import verify as verification
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.json_stream import RawBatch
from airflow_provider_np6.np6.verify import Invalid, OutOfOrderError, Verifier
from airflow_provider_np6.np6.window import DAY, Window

pytestmark = pytest.mark.core

WINDOW = Window(10_000, 20_000)


def batch(*events: Any, separators: tuple[str, str] = (",", ":")) -> RawBatch:
    array = json.dumps(events, separators=separators).encode()
    return RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array)


def event(id_: str, timestamp: int) -> dict[str, Any]:
    return {"id": id_, "timestamp": timestamp}


def verified(verifier: Verifier, *batches: RawBatch) -> tuple[list[bytes], list[int]]:
    """All events of some batches with their timestamps, those that are held back too."""
    parts = [*map(verifier.verify, batches), *verifier.finish()]
    verifier.close()
    items = [bytes(item) for events in parts for item in events.items]
    return items, [timestamp for events in parts for timestamp in events.timestamps]


def ids(items: list[bytes]) -> list[str]:
    return [json.loads(item)["id"] for item in items]


@given(st.data())
def test_in_an_ordered_answer_each_id_passes_once_whatever_the_batches(data: st.DataObject) -> None:
    times = sorted(data.draw(st.lists(st.integers(10_000, 10_005), min_size=1, max_size=40)))
    names = [f"{time}-{data.draw(st.integers(0, 2))}" for time in times]
    verifier, batches, rest = Verifier(WINDOW), [], list(zip(names, times, strict=True))
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        batches.append(batch(*(event(*one) for one in part)))
    items, timestamps = verified(verifier, *batches)
    assert ids(items) == sorted(set(names))  # by time, then id
    assert timestamps == [int(name.split("-")[0]) for name in ids(items)]
    assert (verifier.events, verifier.duplicates) == (len(items), len(names) - len(items))


@given(st.permutations([("a", 11_000), ("b", 11_000), ("c", 11_000), ("a2", 12_000), ("b2", 12_000)]))
def test_without_order_events_come_by_time_and_id_at_the_end(order: list[tuple[str, int]]) -> None:
    verifier = Verifier(WINDOW, ordered=False)
    batches = [batch(*(event(*one) for one in part)) for part in (order[:2], order[2:])]
    assert [verifier.verify(part).items for part in batches] == [[], []]
    items, timestamps = verified(verifier)
    assert ids(items) == ["a", "b", "c", "a2", "b2"]
    assert timestamps == [11_000] * 3 + [12_000] * 2


def test_events_of_the_last_time_are_held_back_until_a_later_one_comes() -> None:
    verifier = Verifier(WINDOW)
    assert verifier.verify(batch(event("b", 11_000))).items == []
    assert verifier.verify(batch(event("a", 11_000))).items == []
    events = verifier.verify(batch(event("c", 11_001)))
    assert ids([bytes(item) for item in events.items]) == ["a", "b"]
    assert ids(verified(verifier)[0]) == ["c"]
    assert verifier.events == 3


def test_events_and_duplicates_are_counted_by_day() -> None:
    days = Window(0, 3 * DAY)
    for ordered in (True, False):
        verifier = Verifier(days, ordered=ordered)
        first, second = event("a", DAY - 1), event("b", DAY)
        verified(verifier, batch(first, first, second), batch(event("c", 3 * DAY - 1)))
        assert verifier.events_by_day == {0: 1, 1: 1, 2: 1}
        assert verifier.duplicates_by_day == {0: 1}


def test_a_new_event_of_the_second_that_comes_again_needs_a_pull_without_order() -> None:
    """Its place is between events that are taken already."""
    verifier = Verifier(WINDOW)
    verifier.verify(batch(event("a", 11_000), event("b", 11_500)))
    verifier.begin(Window(11_000, 20_000))
    with pytest.raises(OutOfOrderError):
        verifier.verify(batch(event("a", 11_000), event("new", 11_100), event("b", 11_500)))


def test_without_order_all_ids_are_compared() -> None:
    verifier = Verifier(WINDOW, ordered=False)
    first, second = (
        batch(event("a", 15_000), event("b", 12_000)),
        batch(event("c", 11_000), event("a", 15_000)),
    )
    assert verified(verifier, first, second)[1] == [11_000, 12_000, 15_000]
    assert (verifier.duplicates, verifier.last) == (1, 15_000)


def test_ids_held_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MAX_HELD_IDS", 3)
    events = [event(str(i), 15_000) for i in range(4)]
    for ordered in (True, False):
        assert len(verified(Verifier(WINDOW, ordered=ordered), batch(*events[:3]))[0]) == 3
    for ordered, match in ((True, "within one second"), (False, "without order")):
        verifier = Verifier(WINDOW, ordered=ordered)
        with pytest.raises(Np6ResponseError, match=match):
            verifier.verify(batch(*events))
        verifier.close()


@pytest.mark.parametrize("later", [[15_000, 14_999], [9_999 + 1]])
def test_order_is_verified_within_and_between_batches(later: list[int]) -> None:
    verifier = Verifier(WINDOW)
    verifier.verify(batch(event("a", 11_000)))
    with pytest.raises(OutOfOrderError):
        verifier.verify(batch(*(event(str(time), time) for time in later)))


def test_the_rounding_to_seconds_is_dropped_and_what_lies_beyond_is_an_error() -> None:
    verifier = Verifier(Window(10_400, 19_600))
    times = (10_399, 10_400, 19_599, 19_600, 19_999)
    assert verified(verifier, batch(*(event(str(time), time) for time in times)))[1] == [10_400, 19_599]
    assert verifier.events == 2
    for outside in (9_999, 20_000, -1, 253_402_300_800_000, -(2**70), 2**70):
        with pytest.raises(Np6ResponseError, match="outside of what was requested"):
            Verifier(Window(10_400, 19_600)).verify(batch(event("x", outside)))
        beside = sorted([event("x", outside), event("y", 15_000)], key=lambda one: int(one["timestamp"]))
        with pytest.raises(Np6ResponseError, match="outside of what was requested"):
            Verifier(Window(10_400, 19_600)).verify(batch(*beside))


def test_without_order_the_rounding_is_dropped_wherever_it_stands() -> None:
    verifier = Verifier(Window(10_400, 19_600), ordered=False)
    times = (15_000, 10_399, 10_400, 19_999, 19_599, 19_600, 15_001)
    kept = verified(verifier, batch(*(event(str(time), time) for time in times)))
    assert kept[1] == [10_400, 15_000, 15_001, 19_599]
    assert (verifier.events, verifier.taken) == (4, 7)


@pytest.mark.parametrize(
    "bad",
    [
        5,
        None,
        [],
        {},
        {"id": "a"},
        {"timestamp": 15_000},
        {"id": "", "timestamp": 15_000},
        {"id": 5, "timestamp": 15_000},
        {"id": "a" * 65, "timestamp": 15_000},
        {"id": "a", "timestamp": "15000"},
        {"id": "a", "timestamp": 15_000.0},
        {"id": "a", "timestamp": True},
        {"id": "a", "timestamp": None},
    ],
)
def test_an_event_without_its_envelope_is_refused_and_not_shown(bad: Any) -> None:
    with pytest.raises(Np6ResponseError, match="after the first 1 lacks its documented envelope") as caught:
        Verifier(WINDOW).verify(batch(event("fine", 15_000), bad, {"secret": "a@b.c"}))
    assert "a@b.c" not in str(caught.value)
    assert "fine" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused() -> None:
    array = b'[{"id":"a","timestamp":15000,"x":"\xff"}]'
    with pytest.raises(Np6ResponseError, match="is not UTF-8"):
        Verifier(WINDOW).verify(RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array))


def test_events_come_on_one_line_otherwise_byte_for_byte() -> None:
    array = b'[{"id":"a",\r\n "timestamp":15000 ,"x":"\\n"}]'
    raw = RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array)
    assert verified(Verifier(WINDOW), raw)[0] == [b'{"id":"a",   "timestamp":15000 ,"x":"\\n"}']


@pytest.mark.parametrize("character", ["\0", "\x1f", "\x7f", "\u200b"])
def test_ids_with_unprintable_characters_are_refused(character: str) -> None:
    with pytest.raises(Np6ResponseError, match="unprintable"):
        Verifier(WINDOW).verify(batch(event(f"a{character}", 15_000)))


def test_nul_elsewhere_than_in_an_id_is_fine() -> None:
    fine = {**event("a", 15_000), "x": "\0"}
    assert len(verified(Verifier(WINDOW), batch(fine))[0]) == 1


@pytest.mark.parametrize("space", [b"\r", b"\n"])
def test_each_kind_of_line_end_becomes_a_space(space: bytes) -> None:
    for extra in (b"", b',{"id":"b"}'):
        array = b'[{"id":"a",' + space + b'"timestamp":15000}' + extra + b"]"
        raw = RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array)
        items, _ = verified(Verifier(WINDOW, set_aside=lambda _: None), raw)
        assert items == [b'{"id":"a", "timestamp":15000}']


@pytest.mark.parametrize(
    ("last", "held"),
    [
        ([("d", 12_000), ("e", 12_500)], {"d", "e"}),
        ([("d", 12_000), ("e", 13_000)], {"e"}),
        ([("d", 12_000), ("e", 13_000), ("e", 13_000)], {"e"}),
    ],
)
def test_only_ids_of_the_last_second_are_held(last: list[tuple[str, int]], held: set[str]) -> None:
    verifier = Verifier(WINDOW)
    for batch_of in ([("a", 10_000), ("b", 10_999)], [("c", 11_000), ("c", 11_000)], last):
        verifier.verify(batch(*(event(*one) for one in batch_of)))
    assert verifier._ids == held
    assert verifier.last == last[-1][1]


@pytest.mark.parametrize("sizes", [(4,), (1, 1, 1, 1), (2, 2)])
def test_an_id_that_comes_again_later_in_its_second_is_a_duplicate(sizes: tuple[int, ...]) -> None:
    verifier, batches = Verifier(WINDOW), []
    events = [event(*one) for one in (("a", 11_000), ("b", 11_500), ("b", 11_600), ("a", 11_999))]
    for size in sizes:
        part, events = events[:size], events[size:]
        batches.append(batch(*part))
    items, _ = verified(verifier, *batches)
    assert (len(items), verifier.duplicates, verifier.events) == (2, 2, 2)


def test_what_comes_again_at_a_seam_is_a_duplicate_the_second_time() -> None:
    verifier = Verifier(WINDOW)
    assert verifier.verify(batch(event("a", 11_000), event("b", 11_100))).timestamps == [11_000]
    verifier.begin(Window(11_000, 20_000))
    assert verifier.verify(batch(event("a", 11_000), event("b", 11_100))).items == []
    assert (verifier.duplicates, verifier.in_response) == (0, 2)
    assert verified(verifier, batch(event("b", 11_100), event("c", 11_200)))[1] == [11_100, 11_200]
    assert (verifier.duplicates, verifier.taken, verifier.events) == (1, 3, 3)


@pytest.mark.parametrize("ordered", [True, False])
def test_each_part_is_held_to_what_was_asked_for_it(ordered: bool) -> None:
    for one_by_one in (False, True):
        verifier = Verifier(WINDOW, ordered=ordered)
        verifier.begin(Window(10_000, 15_000))
        extra = {"x": "\0"} if one_by_one else {}
        verifier.verify(batch({**event("a", 14_999), **extra}))
        with pytest.raises(Np6ResponseError, match="outside of what was requested"):
            verifier.verify(batch({**event("b", 15_000), **extra}))
        assert len(verified(verifier)[0]) == 1


def test_what_is_set_aside_tells_where_it_stood() -> None:
    aside: list[Invalid] = []
    verifier = Verifier(WINDOW, set_aside=aside.append)
    verifier.verify(batch(5))
    verifier.verify(batch(event("a", 11_000), event("b", 12_000)))
    verifier.verify(batch(6, event("c", 13_000), 7))
    assert [(one.item, one.position, one.near) for one in aside] == [
        (b"5", 0, 10_000),
        (b"6", 2, 12_000),
        (b"7", 3, 13_000),
    ]


DEEP = b'{"id":"deep","timestamp":11000,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NOT_UTF8 = b'{"id":"\xff","timestamp":11000}'


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (DEEP, "is nested too deeply"),
        (NOT_UTF8, "is not UTF-8"),
        (b'{"id":"nan","timestamp":NaN}', "is not valid JSON"),
        (b"5", "lacks its documented envelope"),
    ],
)
def test_what_was_set_aside_is_known_and_what_was_not_is_not(bad: bytes, reason: str) -> None:
    aside: list[Invalid] = []
    verifier = Verifier(WINDOW, set_aside=aside.append)
    good = b'{"id":"a","timestamp":11000}'
    raw = RawBatch([good, bad], b"[" + good + b"," + bad + b"]")
    assert not verifier.knows(raw)
    assert verified(verifier, raw)[1] == [11_000]
    assert [one.item for one in aside] == [bad]
    assert aside[0].reason.startswith(reason)
    assert verifier.knows(raw)
    assert not verifier.knows(RawBatch([good, bad + b" "], None))
    assert not verifier.knows(RawBatch([b'{"id":"b","timestamp":11000}', good], None))


def test_a_batch_with_an_element_that_is_no_json_is_looked_at_one_by_one() -> None:
    aside: list[Invalid] = []
    verifier = Verifier(WINDOW, set_aside=aside.append)
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
