"""Each event passes once, the first in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import seen_ids
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.plan import Request, Step
from airflow_provider_np6.np6.seen_ids import OrderedIds, UnorderedIds, check_held
from airflow_provider_np6.np6.window import DAY, Window

pytestmark = pytest.mark.core

WINDOW = Window(10_000, 20_000)
DAYS = Window(0, 4 * DAY)

Ids = OrderedIds | UnorderedIds
Event = tuple[str, int]
"""An id and a time in ms."""
Taking = Callable[..., list[str]]


@pytest.fixture
def few_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a day, no more than three ids are compared."""
    monkeypatch.setattr(seen_ids, "MAX_COMPARED_IDS", 3)


def begin(ids: Ids, start: int = 10_000, end: int = 20_000, step: Step = Step.PULL) -> None:
    ids.begin(Request(Window(start, end), Window(start, end), step))


def begun(window: Window = WINDOW) -> OrderedIds:
    ids = OrderedIds(window)
    begin(ids, window.start, window.end)
    return ids


def take(ids: Ids, *events: Event) -> list[str]:
    """The ids of the events that are taken."""
    names, times = [name for name, _ in events], [time for _, time in events]
    return [names[place] for place in ids.take(names, times)]


def one_by_one(ids: Ids, *events: Event) -> list[str]:
    return [name for event in events for name in take(ids, event)]


BOTH = pytest.mark.parametrize("taking", [take, one_by_one])


def test_the_numbers_are_those_of_the_documentation() -> None:
    assert seen_ids.MAX_COMPARED_IDS == 250_000
    assert seen_ids.MAX_HELD_IDS == 2_000_000


@BOTH
def test_of_equal_ids_the_first_in_time_is_taken(taking: Taking) -> None:
    ids = begun()
    assert taking(ids, ("a", 10_000), ("b", 10_500), ("b", 10_500), ("a", 11_000)) == ["a", "b"]
    assert taking(ids, ("c", 12_000), ("a", 15_000), ("b", 19_999)) == ["c"]
    assert ids.duplicates.by_day == {0: 4}
    assert (ids.taken, ids.last, ids.compared_all) == (3, 19_999, True)


@BOTH
def test_of_equal_ids_in_any_order_the_first_in_time_is_taken(taking: Taking) -> None:
    ids = UnorderedIds(WINDOW)
    begin(ids)
    assert taking(ids, ("a", 15_000), ("b", 12_000), ("a", 15_000), ("a", 14_000), ("a", 16_000)) == [
        *"ab",
        "a",
    ]
    assert ids.times == {"a": 14_000, "b": 12_000}
    assert ids.duplicates.by_day == {0: 3}
    assert (ids.taken, ids.last, ids.compared_all) == (2, 16_000, True)


def test_a_batch_without_duplicates_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_ids, "MAX_COMPARED_IDS", 9)
    ids = begun()
    assert ids.take(["a", "b"], [11_000, 12_000]) == range(2)
    assert ids.take(["c"], [12_000]) == range(1)
    assert ids.take(["d", "d"], [12_000, 12_000]) == [0]
    assert ids.take(["e", "f"], [12_500, 13_000]) == range(2)
    assert ids.take(["g", "a"], [13_000, 13_000]) == [0]
    assert ids.take(["h", "i"], [14_000, 14_500]) == range(2)
    assert ids.take(["a", "h"], [14_500, 14_600]) == []
    assert ids.compared_all
    assert ids.take(["j", "b", "a"], [14_700, 14_800, 15_000]) == [0, 1, 2]
    assert not ids.compared_all
    assert ids.take(["c", "d"], [15_000, 15_000]) == range(2)
    assert ids.take(["e", "c"], [15_500, 15_600]) == [0]
    assert ids.take(["h", "i"], [15_500, 16_000]) == range(2)


def test_nothing_has_come_at_the_beginning() -> None:
    for ids in (OrderedIds(WINDOW), UnorderedIds(WINDOW)):
        assert (ids.taken, ids.last, ids.expected, dict(ids.duplicates.by_day)) == (0, None, set(), {})


def test_the_last_time_is_the_largest() -> None:
    ordered, unordered = begun(Window(0, 20_000)), UnorderedIds(Window(0, 20_000))
    for ids in (ordered, unordered):
        take(ids, ("a", 0))
        assert ids.last == 0
        take(ids, ("b", 5_000), ("c", 7_000))
        assert ids.last == 7_000
    take(unordered, ("d", 3_000))
    assert unordered.last == 7_000
    take(ordered, ("d", 7_900))
    begin(ordered, 7_000)
    take(ordered, ("c", 7_000))
    assert ordered.last == 7_900


