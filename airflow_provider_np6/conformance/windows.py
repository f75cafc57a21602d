"""Questions about windows and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_np6.conformance.asking import SORTED
from airflow_provider_np6.conformance.verdict import Copes, Verdict, not_shown
from airflow_provider_np6.np6.window import SECOND, Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.examination import Examination, Sample

_MANY = 500
_STEPS = 4
_NO_EVENTS = "no events were found"


def start_is_inside(on: Examination) -> Verdict:
    """Whether an event at ``start`` comes."""
    time = _whole_second(on.sample)
    if on.sample is None or time is None:
        return not_shown("no event stands on a whole second")
    seen = on.asker.events(on.sample.path, Window(time, time + SECOND), SORTED)
    if any(event.get("timestamp") == time for event in seen.events):
        return Verdict("an event at `start` comes")
    return Verdict("an event at `start` is left out: it is lost between two windows", Copes.NO)


def end_is_outside(on: Examination) -> Verdict:
    """Whether an event at ``end`` stays away."""
    time = _whole_second(on.sample)
    if on.sample is None or time is None:
        return not_shown("no event stands on a whole second")
    seen = on.asker.events(on.sample.path, Window(time - SECOND, time), SORTED)
    if any(event.get("timestamp") == time for event in seen.events):
        return Verdict("an event at `end` comes: the pulls of windows that end on one fail", Copes.NO)
    return Verdict("an event at `end` does not come")


def sort_is_honoured(on: Examination) -> Verdict:
    """Whether ``sort=asc`` sorts."""
    if on.sample is None or len(set(on.sample.times)) < 2:
        return not_shown("no two events of different times were found")
    times = on.sample.times
    if times == sorted(times):
        return Verdict(f"{len(times)} events came in order")
    return Verdict("events came without order: pulls hold all ids, up to 2 million", Copes.WITH_CARE)


def ties_are_stable(on: Examination) -> Verdict:
    """Whether events of one time keep their order."""
    if on.sample is None or len(set(on.sample.times)) == len(on.sample.times):
        return not_shown("no two events of one time were found")
    again = on.asker.events(on.sample.path, on.sample.window, SORTED).events
    same = [event.get("id") for event in again] == on.sample.ids
    return Verdict("two answers had the same order" if same else "two answers differed among equal times")


def unsorted_is_stable(on: Examination) -> Verdict:
    """Whether an order comes unasked."""
    if on.sample is None or len(on.sample.events) < 2:
        return not_shown(_NO_EVENTS)
    first, second = (
        [event.get("id") for event in on.asker.events(on.sample.path, on.sample.window).events]
        for _ in range(2)
    )
    if first != second:
        return Verdict("two answers differed in order")
    return Verdict("two answers were alike, " + ("in order" if first == on.sample.ids else "not in order"))


def fractions_are_honoured(on: Examination) -> Verdict:
    """Whether a bound may have milliseconds."""
    times = on.sample.times if on.sample else []
    time = next((time for time in times if (time + 1) % SECOND), None)
    if on.sample is None or time is None:
        return not_shown(_NO_EVENTS)
    asked = {"start": iso(time + 1), "end": iso(time // SECOND * SECOND + SECOND), "sort": "asc"}
    seen = on.asker.ask(on.sample.path, asked)
    if seen.status != 200:
        return Verdict(f"refused with {seen.status}")
    ignored = any(event.get("timestamp") == time for event in seen.events)
    return Verdict("taken, and ignored" if ignored else "honoured")


def epochs_are_honoured(on: Examination) -> Verdict:
    """Whether a bound may be milliseconds since the epoch."""
    if on.sample is None:
        return not_shown(_NO_EVENTS)
    window = on.sample.window
    asked = {"start": str(window.start), "end": str(window.end), "sort": "asc"}
    seen = on.asker.ask(on.sample.path, asked)
    if seen.status != 200:
        return Verdict(f"refused with {seen.status}")
    same = {event.get("id") for event in seen.events} >= set(on.sample.ids[: len(seen.events)])
    return Verdict("honoured" if same and seen.events else "taken, for other bounds")


def nothing_is_capped(on: Examination) -> Verdict:
    """Whether an answer ends at a number of events."""
    if on.sample is None:
        return not_shown(_NO_EVENTS)
    path, window, events = on.sample.path, on.sample.window, len(on.sample.events)
    for _ in range(_STEPS):
        if events >= _MANY:
            break
        wider = Window(window.start - 4 * (window.end - window.start), window.end)
        seen = on.asker.events(path, wider, SORTED)
        if not seen.whole or len(seen.events) <= events:
            break
        window, events = wider, len(seen.events)
    middle = (window.start + window.end) // 2 // SECOND * SECOND
    if not window.start < middle < window.end:
        return not_shown("all events found stand in one second")
    halves = [
        on.asker.events(path, half, SORTED)
        for half in (Window(window.start, middle), Window(middle, window.end))
    ]
    both = sum(len(half.events) for half in halves)
    if both == events:
        return Verdict(f"none up to {events} events: two halves hold as many as the whole")
    if both < events:
        return Verdict(f"the whole has {events} events, its halves together {both}", Copes.NO)
    if events % 100:
        return Verdict(f"the whole has {events} events, its halves together {both}: a cap", Copes.NO)
    return Verdict(f"answers end at {events} events: pulls go on from there")


def bounds_may_be_missing(on: Examination) -> Verdict:
    """What comes when no bound is given."""
    if on.sample is None:
        return not_shown(_NO_EVENTS)
    seen = on.asker.ask(on.sample.path)
    if seen.status != 200:
        return Verdict(f"refused with {seen.status}")
    return Verdict("taken: events come" if seen.events else "taken: no event comes")


def _whole_second(sample: Sample | None) -> int | None:
    times = sample.times if sample else []
    return next((time for time in times if time % SECOND == 0), None)
