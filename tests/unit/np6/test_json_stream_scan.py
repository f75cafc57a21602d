"""Elements and their edges, found by counting brackets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_np6.np6.errors import Np6TruncatedError
from airflow_provider_np6.np6.json_stream import SPACE, Scan, batches
from tests.unit.np6.test_json_stream import answers, pieces

pytestmark = pytest.mark.core


@settings(max_examples=300, deadline=None)
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
