"""Counting brackets finds every element, and reads each byte once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6.bracket_scan import JSON_SPACE, BracketScan
from tests.support.json_arrays import pieces, responses
from tests.support.properties import examples

pytestmark = pytest.mark.core


@examples(300)
@given(responses(), st.lists(st.integers(0), max_size=12))
def test_wherever_the_array_is_cut_the_elements_are_found_and_each_byte_is_read_once(
    response: tuple[list[bytes], bytes], cuts: list[int]
) -> None:
    elements, array = response
    array = array.strip(JSON_SPACE)
    scan, arrived = BracketScan(), bytearray()
    for piece in pieces(array, cuts):
        arrived += piece
        scan.run(arrived)
        assert scan.position >= len(arrived.rstrip(b"\\"))  # an escape is read with what it escapes
        if scan.boundary is not None:
            end, start = scan.boundary
            complete = scan.elements(arrived, end)
            assert complete == elements[: len(complete)]
            assert arrived[start:].startswith(elements[len(complete)][: len(arrived) - start])
            assert arrived[end:start].strip(JSON_SPACE) == b","
    assert scan.closed_at == len(array)
    assert scan.elements(arrived, len(arrived)) == elements
    assert (scan.boundary is not None) == (len(elements) > 1)


def test_an_escape_may_be_separated_from_what_it_escapes() -> None:
    array = rb'[{"a":"},{\"},{\\"},{"b":"\\\""}]'
    for cut in range(1, len(array)):
        scan, arrived = BracketScan(), bytearray(array[:cut])
        scan.run(arrived)
        arrived += array[cut:]
        scan.run(arrived)
        assert scan.elements(arrived, len(arrived)) == [rb'{"a":"},{\"},{\\"}', rb'{"b":"\\\""}']


def test_an_endless_number_is_read_once() -> None:
    scan, arrived = BracketScan(), bytearray(b'[{"a":')
    for _ in range(3):
        arrived += b"1" * 1_000
        scan.run(arrived)
        assert scan.position == len(arrived)


def test_elements_that_end_later_are_left_out() -> None:
    scan, array = BracketScan(), bytearray(b'[{"a":1},{"b":2},{"c":3}]')
    scan.run(array)
    assert scan.elements(array, 8) == [b'{"a":1}']
    assert scan.elements(array, 7) == []
    assert scan.boundary == (16, 17)
