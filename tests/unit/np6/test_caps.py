"""Which sizes of responses are believed, and which are remembered."""

from __future__ import annotations

import pytest

from airflow_provider_np6.np6.caps import (
    BELIEVED_EVENTS,
    NOTHING,
    REMEMBERED,
    ResponseSize,
    Sizes,
    VerifiedSize,
)

pytestmark = pytest.mark.core

DAY = 86_400_000
NOW = 20_000 * DAY


def verified(events: int, size: int, at: int = NOW) -> VerifiedSize:
    return VerifiedSize(ResponseSize(events, size), at)


def test_the_numbers_are_those_of_the_documentation() -> None:
    assert (BELIEVED_EVENTS, REMEMBERED) == (10, 30 * DAY)
    assert (NOTHING.events, NOTHING.bytes, NOTHING.largest_event) == (0, 0, 0)


@pytest.mark.parametrize(
    ("size", "is_below"),
    [
        (ResponseSize(99, 9_999), True),
        (ResponseSize(100, 9_999), False),
        (ResponseSize(101, 9_999), False),
        (ResponseSize(99, 10_000), False),
        (ResponseSize(99, 10_001), False),
        (ResponseSize(0, 0), True),
        # A limit of bytes also leaves out the rest of the event that did not fit.
        (ResponseSize(99, 9_799, largest_event=100), True),
        (ResponseSize(99, 9_800, largest_event=100), False),
        (ResponseSize(99, 9_899, largest_event=100), False),
        (ResponseSize(1, 0, largest_event=5_000), False),
        (ResponseSize(1, 0, largest_event=4_999), True),
    ],
)
def test_a_smaller_response_has_fewer_events_and_fewer_bytes_with_room(
    size: ResponseSize, is_below: bool
) -> None:
    assert size.is_below(ResponseSize(100, 10_000, largest_event=7_000)) is is_below


def test_the_union_has_the_larger_number_of_each() -> None:
    few, large = ResponseSize(3, 500, 200), ResponseSize(7, 400, 100)
    assert few.union(large) == large.union(few) == ResponseSize(7, 500)
    assert ResponseSize(9, 900).union(few) == few.union(ResponseSize(9, 900)) == ResponseSize(9, 900)
    assert few.union(NOTHING) == ResponseSize(3, 500)


@pytest.mark.parametrize(
    ("age", "is_current"),
    [
        (0, True),
        (30 * DAY - 1, True),
        (30 * DAY, False),
        (31 * DAY, False),
        (1 - 30 * DAY, True),  # a clock that was ahead
        (-30 * DAY, False),
    ],
)
def test_a_verified_size_counts_for_thirty_days(age: int, is_current: bool) -> None:
    stored = verified(100, 10_000, NOW - age)
    assert stored.is_current(NOW) is is_current
    assert Sizes.of(stored, NOW) == Sizes(NOW, stored if is_current else None)


def test_a_pull_begins_with_what_is_stored() -> None:
    assert Sizes.of(None, NOW) == Sizes(now=NOW, verified=None, largest=NOTHING, is_raised=False)
    assert Sizes.of(None, NOW).raised is None
    assert Sizes.of(verified(100, 10_000), NOW).raised is None


@pytest.mark.parametrize(
    ("old", "new", "both"),
    [
        (verified(10, 1_000, 1), verified(20, 2_000, 2), verified(20, 2_000, 2)),
        (verified(10, 1_000, 1), verified(10, 2_000, 2), verified(10, 2_000, 2)),
        (verified(10, 1_000, 1), verified(20, 1_000, 2), verified(20, 1_000, 2)),
        (verified(10, 1_000, 2), verified(20, 2_000, 1), verified(20, 2_000, 1)),
        # Numbers of two responses are as old as the older one.
        (verified(20, 1_000, 1), verified(10, 2_000, 2), verified(20, 2_000, 1)),
        (verified(20, 1_000, 2), verified(10, 2_000, 1), verified(20, 2_000, 1)),
    ],
)
def test_of_two_verified_sizes_the_larger_numbers_count(
    old: VerifiedSize, new: VerifiedSize, both: VerifiedSize
) -> None:
    assert old.with_size(new) == new.with_size(old) == both


def test_of_two_equal_sizes_the_given_one_counts() -> None:
    assert verified(10, 1_000, 1).with_size(verified(10, 1_000, 2)) == verified(10, 1_000, 2)


@pytest.mark.parametrize(
    ("size", "without", "with_verified"),
    [
        (ResponseSize(0, 2), True, True),
        (ResponseSize(9, 99_999, largest_event=99_999), True, True),
        (ResponseSize(10, 1_000), False, True),
        (ResponseSize(99, 9_999), False, True),
        (ResponseSize(100, 9_999), False, False),
        (ResponseSize(99, 10_000), False, False),
        (ResponseSize(50, 9_000, largest_event=500), False, False),
    ],
)
def test_a_response_is_believed_if_it_is_small_or_smaller_than_a_verified_one(
    size: ResponseSize, without: bool, with_verified: bool
) -> None:
    assert Sizes(NOW).believes(size) is without
    assert Sizes(NOW, verified(100, 10_000)).believes(size) is with_verified


def test_the_largest_response_is_known_but_not_believed() -> None:
    begun = Sizes(NOW)
    sizes = begun.with_received(ResponseSize(30, 400, 50)).with_received(ResponseSize(20, 500, 60))
    assert sizes == Sizes(NOW, None, ResponseSize(30, 500))
    assert begun == Sizes(NOW)
    assert not sizes.believes(ResponseSize(10, 1))
    assert sizes.raised is None


def test_a_verified_response_raises_what_is_known() -> None:
    size = ResponseSize(30, 400, 50)
    sizes = Sizes(NOW, largest=size).with_verified(size)
    assert sizes == Sizes(NOW, VerifiedSize(size, NOW), size, is_raised=True)
    assert sizes.raised == VerifiedSize(size, NOW)
    larger = sizes.with_verified(ResponseSize(40, 500))
    assert larger.raised == verified(40, 500)


@pytest.mark.parametrize("size", [ResponseSize(9, 90_000), ResponseSize(99, 9_999), NOTHING])
def test_what_is_believed_anyway_raises_nothing(size: ResponseSize) -> None:
    sizes = Sizes(NOW, verified(100, 10_000, NOW - 5))
    assert sizes.with_verified(size) is sizes
    assert sizes.raised is None
    small = Sizes(NOW)
    assert (small.with_verified(size) is small) is (size.events < 10)


def test_what_is_larger_in_one_number_keeps_the_time_of_the_other() -> None:
    sizes = Sizes(NOW, verified(100, 10_000, NOW - 5)).with_verified(ResponseSize(50, 20_000))
    assert sizes.raised == verified(100, 20_000, NOW - 5)
