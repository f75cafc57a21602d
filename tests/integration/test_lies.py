"""Servers that lie: each row of the table says what the server does, and what must be stored then."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import product

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.errors import (
    Np6Error,
    Np6ResponseError,
    Np6ServerError,
    Np6ShrunkError,
    Np6TruncatedError,
    Np6WindowOpenError,
)
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.operators import _pull as operators_pull
from airflow_provider_np6.sandbox import Fault, ListedAccount, Sandbox, ServerBehavior, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from airflow_provider_np6.sandbox.faults import Change
from airflow_provider_np6.sandbox.misbehavior import misbehave
from tests.support.lies import HOURLY, Lie, all_of, everything_stored, per_hour, spaced, stored_lines
from tests.support.pulls import HOUR, MIDNIGHT
from tests.support.run import KEY

pytestmark = pytest.mark.core

MINUTE = 60_000
TWO_DAYS = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
NOTHING = Fault(change=faults.empty())
HONEST = Fault()
YEARS = 9 * 365 * 86_400  # s: so old, a response is from before all windows of these tests
START, MIDDLE, END = HOURLY.start, HOURLY.start + HOUR // 2, HOURLY.end


def caps() -> Iterator[Lie]:
    """Silent limits by number or size, of responses that end well."""
    for most, kept, sorting, passed_before in [
        (10, "oldest", "honored", False),
        (10, "newest", "honored", False),
        (10, "newest", "ignored", False),
        (11, "oldest", "honored", False),
        (11, "first", "ascending", False),
        (11, "oldest", "ignored", False),
        (25, "oldest", "honored", False),
        (25, "newest", "honored", False),
        (25, "first", "ignored", False),
        (100, "oldest", "honored", True),
        (100, "newest", "honored", False),
        (100, "newest", "ascending", False),
        (100, "first", "ignored", True),
        (250, "oldest", "honored", False),
        (250, "first", "ascending", False),
        (250, "newest", "ignored", False),
        (1_000, "oldest", "honored", True),
        (1_000, "newest", "honored", False),
        (1_000, "first", "ignored", True),
        (1_024, "oldest", "honored", False),
        (1_024, "newest", "ascending", False),
    ]:
        yield Lie(
            name=f"at most {most} events, the {kept} ones, sort is {sorting}",
            account=per_hour(most + max(3, most // 4)),
            behavior=ServerBehavior(max_events=most, kept=kept, sorting=sorting),  # type: ignore[arg-type]
            passed_before=passed_before,
        )
    for size, count, kept, sorting in [
        (20_000, 60, "oldest", "honored"),
        (20_000, 60, "newest", "honored"),
        (20_000, 60, "first", "ignored"),
        (65_536, 200, "oldest", "honored"),
        (65_536, 200, "newest", "ascending"),
        (65_536, 200, "newest", "ignored"),
        (1_000_000, 2_000, "oldest", "honored"),
        (1_000_000, 2_000, "newest", "honored"),
    ]:
        yield Lie(
            name=f"at most {size} bytes, the {kept} events, sort is {sorting}",
            account=per_hour(count),
            behavior=ServerBehavior(max_bytes=size, kept=kept, sorting=sorting),  # type: ignore[arg-type]
        )
    yield Lie(
        name="at most 25 events, and ties in another order each time",
        account=ListedAccount(START + index // 6 * 1_000 for index in range(90)),
        behavior=ServerBehavior(max_events=25, stable_ties=False),
    )


def caps_of_one_second() -> Iterator[Lie]:
    """Limits that one second alone reaches, and those that no request can show."""
    sample = ServerBehavior(max_events=50, kept="sample")
    few = range(START, MIDDLE, 10 * MINUTE)
    crowd = ListedAccount([*few, *range(MIDDLE, MIDDLE + 900, 30), END - 1])
    ties = ListedAccount([*few, *([MIDDLE] * 30), END - 1])
    yield Lie(
        name="30 events in one second, at most 20 of any request, the first ones in its order",
        account=crowd,
        behavior=ServerBehavior(max_events=20),
        error=Np6ResponseError,
        message="NP6 gives no more than 20 events at a time, and there are more within one second",
    )
    yield Lie(
        name="30 events in one second, at most 20 of any request, the oldest ones",
        account=crowd,
        behavior=ServerBehavior(max_events=20, kept="oldest"),
        stored=lambda events: [*events[:23], events[-1]],
        unseen=True,
    )
    yield Lie(
        name="30 events at one time, at most 20 of any request, other ones each time",
        account=ties,
        behavior=ServerBehavior(max_events=20, stable_ties=False, sorting="ascending"),
        error=Np6WindowOpenError,
        message="events of one response are missing in the next",
    )
    yield Lie(
        name="30 events at one time, at most 20 of any request, the same ones each time",
        account=ties,
        behavior=ServerBehavior(max_events=20, kept="oldest"),
        stored=lambda events: [*events[:23], events[-1]],
        unseen=True,
    )
    yield Lie(
        name="at most 8 events",
        account=spaced(12),
        behavior=ServerBehavior(max_events=8, kept="oldest"),
        stored=faults.capped(8),
        unseen=True,
        passed_before=True,
    )
    yield Lie(
        name="a sample of 50 events, always the same, with the first and the last",
        account=spaced(100),
        behavior=sample,
        stored=lambda events: list(misbehave(iter(events), sample)),
        unseen=True,
        passed_before=True,
    )
    yield Lie(
        name="a sample of 50 events, without order",
        account=spaced(100),
        behavior=ServerBehavior(max_events=50, kept="sample", sorting="ignored"),
    )
    yield Lie(
        name="not more than the newest 10 minutes, and 12 events in these",
        account=spaced(72, step=50_000),
        behavior=ServerBehavior(max_span=10 * MINUTE),
    )
    yield Lie(
        name="not more than the newest 10 minutes, and 5 events in these",
        account=spaced(36, step=100_000),
        behavior=ServerBehavior(max_span=10 * MINUTE),
        stored=lambda events: events[-5:],
        unseen=True,
    )
    yield Lie(
        name="at most 50 events of the next window, after a larger response was verified",
        account=spaced(200, step=15_000),
        windows=(Window(START, MIDDLE), Window(MIDDLE, END)),
        faults=(HONEST, HONEST, Fault(change=faults.capped(50))),
        stored=faults.capped(170),
        unseen=True,
    )


def edges() -> Iterator[Lie]:
    """Bounds that are not what they are documented to be, for two windows that share one."""
    offsets = (-1_000, -999, -500, -1, 0, 1, 500, 999, 1_000)
    account = ListedAccount(sorted(bound + offset for bound in (START, MIDDLE, END) for offset in offsets))
    halves = (Window(START, MIDDLE), Window(MIDDLE, END))
    odd = (Window(START, MIDDLE + 500), Window(MIDDLE + 500, END))
    for name, behavior, windows, passed_before in [
        ("an exclusive start", ServerBehavior(start_inside=False), halves, False),
        ("an inclusive end", ServerBehavior(end_inside=True), halves, False),
        (
            "exclusive start, inclusive end",
            ServerBehavior(start_inside=False, end_inside=True),
            halves,
            False,
        ),
        ("a start 1 ms earlier", ServerBehavior(start_shift=-1), halves, False),
        ("a start 500 ms later", ServerBehavior(start_shift=500), halves, False),
        ("a start 500 ms earlier", ServerBehavior(start_shift=-500), halves, False),
        ("a start 999 ms later", ServerBehavior(start_shift=999), halves, False),
        ("a start 999 ms earlier", ServerBehavior(start_shift=-999), halves, False),
        ("an end 1 ms earlier", ServerBehavior(end_shift=-1), halves, False),
        ("an end 500 ms later", ServerBehavior(end_shift=500), halves, False),
        ("an end 500 ms earlier", ServerBehavior(end_shift=-500), halves, False),
        ("an end 999 ms later", ServerBehavior(end_shift=999), halves, False),
        ("an end 999 ms earlier", ServerBehavior(end_shift=-999), halves, False),
        ("both 999 ms later", ServerBehavior(start_shift=999, end_shift=999), halves, False),
        ("both 999 ms earlier", ServerBehavior(start_shift=-999, end_shift=-999), halves, False),
        ("a window 999 ms narrower", ServerBehavior(start_shift=999, end_shift=-999), halves, False),
        ("a window 999 ms wider", ServerBehavior(start_shift=-999, end_shift=999), halves, False),
        ("no fractions of a second", ServerBehavior(fractions="ignored"), odd, True),
        ("a refusal of fractions", ServerBehavior(fractions="refused"), odd, True),
        ("an exclusive start inside a second", ServerBehavior(start_inside=False), odd, False),
        ("no lie at all", ServerBehavior(), odd, True),
    ]:
        yield Lie(
            name=f"edges: {name}",
            account=account,
            behavior=behavior,
            windows=windows,
            passed_before=passed_before,
        )


def order() -> Iterator[Lie]:
    """Events in another order than requested."""
    ties = ListedAccount(START + index // 3 * 60_000 for index in range(60))
    for name, behavior in [
        ("sort is ignored, another order each time", ServerBehavior(sorting="ignored")),
        ("sort is ignored, always descending", ServerBehavior(sorting="ignored", unsorted="desc")),
        ("desc is ascending too", ServerBehavior(sorting="ascending")),
        ("ties come in another order each time", ServerBehavior(stable_ties=False)),
    ]:
        yield Lie(name=name, account=ties, behavior=behavior, passed_before=True)
    yield Lie(
        name="order is lost in one response of three",
        account=per_hour(60),
        faults=[HONEST, HONEST, Fault(change=faults.shuffled(6))],
        passed_before=True,
    )
    yield Lie(
        name="order is lost in the first response",
        account=per_hour(60),
        faults=[Fault(change=faults.shuffled(6))],
        passed_before=True,
    )


def errors_in_band() -> Iterator[Lie]:
    """An element that is not an event at all, in a response that ends well."""
    error = b'{"error":{"message":"internal"}}'
    for index, quarantine in product((0, 1, 30, 60), (False, True)):
        yield Lie(
            name=f"an error after {index} of 60 events{', with quarantine' if quarantine else ''}",
            account=spaced(60),
            faults=[Fault(change=faults.error_element(index))],
            quarantine=quarantine,
        )
    for element in (b"null", b"5", b"[]", b"{}"):
        yield Lie(
            name=f"{element.decode()} after 30 of 60 events, and no more",
            account=spaced(60),
            faults=[Fault(change=faults.error_element(30, element))],
            quarantine=True,
        )
    yield Lie(
        name="an error among 60 events, and the rest after it",
        account=spaced(60),
        faults=[Fault(change=faults.broken(30, error))],
        quarantine=True,
    )
    for quarantine in (False, True):
        yield Lie(
            name=f"an error first in each response{', with quarantine' if quarantine else ''}",
            account=spaced(60),
            faults=[Fault(change=faults.error_element(0))] * 40,
            quarantine=quarantine,
            error=Np6TruncatedError,
            message="neither id nor timestamp",
        )
    yield Lie(
        name="an error after 10 events in each response",
        account=spaced(60),
        faults=[Fault(change=faults.error_element(10))] * 7,
        quarantine=True,
    )


def repetitions() -> Iterator[Lie]:
    """Events that come more than once."""
    for name, by, passed_before in [
        ("at the same time", 0, True),
        ("4 s later", 4_000, False),
        ("96 minutes later", 96 * MINUTE, False),
    ]:
        yield Lie(
            name=f"an event again, {name}",
            account=spaced(100, step=2 * MINUTE, start=MIDNIGHT),
            windows=(Window(MIDNIGHT, MIDNIGHT + DAY),),
            faults=[Fault(change=faults.repeated_later(20, by))],
            duplicates=1,
            passed_before=passed_before,
        )
    yield Lie(
        name="an event again on the next day",
        account=spaced(100, step=20 * MINUTE, start=MIDNIGHT),
        windows=(TWO_DAYS,),
        faults=[Fault(change=faults.repeated_later(20, DAY))],
        stored=faults.repeated_later(20, DAY),
        stored_in_sql=all_of,
        duplicates_in_sql=1,
    )
    yield Lie(
        name="about every tenth event again, three events later",
        account=spaced(100),
        behavior=ServerBehavior(repeated=10),
        duplicates=12,
        passed_before=True,
    )
    yield Lie(
        name="an event twice in a row",
        account=spaced(8),
        faults=[Fault(change=faults.doubled(3))],
        duplicates=1,
        passed_before=True,
    )


def foreign() -> Iterator[Lie]:
    """Events of another action or type than requested."""
    for name, change, message in [
        (
            "another action's",
            faults.renamed(20, action_id="000PEB"),
            "event 21 belongs to action 000PEB by its source.detail.activation.id, not to action 000PE4",
        ),
        ("of another type", faults.renamed(20, type_="hit"), "event 21 has the type hit, not bounce"),
    ]:
        yield Lie(
            name=f"one event is {name}",
            account=spaced(60),
            faults=[Fault(change=change)],
            error=Np6ResponseError,
            message=message,
        )
        yield Lie(
            name=f"one event is {name}, with quarantine",
            account=spaced(60),
            faults=[Fault(change=change)],
            quarantine=True,
            stored=faults.without(20),
            invalid=1,
        )
    for name, behavior, message in [
        (
            "another action's",
            ServerBehavior(foreign_action="000PEB"),
            "event 1 belongs to action 000PEB by its source.detail.activation.id, not to action 000PE4",
        ),
        (
            "of another type",
            ServerBehavior(foreign_type="hit"),
            "event 1 has the type hit, not bounce",
        ),
    ]:
        yield Lie(
            name=f"all events are {name}",
            account=spaced(60),
            behavior=behavior,
            error=Np6ResponseError,
            message=message,
        )
        yield Lie(
            name=f"all events are {name}, with quarantine",
            account=spaced(60),
            behavior=behavior,
            quarantine=True,
            error=Np6ResponseError,
            message="60 of 60 events are invalid, more than 1 %",
        )


def fewer_than_stored() -> Iterator[Lie]:
    """Less than an earlier pull has stored, or nothing at all."""
    yield Lie(
        name="nothing, twice, though 60 events are stored",
        account=spaced(60),
        is_stored=True,
        faults=[NOTHING] * 2,
        error=Np6ShrunkError,
        message="NP6 has 0 events of 2024-10-04, and 60 are stored",
        passed_before=True,
    )
    yield Lie(
        name="nothing, once, though 60 events are stored",
        account=spaced(60),
        is_stored=True,
        faults=[NOTHING],
        error=Np6ResponseError,
        message="NP6 has first 0 and then 60 events for the same window, and more are stored",
        passed_before=True,
    )
    yield Lie(
        name="nothing, from a cache, though 60 events are stored",
        account=spaced(60),
        is_stored=True,
        behavior=ServerBehavior(cached=True),
        faults=[NOTHING],
        error=Np6ResponseError,
        message="NP6 has first 0 and then 60 events for the same window, and more are stored",
        passed_before=True,
    )
    yield Lie(
        name="nothing, twice, though 60 events are stored, which are kept",
        account=spaced(60),
        is_stored=True,
        faults=[NOTHING] * 2,
        on_shrink="keep",
        outcome="shrunk",
        passed_before=True,
    )
    yield Lie(
        name="5 of 9 stored events, twice",
        account=spaced(9),
        is_stored=True,
        faults=[Fault(change=faults.capped(5))] * 2,
        error=Np6ShrunkError,
        message="NP6 has 5 events of 2024-10-04, and 9 are stored",
        passed_before=True,
    )
    yield Lie(
        name="nothing, though it has 60 events, and nothing is stored",
        account=spaced(60),
        faults=[NOTHING],
        stored=faults.empty(),
        unseen=True,
        passed_before=True,
    )


def clocks() -> Iterator[Lie]:
    """Times that are not true, and responses from another time."""
    now = time.time()
    for name, clock, ahead, passed_before in [
        ("of 1970", -now, 0.0, False),
        ("25 hours ahead", 90_000.0, 0.0, True),
        ("23 hours ahead", 82_800.0, 82_800.0, True),
        ("23 hours behind", -82_800.0, -82_800.0, True),
        ("of 2099", 129 * 31_536_000 - now, 0.0, True),
    ]:
        yield Lie(
            name=f"a Date {name}",
            account=spaced(9),
            faults=[Fault(clock=clock)],
            ahead=ahead,
            passed_before=passed_before,
        )
    stale = Fault(change=faults.capped(5), headers={"Age": str(YEARS)})
    yield Lie(
        name="5 of 9 events, from a cache that kept them since the window was open",
        account=spaced(9),
        faults=[stale],
    )
    yield Lie(
        name="an Age from before the window's end in each response that a cache may give",
        account=spaced(9),
        behavior=ServerBehavior(age=YEARS),
        requests=2,
        passed_before=True,
    )
    yield Lie(
        name="5 of 9 events, from a cache that is not to be passed by",
        account=spaced(9),
        faults=[stale] * 9,
        error=Np6WindowOpenError,
        message="a cache sent a response of 20",
    )
    yield Lie(
        name="an hour old response from a cache",
        account=spaced(9),
        behavior=ServerBehavior(age=3_600),
        ahead=-3_600,
    )
    yield Lie(
        name="no Date",
        account=spaced(9),
        behavior=ServerBehavior(dated=False),
        passed_before=True,
    )


def interruptions() -> Iterator[Lie]:
    """Responses that end somewhere, and windows that are too large for the server."""
    account = spaced(60)
    body = b"[" + b",".join(event.json for event in account.events("bounces", None, 0, 2 * MIDNIGHT)) + b"]"
    for name, cut, framing in [
        ("before its first byte", 0, "close"),
        ("after its first bracket", 1, "chunked"),
        ("inside a key", body.index(b'"timestamp"', 9_000) + 4, "length"),
        ("inside a number", body.index(b'"timestamp":', 9_000) + 16, "close"),
        ("inside a string", body.index(b"DEMO", 9_000) + 2, "chunked"),
        ("inside a character", body.index("ö".encode(), 9_000) + 1, "length"),
        ("after an event", body.index(b"},{", 9_000) + 1, "close"),
        ("after a comma", body.index(b"},{", 9_000) + 2, "chunked"),
        ("before its last bracket", len(body) - 1, "length"),
    ]:
        yield Lie(
            name=f"the response ends {name}",
            account=account,
            faults=[Fault(cut=cut, framing=framing)],  # type: ignore[arg-type]
            passed_before=True,
        )
    yield Lie(
        name="the response is reset inside an event, again and again",
        account=account,
        faults=[Fault(cut=9_000, ending="reset")] * 3,
        passed_before=True,
    )
    yield Lie(
        name="each response ends after its first bracket",
        account=account,
        faults=[Fault(cut=1)] * 40,
        error=Np6TruncatedError,
        message="the response broke off",
        passed_before=True,
    )
    for name, halves in [("first", [NOTHING]), ("second", [HONEST, NOTHING])]:
        yield Lie(
            name=f"504, and then nothing of the {name} half",
            account=spaced(9, step=400_000),
            faults=[Fault(status=504), *halves],
        )
    yield Lie(
        name="504 for an unordered window, and then nothing of its first half",
        account=spaced(60),
        behavior=ServerBehavior(sorting="ignored", unsorted="desc"),
        faults=[HONEST, Fault(status=504), NOTHING],
    )
    yield Lie(
        name="500 for each request",
        account=account,
        faults=[Fault(status=500)] * 40,
        error=Np6ServerError,
        passed_before=True,
    )


def odd_json() -> Iterator[Lie]:
    """JSON that some parsers refuse."""
    number = b"9" * 5_000
    for name, change, passed_before in [
        ("half of a character", faults.lone_surrogate(5), False),
        ("a number that no float has", faults.huge_number(5), True),
        ("a negative number that no float has", faults.huge_number(5, b"-1e9999"), True),
        ("an integer of 5,000 digits", faults.huge_number(5, number), True),
        ("a character NUL", faults.huge_number(5, b'"a\\u0000b"'), True),
    ]:
        yield Lie(
            name=f"an event with {name}",
            account=spaced(9),
            faults=[Fault(change=change)],
            stored=change,
            passed_before=passed_before,
        )
    for name, body in [
        ("an error instead of the array", b'{"error":"internal"}'),
        ("null instead of the array", b"null"),
        ("a page of HTML", b"<html></html>"),
        ("NaN in an event", b'[{"id":"a","timestamp":%d,"x":NaN}]' % START),
        ("an event without quotes", b"[{id:1}]"),
    ]:
        yield Lie(
            name=name,
            account=spaced(9),
            faults=[Fault(body=body)] * 9,
            error=Np6Error,
            passed_before=True,
        )


def invalid_events() -> Iterator[Lie]:
    """Events that may not be stored."""
    for bad, good in [(1, 50), (4, 5), (10, 989)]:
        yield Lie(
            name=f"{bad} of {bad + good} events invalid",
            account=spaced(good, step=1_000),
            faults=[Fault(change=with_invalid(bad))],
            quarantine=True,
            invalid=bad,
        )
    for bad, good in [(11, 989), (5, 5), (25, 25)]:
        yield Lie(
            name=f"{bad} of {bad + good} events invalid, which is too many",
            account=spaced(good, step=1_000),
            faults=[Fault(change=with_invalid(bad))],
            quarantine=True,
            error=Np6ResponseError,
            message=f"{bad} of {bad + good:,} events are invalid, more than 1 %",
            passed_before=True,
        )
    yield Lie(
        name="1 of 50 events invalid, without quarantine",
        account=spaced(50),
        faults=[Fault(change=with_invalid(1))],
        error=Np6ResponseError,
        message="event 26 has no timestamp",
        passed_before=True,
    )
    for name, at in [
        ("before the window", START - 1_500),
        ("after it", END + 1_500),
    ]:
        yield Lie(
            name=f"an event 1.5 s {name}",
            account=spaced(8),
            faults=[Fault(change=with_event(at))],
        )
    for name, at, time_ in [
        ("before the window", START - 3_000, "00:59:57"),
        ("after it", END + 3_000, "02:00:03"),
    ]:
        yield Lie(
            name=f"an event 3 s {name}",
            account=spaced(8),
            faults=[Fault(change=with_event(at))],
            error=Np6ResponseError,
            message=f" has the time 2024-10-04T{time_}.000Z, outside of what was requested",
            passed_before=True,
        )
        yield Lie(
            name=f"an event 3 s {name}, with quarantine",
            account=spaced(8),
            faults=[Fault(change=with_event(at))],
            quarantine=True,
            invalid=1,
        )
    for name, json_ in [
        ("no id", b'{"timestamp":%d}' % START),
        ("an id that is a number", b'{"id":5,"timestamp":%d}' % START),
        ("an id of 65 characters", b'{"id":"%s","timestamp":%d}' % (b"x" * 65, START)),
        ("a character NUL in its id", b'{"id":"a\\u0000","timestamp":%d}' % START),
        ("half of a character in its id", b'{"id":"a\\ud83d","timestamp":%d}' % START),
        ("a timestamp that is a string", b'{"id":"a","timestamp":"%d"}' % START),
        ("a timestamp in s", b'{"id":"a","timestamp":%d}' % (START // 1_000)),
        ("a timestamp that no integer has", b'{"id":"a","timestamp":1e999}'),
    ]:
        yield Lie(
            name=f"an event with {name}",
            account=spaced(8),
            faults=[Fault(change=faults.broken(4, json_))],
            quarantine=True,
            invalid=1,
        )
    yield Lie(
        name="events of a wider window than requested",
        account=ListedAccount(range(START - 5_000, END, MINUTE // 4)),
        behavior=ServerBehavior(start_shift=-5_000),
        error=Np6ResponseError,
        message="outside of what was requested",
        passed_before=True,
    )


def changes_between_responses() -> Iterator[Lie]:
    """Events that come or go while the window is pulled."""
    extra = with_event(START + 59 * MINUTE)
    for name, change in [("last", faults.without(59)), ("first", faults.without(0))]:
        yield Lie(
            name=f"the {name} event appears after the first response",
            account=spaced(60),
            faults=[Fault(change=change)],
        )
    yield Lie(
        name="an event in the middle appears after the first response",
        account=spaced(60),
        faults=[Fault(change=faults.without(30))],
        stored=faults.without(30),
        unseen=True,
        passed_before=True,
    )
    yield Lie(
        name="an event that was last vanishes after the first response",
        account=spaced(60),
        faults=[Fault(change=extra)],
    )
    yield Lie(
        name="the last event is missing in one check",
        account=spaced(60),
        faults=[HONEST, NOTHING],
        passed_before=True,
    )
    yield Lie(
        name="every second response has an event after the last one",
        account=spaced(60),
        faults=[Fault(change=extra), HONEST] * 40,
        error=Np6WindowOpenError,
        message="1 event of one response is missing in the next",
    )


def several_at_once() -> Iterator[Lie]:
    """More than one lie, and none."""
    for name, account, behavior, plan, duplicates in [
        (
            "at most 25 events, the newest ones, an exclusive start, ties in another order each time",
            per_hour(40),
            ServerBehavior(max_events=25, kept="newest", start_inside=False, stable_ties=False),
            [],
            0,
        ),
        (
            "at most 25 events, an inclusive end, and an error after 10 of them in the first response",
            per_hour(40),
            ServerBehavior(max_events=25, end_inside=True),
            [Fault(change=faults.error_element(10))],
            0,
        ),
        (
            "at most 25 events, the oldest ones, and three responses that break off",
            per_hour(60),
            ServerBehavior(max_events=25, kept="oldest"),
            [Fault(cut=9_000), HONEST, Fault(cut=4_000), Fault(cut=1_000)],
            0,
        ),
        (
            "at most 20 kB, without order, and 504 for the first request",
            per_hour(60),
            ServerBehavior(max_bytes=20_000, kept="newest", sorting="ignored"),
            [Fault(status=504)],
            0,
        ),
        (
            "not more than the newest 10 minutes, without order",
            per_hour(120),
            ServerBehavior(max_span=10 * MINUTE, sorting="ignored"),
            [],
            0,
        ),
        (
            "at most 40 events, about every tenth of them twice",
            spaced(100),
            ServerBehavior(max_events=40, repeated=10),
            [],
            12,
        ),
        (
            "a window 999 ms earlier, without order, and 500 for three requests",
            per_hour(60),
            ServerBehavior(start_shift=-999, end_shift=-999, sorting="ignored"),
            [Fault(status=500), HONEST] * 3,
            0,
        ),
    ]:
        yield Lie(
            name=name,
            account=account,
            behavior=behavior,
            faults=plan,
            duplicates=duplicates,
        )
    for count, requests in [(0, 1), (9, 1), (60, 3)]:
        yield Lie(
            name=f"no lie, {count} events",
            account=spaced(count),
            requests=requests,
            passed_before=True,
        )


def with_invalid(count: int) -> Change:
    """Events without a timestamp among the others."""
    invalid = [FakeEvent(0, "", b'{"id":"invalid-%d"}' % index) for index in range(count)]
    return lambda events: [*events[: len(events) // 2], *invalid, *events[len(events) // 2 :]]


def with_event(at: int) -> Change:
    """One event more, in its place by time."""
    extra = FakeEvent(at, "extra", b'{"id":"extra","timestamp":%d}' % at)
    return lambda events: sorted([*events, extra], key=lambda event: event.timestamp)


LIES = [
    *caps(),
    *caps_of_one_second(),
    *edges(),
    *order(),
    *errors_in_band(),
    *repetitions(),
    *foreign(),
    *fewer_than_stored(),
    *clocks(),
    *interruptions(),
    *odd_json(),
    *invalid_events(),
    *changes_between_responses(),
    *several_at_once(),
]


@pytest.fixture(autouse=True)
def _connected(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    extra = {"max_attempts": 4, "read_timeout": 2, "max_wait": 1}
    connection = {"conn_type": "np6", "host": sandbox.url, "password": KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(connection))
    monkeypatch.setattr(operators_pull, "CONFIRM_AFTER", 0.01)


@pytest.mark.parametrize("destination", ["files", "sqlite"], indirect=True)
@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_lie(lie: Lie, sandbox: Sandbox, destination: Destination) -> None:
    sandbox.account = lie.account
    sandbox.random.seed(6)
    if lie.is_stored:
        lie.pull(destination)
    before = everything_stored(destination)
    sandbox.received.clear()
    lie.apply_to(sandbox)
    if lie.error is not None:
        with pytest.raises(lie.error) as raised:
            lie.pull(destination)
        assert lie.message in str(raised.value)
        assert everything_stored(destination) == before
        return
    reports = lie.pull(destination)
    expected = lie.expected(destination)
    assert stored_lines(destination) == expected
    if lie.outcome == "shrunk":
        return
    assert sum(report["events"] for report in reports) == len(expected)
    is_sql = not isinstance(destination, FileDestination)
    duplicates = lie.duplicates_in_sql if is_sql and lie.duplicates_in_sql is not None else lie.duplicates
    assert sum(report["duplicates"] for report in reports) == duplicates
    assert sum(report["invalid"] for report in reports) == lie.invalid
    assert reports[-1]["outcome"] == lie.outcome
    assert {report["ids_compared"] for report in reports} == {"all"}
    assert sum(report["requests"] for report in reports) == len(sandbox.received)
    assert lie.requests in (None, len(sandbox.received))
    pulled_at = datetime.fromisoformat(reports[0]["pulled_at"]).timestamp()
    assert abs(pulled_at - time.time() - lie.ahead) < 30


def test_table() -> None:
    assert len(LIES) >= 60
    assert sum(not lie.passed_before for lie in LIES) >= 60
    assert len({lie.name for lie in LIES}) == len(LIES)
    for lie in LIES:
        if lie.error is None:
            assert lie.unseen == (len(lie.stored(lie.truth())) < len(lie.truth()) - lie.invalid), lie.name
