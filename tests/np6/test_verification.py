from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import verification
from airflow_provider_np6.np6.errors import Np6AnswerError
from airflow_provider_np6.np6.streaming import RawBatch
from airflow_provider_np6.np6.verification import OutOfOrderError, Verifier
from airflow_provider_np6.np6.window import Window

pytestmark = pytest.mark.core

WINDOW = Window(10_000, 20_000)


def batch(*events: Any, separators: tuple[str, str] = (",", ":")) -> RawBatch:
    array = json.dumps(events, separators=separators).encode()
    return RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array)


def event(id_: str, timestamp: int) -> dict[str, Any]:
    return {"id": id_, "timestamp": timestamp}


@given(st.data())
def test_in_an_ordered_answer_each_id_passes_once_whatever_the_batches(data: st.DataObject) -> None:
    times = sorted(data.draw(st.lists(st.integers(10_000, 10_005), min_size=1, max_size=40)))
    names = [f"{time}-{data.draw(st.integers(0, 2))}" for time in times]
    verifier, passed, rest = Verifier(WINDOW), [], list(zip(names, times, strict=True))
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        part, rest = rest[:size], rest[size:]
        passed += [
            json.loads(bytes(item))["id"]
            for item in verifier.verify(batch(*(event(*one) for one in part))).items
        ]
    assert passed == list(dict.fromkeys(names))
    assert (verifier.events, verifier.duplicates) == (len(passed), len(names) - len(passed))


def test_without_order_all_ids_are_compared() -> None:
    verifier = Verifier(WINDOW, ordered=False)
    first = verifier.verify(batch(event("a", 15_000), event("b", 12_000)))
    second = verifier.verify(batch(event("c", 11_000), event("a", 15_000)))
    assert [*first.timestamps, *second.timestamps] == [15_000, 12_000, 11_000]
    assert verifier.duplicates == 1


def test_ids_held_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MAX_HELD_IDS", 3)
    events = [event(str(i), 15_000) for i in range(4)]
    with pytest.raises(Np6AnswerError, match="within one second"):
        Verifier(WINDOW).verify(batch(*events))
    with pytest.raises(Np6AnswerError, match="without order"):
        Verifier(WINDOW, ordered=False).verify(batch(*events))


@pytest.mark.parametrize("later", [[15_000, 14_999], [9_999 + 1]])
def test_order_is_verified_within_and_between_batches(later: list[int]) -> None:
    verifier = Verifier(WINDOW)
    verifier.verify(batch(event("a", 11_000)))
    with pytest.raises(OutOfOrderError):
        verifier.verify(batch(*(event(str(time), time) for time in later)))


def test_the_rounding_to_seconds_is_dropped_and_what_lies_beyond_is_an_error() -> None:
    verifier = Verifier(Window(10_400, 19_600))
    kept = verifier.verify(batch(*(event(str(t), t) for t in (10_399, 10_400, 19_599, 19_600, 19_999))))
    assert kept.timestamps == [10_400, 19_599]
    assert verifier.events == 2
    for outside in (9_999, 20_000, -(2**70), 2**70):
        with pytest.raises(Np6AnswerError, match="outside of what was asked for"):
            Verifier(Window(10_400, 19_600)).verify(batch(event("x", outside)))


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
    with pytest.raises(Np6AnswerError, match="after the first 1 lacks its documented envelope") as caught:
        Verifier(WINDOW).verify(batch(event("fine", 15_000), bad, {"secret": "a@b.c"}))
    assert "a@b.c" not in str(caught.value)
    assert "fine" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused() -> None:
    array = b'[{"id":"a","timestamp":15000,"x":"\xff"}]'
    with pytest.raises(Np6AnswerError, match="is not UTF-8"):
        Verifier(WINDOW).verify(RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array))


def test_events_come_on_one_line_otherwise_byte_for_byte() -> None:
    array = b'[{"id":"a",\r\n "timestamp":15000 ,"x":"\\n"}]'
    items = Verifier(WINDOW).verify(RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array)).items
    assert [bytes(item) for item in items] == [b'{"id":"a",   "timestamp":15000 ,"x":"\\n"}']


def test_ids_without_printable_characters_are_refused_and_nul_elsewhere_is_not() -> None:
    with pytest.raises(Np6AnswerError, match="unprintable"):
        Verifier(WINDOW).verify(batch(event("a\0", 15_000)))
    fine = {**event("a", 15_000), "x": "\0"}
    assert len(Verifier(WINDOW).verify(batch(fine)).items) == 1


@pytest.mark.parametrize("space", [b"\r", b"\n"])
def test_each_kind_of_line_end_becomes_a_space(space: bytes) -> None:
    for extra in (b"", b',{"id":"b"}'):
        array = b'[{"id":"a",' + space + b'"timestamp":15000}' + extra + b"]"
        raw = RawBatch(msgspec.json.decode(array, type=list[msgspec.Raw]), array)
        items = Verifier(WINDOW, set_aside=lambda _: None).verify(raw).items
        assert [bytes(item) for item in items] == [b'{"id":"a", "timestamp":15000}']


def test_only_ids_of_the_last_second_are_held() -> None:
    verifier = Verifier(WINDOW)
    for batch_of in (
        [("a", 10_000), ("b", 10_999)],
        [("c", 11_000), ("c", 11_000)],
        [("d", 12_000), ("e", 12_500)],
    ):
        verifier.verify(batch(*(event(*one) for one in batch_of)))
    assert verifier._ids == {"d", "e"}
    assert verifier.last == 12_500