def test_duplicates_outside_of_the_window_do_not_count() -> None:
    for ids in (begun(Window(10_400, 19_600)), UnorderedIds(Window(10_400, 19_600))):
        take(ids, ("a", 10_399), ("a", 10_399), ("b", 10_400), ("b", 10_400))
        take(ids, ("c", 19_599), ("c", 19_599), ("d", 19_600), ("d", 19_600))
        assert ids.duplicates.by_day == {0: 2}


def test_duplicates_count_at_their_own_day() -> None:
    ids = begun(DAYS)
    assert take(ids, ("a", DAY - 1), ("a", DAY - 1), ("a", DAY), ("a", DAY), ("b", DAY)) == ["a", "a", "b"]
    assert take(ids, ("c", 2 * DAY), ("c", 2 * DAY), ("c", 3 * DAY - 1)) == ["c"]
    assert ids.duplicates.by_day == {0: 1, 1: 1, 2: 2}
    unordered = UnorderedIds(DAYS)
    take(unordered, ("a", 0), ("a", DAY), ("a", DAY), ("b", 2 * DAY), ("b", 2 * DAY))
    assert unordered.duplicates.by_day == {1: 2, 2: 1}


def test_ordered_ids_are_compared_within_their_day() -> None:
    """A day is a slice: it is the same, whatever window it was pulled in."""
    ids = begun(DAYS)
    assert take(ids, ("a", DAY - 1), ("a", DAY), ("b", DAY), ("a", 2 * DAY - 1), ("a", 3 * DAY)) == [
        "a",
        "a",
        "b",
        "a",
    ]
    assert (ids.taken, ids.duplicates.by_day) == (4, {1: 1})
    assert take(ids, ("b", 3 * DAY), ("a", 3 * DAY)) == ["b"]
    assert ids.compared_all


@pytest.mark.usefixtures("few_ids")
@BOTH
def test_up_to_the_limit_all_ids_of_a_day_are_compared(taking: Taking) -> None:
    ids = begun()
    assert taking(ids, ("a", 10_000), ("b", 12_000), ("a", 13_000), ("c", 14_000)) == ["a", "b", "c"]
    assert taking(ids, ("a", 16_000), ("b", 16_000), ("c", 18_000)) == []
    assert (ids.taken, ids.compared_all, ids.duplicates.by_day) == (3, True, {0: 4})


@pytest.mark.usefixtures("few_ids")
@BOTH
def test_beyond_the_limit_ids_of_the_same_second_are_compared(taking: Taking) -> None:
    ids = begun()
    assert taking(ids, ("a", 10_000), ("b", 12_000), ("c", 14_000), ("d", 14_500)) == ["a", "b", "c", "d"]
    assert not ids.compared_all
    assert taking(ids, ("c", 14_600), ("a", 14_999)) == ["a"]
    assert taking(ids, ("a", 14_999), ("e", 15_000)) == ["e"]
    assert taking(ids, ("e", 15_999), ("a", 15_999)) == ["a"]
    assert taking(ids, ("e", 16_000), ("b", 17_000), ("b", 17_999), ("e", 18_000)) == ["e", "b", "e"]
    assert (ids.taken, ids.duplicates.by_day) == (10, {0: 4})


@pytest.mark.usefixtures("few_ids")
def test_the_limit_is_that_of_a_day() -> None:
    ids = begun(DAYS)
    take(ids, ("a", 0), ("b", 1_000), ("c", 2_000), ("d", 3_000))
    assert not ids.compared_all
    assert take(ids, ("d", DAY), ("e", DAY + 5_000)) == ["d", "e"]
    assert take(ids, ("d", DAY + 9_000)) == []  # the next day has its own
    assert not ids.compared_all


@pytest.mark.usefixtures("few_ids")
def test_a_day_whose_ids_are_not_all_compared_keeps_those_of_its_last_second() -> None:
    ids = begun()
    take(ids, ("a", 10_000), ("b", 12_000), ("c", 12_500), ("d", 13_000), ("e", 13_999))
    begin(ids, 13_000)
    assert ids.expected == {"d", "e"}
    assert take(ids, ("d", 13_000), ("e", 13_999), ("f", 13_999), ("a", 14_000)) == ["f", "a"]
    assert (ids.expected, ids.duplicates.by_day) == (set(), {})


@pytest.mark.usefixtures("few_ids")
def test_any_order_compares_all() -> None:
    ids = UnorderedIds(WINDOW)
    take(ids, *((name, 10_000 + n) for n, name in enumerate("abcdefgh")))
    assert take(ids, *((name, 19_000) for name in "abcdefgh")) == []
    assert ids.compared_all


