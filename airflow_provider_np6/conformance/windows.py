"""Questions about the bounds of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.conformance.account import FIRST_BYTES, SORTED, well_formed
from airflow_provider_np6.conformance.question import Observation, Verdict, not_shown, question
from airflow_provider_np6.np6.plan import EDGE, second_of
from airflow_provider_np6.np6.window import DAY, SECOND, Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account, Response, Sample

WIDE = 366 * DAY
"""Length in ms of a window that is longer than what pulls request."""

_NO_EVENTS = not_shown("no events were found")
_NO_WHOLE_SECOND = not_shown("no event has a timestamp on a whole second")
_EDGES = "Pulls request one second more on both sides, and drop what lies in that margin."


@question("`start`", "documented", assumed="an event at `start` may be left out", otherwise=_EDGES)
def start_is_near(account: Account) -> Observation:
    time = _whole_second(account.sample)
    if account.sample is None or time is None:
        return _NO_WHOLE_SECOND
    path, exact = account.sample.path, Window(time, time + SECOND)
    times = _times(account.get_events(path, exact, SORTED))
    if min(times, default=time) < exact.start - EDGE:
        return Observation("events of more than a second before `start` are returned", Verdict.MISMATCH)
    if time in times:
        return Observation("an event at `start` is returned")
    wider = Window(exact.start - EDGE, exact.end + EDGE)
    if time in _times(account.get_events(path, wider, SORTED)):
        return Observation("an event at `start` is left out: harmless, pulls request a second more")
    return Observation("an event is left out that is a second after `start`", Verdict.MISMATCH)


@question("`end`", "documented", assumed="an event at `end` may be returned", otherwise=_EDGES)
def end_is_near(account: Account) -> Observation:
    time = _whole_second(account.sample)
    if account.sample is None or time is None:
        return _NO_WHOLE_SECOND
    path, exact = account.sample.path, Window(time - SECOND, time)
    times = _times(account.get_events(path, exact, SORTED))
    if max(times, default=0) >= exact.end + EDGE:
        return Observation("events of a second after `end` are returned", Verdict.MISMATCH)
    if time in times:
        return Observation("an event at `end` is returned: harmless, pulls drop it")
    return Observation("an event at `end` is not returned")


@question(
    "fractions of a second in bounds",
    "unknown",
    assumed="they may be refused",
    otherwise="Pulls send bounds in whole seconds, wider than needed, and drop what lies in that margin.",
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


@question("no bounds at all", "unknown", assumed="nothing", otherwise="Pulls always send both bounds.")
def bounds_are_optional(account: Account) -> Observation:
    if account.sample is None:
        return _NO_EVENTS
    response = account.get(account.sample.path)
    if response.status != 200:
        return Observation(f"refused with {response.status}")
    return Observation("accepted, with events" if response.events else "accepted, without events")


@question(
    "the length of a window",
    "unknown",
    assumed="a year is returned as a whole, or refused",
    otherwise="Pulls find a silent limit where events are on both sides of it, and request the rest. In"
    " quiet weeks nothing shows it: pull days, not months.",
)
def length_is_unlimited(account: Account) -> Observation:
    sample = account.sample
    if sample is None:
        return _NO_EVENTS
    wide = Window(sample.window.end - WIDE, sample.window.end)
    first = account.get_events(sample.path, wide, SORTED, max_bytes=FIRST_BYTES)
    if first.status != 200:
        return _refused(first.status)
    times = _times(first)
    if times != sorted(times):
        return not_shown("events came without order")
    if first.is_complete:
        newest: int | None = max(times, default=0)
    else:
        newest = _newest(account.get_events(sample.path, wide, {"sort": "desc"}, max_bytes=FIRST_BYTES))
    if newest is not None and newest < max(sample.times):
        return Observation("a window of a year lacks its newest events: pull shorter ones", Verdict.WITH_CARE)
    oldest = second_of(min(times, default=wide.end))
    if oldest > wide.start:
        before = account.get_events(sample.path, Window(wide.start, oldest), SORTED, max_bytes=FIRST_BYTES)
        if min(_times(before), default=oldest) < oldest:
            return Observation(
                "a window of a year lacks its oldest events: pull shorter ones", Verdict.WITH_CARE
            )
    sides = "its oldest" if newest is None else "its oldest and its newest"
    return Observation(f"a window of a year has {sides} events")


def _refused(status: int) -> Observation:
    if status >= 500:
        return Observation(f"a window of a year is refused with {status}: pulls split it in half")
    return Observation(f"a window of a year is refused with {status}: pull shorter ones", Verdict.WITH_CARE)


def _newest(descending: Response) -> int | None:
    """The time of the first event, in ms; None if events did not come in descending order."""
    times = _times(descending)
    return times[0] if times and times == sorted(times, reverse=True) and times[0] > times[-1] else None


QUESTIONS = (
    start_is_near,
    end_is_near,
    fractions_are_honored,
    epochs_are_honored,
    bounds_are_optional,
    length_is_unlimited,
)


def _whole_second(sample: Sample | None) -> int | None:
    times = sample.times if sample else []
    return next((time for time in times if time % SECOND == 0), None)


def _times(response: Response) -> list[int]:
    return [event["timestamp"] for event in well_formed(response)]


def _ids(response: Response) -> list[Any]:
    return [event.get("id") for event in response.events]
