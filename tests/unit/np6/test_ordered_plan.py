"""What is requested next, if responses come in order of time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_np6.np6.caps import NOTHING, ResponseSize, Sizes, VerifiedSize
from airflow_provider_np6.np6.ordered_plan import OrderedPlan
from airflow_provider_np6.np6.plan import EventsMissingError, Received, StartOverError, Step, widened
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

LATEST = 161_000


def plan_of(window: Window = WINDOW, *, sizes: Sizes = SIZES, latest: int | None = None) -> OrderedPlan:
    return OrderedPlan.of(window, sizes, window.end + 1_000 if latest is None else latest)


def brings(elements: int, first: int, last: int, *, begun: bool = False, ended: bool = False) -> Received:
    """A response of so many elements, of 100 bytes each, with new events between two times, in ms."""
    return Received(size_of(elements), is_new=True, first=first, last=last, is_begun=begun, is_ended=ended)


def repeats(elements: int, first: int, last: int, *, begun: bool = False, ended: bool = False) -> Received:
    """A response whose events have all come before."""
    return replace(brings(elements, first, last, begun=begun, ended=ended), is_new=False)


def nothing(elements: int = 0, *, begun: bool = False, ended: bool = False) -> Received:
    """A response without an event of the part; all of its elements are from just outside of it."""
    return Received(size_of(elements), is_begun=begun, is_ended=ended)


PULL: Row = ("PULL", (100, 160), (99, 161))
FULL = brings(100, 105_200, 140_700)
"""The first response of most cases: it has more than nine elements, and so might have been cut short."""
TAIL: Row = ("TAIL", (140, 160), (139, 161))
HEAD: Row = ("HEAD", (100, 106), (99, 107))
NO_MORE = repeats(3, 140_100, 140_700)
NO_EARLIER = repeats(4, 105_200, 105_900)

CASES: dict[str, list[tuple[Happening, Row]]] = {
    "nothing is believed": [(nothing(), DONE)],
    "nine elements are believed": [(brings(9, 105_200, 140_700), DONE)],
    "ten elements are checked at both ends": [
        (brings(10, 105_200, 140_700), TAIL),
        (NO_MORE, HEAD),
        (NO_EARLIER, DONE),
    ],
    "nine elements with edges are believed": [(brings(9, 105_200, 140_700, begun=True, ended=True), DONE)],
    "what came from before the part shows that its head is whole": [
        (brings(100, 105_200, 140_700, begun=True), TAIL),
        (NO_MORE, DONE),
    ],
    "what came from after the part shows that its tail is whole": [
        (brings(100, 105_200, 140_700, ended=True), HEAD),
        (NO_EARLIER, DONE),
    ],
    "both edges show that it is whole": [(brings(100, 105_200, 140_700, begun=True, ended=True), DONE)],
    "a limit is found at the tail again and again": [
        (FULL, TAIL),
        (brings(100, 140_000, 150_300), ("TAIL", (150, 160), (149, 161))),
        (brings(30, 150_000, 159_999), ("TAIL", (159, 160), (158, 161))),
        (repeats(5, 159_000, 159_999), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a tail of nine elements is believed": [
        (FULL, TAIL),
        (brings(9, 140_000, 150_300), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a tail that reaches the part's end is whole": [
        (FULL, TAIL),
        (brings(50, 140_000, 150_300, ended=True), HEAD),
        (NO_EARLIER, DONE),
    ],
    "what came from before a tail says nothing about the head": [
        (FULL, TAIL),
        (brings(9, 140_000, 150_300, begun=True), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a tail in the last second": [
        (brings(50, 105_200, 159_900), ("TAIL", (159, 160), (158, 161))),
        (repeats(3, 159_100, 159_900), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a tail as large as the whole": [
        (FULL, TAIL),
        (repeats(100, 140_000, 140_700), ("AFTER", (141, 160), (141, 161))),
        (nothing(), ("REVERSE", (140, 141), (139, 142))),
        (repeats(100, 140_000, 140_700), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a tail without room for two events": [
        (FULL, TAIL),
        (repeats(98, 140_000, 140_700), ("AFTER", (141, 160), (141, 161))),
    ],
    "a tail with room for two events": [(FULL, TAIL), (repeats(97, 140_000, 140_700), HEAD)],
    "a tail in the last second as large as the whole": [
        (brings(50, 105_200, 159_900), ("TAIL", (159, 160), (158, 161))),
        (repeats(50, 159_100, 159_900), ("REVERSE", (159, 160), (158, 161))),
        (repeats(50, 159_100, 159_900), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a head as large as the whole": [
        (FULL, TAIL),
        (NO_MORE, HEAD),
        (repeats(100, 105_200, 105_900), ("BEFORE", (100, 105), (99, 105))),
        (nothing(), ("REVERSE", (105, 106), (104, 107))),
        (repeats(100, 105_200, 105_900), DONE),
    ],
    "a head without room for two events": [
        (FULL, TAIL),
        (NO_MORE, HEAD),
        (repeats(98, 105_200, 105_900), ("BEFORE", (100, 105), (99, 105))),
    ],
    "a head with room for two events": [
        (FULL, TAIL),
        (NO_MORE, HEAD),
        (repeats(97, 105_200, 105_900), DONE),
    ],
    "a head in the first second as large as the whole": [
        (brings(50, 100_000, 140_700), TAIL),
        (NO_MORE, ("HEAD", (100, 101), (99, 102))),
        (repeats(50, 100_000, 100_900), ("REVERSE", (100, 101), (99, 102))),
        (repeats(50, 100_000, 100_900), DONE),
    ],
    "a head and a tail as large as the whole": [
        (FULL, TAIL),
        (repeats(100, 140_000, 140_700), ("AFTER", (141, 160), (141, 161))),
        (nothing(), ("REVERSE", (140, 141), (139, 142))),
        (repeats(100, 140_000, 140_700), HEAD),
        (repeats(100, 105_000, 105_900), ("BEFORE", (100, 105), (99, 105))),
        (nothing(), ("REVERSE", (105, 106), (104, 107))),
        (repeats(100, 105_000, 105_900), DONE),
    ],
    "all events in one second": [
        (brings(50, 120_000, 120_900), ("TAIL", (120, 160), (119, 161))),
        (repeats(50, 120_000, 120_900), ("AFTER", (121, 160), (121, 161))),
        (nothing(), ("REVERSE", (120, 121), (119, 122))),
        (repeats(50, 120_000, 120_900), ("BEFORE", (100, 120), (99, 120))),
        (nothing(), DONE),
    ],
    "all events in the first second": [
        (brings(50, 100_000, 100_900), ("TAIL", (100, 160), (99, 161))),
        (repeats(50, 100_000, 100_900), ("AFTER", (101, 160), (101, 161))),
        (nothing(), ("REVERSE", (100, 101), (99, 102))),
        (repeats(50, 100_000, 100_900), DONE),
    ],
    "all events in the last second": [
        (brings(50, 159_000, 159_900), ("TAIL", (159, 160), (158, 161))),
        (repeats(50, 159_000, 159_900), ("REVERSE", (159, 160), (158, 161))),
        (repeats(50, 159_000, 159_900), ("BEFORE", (100, 159), (99, 159))),
        (nothing(), DONE),
    ],
    "all events in one second, with something from before": [
        (brings(50, 120_000, 120_900, begun=True), ("TAIL", (120, 160), (119, 161))),
        (repeats(50, 120_000, 120_900), ("AFTER", (121, 160), (121, 161))),
        (nothing(), ("REVERSE", (120, 121), (119, 122))),
        (repeats(50, 120_000, 120_900), DONE),
    ],
    "only elements from before the part": [
        (nothing(10, begun=True), ("AFTER", (100, 160), (100, 161))),
        (nothing(), DONE),
    ],
    "nine elements from before the part": [(nothing(9, begun=True), DONE)],
    "only elements from after the part": [
        (nothing(10, ended=True), ("BEFORE", (100, 160), (99, 160))),
        (nothing(), DONE),
    ],
    "nine elements from after the part": [(nothing(9, ended=True), DONE)],
    "only elements from both sides of the part": [(nothing(20, begun=True, ended=True), DONE)],
    "only invalid elements": [(nothing(20), DONE)],
    "a response breaks off before its first event": [(Break(), PULL), (brings(9, 105_200, 140_700), DONE)],
    "a response breaks off in the middle of a second": [
        (Break(105_200, 120_500), ("PULL", (120, 160), (119, 161))),
        (brings(9, 120_100, 140_700), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a resumed response is checked at both ends": [
        (Break(105_200, 120_500), ("PULL", (120, 160), (119, 161))),
        (brings(50, 120_100, 140_700), TAIL),
        (NO_MORE, HEAD),
        (NO_EARLIER, DONE),
    ],
    "what came from before a resumed response says nothing about the head": [
        (Break(105_200, 120_500), ("PULL", (120, 160), (119, 161))),
        (brings(9, 120_100, 140_700, begun=True), HEAD),
    ],
    "a resumed response breaks off": [
        (Break(105_200, 120_500), ("PULL", (120, 160), (119, 161))),
        (Break(120_100, 120_900), ("PULL", (120, 160), (119, 161))),
        (Break(), ("PULL", (120, 160), (119, 161))),
        (Break(120_100, 130_000), ("PULL", (130, 160), (129, 161))),
        (repeats(3, 130_000, 130_000), HEAD),
        (NO_EARLIER, DONE),
    ],
    "what broke off before its first event needs no check": [
        (Break(is_ordered=False), PULL),
        (brings(9, 105_200, 140_700), DONE),
    ],
    "what broke off before order was shown is checked up to its last second": [
        (Break(105_200, 120_500, is_ordered=False), ("PULL", (120, 160), (119, 161))),
        (brings(9, 120_100, 140_700), ("HEAD", (100, 121), (99, 122))),
        (repeats(9, 105_200, 120_500), DONE),
    ],
    "what breaks off again before order was shown is checked up to its last second": [
        (Break(is_ordered=False), PULL),
        (Break(105_200, 110_500, is_ordered=False), ("PULL", (110, 160), (109, 161))),
        (Break(is_ordered=False), ("PULL", (110, 160), (109, 161))),
        (Break(110_500, 120_500, is_ordered=False), ("PULL", (120, 160), (119, 161))),
        (Break(120_500, 150_500), ("PULL", (150, 160), (149, 161))),
        (brings(50, 150_500, 151_700, ended=True), ("HEAD", (100, 121), (99, 122))),
        (repeats(50, 105_200, 120_500), ("BEFORE", (100, 120), (99, 120))),
        (nothing(), ("REVERSE", (120, 121), (119, 122))),
        (repeats(1, 120_500, 120_500), DONE),
    ],
    "a tail breaks off": [
        (FULL, TAIL),
        (Break(140_100, 150_300), ("TAIL", (150, 160), (149, 161))),
        (Break(), ("TAIL", (150, 160), (149, 161))),
        (repeats(3, 150_300, 150_300), HEAD),
        (NO_EARLIER, DONE),
    ],
    "a tail breaks off, and what is resumed brings more": [
        (FULL, TAIL),
        (Break(140_100, 150_300), ("TAIL", (150, 160), (149, 161))),
        (brings(50, 150_300, 152_000), ("TAIL", (152, 160), (151, 161))),
    ],
    "a tail breaks off, and what is resumed is as large as the whole": [
        (FULL, TAIL),
        (Break(140_100, 150_300), ("TAIL", (150, 160), (149, 161))),
        (repeats(100, 150_300, 150_900), ("AFTER", (151, 160), (151, 161))),
        (nothing(), ("REVERSE", (150, 151), (149, 152))),
    ],
    "other checks that break off are repeated": [
        (FULL, TAIL),
        (repeats(100, 140_000, 140_700), ("AFTER", (141, 160), (141, 161))),
        (Break(), ("AFTER", (141, 160), (141, 161))),
        (nothing(), ("REVERSE", (140, 141), (139, 142))),
        (Break(140_000, 140_700), ("REVERSE", (140, 141), (139, 142))),
        (repeats(100, 140_000, 140_700), HEAD),
        (Break(105_200, 105_200), HEAD),
        (repeats(100, 105_000, 105_900), ("BEFORE", (100, 105), (99, 105))),
        (Break(), ("BEFORE", (100, 105), (99, 105))),
    ],
    "a split in half": [
        (SPLIT, ("PULL", (100, 130), (99, 131))),
        (brings(5, 105_200, 120_000), ("PULL", (130, 160), (129, 161))),
        (brings(5, 135_200, 150_000), DONE),
    ],
    "a half is split again": [
        (SPLIT, ("PULL", (100, 130), (99, 131))),
        (SPLIT, ("PULL", (100, 115), (99, 116))),
        (SPLIT, ("PULL", (100, 107), (99, 108))),
        (brings(5, 105_200, 106_000), ("PULL", (107, 115), (106, 116))),
        (brings(5, 109_200, 110_000), ("PULL", (115, 130), (114, 131))),
        (brings(5, 115_200, 120_000), ("PULL", (130, 160), (129, 161))),
    ],
    "an empty half is requested again, once": [
        (SPLIT, ("PULL", (100, 130), (99, 131))),
        (nothing(), ("PULL", (100, 130), (99, 131))),
        (nothing(), ("PULL", (130, 160), (129, 161))),
        (nothing(), ("PULL", (130, 160), (129, 161))),
        (nothing(), DONE),
    ],
    "an empty half that is requested again may bring events": [
        (SPLIT, ("PULL", (100, 130), (99, 131))),
        (nothing(), ("PULL", (100, 130), (99, 131))),
        (brings(10, 105_200, 120_000), ("TAIL", (120, 130), (119, 131))),
    ],
    "a half with an element from its edge is not empty": [
        (SPLIT, ("PULL", (100, 130), (99, 131))),
        (nothing(1, ended=True), ("PULL", (130, 160), (129, 161))),
        (nothing(1, begun=True), DONE),
    ],
    "a half is checked within its bounds": [
        (SPLIT, ("PULL", (100, 130), (99, 131))),
        (brings(50, 105_200, 120_000), ("TAIL", (120, 130), (119, 131))),
        (repeats(3, 120_000, 120_000), HEAD),
        (NO_EARLIER, ("PULL", (130, 160), (129, 161))),
        (brings(50, 135_200, 150_000), ("TAIL", (150, 160), (149, 161))),
        (repeats(3, 150_000, 150_000), ("HEAD", (130, 136), (129, 137))),
        (repeats(3, 135_200, 135_200), DONE),
    ],
    "what is resumed is split from its last second on": [
        (Break(105_200, 120_500), ("PULL", (120, 160), (119, 161))),
        (SPLIT, ("PULL", (120, 140), (119, 141))),
        (repeats(2, 120_500, 120_500), HEAD),
        (NO_EARLIER, ("PULL", (140, 160), (139, 161))),
        (nothing(), ("PULL", (140, 160), (139, 161))),
        (nothing(), DONE),
    ],
    "a tail is split": [
        (FULL, TAIL),
        (SPLIT, ("TAIL", (140, 150), (139, 151))),
        (NO_MORE, HEAD),
        (NO_EARLIER, ("PULL", (150, 160), (149, 161))),
        (brings(5, 150_000, 151_000), DONE),
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_each_response_leads_to_the_next_request(case: str) -> None:
    plan = plan_of()
    assert row(plan) == PULL
    for happening, expected in CASES[case]:
        plan = after(plan, happening)
        assert row(plan) == expected


def test_every_step_is_in_a_case() -> None:
    assert {row[0] for case in CASES.values() for _, row in case if row} == {step.name for step in Step}


@pytest.mark.parametrize(
    "happenings",
    [
        (FULL, NO_MORE),
        (FULL, NO_MORE, repeats(100, 105_000, 105_900)),
        (FULL, NO_MORE, repeats(100, 105_000, 105_900), nothing()),
        (FULL, repeats(100, 140_000, 140_700)),
        (FULL, repeats(100, 140_000, 140_700), nothing()),
    ],
    ids=["HEAD", "BEFORE", "REVERSE of the head", "AFTER", "REVERSE of the tail"],
)
def test_a_check_that_brings_something_new_needs_a_pull_without_order(
    happenings: tuple[Happening, ...],
) -> None:
    plan = play(plan_of(), *happenings)
    for missing in (False, True):
        with pytest.raises(
            StartOverError, match=r"^a check brought an event that the response before it lacks"
        ):
            plan.after(replace(NO_MORE, is_new=True, is_missing=missing))


@pytest.mark.parametrize(
    "happenings",
    [
        (Break(105_200, 120_500),),
        (FULL,),
        (FULL, NO_MORE),
        (FULL, repeats(100, 140_000, 140_700), nothing()),
    ],
    ids=["PULL", "TAIL", "HEAD", "REVERSE"],
)
def test_events_that_are_missing_are_an_error(happenings: tuple[Happening, ...]) -> None:
    plan = play(plan_of(), *happenings)
    with pytest.raises(EventsMissingError):
        plan.after(replace(nothing(), is_missing=True))


@pytest.mark.parametrize("happenings", [(Break(105_200, 120_500),), (FULL,)], ids=["PULL", "TAIL"])
def test_events_that_are_missing_beside_new_ones_are_an_error(happenings: tuple[Happening, ...]) -> None:
    with pytest.raises(EventsMissingError):
        play(plan_of(), *happenings).after(replace(brings(50, 120_100, 150_000), is_missing=True))


@pytest.mark.parametrize(
    "happenings",
    [
        (FULL, NO_MORE),  # HEAD
        (FULL, repeats(100, 140_000, 140_700)),  # AFTER
        (FULL, repeats(100, 140_000, 140_700), nothing()),  # REVERSE
        (FULL, NO_MORE, repeats(100, 105_000, 105_900)),  # BEFORE
        (Break(105_200, 159_200),),  # what is left is one second
    ],
)
def test_checks_and_single_seconds_cannot_be_split(happenings: tuple[Happening, ...]) -> None:
    assert play(plan_of(), *happenings).split() is None


@pytest.mark.parametrize(("seconds", "halves"), [(1, None), (2, (101, 102)), (3, (101, 103))])
def test_seconds_are_split_down_to_one(seconds: int, halves: tuple[int, int] | None) -> None:
    split = plan_of(Window(100_000, 100_000 + seconds * 1_000)).split()
    if halves is None:
        assert split is None
    else:
        middle, end = halves
        assert split is not None
        assert row(split) == ("PULL", (100, middle), (99, middle + 1))
        plan = split.after(brings(5, 100_000, 100_000))
        assert row(plan) == ("PULL", (middle, end), (middle - 1, end + 1))


@pytest.mark.parametrize(
    ("part", "latest", "span"),
    [
        (Window(100_000, 160_000), 161_000, Window(99_000, 161_000)),
        (Window(100_000, 160_000), 500_000, Window(99_000, 161_000)),
        (Window(100_000, 160_000), 160_000, Window(99_000, 160_000)),
        (Window(100_000, 130_000), 160_000, Window(99_000, 131_000)),
        (Window(0, 10_000), 11_000, Window(0, 11_000)),
        (Window(1_000, 10_000), 11_000, Window(0, 11_000)),
        (Window(2_000, 10_000), 11_000, Window(1_000, 11_000)),
    ],
)
def test_requests_are_one_second_wider_on_both_sides(part: Window, latest: int, span: Window) -> None:
    assert widened(part, latest) == span
    request = OrderedPlan.of(part, SIZES, latest).request
    assert request is not None
    assert (request.part, request.span, request.step) == (part, span, Step.PULL)


def test_nothing_beyond_the_latest_time_is_requested() -> None:
    plan = plan_of(latest=160_000)
    rows = [row(plan)]
    for happening in (FULL, repeats(100, 140_000, 140_700), nothing()):
        plan = plan.after(happening)
        rows.append(row(plan))
    assert rows == [
        ("PULL", (100, 160), (99, 160)),
        ("TAIL", (140, 160), (139, 160)),
        ("AFTER", (141, 160), (141, 160)),
        ("REVERSE", (140, 141), (139, 142)),
    ]


def test_only_pulls_and_tails_bring_events() -> None:
    assert {step for step in Step if step.brings_events} == {Step.PULL, Step.TAIL}


def test_a_response_smaller_than_a_verified_one_is_not_checked() -> None:
    sizes = Sizes(NOW, VerifiedSize(ResponseSize(101, 10_201), NOW - 5))
    plan = plan_of(sizes=sizes).after(FULL)
    assert row(plan) == DONE
    assert plan.sizes.raised is None
    for verified in (ResponseSize(100, 10_201), ResponseSize(101, 10_200)):
        plan = plan_of(sizes=Sizes(NOW, VerifiedSize(verified, NOW - 5))).after(FULL)
        assert row(plan) == TAIL


def test_a_check_smaller_than_a_verified_response_is_believed() -> None:
    sizes = Sizes(NOW, VerifiedSize(ResponseSize(1_000, 10_100), NOW))
    large = Received(ResponseSize(500, 20_000, 40), is_new=True, first=105_200, last=140_700)
    plan = plan_of(sizes=sizes).after(large)
    assert row(plan) == TAIL
    tail = Received(ResponseSize(500, 10_000, 40), first=140_000, last=140_700)
    assert row(plan.after(tail)) == HEAD
    assert row(plan.after(replace(tail, size=ResponseSize(500, 20_000, 40)))) == (
        "AFTER",
        (141, 160),
        (141, 161),
    )


def test_a_verified_response_raises_what_is_known() -> None:
    plan = play(plan_of(), FULL, NO_MORE)
    assert plan.sizes == Sizes(NOW, None, ResponseSize(100, 10_000))
    plan = plan.after(NO_EARLIER)
    assert plan.sizes.raised == VerifiedSize(size_of(100), NOW)


@pytest.mark.parametrize(
    "happenings",
    [
        (brings(100, 105_200, 140_700, begun=True, ended=True),),
        (FULL, repeats(100, 140_000, 140_700), nothing(), repeats(100, 140_000, 140_700), NO_EARLIER),
    ],
)
def test_a_response_whose_edges_or_seconds_show_it_whole_raises_what_is_known(
    happenings: tuple[Happening, ...],
) -> None:
    plan = play(plan_of(), *happenings)
    assert row(plan) == DONE
    assert plan.sizes.raised == VerifiedSize(size_of(100), NOW)


@pytest.mark.parametrize(
    ("happenings", "raised"),
    [
        # The tail shows that the first response was cut short; of the tails, the last one that was checked.
        ((FULL, brings(9, 140_000, 150_300), NO_EARLIER), None),
        ((FULL, brings(30, 140_000, 150_300), repeats(2, 150_300, 150_300), NO_EARLIER), size_of(30)),
        ((FULL, brings(30, 140_000, 150_300, ended=True), NO_EARLIER), size_of(30)),
        # A response that broke off was not whole.
        ((Break(105_200, 120_500), brings(9, 120_000, 140_700), NO_EARLIER), None),
        ((Break(105_200, 120_500), brings(30, 120_000, 140_700), NO_MORE, NO_EARLIER), size_of(30)),
        ((FULL, Break(140_100, 150_300), repeats(3, 150_300, 150_300), NO_EARLIER), None),
        ((FULL, SPLIT, NO_MORE, NO_EARLIER, brings(5, 150_000, 151_000)), None),
        # Nothing of the part came.
        ((nothing(20, begun=True), nothing()), None),
        ((nothing(20, ended=True), nothing()), None),
        ((brings(9, 105_200, 140_700),), None),
    ],
)
def test_a_response_that_was_cut_short_never_raises_what_is_known(
    happenings: tuple[Happening, ...], raised: ResponseSize | None
) -> None:
    plan = play(plan_of(), *happenings)
    assert row(plan) == DONE
    assert plan.sizes.raised == (None if raised is None else VerifiedSize(raised, NOW))


def test_a_check_that_broke_off_is_repeated_and_verifies_as_much() -> None:
    plan = play(plan_of(), FULL, NO_MORE, Break(105_200, 105_900), NO_EARLIER)
    assert row(plan) == DONE
    assert plan.sizes.raised == VerifiedSize(size_of(100), NOW)


def test_sizes_of_all_responses_are_known() -> None:
    plan = play(plan_of(), FULL, repeats(100, 140_000, 140_700))
    assert plan.sizes.largest == ResponseSize(100, 10_000)
    large = replace(nothing(), size=ResponseSize(3, 12_000, 4_000))
    assert plan.after(large).sizes.largest == ResponseSize(100, 12_000)
    assert plan_of().sizes.largest == NOTHING


def test_a_plan_never_changes() -> None:
    plan = plan_of().after(FULL)
    before = repr(plan)
    for happening in (NO_MORE, brings(30, 140_000, 150_300), Break(140_100, 150_300), SPLIT):
        after(plan, happening)
        assert repr(plan) == before
