"""The questions, put to sandboxes of several behaviors: each is settled in more than one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import pytest

from airflow_provider_np6.conformance import (
    QUESTIONS,
    Finding,
    Verdict,
    caps,
    events,
    examine,
    order,
    windows,
)
from airflow_provider_np6.conformance.account import MAX_REQUESTS, Account
from airflow_provider_np6.conformance.question import Observation
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6AuthenticationError, Np6InputError, Np6NotFoundError
from airflow_provider_np6.np6.window import DAY, SECOND
from airflow_provider_np6.sandbox import FakeAccount, Fault, ListedAccount, Sandbox, ServerBehavior, faults
from airflow_provider_np6.sandbox.account import HOUR, FakeEvent
from airflow_provider_np6.sandbox.behavior import RefusedError
from tests.support import ROOT
from tests.support.airflow_runs import load
from tests.support.run import KEY

pytestmark = pytest.mark.core


@pytest.fixture
def account() -> FakeAccount:
    """Enough to see much in thirty days."""
    return FakeAccount(actions=1, events_per_day=144)


NOW = 1_795_000_000_000
"""2026-11-18, a time when the sandbox has events of all kinds."""

ALWAYS = 1_000
"""More requests than an examination sends."""


def findings(sandbox: Sandbox, client: Np6Client) -> dict[str, Finding]:
    return {finding.question: finding for finding in examine(client, sandbox.account.action_ids[0], now=NOW)}


def finding(sandbox: Sandbox, client: Np6Client, name: str) -> Finding | Observation:
    """What one question shows; those of ``responses`` need the responses to the others."""
    for question in (*events.QUESTIONS, *windows.QUESTIONS, *order.QUESTIONS, *caps.QUESTIONS):
        if question.name == name:
            return question.observe(Account(client, sandbox.account.action_ids[0], NOW))
    return findings(sandbox, client)[name]


def always(**fault: object) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.plan.add(Fault(**fault), times=ALWAYS)  # type: ignore[arg-type]


def changed(old: bytes, new: bytes) -> Callable[[Sandbox], None]:
    """Every event with one string replaced."""

    def change(events: list[FakeEvent]) -> list[FakeEvent]:
        return [FakeEvent(event.timestamp, event.id, event.json.replace(old, new)) for event in events]

    return always(change=change)


def behavior(**what: object) -> Callable[[Sandbox], None]:
    def set_it(sandbox: Sandbox) -> None:
        sandbox.behavior = ServerBehavior(**what)  # type: ignore[arg-type]

    return set_it


def listed(events: int, *, length: int = 20 * DAY, **what: object) -> Callable[[Sandbox], None]:
    """Only so many bounces, spread over a time."""

    def set_it(sandbox: Sandbox) -> None:
        end = NOW // SECOND * SECOND - HOUR
        sandbox.account = ListedAccount([end - length * at // events for at in range(events)])
        sandbox.behavior = ServerBehavior(**what)  # type: ignore[arg-type]

    return set_it


@dataclass(frozen=True, kw_only=True)
class Refusing(ServerBehavior):
    """Refuses windows that are too long, or an order."""

    status: int
    sort: str

    def window(self, parameters: Mapping[str, str]) -> tuple[int, int]:
        start, end = super().window(parameters)
        if parameters.get("sort") == self.sort or (not self.sort and end - start > 100 * DAY):
            raise RefusedError(self.status)
        return start, end


def refusing(status: int, sort: str = "") -> Callable[[Sandbox], None]:
    def set_it(sandbox: Sandbox) -> None:
        sandbox.behavior = Refusing(status=status, sort=sort)

    return set_it


def packed(sandbox: Sandbox) -> None:
    sandbox.packed = True


def without_replies(events: list[FakeEvent]) -> list[FakeEvent]:
    return [event for event in events if b'"reply"' not in event.json]


USUAL: dict[str, tuple[str, Verdict]] = {
    "event types of one action": ("all 13 types can be read", Verdict.OK),
    "event types of all actions": ("all 13 types can be read", Verdict.OK),
    "`id` and `timestamp`": ("ids are uuids", Verdict.OK),
    "`type` in events": ("missing: responses/stop", Verdict.OK),
    "the action's id in events": ("the requested one in 1,280 events", Verdict.OK),
    "other fields": ("also source.detail.reply", Verdict.OK),
    "`classification`": (", 0 in both", Verdict.OK),
    "`classifications`": ("ignored", Verdict.OK),
    "an action that does not exist": ("refused with 404", Verdict.OK),
    "`GET /actions`": ("exists", Verdict.OK),
    "`start`": ("an event at `start` is returned", Verdict.OK),
    "`end`": ("is not returned", Verdict.OK),
    "fractions of a second in bounds": ("honored", Verdict.OK),
    "bounds in ms since the epoch": ("honored", Verdict.OK),
    "no bounds at all": ("refused with 400", Verdict.OK),
    "the length of a window": ("its oldest and its newest events", Verdict.OK),
    "`sort=asc`": ("in order", Verdict.OK),
    "`sort=desc`": ("in descending order", Verdict.OK),
    "order among equal times": ("the same order", Verdict.OK),
    "order without `sort`": ("differed", Verdict.OK),
    "a cap on events": ("none up to 7,4", Verdict.OK),
    "an invalid bound": ("400, empty body", Verdict.OK),
    "`Date`": ("in every response", Verdict.OK),
    "`Age`": ("no `Age`", Verdict.OK),
    "compression": ("no gzip", Verdict.OK),
    "framing": ("chunked", Verdict.OK),
    "`x-request-id`": ("in every response", Verdict.OK),
    "unit of `X-RateLimit-Reset`": ("no `X-RateLimit-Reset` was sent", Verdict.NOT_SHOWN),
    "`Retry-After`": ("no request was limited", Verdict.NOT_SHOWN),
}
"""What a sandbox as documented shows."""

Otherwise = tuple[str, Callable[[Sandbox], None], str, Verdict]

OTHERWISE: list[Otherwise] = [
    ("event types of one action", always(path="000PE4/events/responses", status=404),
     "11 of 13 can be read; 404: responses/stop, responses/reply", Verdict.OK),
    ("event types of all actions", always(path="/actions/events", status=403),
     "0 of 13 can be read; 403: executions", Verdict.NOT_SHOWN),
    ("event types of all actions", always(path="/actions/events/hits/form", status=403),
     "12 of 13 can be read; 403: hits/form", Verdict.OK),
    ("`id` and `timestamp`", changed(b'"id":"', b'"id":"x'), "not all uuids", Verdict.OK),
    ("`id` and `timestamp`", changed(b'"timestamp":1', b'"timestamp":9'), "not a number of ms",
     Verdict.MISMATCH),
    ("`start`", behavior(start_inside=False), "left out: harmless", Verdict.OK),
    ("`start`", behavior(start_shift=1_001), "left out that is a second after", Verdict.MISMATCH),
    ("`start`", behavior(start_shift=-3 * HOUR), "more than a second before", Verdict.MISMATCH),
    ("`end`", behavior(end_inside=True), "an event at `end` is returned: harmless", Verdict.OK),
    ("`end`", behavior(end_shift=3 * HOUR), "a second after `end`", Verdict.MISMATCH),
    ("the length of a window", behavior(max_span=40 * DAY), "lacks its oldest", Verdict.WITH_CARE),
    ("the length of a window", listed(400, max_events=300, kept="oldest"), "lacks its newest",
     Verdict.WITH_CARE),
    ("the length of a window", listed(20, max_events=15, kept="oldest"), "lacks its newest",
     Verdict.WITH_CARE),
    ("the length of a window", listed(20), "its oldest and its newest", Verdict.OK),
    ("the length of a window", behavior(sorting="ascending"), "has its oldest events", Verdict.OK),
    ("the length of a window", behavior(sorting="ignored"), "without order", Verdict.NOT_SHOWN),
    ("the length of a window", refusing(400), "refused with 400: pull shorter", Verdict.WITH_CARE),
    ("the length of a window", refusing(504), "refused with 504: pulls split", Verdict.OK),
    ("`sort=asc`", behavior(sorting="ignored"), "without order", Verdict.WITH_CARE),
    ("`sort=desc`", behavior(sorting="ignored"), "without order", Verdict.WITH_CARE),
    ("`sort=desc`", behavior(sorting="ascending"), "in ascending order", Verdict.WITH_CARE),
    ("`sort=desc`", refusing(400, sort="desc"), "refused with 400", Verdict.WITH_CARE),
    ("order among equal times", behavior(stable_ties=False), "differed", Verdict.OK),
    ("order without `sort`", behavior(unsorted="asc"), "same order, sorted", Verdict.OK),
    ("order without `sort`", behavior(unsorted="desc"), "same order, not sorted", Verdict.OK),
    ("fractions of a second in bounds", behavior(fractions="ignored"), "ignored", Verdict.OK),
    ("fractions of a second in bounds", behavior(fractions="refused"), "refused with 400", Verdict.OK),
    ("bounds in ms since the epoch", behavior(epochs=False), "refused with 400", Verdict.OK),
    ("a cap on events", behavior(max_events=333), "333 events, silently; the oldest are", Verdict.OK),
    ("a cap on events", behavior(max_events=333, kept="oldest"), "333 events, silently; the oldest are",
     Verdict.OK),
    ("a cap on events", behavior(max_events=333, kept="newest"), "333 events, silently; the newest are",
     Verdict.OK),
    ("a cap on events", behavior(max_events=333, kept="newest", start_inside=False), "the newest are",
     Verdict.OK),
    ("a cap on events", behavior(max_events=333, kept="sample"), "missing in between", Verdict.MISMATCH),
    ("a cap on events", behavior(max_events=333, sorting="ignored"), "come without order: pulls find",
     Verdict.OK),
    ("a cap on events", behavior(max_bytes=200_000), "about 195 KiB, silently; the oldest", Verdict.OK),
    ("a cap on events", behavior(max_bytes=200_000, kept="newest"), "195 KiB, silently; the newest",
     Verdict.OK),
    ("a cap on events", listed(350, max_events=300), "300 events, or 200 KiB, silently; the oldest",
     Verdict.OK),
    ("a cap on events", behavior(max_events=7), "silently; the oldest are kept", Verdict.MISMATCH),
    ("a cap on events", behavior(start_shift=HOUR), "two halves of a window lack", Verdict.MISMATCH),
    ("a cap on events", listed(30, max_events=25, kept="sample"), "missing in between",
     Verdict.MISMATCH),
    ("a cap on events", listed(9), "no window with 10 events", Verdict.NOT_SHOWN),
    ("a cap on events", listed(400, length=SECOND), "in the first or the last second", Verdict.NOT_SHOWN),
    ("no bounds at all", behavior(bounds_needed=False), "accepted, with events", Verdict.OK),
    ("`type` in events", changed(b'"type":"bounce"', b'"type":"other"'), "another: bounces",
     Verdict.MISMATCH),
    ("`type` in events", behavior(foreign_type="hit"), "as listed: responses/stop, hits",
     Verdict.MISMATCH),
    ("`type` in events", changed(b'"type":"reply"', b'"type":"other"'),
     "not as expected: responses/reply", Verdict.OK),
    ("the action's id in events", behavior(foreign_action="000XYZ"), "another id in 127 of executions",
     Verdict.MISMATCH),
    ("the action's id in events", always(path="events/bounces", change=faults.renamed(7, "000XYZ")),
     "another id in 1 of bounces: pulls", Verdict.MISMATCH),
    ("other fields", always(change=without_replies), "none but documented ones", Verdict.OK),
    ("other fields", changed(b'"agency"', b'"a@b.fr"'), "identity.(a name)", Verdict.OK),
    ("`classification`", behavior(mixed_robots=True), "ignored", Verdict.MISMATCH),
    ("`classifications`", behavior(classification="classifications"), "does something else",
     Verdict.WITH_CARE),
    ("an action that does not exist", behavior(unknown_actions=True), "mistyped", Verdict.WITH_CARE),
    ("an invalid bound", behavior(error_body=b'{"message":"","code":1}'),
     "400, a JSON object with code, message", Verdict.OK),
    ("an invalid bound", behavior(error_body=b"<html>"), "a body that is not JSON", Verdict.OK),
    ("`GET /actions`", behavior(listing=False), "refused with 410", Verdict.WITH_CARE),
    ("`Date`", behavior(dated=False), "missing in", Verdict.WITH_CARE),
    ("`Date`", always(clock=3_600), "s ahead of", Verdict.WITH_CARE),
    ("`Date`", always(clock=-3_600), "s behind", Verdict.WITH_CARE),
    ("`Age`", behavior(age=3), "`Age` in every response", Verdict.WITH_CARE),
    ("compression", packed, "gzip in every response", Verdict.OK),
    ("framing", always(framing="length"), "by length", Verdict.OK),
    ("framing", always(framing="close"), "by the connection's end alone", Verdict.OK),
    ("`x-request-id`", behavior(request_ids=False), "no `x-request-id`", Verdict.OK),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "7"}),
     "seconds from now", Verdict.OK),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "1795000000"}),
     "seconds since the epoch", Verdict.OK),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "1795000000000"}),
     "ms since the epoch", Verdict.OK),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "soon"}), "unreadable",
     Verdict.MISMATCH),
    ("`Retry-After`", lambda sandbox: sandbox.plan.add(Fault(status=429, headers={"Retry-After": "0"})),
     "in 1 of 1", Verdict.OK),
    ("`Retry-After`", lambda sandbox: sandbox.plan.add(Fault(status=429)), "in 0 of 1", Verdict.OK),
]  # fmt: skip
"""A question, a behavior, and what it shows."""


def test_an_account_as_documented(sandbox: Sandbox, client: Np6Client) -> None:
    found = findings(sandbox, client)
    assert list(found) == list(USUAL) == [question.name for question in QUESTIONS]
    assert [name for name, (seen, _) in USUAL.items() if seen not in found[name].seen] == []
    assert {name: verdict for name, (_, verdict) in USUAL.items()} == {
        name: finding.verdict for name, finding in found.items()
    }
    assert {name for name, *_ in OTHERWISE} == set(USUAL)


@pytest.mark.parametrize("otherwise", OTHERWISE, ids=[f"{row[0]}: {row[2]}" for row in OTHERWISE])
def test_an_account_that_is_otherwise(sandbox: Sandbox, client: Np6Client, otherwise: Otherwise) -> None:
    question, prepare, seen, verdict = otherwise
    prepare(sandbox)
    found = finding(sandbox, client, question)
    assert seen in found.seen
    assert found.verdict == verdict


def test_few_requests_and_no_value_of_any_event(sandbox: Sandbox, client: Np6Client) -> None:
    sandbox.account = FakeAccount(actions=1, events_per_day=2_000)
    found = findings(sandbox, client)
    assert len(sandbox.received) <= MAX_REQUESTS
    shown = " ".join(str(asdict(finding)) for finding in found.values())
    secret = sandbox.account.events("events", None, NOW - 86_400_000, NOW)
    assert KEY not in shown
    assert "@" not in shown
    assert not any(event.id in shown for event in secret)


def test_a_cap_is_not_searched_in_ever_longer_windows(sandbox: Sandbox, client: Np6Client) -> None:
    sandbox.behavior = ServerBehavior(max_events=30)
    assert "no more than 30 events" in finding(sandbox, client, "a cap on events").seen
    starts = {request.parameters["start"] for request in sandbox.received}
    assert min(starts) > "2026-09-01"


def test_what_needs_events_is_not_shown_without_any(sandbox: Sandbox, client: Np6Client) -> None:
    sandbox.account = FakeAccount(actions=1, events_per_day=0)
    found = findings(sandbox, client)
    assert len(found) == len(QUESTIONS)
    assert found["`start`"].verdict == found["a cap on events"].verdict == Verdict.NOT_SHOWN
    assert len(sandbox.received) <= MAX_REQUESTS


def test_an_examination_ends_with_its_requests(
    sandbox: Sandbox, client: Np6Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.conformance.account.MAX_REQUESTS", 20)
    found = findings(sandbox, client)
    assert len(sandbox.received) == 20
    assert found["`start`"].seen == "all requests of this examination are used up"


def test_an_account_that_cannot_be_examined_is_an_error(sandbox: Sandbox, client: Np6Client) -> None:
    with pytest.raises(Np6InputError, match="not an action's id"):
        list(examine(client, "a/b", now=0))
    with pytest.raises(Np6InputError, match="one action"):
        list(examine(client, "*", now=0))
    assert not sandbox.received
    with pytest.raises(Np6NotFoundError, match="action NOPE"):
        list(examine(client, "NOPE", now=NOW))
    sandbox.received.clear()
    sandbox.key = "another"
    with pytest.raises(Np6AuthenticationError):
        list(examine(client, "000PE4", now=NOW))
    assert len(sandbox.received) == 1


def test_table_of_the_docs_is_the_questions() -> None:
    table = load(ROOT / "docs/unknowns.py")
    page = table.PAGE.read_text()
    assert table.with_table(page) == page, "write it again: python docs/unknowns.py"
