"""The questions, asked of sandboxes of several tempers: each is answered in more than one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest

from airflow_provider_np6.conformance import QUESTIONS, Copes, Finding, examine
from airflow_provider_np6.conformance.asking import MOST_REQUESTS
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6AuthenticationError, Np6InputError, Np6NotFoundError
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, ServerBehavior, faults
from airflow_provider_np6.sandbox.account import Stored
from tests.conftest import KEY
from tests.support import ROOT
from tests.support.airflow_runs import load

pytestmark = pytest.mark.core


@pytest.fixture
def world() -> FakeAccount:
    """Enough to see much in thirty days."""
    return FakeAccount(actions=1, events_per_day=144)


NOW = 1_795_000_000_000
"""2026-11-18, a moment when the sandbox has events of all kinds."""

ALWAYS = 1_000
"""More requests than an examination sends."""


def findings(sandbox: Sandbox, client: Np6Client) -> dict[str, Finding]:
    return {found.question: found for found in examine(client, sandbox.world.action_ids[0], now=NOW)}


def always(**fault: object) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.plan.add(Fault(**fault), times=ALWAYS)  # type: ignore[arg-type]


def changed(old: bytes, new: bytes) -> Callable[[Sandbox], None]:
    """Every event with a text in place of another."""

    def change(events: list[Stored]) -> list[Stored]:
        return [Stored(event.timestamp, event.id, event.json.replace(old, new)) for event in events]

    return always(change=change)


def behavior(**what: object) -> Callable[[Sandbox], None]:
    def set_it(sandbox: Sandbox) -> None:
        sandbox.behavior = ServerBehavior(**what)  # type: ignore[arg-type]

    return set_it


def packed(sandbox: Sandbox) -> None:
    sandbox.packed = True


def without_replies(events: list[Stored]) -> list[Stored]:
    return [event for event in events if b'"reply"' not in event.json]


USUAL: dict[str, tuple[str, Copes]] = {
    "event types of one action": ("all 13 types answer", Copes.YES),
    "event types of all actions": ("all 13 types answer", Copes.YES),
    "`id` and `timestamp`": ("ids are uuids", Copes.YES),
    "`start`": ("an event at `start` comes", Copes.YES),
    "`end`": ("does not come", Copes.YES),
    "`sort=asc`": ("in order", Copes.YES),
    "order among equal times": ("the same order", Copes.YES),
    "order without `sort`": ("differed", Copes.YES),
    "fractions of a second in bounds": ("honoured", Copes.YES),
    "bounds in ms since the epoch": ("honoured", Copes.YES),
    "a cap on events": ("none up to", Copes.YES),
    "no bounds at all": ("refused with 400", Copes.YES),
    "`type` in events": ("missing: responses/stop", Copes.YES),
    "other fields": ("also source.detail.reply", Copes.YES),
    "`classification`": (", 0 in both", Copes.YES),
    "`classifications`": ("ignored", Copes.YES),
    "an action that does not exist": ("refused with 404", Copes.YES),
    "a bound that is none": ("400, empty body", Copes.YES),
    "`GET /actions`": ("there", Copes.YES),
    "statistics of an action": ("there", Copes.YES),
    "`Date`": ("in every answer", Copes.YES),
    "compression": ("no gzip", Copes.YES),
    "framing": ("chunked", Copes.YES),
    "`x-request-id`": ("in every answer", Copes.YES),
    "unit of `X-RateLimit-Reset`": ("no `X-RateLimit-Reset` came", Copes.NOT_SHOWN),
    "`Retry-After`": ("no request was limited", Copes.NOT_SHOWN),
}
"""What a sandbox as documented shows."""

Otherwise = tuple[str, Callable[[Sandbox], None], str, Copes]

OTHERWISE: list[Otherwise] = [
    ("event types of one action", always(path="000PE4/events/responses", status=404),
     "11 of 13 answer; 404: responses/stop, responses/reply", Copes.YES),
    ("event types of all actions", always(path="/actions/events", status=403),
     "0 of 13 answer; 403: executions", Copes.NOT_SHOWN),
    ("event types of all actions", always(path="/actions/events/hits/form", status=403),
     "12 of 13 answer; 403: hits/form", Copes.YES),
    ("`id` and `timestamp`", changed(b'"id":"', b'"id":"x'), "not all uuids", Copes.YES),
    ("`id` and `timestamp`", changed(b'"timestamp":1', b'"timestamp":9'), "no number of ms", Copes.NO),
    ("`start`", behavior(start_inside=False), "lost between two windows", Copes.NO),
    ("`end`", behavior(end_inside=True), "an event at `end` comes", Copes.NO),
    ("`sort=asc`", always(change=faults.shuffled(3)), "without order", Copes.WITH_CARE),
    ("order among equal times", behavior(stable_ties=False), "differed", Copes.YES),
    ("order without `sort`", behavior(unsorted="asc"), "alike, in order", Copes.YES),
    ("order without `sort`", behavior(unsorted="desc"), "alike, not in order", Copes.YES),
    ("fractions of a second in bounds", behavior(fractions="ignored"), "ignored", Copes.YES),
    ("fractions of a second in bounds", behavior(fractions="refused"), "refused with 400", Copes.YES),
    ("bounds in ms since the epoch", behavior(epochs=False), "refused with 400", Copes.YES),
    ("a cap on events", always(change=faults.capped(300)), "answers end at 300 events", Copes.YES),
    ("a cap on events", always(change=faults.capped(333)), "333 events, its halves", Copes.NO),
    ("no bounds at all", behavior(bounds_needed=False), "taken: events come", Copes.YES),
    ("`type` in events", changed(b'"type":"bounce"', b'"type":"other"'), "another: bounces", Copes.YES),
    ("other fields", always(change=without_replies), "none but documented ones", Copes.YES),
    ("other fields", changed(b'"agency"', b'"a@b.fr"'), "identity.(a name)", Copes.YES),
    ("`classification`", behavior(mixed_robots=True), "ignored", Copes.NO),
    ("`classifications`", behavior(classification="classifications"), "does something else", Copes.WITH_CARE),
    ("an action that does not exist", behavior(unknown_actions=True), "mistyped", Copes.WITH_CARE),
    ("a bound that is none", behavior(error_body=b'{"message":"","code":1}'),
     "400, a JSON object with code, message", Copes.YES),
    ("a bound that is none", behavior(error_body=b"<html>"), "a body that is not JSON", Copes.YES),
    ("`GET /actions`", behavior(listing=False), "refused with 410", Copes.WITH_CARE),
    ("statistics of an action", always(path="/statistics", status=404), "refused with 404", Copes.YES),
    ("`Date`", behavior(dated=False), "missing in", Copes.WITH_CARE),
    ("`Date`", always(clock=3_600), "s ahead of", Copes.WITH_CARE),
    ("`Date`", always(clock=-3_600), "s behind", Copes.WITH_CARE),
    ("compression", packed, "gzip in every answer", Copes.YES),
    ("framing", always(framing="length"), "by length", Copes.YES),
    ("framing", always(framing="close"), "by the connection's end alone", Copes.YES),
    ("`x-request-id`", behavior(request_ids=False), "no `x-request-id`", Copes.YES),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "7"}),
     "seconds from now", Copes.YES),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "1795000000"}),
     "seconds since the epoch", Copes.YES),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "1795000000000"}),
     "ms since the epoch", Copes.YES),
    ("unit of `X-RateLimit-Reset`", always(headers={"X-RateLimit-Reset": "soon"}), "unreadable", Copes.NO),
    ("`Retry-After`", lambda sandbox: sandbox.plan.add(Fault(status=429, headers={"Retry-After": "0"})),
     "in 1 of 1", Copes.YES),
    ("`Retry-After`", lambda sandbox: sandbox.plan.add(Fault(status=429)), "in 0 of 1", Copes.YES),
]  # fmt: skip
"""A question, a behavior, and what it shows."""


def test_an_account_as_documented(sandbox: Sandbox, client: Np6Client) -> None:
    found = findings(sandbox, client)
    assert list(found) == list(USUAL) == [question.asks for question in QUESTIONS]
    assert [asks for asks, (seen, _) in USUAL.items() if seen not in found[asks].seen] == []
    assert {asks: copes for asks, (_, copes) in USUAL.items()} == {
        asks: each.copes for asks, each in found.items()
    }
    assert {asks for asks, *_ in OTHERWISE} == set(USUAL)


@pytest.mark.parametrize("otherwise", OTHERWISE, ids=[f"{row[0]}: {row[2]}" for row in OTHERWISE])
def test_an_account_that_is_otherwise(sandbox: Sandbox, client: Np6Client, otherwise: Otherwise) -> None:
    question, prepare, seen, copes = otherwise
    prepare(sandbox)
    found = findings(sandbox, client)[question]
    assert seen in found.seen
    assert found.copes == copes


def test_few_requests_and_no_value_of_any_event(sandbox: Sandbox, client: Np6Client) -> None:
    sandbox.world = FakeAccount(actions=1, events_per_day=2_000)
    found = findings(sandbox, client)
    assert len(sandbox.asked) <= MOST_REQUESTS
    told = " ".join(str(asdict(each)) for each in found.values())
    events = sandbox.world.events("events", None, NOW - 86_400_000, NOW)
    assert KEY not in told
    assert "@" not in told
    assert not any(event.id in told for event in events)


def test_what_needs_events_is_not_shown_without_any(sandbox: Sandbox, client: Np6Client) -> None:
    sandbox.world = FakeAccount(actions=1, events_per_day=0)
    found = findings(sandbox, client)
    assert len(found) == len(QUESTIONS)
    assert found["`start`"].copes == found["a cap on events"].copes == Copes.NOT_SHOWN
    assert len(sandbox.asked) <= MOST_REQUESTS


def test_an_examination_ends_with_its_requests(
    sandbox: Sandbox, client: Np6Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.conformance.asking.MOST_REQUESTS", 20)
    found = findings(sandbox, client)
    assert len(sandbox.asked) == 20
    assert found["`start`"].seen == "all requests of this examination were used up"


def test_an_account_that_cannot_be_asked_is_an_error(sandbox: Sandbox, client: Np6Client) -> None:
    with pytest.raises(Np6InputError, match="not an action's id"):
        list(examine(client, "a/b", now=0))
    with pytest.raises(Np6InputError, match="one action"):
        list(examine(client, "*", now=0))
    assert not sandbox.asked
    with pytest.raises(Np6NotFoundError, match="action NOPE"):
        list(examine(client, "NOPE", now=NOW))
    sandbox.asked.clear()
    sandbox.key = "another"
    with pytest.raises(Np6AuthenticationError):
        list(examine(client, "000PE4", now=NOW))
    assert len(sandbox.asked) == 1


def test_table_of_the_docs_is_the_questions() -> None:
    table = load(ROOT / "docs/unknowns.py")
    page = table.PAGE.read_text()
    assert table.with_table(page) == page, "write it anew: python docs/unknowns.py"
