"""The question whether responses are cut short, silently, after a number of events or bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_np6.conformance.account import LONG_AGO, SORTED, well_formed
from airflow_provider_np6.conformance.question import Observation, Verdict, not_shown, question
from airflow_provider_np6.np6.caps import BELIEVED_EVENTS
from airflow_provider_np6.np6.plan import second_of
from airflow_provider_np6.np6.window import SECOND, Window

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account

_ENOUGH_BYTES = 2 * 1024 * 1024
_MAX_WIDENINGS = 4
_MAX_FACTOR = 32


@dataclass(frozen=True)
class _Reading:
    """The events of one window.

    :param times: time in ms of each event, by its id.
    :param events: elements of the response.
    :param bytes: length of its body.
    :param largest: bytes of its largest event.
    :param is_sorted: whether events came in order of time.
    """

    window: Window
    times: Mapping[str, int]
    events: int
    bytes: int
    largest: int
    is_sorted: bool

    @property
    def middle(self) -> int:
        """The second with the median of its times, in ms: half of what is known lies on either side."""
        return second_of(median_low(self.times.values()))


@question(
    "a cap on events",
    "unknown",
    assumed="there may be one, by number or size, that keeps the oldest or the newest events",
    otherwise="Two more requests check a response of 10 events or more at both ends, unless a larger one of"
    " the series was verified within 30 days. A cap below 10 would be missed.",
)
def caps_are_found(account: Account) -> Observation:
    if account.sample is None:
        return not_shown("no events were found")
    whole = _widen(account, account.sample.path, account.sample.window)
    if whole is None or not whole.times:
        return not_shown("a window that had events has none when requested again")
    middle = whole.middle
    if not whole.window.start < middle < whole.window.end - SECOND:
        return not_shown("most events that were found lie in the first or the last second")
    # They overlap by a second: an exclusive start or an inclusive end must not look like a cap.
    bounds = Window(whole.window.start, middle + SECOND), Window(middle, whole.window.end)
    halves = [half for window in bounds if (half := _read(account, account.sample.path, window))]
    if len(halves) < len(bounds):
        return not_shown("a half is larger than the whole")
    return _compare(account, account.sample.path, whole, halves)


def _compare(account: Account, path: str, whole: _Reading, halves: list[_Reading]) -> Observation:
    times = {id_: time for half in halves for id_, time in half.times.items()}
    if whole.is_sorted and whole.times.keys() - times.keys():
        return Observation("two halves of a window lack events of the whole", Verdict.MISMATCH)
    missing = [time for id_, time in times.items() if id_ not in whole.times]
    if not missing and whole.events < BELIEVED_EVENTS:
        return not_shown(f"no window with {BELIEVED_EVENTS} events or more was found")
    if not missing:
        return Observation(
            f"none up to {whole.events:,} events, {_kib(whole)}: two halves have the same events as the whole"
        )
    kept = _kept(whole, missing)
    limit = _limit(account, path, whole, halves, keeps_newest=kept == "the newest are kept")
    is_found = kept is not None and whole.events >= BELIEVED_EVENTS
    return Observation(
        f"no more than {limit}, silently; {kept or 'others are missing in between'}"
        f"{': pulls find the others' if is_found else ''}",
        Verdict.OK if is_found else Verdict.MISMATCH,
    )


def _kept(whole: _Reading, missing: Sequence[int]) -> str | None:
    """Which events a limited response keeps; None if pulls cannot rely on that.

    :param missing: times in ms of events that it lacks.
    """
    if min(missing) >= max(whole.times.values()):
        return "the oldest are kept"
    if max(missing) <= min(whole.times.values()):
        return "the newest are kept"
    return None if whole.is_sorted else "they come without order"


def _limit(
    account: Account, path: str, whole: _Reading, halves: list[_Reading], *, keeps_newest: bool
) -> str:
    """What limits the whole: two other limited responses have as many events, or nearly as many bytes.

    One response with as many could be chance.
    """
    for half in halves:
        is_alike = half.events == whole.events or abs(half.bytes - whole.bytes) <= whole.largest
        if half.times.keys() == whole.times.keys() or not is_alike:
            continue
        middle = half.middle
        part = Window(half.window.start, middle) if keeps_newest else Window(middle, half.window.end)
        other = _read(account, path, part)
        if other is None:
            break
        if half.events == other.events == whole.events:
            return f"{whole.events:,} events"
        if abs(other.bytes - whole.bytes) <= whole.largest:
            return f"about {_kib(whole)}"
    return f"{whole.events:,} events, or {_kib(whole)}"


def _kib(reading: _Reading) -> str:
    return f"{reading.bytes / 1_024:,.0f} KiB"


def _widen(account: Account, path: str, window: Window) -> _Reading | None:
    """A window that has many events, or as many as a shorter one."""
    whole = _read(account, path, window)
    for _ in range(_MAX_WIDENINGS):
        if whole is None or whole.bytes >= _ENOUGH_BYTES:
            break
        factor = min(_MAX_FACTOR, max(2, _ENOUGH_BYTES // max(1, whole.bytes)))
        start = max(account.closed_at - LONG_AGO, window.end - factor * (window.end - window.start))
        if start >= window.start:
            break
        window = Window(start, window.end)
        wider = _read(account, path, window)
        if wider is None:
            break
        is_larger, whole = wider.events > whole.events, wider
        if not is_larger:
            break
    return whole


def _read(account: Account, path: str, window: Window) -> _Reading | None:
    """None if there are too many events to read all of them."""
    response = account.get_events(path, window, SORTED)
    if response.status != 200 or not response.is_complete:
        return None
    events = well_formed(response)
    times = [event["timestamp"] for event in events]
    return _Reading(
        window,
        {event["id"]: event["timestamp"] for event in events},
        len(response.events),
        len(response.body),
        max((len(msgspec.json.encode(event)) for event in events), default=0),
        times == sorted(times),
    )


QUESTIONS = (caps_are_found,)
