"""What is requested next, whatever the order of responses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_np6.np6.caps import ResponseSize, Sizes, VerifiedSize
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.halving_plan import HalvingPlan
from airflow_provider_np6.np6.plan import EventsMissingError, Received
from airflow_provider_np6.np6.window import Window
from tests.support.plans import (
    DONE,
    NOW,
    SIZES,
    SPLIT,
    WINDOW,
    Break,
    Happening,
    Row,
    after,
    play,
    row,
    size_of,
)

pytestmark = pytest.mark.core


def plan_of(window: Window = WINDOW, *, sizes: Sizes = SIZES) -> HalvingPlan:
    return HalvingPlan.of(window, sizes, window.end + 1_000)


def brings(elements: int) -> Received:
    """A response of so many elements, of 100 bytes each, with new events."""
    return Received(size_of(elements), is_new=True, first=100_000, last=100_500)


def repeats(elements: int) -> Received:
    """A response with just the events that are known of its part."""
    return replace(brings(elements), is_new=False)


def lacks(elements: int) -> Received:
    """A response without an event that is known of its part."""
    return replace(repeats(elements), is_missing=True)


NOTHING = Received(size_of(0))


def pull(start: int, end: int) -> Row:
    """A request for the events between two seconds."""
    return "PULL", (start, end), (start - 1, end + 1)


CASES: dict[str, list[tuple[Happening, Row]]] = {
    "nothing is believed": [(NOTHING, DONE)],
    "nine elements are believed": [(brings(9), DONE)],
    "ten elements are verified by two halves": [
        (brings(10), pull(100, 130)),
        (repeats(5), pull(130, 160)),
        (repeats(5), DONE),
    ],
    "small halves are believed, even if they bring more": [
        (brings(10), pull(100, 130)),
        (brings(9), pull(130, 160)),
        (brings(9), DONE),
    ],
    "each half that brings more is verified by its own halves": [
        (brings(100), pull(100, 130)),
        (brings(60), pull(130, 160)),
        (brings(70), pull(100, 115)),
        (repeats(30), pull(115, 130)),
        (repeats(30), pull(130, 145)),
        (repeats(35), pull(145, 160)),
        (repeats(35), DONE),
    ],
    "if the second half brings more, the first one is verified too": [
        (brings(100), pull(100, 130)),
        (repeats(60), pull(130, 160)),
        (brings(60), pull(100, 115)),
        (repeats(30), pull(115, 130)),
        (repeats(30), pull(130, 145)),
    ],
    "if the second half brings more, a small first one is believed": [
        (brings(100), pull(100, 130)),
        (repeats(9), pull(130, 160)),
        (brings(95), pull(130, 145)),
    ],
    "a half as large as the whole": [
        (brings(100), pull(100, 130)),
        (repeats(100), pull(130, 160)),
        (NOTHING, pull(100, 115)),
        (repeats(50), pull(115, 130)),
        (repeats(50), DONE),
    ],
    "a half without room for two events": [
        (brings(100), pull(100, 130)),
        (repeats(98), pull(130, 160)),
        (repeats(2), pull(100, 115)),
    ],
    "a half with room for two events": [
        (brings(100), pull(100, 130)),
        (repeats(97), pull(130, 160)),
        (repeats(3), DONE),
    ],
    "a second half as large as the whole": [
        (brings(100), pull(100, 130)),
        (NOTHING, pull(130, 160)),
        (repeats(100), pull(130, 145)),
        (repeats(50), pull(145, 160)),
        (repeats(50), DONE),
    ],
    "a half that lacks events of the whole is verified by its own halves": [
        (brings(100), pull(100, 130)),
        (repeats(20), pull(130, 160)),
        (lacks(79), pull(100, 115)),
        (repeats(10), pull(115, 130)),
        (repeats(10), pull(130, 145)),
        (repeats(40), pull(145, 160)),
        (repeats(40), DONE),
    ],
    "a response breaks off": [
        (Break(120_000, 130_000), pull(100, 160)),
        (Break(), pull(100, 160)),
        (brings(9), DONE),
    ],
    "a half breaks off before its first event": [
        (brings(100), pull(100, 130)),
        (Break(), pull(100, 130)),
        (repeats(50), pull(130, 160)),
        (Break(), pull(130, 160)),
        (repeats(50), DONE),
    ],
    "halves of which the first one broke off verify nothing": [
        (brings(100), pull(100, 130)),
        (Break(110_000, 112_000), pull(100, 130)),
        (repeats(50), pull(130, 160)),
        (repeats(50), pull(100, 115)),
        (repeats(25), pull(115, 130)),
        (repeats(25), pull(130, 145)),
        (repeats(25), pull(145, 160)),
        (repeats(25), DONE),
    ],
    "halves of which the second one broke off verify nothing": [
        (brings(100), pull(100, 130)),
        (repeats(9), pull(130, 160)),
        (Break(140_000, 142_000), pull(130, 160)),
        (repeats(50), pull(130, 145)),
    ],
    "a split in half": [
        (SPLIT, pull(100, 130)),
        (brings(5), pull(130, 160)),
        (brings(5), DONE),
    ],
    "a half is split again": [
        (SPLIT, pull(100, 130)),
        (SPLIT, pull(100, 115)),
        (brings(5), pull(115, 130)),
        (brings(5), pull(130, 160)),
    ],
    "an empty half is requested again, once": [
        (SPLIT, pull(100, 130)),
        (NOTHING, pull(100, 130)),
        (NOTHING, pull(130, 160)),
        (NOTHING, pull(130, 160)),
        (NOTHING, DONE),
    ],
    "an empty half that is requested again may bring events": [
        (SPLIT, pull(100, 130)),
        (NOTHING, pull(100, 130)),
        (brings(10), pull(100, 115)),
    ],
    "a half with an element from its edge is not empty": [
        (SPLIT, pull(100, 130)),
        (Received(size_of(1), is_ended=True), pull(130, 160)),
    ],
    "the first half of a check is split": [
        (brings(100), pull(100, 130)),
        (SPLIT, pull(100, 115)),
        (NOTHING, pull(100, 115)),
        (NOTHING, pull(115, 130)),
        (NOTHING, pull(115, 130)),
        (repeats(20), pull(115, 122)),
        (repeats(10), pull(122, 130)),
        (repeats(10), pull(130, 160)),
        (NOTHING, DONE),
    ],
    "the second half of a check is split": [
        (brings(100), pull(100, 130)),
        (repeats(60), pull(130, 160)),
        (SPLIT, pull(100, 115)),
        (repeats(30), pull(115, 130)),
        (repeats(30), pull(130, 145)),
        (NOTHING, pull(130, 145)),
        (NOTHING, pull(145, 160)),
        (NOTHING, pull(145, 160)),
        (NOTHING, DONE),
    ],
    "the second half of a check is split, and the first one is believed": [
        (brings(100), pull(100, 130)),
        (repeats(9), pull(130, 160)),
        (SPLIT, pull(130, 145)),
        (repeats(9), pull(145, 160)),
        (repeats(9), DONE),
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_each_response_leads_to_the_next_request(case: str) -> None:
    plan = plan_of()
    assert row(plan) == pull(100, 160)
    for happening, expected in CASES[case]:
        plan = after(plan, happening)
        assert row(plan) == expected


REVERSE: Row = ("REVERSE", (101, 102), (100, 103))


def two_seconds() -> HalvingPlan:
    """A plan in which one of two seconds has as many events as both."""
    plan = play(plan_of(Window(101_000, 103_000)), brings(50), repeats(50), NOTHING)
    assert row(plan) == REVERSE
    return plan


def test_one_second_is_verified_in_the_other_order() -> None:
    plan = two_seconds().after(repeats(50))
    assert row(plan) == DONE
    assert plan.sizes.raised == VerifiedSize(size_of(50), NOW)


def test_the_later_of_two_seconds_is_verified_in_the_other_order() -> None:
    plan = play(plan_of(Window(101_000, 103_000)), brings(50), NOTHING, repeats(50))
    assert row(plan) == ("REVERSE", (102, 103), (101, 104))
    assert row(plan.after(repeats(50))) == DONE


def test_a_window_of_one_second_is_verified_in_the_other_order() -> None:
    plan = plan_of(Window(101_000, 102_000)).after(brings(10))
    assert row(plan) == REVERSE
    assert plan.sizes.raised is None
    assert row(play(plan, Break(101_000, 101_000), repeats(10))) == DONE
    assert row(plan_of(Window(101_000, 102_000)).after(brings(9))) == DONE


@pytest.mark.parametrize("missing", [False, True])
def test_more_events_within_one_second_than_a_response_has_are_an_error(missing: bool) -> None:
    with pytest.raises(Np6ResponseError) as caught:
        two_seconds().after(replace(brings(1_000), is_missing=missing))
    assert str(caught.value) == (
        "NP6 gives no more than 50 events at a time, and there are more within one second. NP6's support can"
        " say what limits the response."
    )
    plan = plan_of(Window(101_000, 102_000)).after(brings(12_345))
    with pytest.raises(Np6ResponseError, match=r"no more than 12,345 events at a time"):
        plan.after(brings(12_345))


def test_events_that_are_missing_in_the_other_order_are_an_error() -> None:
    with pytest.raises(EventsMissingError):
        two_seconds().after(lacks(40))


@pytest.mark.parametrize(
    "happenings",
    [
        (Break(120_000, 130_000), lacks(9)),
        (SPLIT, Break(120_000, 125_000), lacks(9)),
        (brings(100), repeats(50), lacks(9)),
        (brings(100), lacks(9)),
        (SPLIT, Break(120_000, 125_000), lacks(0)),
    ],
)
def test_events_that_are_missing_in_a_small_response_are_an_error(happenings: tuple[Happening, ...]) -> None:
    with pytest.raises(EventsMissingError):
        play(plan_of(), *happenings)


def test_events_that_are_missing_in_a_verified_half_are_an_error() -> None:
    sizes = Sizes(NOW, VerifiedSize(ResponseSize(50, 5_000), NOW))
    with pytest.raises(EventsMissingError):
        play(plan_of(sizes=sizes), brings(60), repeats(40), lacks(20))


def test_a_single_second_and_a_check_of_one_cannot_be_split() -> None:
    assert two_seconds().split() is None
    assert plan_of(Window(101_000, 102_000)).split() is None
    # The halves of two seconds have one second each, before and while they are checked.
    plan = plan_of(Window(101_000, 103_000))
    assert row(play(plan, SPLIT)) == pull(101, 102)
    assert play(plan, SPLIT).split() is None
    assert play(plan, brings(50)).split() is None
    assert play(plan, brings(50), repeats(20)).split() is None


def test_the_later_half_has_the_odd_second() -> None:
    plan = play(plan_of(Window(101_000, 104_000)), brings(50))
    assert row(plan) == pull(101, 102)
    assert row(plan.after(repeats(20))) == pull(102, 104)


@pytest.mark.parametrize(
    ("happenings", "raised"),
    [
        ((brings(9),), None),
        ((brings(100), repeats(50), repeats(50)), 100),
        ((brings(100), Break(), repeats(50), Break(), repeats(50)), 100),
        ((Break(100_000, 120_000), brings(100), repeats(50), repeats(50)), 100),
        # The whole was cut short: only what its halves show counts.
        ((brings(100), brings(9), brings(9)), None),
        ((brings(100), repeats(9), brings(40), repeats(20), repeats(20)), 40),
        ((brings(100), brings(40), repeats(9), repeats(20), repeats(20)), 40),
        ((brings(100), repeats(100), NOTHING, repeats(50), repeats(50)), 100),
        ((brings(100), repeats(9), SPLIT, repeats(9), repeats(9)), None),
        ((brings(100), SPLIT, repeats(9), repeats(9), repeats(9)), None),
    ],
)
def test_only_a_response_whose_halves_agree_raises_what_is_known(
    happenings: tuple[Happening, ...], raised: int | None
) -> None:
    plan = play(plan_of(), *happenings)
    assert row(plan) == DONE
    assert plan.sizes.raised == (None if raised is None else VerifiedSize(size_of(raised), NOW))


@pytest.mark.parametrize(
    "happenings",
    [
        (brings(100), Break(100_000, 120_000), repeats(9), repeats(9)),
        (brings(100), repeats(9), Break(130_000, 150_000), repeats(9)),
    ],
)
def test_a_half_that_broke_off_raises_nothing(happenings: tuple[Happening, ...]) -> None:
    """It may have brought new events before it broke off, which are known when it is repeated."""
    plan = play(plan_of(), *happenings)
    assert row(plan) == DONE
    assert plan.sizes.raised is None


def test_a_response_smaller_than_a_verified_one_is_not_checked() -> None:
    sizes = Sizes(NOW, VerifiedSize(ResponseSize(101, 10_201), NOW))
    assert row(plan_of(sizes=sizes).after(brings(100))) == DONE
    for verified in (ResponseSize(100, 10_201), ResponseSize(101, 10_200)):
        plan = plan_of(sizes=Sizes(NOW, VerifiedSize(verified, NOW))).after(brings(100))
        assert row(plan) == pull(100, 130)


def test_what_a_check_has_verified_counts_from_then_on() -> None:
    plan = play(plan_of(), SPLIT, brings(60), repeats(30), repeats(30))
    assert row(plan) == pull(130, 160)
    assert row(plan.after(brings(57))) == DONE
    assert row(plan.after(brings(58))) == pull(130, 145)


def test_sizes_of_all_responses_are_known() -> None:
    plan = play(plan_of(), brings(100), repeats(50))
    assert plan.sizes.largest == ResponseSize(100, 10_000)
    plan = plan.after(Received(ResponseSize(3, 12_000, 4_000)))
    assert plan.sizes.largest == ResponseSize(100, 12_000)


def test_nothing_beyond_the_latest_time_is_requested() -> None:
    plan = HalvingPlan.of(WINDOW, SIZES, 160_000)
    assert row(plan) == ("PULL", (100, 160), (99, 160))
    plan = plan.after(brings(100))
    assert row(plan) == pull(100, 130)
    assert row(plan.after(repeats(40))) == ("PULL", (130, 160), (129, 160))


def test_a_plan_never_changes() -> None:
    plan = plan_of().after(brings(100))
    before = repr(plan)
    for happening in (brings(50), repeats(50), Break(100_000, 120_000), SPLIT):
        after(plan, happening)
        assert repr(plan) == before
