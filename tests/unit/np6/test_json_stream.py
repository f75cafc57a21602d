"""Elements of an array: each comes once, byte for byte, however the response is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import json_stream as streaming
from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
    Np6TimeoutError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.json_stream import SPACE, Scan, batches
from tests.support.properties import examples

pytestmark = pytest.mark.core

MB = 1024 * 1024

# What may look like a boundary between events, inside of them.
TRAPS = st.sampled_from(["},{", '"},{"', "} , {", '\\"},{', "[{},{}]", "]", "[", "\\", '"', "é📫", "\n"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | TRAPS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | TRAPS, inner, max_size=4)
    ),
    max_leaves=12,
)
EVENTS = st.lists(st.dictionaries(st.text(max_size=4) | TRAPS, VALUES, max_size=4), max_size=30)
GAPS = st.text(" \t\r\n", max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Elements as text, and an array of them with any white space between."""
    ascii_only = draw(st.booleans())
    elements = [json.dumps(event, ensure_ascii=ascii_only).encode() for event in draw(EVENTS)]
    space = [draw(GAPS).encode() for _ in range(4)]
    comma = space[0] + b"," + space[1]
    return elements, space[2] + b"[" + space[0] + comma.join(elements) + space[1] + b"]" + space[3]


def pieces(answer: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    return (answer[left:right] for left, right in pairwise(places))


@pytest.fixture(autouse=True, scope="module")
def _small_batches() -> Iterator[None]:
    """Cut often, so that small answers meet every way of cutting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BATCH", 16)
        yield


def all_of(parts: Iterator[bytes], max_event_bytes: int = MB) -> list[bytes]:
    return [bytes(item) for batch in batches(parts, max_event_bytes) for item in batch.items]


@examples(400)
@given(answers(), st.lists(st.integers(0, 10_000), max_size=40))
def test_every_element_comes_once_byte_for_byte(answer: tuple[list[bytes], bytes], cuts: list[int]) -> None:
    elements, text = answer
    assert all_of(pieces(text, cuts)) == elements


@examples(200)
@given(answers(), st.lists(st.integers(0, 10_000), max_size=40), st.integers(1, 10_000))
def test_an_answer_cut_short_never_passes(
    answer: tuple[list[bytes], bytes], cuts: list[int], short: int
) -> None:
    whole = answer[1].rstrip()
    text = whole[: -(short % len(whole) or 1)]
    with pytest.raises((Np6TruncatedError, Np6ResponseError)):
        all_of(pieces(text, cuts))


@examples(200)
@given(answers(), st.binary(min_size=1, max_size=5).filter(lambda rest: rest.strip(b" \t\r\n")))
def test_nothing_may_follow_the_array(answer: tuple[list[bytes], bytes], rest: bytes) -> None:
    with pytest.raises((Np6TruncatedError, Np6ResponseError)):
        all_of(iter([answer[1] + rest]))


NO_END = "ends before its closing bracket"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (b"", Np6TruncatedError, "the answer is empty"),
        (b" \n", Np6TruncatedError, "the answer is empty"),
        (b"[", Np6TruncatedError, NO_END),
        (b'[{"a":1},', Np6TruncatedError, NO_END),
        (b'{"error":"x"}', Np6ResponseError, "is a JSON object"),
        (b"<html>", Np6ResponseError, "is a page of HTML or XML"),
        (b"null", Np6ResponseError, "is something else"),
        (b'[{"a":1}] {', Np6TruncatedError, "something follows"),
        (b'[{"a":1},]', Np6TruncatedError, "no array of objects any more"),
        (b'[{"a":1}{"a":1}]', Np6TruncatedError, "no array of objects any more"),
        (b'[{"a":1} x, {"a":1}' + b',{"a":1}' * 9 + b"]", Np6TruncatedError, "no array of objects any more"),
        (b'[5, {"a":NaN}, {"a":1}]', Np6TruncatedError, "no array of objects any more"),
        (b'[{"a":NaN}, 5]', Np6TruncatedError, "no array of objects any more"),
        (b"[" * 100_000, Np6TruncatedError, NO_END),
    ],
)
def test_what_is_no_whole_array(answer: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        all_of(iter([answer]))


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b" \r\n\t", b"\xef\xbb\xbf \n"])
def test_a_byte_order_mark_and_white_space_may_come_first(start: bytes) -> None:
    text = start + b'[{"a":1}]'
    assert all_of(bytes([byte]) for byte in text) == [b'{"a":1}']
    assert all_of(iter([text])) == [b'{"a":1}']


def test_white_space_may_follow_an_array_with_an_element_that_is_no_json() -> None:
    assert all_of(iter([b'[{"a":NaN}] \r\n'])) == [b'{"a":NaN}']


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_an_event_of_just_the_limit_passes_however_it_arrives(size: int) -> None:
    event = b'{"a":"' + b"x" * 992 + b'"}'
    text = b"[" + b",".join([event] * 4) + b"]"
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    assert all_of(iter(parts), 1_000) == [event] * 4
    with pytest.raises(Np6ResponseError, match="larger than 999 bytes"):
        all_of(iter(parts), 999)


def test_an_event_beyond_the_limit_is_refused() -> None:
    with pytest.raises(Np6ResponseError, match="larger than 1000 bytes"):
        all_of(iter([b'[{"a":1},', b'{"a":"' + b"x" * 2_000 + b'"}]']), 1_000)


@examples(200)
@given(
    answers(),
    st.lists(st.integers(0, 10_000), max_size=40),
    st.sampled_from([b'{"a":NaN}', b'{"a":"\\ud800"}', b"{a}", b"[" * 5_000 + b"]" * 5_000]),
)
def test_an_element_that_is_no_json_costs_no_other(
    answer: tuple[list[bytes], bytes], cuts: list[int], bad: bytes
) -> None:
    elements = [*answer[0][::2], bad, *answer[0][1::2]]
    text = b"[" + b" , ".join(elements) + b"]"
    assert all_of(pieces(text, cuts)) == elements


@pytest.mark.parametrize("between", [0, 1, 10_000])
@pytest.mark.parametrize("space", [b"", b" \n"])
def test_an_element_that_may_hold_others_is_none(between: int, space: bytes) -> None:
    good, bad = b'{"id":"x","text":"a, {b}"}', b'{"id":"y","text":"a"b"}'
    answer = [good, bad, *[good] * between, bad, good]
    text = b"[" + (space + b"," + space).join(answer) + b"]"
    with pytest.raises(Np6TruncatedError, match="cannot be told apart"):
        all_of(text[at : at + 65_536] for at in range(0, len(text), 65_536))


@examples(200)
@given(answers(), st.lists(st.integers(0, 10_000), max_size=40), st.integers(1, 10_000))
def test_whole_elements_are_handed_on_before_a_break(
    answer: tuple[list[bytes], bytes], cuts: list[int], short: int
) -> None:
    elements, text = answer
    whole = text.rstrip()
    part = whole[: -(short % len(whole) or 1)]

    def breaking() -> Iterator[bytes]:
        yield from pieces(part, cuts)
        raise Np6TimeoutError("stalled")

    came: list[bytes] = []
    with pytest.raises(Np6TimeoutError):
        came.extend(bytes(item) for batch in batches(breaking(), MB) for item in batch.items)
    assert came == elements[: len(came)]


@examples(300)
@given(answers(), st.lists(st.integers(0), max_size=12))
def test_whatever_the_pieces_the_elements_are_found_and_each_byte_is_looked_at_once(
    answer: tuple[list[bytes], bytes], cuts: list[int]
) -> None:
    elements, array = answer
    array = array.strip(SPACE)
    scan, held = Scan(), bytearray()
    for piece in pieces(array, cuts):
        held += piece
        scan.run(held)
        seen = held.rstrip(b"\\")  # an escape is looked at with what it escapes
        assert scan._position >= len(seen)
        if scan.boundary is not None:
            end, begin = scan.boundary
            found = scan.elements(held, end)
            assert found == elements[: len(found)]
            assert held[begin:].startswith(elements[len(found)][: len(held) - begin])
            assert held[end:begin].strip(SPACE) == b","
    assert scan.closed_at == len(array)
    assert scan.elements(held, len(held)) == elements
    assert (scan.boundary is not None) == (len(elements) > 1)


def test_an_escape_may_be_parted_from_what_it_escapes() -> None:
    array = rb'[{"a":"},{\"},{\\"},{"b":"\\\""}]'
    for cut in range(1, len(array)):
        scan, held = Scan(), bytearray(array[:cut])
        scan.run(held)
        held += array[cut:]
        scan.run(held)
        assert scan.elements(held, len(held)) == [rb'{"a":"},{\"},{\\"}', rb'{"b":"\\\""}']


def test_an_endless_number_is_looked_at_once() -> None:
    scan, held = Scan(), bytearray(b'[{"a":')
    for _ in range(3):
        held += b"1" * 1_000
        scan.run(held)
        assert scan._position == len(held)


@pytest.mark.parametrize("mark", [b"x", b"X", b"0", b",", b":", b"\xa0"])
@pytest.mark.parametrize("array", ['[%{"a":NaN},{"b":1}]', '[{"a":NaN}%{"b":1}]', '[{"a":NaN},{"b":1}%]'])
def test_only_commas_and_white_space_stand_between_elements(array: str, mark: bytes) -> None:
    if "}%{" in array and mark == b",":
        return  # lawful
    answer = array.encode().replace(b"%", mark)
    with pytest.raises(Np6TruncatedError, match="no array of objects"):
        list(batches([answer], 1_000))


def test_elements_end_where_they_are_asked_to() -> None:
    scan, array = Scan(), bytearray(b'[{"a":1},{"b":2},{"c":3}]')
    scan.run(array)
    assert scan.elements(array, 8) == [b'{"a":1}']
    assert scan.elements(array, 7) == []
    assert scan.boundary == (16, 17)


def test_one_stray_mark_is_no_empty_array() -> None:
    with pytest.raises(Np6TruncatedError, match="no array of objects"):
        list(batches([b"[x]"], 1_000))
