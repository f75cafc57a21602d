"""Elements of an array come once, byte for byte, wherever the response is cut."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import json_stream
from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
    Np6TimeoutError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.json_stream import batches
from airflow_provider_np6.np6.lone_surrogates import replace_lone_surrogates
from tests.support.json_arrays import pieces, responses, surrogate_elements, without_lone_surrogates
from tests.support.properties import examples

pytestmark = pytest.mark.core

MB = 1024 * 1024


@pytest.fixture(autouse=True, scope="module")
def _small_batches() -> Iterator[None]:
    """Cut often, so that small responses meet every way of cutting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "BATCH", 16)
        yield


def all_of(parts: Iterator[bytes], max_event_bytes: int = MB) -> list[bytes]:
    return [bytes(item) for batch in batches(parts, max_event_bytes) for item in batch.items]


@examples(400)
@given(responses(), st.lists(st.integers(0, 10_000), max_size=40))
def test_every_element_comes_once_byte_for_byte(response: tuple[list[bytes], bytes], cuts: list[int]) -> None:
    elements, array = response
    assert all_of(pieces(array, cuts)) == elements


@examples(200)
@given(responses(), st.lists(st.integers(0, 10_000), max_size=40), st.integers(1, 10_000))
def test_a_response_cut_short_never_passes(
    response: tuple[list[bytes], bytes], cuts: list[int], missing: int
) -> None:
    whole = response[1].rstrip()
    array = whole[: -(missing % len(whole) or 1)]
    with pytest.raises((Np6TruncatedError, Np6ResponseError)):
        all_of(pieces(array, cuts))


@examples(200)
@given(responses(), st.binary(min_size=1, max_size=5).filter(lambda rest: rest.strip(b" \t\r\n")))
def test_nothing_may_follow_the_array(response: tuple[list[bytes], bytes], rest: bytes) -> None:
    with pytest.raises((Np6TruncatedError, Np6ResponseError)):
        all_of(iter([response[1] + rest]))


NO_END = "the response ends before its closing bracket"
NO_ARRAY = "from some event on, the response is not an array of objects"


@pytest.mark.parametrize(
    ("response", "error", "says"),
    [
        (b"", Np6TruncatedError, "the response is empty"),
        (b" \n", Np6TruncatedError, "the response is empty"),
        (b"[", Np6TruncatedError, NO_END),
        (b'[{"a":1},', Np6TruncatedError, NO_END),
        (b'{"error":"x"}', Np6ResponseError, "is a JSON object"),
        (b"<html>", Np6ResponseError, "is a page of HTML or XML"),
        (b"null", Np6ResponseError, "is something else"),
        (b'[{"a":1}] {', Np6TruncatedError, "something follows"),
        (b'[{"a":1},]', Np6TruncatedError, NO_ARRAY),
        (b'[{"a":1}{"a":1}]', Np6TruncatedError, NO_ARRAY),
        (b'[{"a":1} x, {"a":1}' + b',{"a":1}' * 9 + b"]", Np6TruncatedError, NO_ARRAY),
        (b'[5, {"a":NaN}, {"a":1}]', Np6TruncatedError, NO_ARRAY),
        (b'[{"a":NaN}, 5]', Np6TruncatedError, NO_ARRAY),
        (b"[" * 100_000, Np6TruncatedError, NO_END),
    ],
)
def test_a_response_that_is_not_a_whole_array_is_refused(
    response: bytes, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        all_of(iter([response]))


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b" \r\n\t", b"\xef\xbb\xbf \n"])
def test_a_byte_order_mark_and_white_space_may_come_first(start: bytes) -> None:
    response = start + b'[{"a":1}]'
    assert all_of(bytes([byte]) for byte in response) == [b'{"a":1}']
    assert all_of(iter([response])) == [b'{"a":1}']


def test_white_space_may_follow_an_array_with_an_invalid_element() -> None:
    assert all_of(iter([b'[{"a":NaN}] \r\n'])) == [b'{"a":NaN}']


@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_an_event_of_exactly_the_limit_passes_however_it_arrives(size: int) -> None:
    event = b'{"a":"' + b"x" * 992 + b'"}'
    array = b"[" + b",".join([event] * 4) + b"]"
    parts = [array[start : start + size] for start in range(0, len(array), size)]
    assert all_of(iter(parts), 1_000) == [event] * 4
    with pytest.raises(Np6ResponseError, match="larger than 999 bytes"):
        all_of(iter(parts), 999)