def test_a_second_that_is_requested_again_brings_its_events_again() -> None:
    ids = begun()
    take(ids, ("a", 10_000), ("b", 12_100), ("c", 12_200))
    begin(ids, 12_000)
    assert ids.expected == {"b", "c"}
    assert take(ids, ("b", 12_100)) == []
    assert ids.expected == {"c"}
    assert take(ids, ("c", 12_200), ("d", 12_200), ("e", 13_000)) == ["d", "e"]
    assert (ids.expected, ids.taken, ids.duplicates.by_day) == (set(), 5, {})


def test_what_does_not_come_again_is_missing() -> None:
    ids = begun()
    take(ids, ("a", 10_000), ("b", 12_100), ("c", 12_200))
    begin(ids, 12_000)
    take(ids, ("c", 12_200), ("d", 15_000))
    assert ids.expected == {"b"}


@pytest.mark.parametrize("repetitions", [1, 2, 5])
def test_duplicates_count_once_however_often_a_second_is_requested(repetitions: int) -> None:
    ids = begun()
    second = [("a", 12_000), ("a", 12_000), ("b", 12_500), ("a", 12_999)]
    take(ids, ("z", 10_000), ("z", 10_000), *second)
    for _ in range(repetitions):
        begin(ids, 12_000)
        assert take(ids, *second) == []
        assert ids.duplicates.by_day == {0: 3}
    assert take(ids, ("c", 13_000), ("c", 13_000)) == ["c"]
    assert ids.duplicates.by_day == {0: 4}


def test_of_several_responses_the_most_duplicates_count() -> None:
    ids = begun()
    take(ids, ("a", 12_000), ("a", 12_000), ("a", 12_000), ("b", 12_000))
    begin(ids, 12_000)
    take(ids, ("a", 12_000), ("b", 12_000), ("b", 12_000))
    assert ids.duplicates.by_day == {0: 3}
    begin(ids, 12_000)
    take(ids, *[("a", 12_000)] * 5, ("b", 12_000))
    assert ids.duplicates.by_day == {0: 5}


def test_a_duplicate_of_an_earlier_second_counts_however_its_second_comes() -> None:
    events = [("a", 11_000), ("a", 13_000), ("a", 13_000)]
    whole, resumed = begun(), begun()
    take(whole, *events)
    take(resumed, *events[:2])
    begin(resumed, 13_000)
    take(resumed, *events[1:])
    assert resumed.duplicates.by_day == whole.duplicates.by_day == {0: 2}


@pytest.mark.usefixtures("few_ids")
def test_a_duplicate_of_an_earlier_second_is_one_in_its_second_only() -> None:
    ids = begun()
    take(ids, ("a", 11_000), ("a", 12_000), ("b", 12_500), ("c", 13_000), ("d", 14_000))
    assert (ids.compared_all, ids.duplicates.by_day) == (False, {0: 1})
    assert take(ids, ("a", 15_000)) == ["a"]
    begin(ids, 15_000)
    assert take(ids, ("a", 15_000)) == []
    assert ids.duplicates.by_day == {0: 1}


def test_without_order_duplicates_count_once_however_often_a_part_is_requested() -> None:
    ids = UnorderedIds(WINDOW)
    events = [("a", 15_000), ("b", 14_000), ("a", 13_000), ("a", 13_000), ("b", 14_000)]
    for start, end in ((10_000, 20_000), (10_000, 15_000), (10_000, 20_000), (13_000, 14_000)):
        begin(ids, start, end)
        take(ids, *(event for event in events if start <= event[1] < end))
        assert ids.duplicates.by_day == {0: 3}
        assert ids.expected == set()
    assert ids.times == {"a": 13_000, "b": 14_000}


def test_without_order_what_is_known_of_a_part_is_expected() -> None:
    ids = UnorderedIds(WINDOW)
    take(ids, ("a", 12_000), ("b", 14_999), ("c", 15_000), ("d", 11_999))
    begin(ids, 12_000, 15_000)
    assert ids.expected == {"a", "b"}
    assert take(ids, ("b", 14_999), ("e", 13_000)) == ["e"]
    assert ids.expected == {"a"}
    # At another time it is not the same event.
    assert take(ids, ("a", 14_000)) == []
    assert (ids.expected, ids.duplicates.by_day) == ({"a"}, {0: 1})
    assert take(ids, ("a", 12_000)) == []
    assert (ids.expected, ids.duplicates.by_day) == (set(), {0: 1})


