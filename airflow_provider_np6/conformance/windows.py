"""Questions about windows and order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.conformance.account import SORTED
from airflow_provider_np6.conformance.question import Observation, Verdict, not_shown, question
from airflow_provider_np6.np6.window import SECOND, Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account, Response, Sample

_MANY_EVENTS = 500
_MAX_WIDENINGS = 4
_NO_EVENTS = not_shown("no events were found")
_NO_WHOLE_SECOND = not_shown("no event has a timestamp on a whole second")


@question(
    "`start`",
    "documented",
    assumed="an event at `start` is inside the window",
    otherwise="Events on the edge of two windows would be lost; nothing else could show it.",
)
def start_is_inclusive(account: Account) -> Observation:
    time = _whole_second(account.sample)
    if account.sample is None or time is None:
        return _NO_WHOLE_SECOND
    response = account.get_events(account.sample.path, Window(time, time + SECOND), SORTED)
    if time in _times(response):
        return Observation("an event at `start` is returned")
    return Observation("an event at `start` is left out: it is lost between two windows", Verdict.MISMATCH)


@question(
    "`end`",
    "documented",
    assumed="an event at `end` is outside the window",
    otherwise="The pull treats the event as invalid: it fails, or sets the event aside.",
)
def end_is_exclusive(account: Account) -> Observation:
    time = _whole_second(account.sample)
    if account.sample is None or time is None:
        return _NO_WHOLE_SECOND
    response = account.get_events(account.sample.path, Window(time - SECOND, time), SORTED)
    if time in _times(response):
        return Observation(
            "an event at `end` is returned: the pulls of windows that end on one fail", Verdict.MISMATCH
        )
    return Observation("an event at `end` is not returned")


@question(
    "`sort=asc`",
    "documented",
    assumed="events are sorted by time",
    otherwise="Order is verified; without it the pull starts again and keeps up to 2 million ids in memory.",
)
def events_are_sorted(account: Account) -> Observation:
    if account.sample is None or len(set(account.sample.times)) < 2:
        return not_shown("no two events of different times were found")
    times = account.sample.times
    if times == sorted(times):
        return Observation(f"{len(times)} events came in order")
    return Observation(
        "events came without order: pulls keep all ids in memory, up to 2 million", Verdict.WITH_CARE
    )


@question(
    "order among equal times",
    "unknown",
    assumed="none",
    otherwise="Ids are compared within equal times; where a response is resumed, within the second.",
)
def ties_are_stable(account: Account) -> Observation:
    if account.sample is None or len(set(account.sample.times)) == len(account.sample.times):
        return not_shown("no two events of one time were found")
    again = account.get_events(account.sample.path, account.sample.window, SORTED)
    same = _ids(again) == account.sample.ids
    return Observation(
        "two responses had the same order" if same else "two responses differed among equal times"
    )


@question("order without `sort`", "documented", assumed="none", otherwise="Pulls always sort.")
def unsorted_is_stable(account: Account) -> Observation:
    if account.sample is None or len(account.sample.events) < 2:
        return _NO_EVENTS
    first, second = (_ids(account.get_events(account.sample.path, account.sample.window)) for _ in range(2))
    if first != second:
        return Observation("two responses differed in order")
    order = "sorted" if first == account.sample.ids else "not sorted"
    return Observation(f"two responses had the same order, {order}")


@question(
    "fractions of a second in bounds",
    "unknown",
    assumed="they may be refused",
    otherwise="Pulls send bounds in whole seconds, rounded outward, and drop what lies in that margin.",
)
def fractions_are_honored(account: Account) -> Observation:
    times = account.sample.times if account.sample else []
    time = next((time for time in times if (time + 1) % SECOND), None)
    if account.sample is None or time is None:
        return _NO_EVENTS
    end = time // SECOND * SECOND + SECOND
    response = account.get(account.sample.path, {"start": iso(time + 1), "end": iso(end), **SORTED})
    if response.status != 200:
        return Observation(f"refused with {response.status}")
    return Observation("accepted, but ignored" if time in _times(response) else "honored")


@question(
    "bounds in ms since the epoch",
    "inferred",
    assumed="they may be refused",
    otherwise="Pulls send bounds as ISO date-times, the documented form.",
)
def epochs_are_honored(account: Account) -> Observation:
    if account.sample is None:
        return _NO_EVENTS
    window = account.sample.window
    response = account.get(
        account.sample.path, {"start": str(window.start), "end": str(window.end), **SORTED}
    )
    if response.status != 200:
        return Observation(f"refused with {response.status}")
    same = {*_ids(response)} >= set(account.sample.ids[: len(response.events)])
    return Observation("honored" if same and response.events else "accepted, but for other bounds")


@question(
    "a cap on events",
    "unknown",
    assumed="none, or a multiple of 100",
    otherwise="After a round number of events one more request looks for others, and the pull resumes there."
    " A cap that is not round would be missed.",
)
def nothing_is_capped(account: Account) -> Observation:
    if account.sample is None:
        return _NO_EVENTS
    window, total = _widen(account, account.sample)
    middle = (window.start + window.end) // 2 // SECOND * SECOND
    if not window.start < middle < window.end:
        return not_shown("all events that were found lie in one second")
    halves = sum(
        len(account.get_events(account.sample.path, half, SORTED).events)
        for half in (Window(window.start, middle), Window(middle, window.end))
    )
    if halves == total:
        return Observation(f"none up to {total} events: two halves have as many as the whole")
    if halves > total and total % 100 == 0:
        return Observation(f"responses end at {total} events: pulls resume there")
    cap = ": a cap" if halves > total else ""
    return Observation(f"the whole has {total} events, its halves together {halves}{cap}", Verdict.MISMATCH)


def _widen(account: Account, sample: Sample) -> tuple[Window, int]:
    """A window around the sample that has many events, and their number."""
    window, total = sample.window, len(sample.events)
    for _ in range(_MAX_WIDENINGS):
        if total >= _MANY_EVENTS:
            break
        wider = Window(window.start - 4 * (window.end - window.start), window.end)
        response = account.get_events(sample.path, wider, SORTED)
        if not response.is_complete or len(response.events) <= total:
            break
        window, total = wider, len(response.events)
    return window, total


@question("no bounds at all", "unknown", assumed="nothing", otherwise="Pulls always send both bounds.")
def bounds_are_optional(account: Account) -> Observation:
    if account.sample is None:
        return _NO_EVENTS
    response = account.get(account.sample.path)
    if response.status != 200:
        return Observation(f"refused with {response.status}")
    return Observation("accepted, with events" if response.events else "accepted, without events")


QUESTIONS = (
    start_is_inclusive,
    end_is_exclusive,
    events_are_sorted,
    ties_are_stable,
    unsorted_is_stable,
    fractions_are_honored,
    epochs_are_honored,
    nothing_is_capped,
    bounds_are_optional,
)


def _whole_second(sample: Sample | None) -> int | None:
    times = sample.times if sample else []
    return next((time for time in times if time % SECOND == 0), None)


def _times(response: Response) -> list[Any]:
    return [event.get("timestamp") for event in response.events]


def _ids(response: Response) -> list[Any]:
    return [event.get("id") for event in response.events]