def test_an_event_beyond_the_limit_is_refused() -> None:
    with pytest.raises(Np6ResponseError, match="larger than 1000 bytes"):
        all_of(iter([b'[{"a":1},', b'{"a":"' + b"x" * 2_000 + b'"}]']), 1_000)


@examples(200)
@given(
    responses(),
    st.lists(st.integers(0, 10_000), max_size=40),
    st.sampled_from(
        [b'{"a":NaN}', b'{"a":"\\ud800","b":NaN}', b'{"a":"\\u12"}', b"{a}", b"[" * 5_000 + b"]" * 5_000]
    ),
)
def test_an_invalid_element_costs_no_other(
    response: tuple[list[bytes], bytes], cuts: list[int], invalid: bytes
) -> None:
    elements = [*response[0][::2], invalid, *response[0][1::2]]
    array = b"[" + b" , ".join(elements) + b"]"
    assert all_of(pieces(array, cuts)) == elements


@pytest.mark.parametrize("between", [0, 1, 10_000])
@pytest.mark.parametrize("space", [b"", b" \n"])
def test_an_invalid_element_that_may_contain_others_breaks_the_response(between: int, space: bytes) -> None:
    valid, invalid = b'{"id":"x","text":"a, {b}"}', b'{"id":"y","text":"a"b"}'
    elements = [valid, invalid, *[valid] * between, invalid, valid]
    array = b"[" + (space + b"," + space).join(elements) + b"]"
    with pytest.raises(Np6TruncatedError, match="it is unclear where an event of the response ends"):
        all_of(array[start : start + 65_536] for start in range(0, len(array), 65_536))


@examples(200)
@given(responses(), st.lists(st.integers(0, 10_000), max_size=40), st.integers(1, 10_000))
def test_whole_elements_come_before_a_break(
    response: tuple[list[bytes], bytes], cuts: list[int], missing: int
) -> None:
    elements, array = response
    whole = array.rstrip()
    part = whole[: -(missing % len(whole) or 1)]

    def breaking() -> Iterator[bytes]:
        yield from pieces(part, cuts)
        raise Np6TimeoutError("stalled")

    came: list[bytes] = []
    with pytest.raises(Np6TimeoutError):
        came.extend(bytes(item) for batch in batches(breaking(), MB) for item in batch.items)
    assert came == elements[: len(came)]


@pytest.mark.parametrize("mark", [b"x", b"X", b"0", b",", b":", b"\xa0"])
@pytest.mark.parametrize("array", ['[%{"a":NaN},{"b":1}]', '[{"a":NaN}%{"b":1}]', '[{"a":NaN},{"b":1}%]'])
def test_only_commas_and_white_space_separate_elements(array: str, mark: bytes) -> None:
    if "}%{" in array and mark == b",":
        return  # valid
    response = array.encode().replace(b"%", mark)
    with pytest.raises(Np6TruncatedError, match=NO_ARRAY):
        list(batches([response], 1_000))


def test_an_array_of_a_stray_mark_is_not_empty() -> None:
    with pytest.raises(Np6TruncatedError, match=NO_ARRAY):
        list(batches([b"[x]"], 1_000))


@examples(400)
@given(surrogate_elements(), st.lists(st.integers(0, 10_000), max_size=40), st.booleans())
def test_elements_with_lone_surrogates_come_byte_for_byte_and_their_array_can_be_decoded(
    elements: list[bytes], cuts: list[int], has_space: bool
) -> None:
    comma = b" , " if has_space else b","
    came: list[bytes] = []
    for batch in batches(pieces(b"[" + comma.join(elements) + b"]", cuts), MB):
        items = [bytes(item) for item in batch.items]
        came += items
        assert batch.array == replace_lone_surrogates(b"[" + comma.join(items) + b"]")
        assert msgspec.json.decode(batch.array) is not None
        assert without_lone_surrogates(batch.array) == [without_lone_surrogates(item) for item in items]
        assert batch.has_lone_surrogates == any(replace_lone_surrogates(item) is not item for item in items)
    assert came == elements