@pytest.mark.parametrize(
    ("step", "start", "end", "known"),
    [
        (Step.PULL, 10_000, 20_000, {"c", "d"}),
        (Step.TAIL, 12_000, 20_000, {"c", "d"}),
        (Step.PULL, 13_000, 20_000, set()),  # begins after all that has come
        (Step.HEAD, 10_000, 12_000, {"a", "b"}),
        (Step.REVERSE, 11_000, 12_000, {"a", "b"}),
        (Step.REVERSE, 12_000, 13_000, {"c", "d"}),
        (Step.AFTER, 13_000, 20_000, set()),
        (Step.BEFORE, 10_000, 11_000, set()),
    ],
)
def test_each_step_expects_what_is_known_of_its_part(
    step: Step, start: int, end: int, known: set[str]
) -> None:
    ids = begun()
    take(ids, ("a", 11_000), ("b", 11_999), ("c", 12_000), ("d", 12_999))
    begin(ids, start, end, step)
    assert ids.expected == known


def test_the_last_event_may_be_the_first_of_what_is_requested_again() -> None:
    ids = begun()
    take(ids, ("a", 12_000))
    begin(ids, 12_000)
    assert ids.expected == {"a"}


def test_a_check_takes_nothing() -> None:
    ids = begun()
    take(ids, ("a", 11_000), ("b", 11_999), ("c", 12_000))
    begin(ids, 10_000, 12_000, Step.HEAD)
    assert ids.compare(["a"])
    assert ids.expected == {"b"}
    assert not ids.compare(["b", "new"])
    assert not ids.compare(["c"])  # it is known, but not of this second
    assert ids.compare([])
    assert (ids.expected, ids.taken) == (set(), 3)
    begin(ids, 12_000, 13_000, Step.REVERSE)
    assert ids.compare(["c", "c"])
    assert not ids.compare(["new"])  # was not taken


def test_a_check_without_order_takes_nothing() -> None:
    ids = UnorderedIds(WINDOW)
    take(ids, ("a", 11_000), ("b", 11_500), ("c", 12_000))
    begin(ids, 11_000, 12_000, Step.REVERSE)
    assert ids.compare(["a", "c"])
    assert ids.expected == {"b"}
    assert not ids.compare(["b", "new"])
    assert ids.compare(["b"])
    assert (ids.expected, ids.taken, sorted(ids.times)) == (set(), 3, ["a", "b", "c"])


def test_the_first_second_is_that_of_the_part() -> None:
    ids = begun()
    take(ids, ("a", 11_000), ("b", 12_000))
    begin(ids, 15_000)  # the next part
    take(ids, ("c", 16_100), ("c", 16_200), ("d", 17_000))
    take(ids, ("e", 18_000))
    begin(ids, 15_000, 17_000, Step.HEAD)
    assert ids.expected == {"c"}


def test_until_order_is_shown_more_than_the_first_second_is_known() -> None:
    ids = begun()
    take(ids, *((f"{n}", 11_000 + n) for n in range(8)))
    take(ids, ("a", 12_500), ("b", 13_500))  # enough times, within one response
    take(ids, ("c", 14_000))
    for end, expected in ((12_000, 8), (13_000, 9), (14_000, 10), (15_000, 10), (20_000, 10)):
        begin(ids, 10_000, end, Step.HEAD)
        assert len(ids.expected) == expected
    assert ids.compare(["a", "b", "0"])
    assert not ids.compare(["c"])
    begin(ids, 12_000, 13_000, Step.REVERSE)
    assert ids.expected == {"a"}
    assert not ids.compare(["b"])
    begin(ids, 14_000, 15_000, Step.REVERSE)
    assert ids.expected == {"c"}  # the last second


def test_once_order_is_shown_the_first_second_of_each_part_is_known() -> None:
    ids = begun()
    take(ids, *((f"{n}", 11_000 + n) for n in range(10)))
    assert ids.is_order_shown
    take(ids, ("a", 11_500), ("b", 12_000))  # still the first second, and the next one
    take(ids, ("c", 12_000))
    begin(ids, 10_000, 13_000, Step.HEAD)
    assert ids.expected == {*"0123456789", "a"}
    begin(ids, 15_000)  # the next part
    take(ids, ("d", 16_000), ("e", 16_999), ("f", 17_000))
    begin(ids, 15_000, 18_000, Step.HEAD)
    assert ids.expected == {"d", "e"}


def test_ten_times_of_one_response_show_its_order() -> None:
    assert seen_ids.ENOUGH_TIMES == 10
    times = [(str(time), time) for time in range(11_000, 11_010)]
    for taking in (take, one_by_one):
        ids = begun()
        taking(ids, *times[:9])
        assert not ids.is_order_shown
        taking(ids, times[9])
        assert ids.is_order_shown
        begin(ids, 11_000)
        assert ids.is_order_shown
    ids = begun()
    take(ids, *times[:9])
    begin(ids, 11_000)
    take(ids, *times[:9])
    assert not ids.is_order_shown  # each response has nine
    ids = begun()
    take(ids, *((f"{n}", 11_000) for n in range(50)), *((f"{n} too", 12_000) for n in range(50)))
    assert not ids.is_order_shown
    unordered = UnorderedIds(WINDOW)
    take(unordered, *times)
    assert not unordered.is_order_shown


def test_one_time_in_ten_batches_shows_no_order() -> None:
    ids = begun()
    one_by_one(ids, *((f"{n}", 11_000) for n in range(20)))
    assert not ids.is_order_shown


def test_the_first_second_may_come_in_several_batches_and_responses() -> None:
    ids = begun()
    take(ids, ("a", 11_000), ("b", 11_200))
    take(ids, ("c", 11_300))
    begin(ids, 11_000)  # broke off, and is resumed
    take(ids, ("a", 11_000), ("b", 11_200), ("c", 11_300), ("d", 11_999), ("e", 12_000))
    begin(ids, 10_000, 12_000, Step.HEAD)
    assert ids.expected == {"a", "b", "c", "d"}


def test_a_check_does_not_change_what_comes_again() -> None:
    ids = begun()
    take(ids, ("a", 11_000), ("b", 12_000))
    begin(ids, 10_000, 12_000, Step.HEAD)
    ids.compare(["a"])
    begin(ids, 12_000, 20_000, Step.TAIL)
    assert ids.expected == {"b"}
    begin(ids, 10_000, 12_000, Step.HEAD)
    assert ids.expected == {"a"}


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most three ids may be held."""
    monkeypatch.setattr(seen_ids, "MAX_HELD_IDS", 3)


@pytest.mark.usefixtures("small_memory")
def test_ids_of_one_second_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_ids, "ENOUGH_TIMES", 1)
    events = [(name, 15_000) for name in "abcd"]
    assert one_by_one(begun(), *events[:3], ("d", 16_000)) == ["a", "b", "c", "d"]
    with pytest.raises(Np6ResponseError) as caught:
        take(begun(), *events)
    assert (
        str(caught.value) == "more than 3 events within one second cannot be compared. Pull smaller windows."
    )
    # Neither of the last second, nor of the first one.
    ids = begun()
    one_by_one(ids, ("x", 11_000), ("y", 11_500), ("x", 11_500), *events[:3])
    with pytest.raises(Np6ResponseError, match=r"^more than 3 events within one second cannot be compared"):
        take(ids, ("d", 15_999))
    with pytest.raises(Np6ResponseError, match="within one second"):
        take(begun(), *events, ("e", 16_000))


@pytest.mark.usefixtures("small_memory")
def test_ids_of_a_second_that_is_requested_again_count_once() -> None:
    ids = begun()
    for _ in range(3):
        begin(ids)
        take(ids, ("a", 15_000), ("b", 15_000))
    assert ids.taken == 2


@pytest.mark.usefixtures("small_memory")
def test_ids_without_order_are_bounded() -> None:
    ids = UnorderedIds(WINDOW)
    one_by_one(ids, ("a", 11_000), ("b", 12_000), ("c", 13_000), ("a", 14_000))
    with pytest.raises(Np6ResponseError) as caught:
        take(ids, ("d", 15_000))
    assert str(caught.value) == "more than 3 events without order cannot be compared. Pull smaller windows."


def test_the_bound_is_a_number_with_separators() -> None:
    check_held(2_000_000, "without order")
    with pytest.raises(Np6ResponseError, match="more than 2,000,000 events without order cannot be compared"):
        check_held(2_000_001, "without order")


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 6).map(lambda half: 10_000 + 500 * half)),
        max_size=30,
    ),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_what_is_taken_does_not_depend_on_the_batches(events: list[Event], cuts: Sequence[int]) -> None:
    events.sort(key=lambda event: event[1])
    ids, taken = begun(), []
    bounds = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    for left, right in pairwise(bounds):
        if events[left:right]:
            taken += take(ids, *events[left:right])
    assert taken == list(dict.fromkeys(name for name, _ in events))
    assert ids.duplicates.by_day.get(0, 0) == len(events) - len(taken)


@pytest.mark.usefixtures("few_ids")
def test_what_is_taken_around_the_limit_does_not_depend_on_the_batches() -> None:
    events = [("a", 10_000), ("b", 11_000), ("c", 12_000), ("d", 13_000), ("a", 14_000)]
    assert take(begun(), *events) == one_by_one(begun(), *events)
