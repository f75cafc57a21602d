"""A slice whose events are stored already is not written again, unless what is stored is not all of them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.sql import spool
from airflow_provider_np6.erasure import erase
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, ListedAccount, Sandbox, ServerBehavior, faults
from tests.support.databases import ask, payloads, windows
from tests.support.operator_pulls import connect, pull
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, in_order, land, pull_into, query_of
from tests.support.writes import write_events

pytestmark = pytest.mark.core

BROKEN = b'{"id":"x"}'
TOMORROW = Window(TODAY.end, TODAY.end + DAY)


def rows() -> list[tuple[Any, ...]]:
    """What another pull of the same leaves as it is."""
    return ask("SELECT event_id, pulled_at FROM np6_events ORDER BY 1")


def outcomes(client: Np6Client, sql: SqlDestination, sandbox: Sandbox, number: int = 2) -> list[str]:
    """What some pulls of the day do, one after the other."""
    return [land(client, sql, query_of(sandbox))["outcome"] for _ in range(number)]


@pytest.mark.parametrize("where", ["event_id < '8'", "1 = 1"], ids=["some", "all"])
def test_rows_that_were_deleted_by_hand_are_written_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, where: str
) -> None:
    assert outcomes(client, sql, sandbox) == ["created", "unchanged"]
    ask(f"DELETE FROM np6_events WHERE {where}")
    assert outcomes(client, sql, sandbox) == ["changed", "unchanged"]
    assert payloads() == in_order(held(sandbox, query_of(sandbox)))
    assert sql.verify().problems == []


def test_a_row_that_was_inserted_by_hand_is_removed(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    """It is one more than NP6 has, so the pull is made twice."""
    land(client, sql, query_of(sandbox))
    columns = "event_type, classification, action_id, occurred_at"
    ask(f"INSERT INTO np6_events (event_id, {columns}) SELECT 'ours', {columns} FROM np6_events LIMIT 1")
    assert land(client, sql, query_of(sandbox), on_shrink="replace")["outcome"] == "changed"
    assert payloads() == in_order(held(sandbox, query_of(sandbox)))
    assert outcomes(client, sql, sandbox, 1) == ["unchanged"]


def test_invalid_events_that_were_deleted_by_hand_are_written_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(120, BROKEN)), times=99)
    quarantine = "SELECT action_id, position, reason, sha256, event FROM np6_events_quarantine"

    def outcome() -> str:
        return str(land(client, sql, query_of(sandbox), quarantine=True)["outcome"])

    assert [outcome(), outcome()] == ["created", "unchanged"]
    before = ask(quarantine)
    assert len(before) == 1
    ask("DELETE FROM np6_events_quarantine")
    assert [outcome(), outcome()] == ["changed", "unchanged"]
    assert ask(quarantine) == before
    # Without the invalid event, the same events are another content.
    sandbox.plan.clear()
    assert [outcome(), outcome()] == ["changed", "unchanged"]
    assert ask(quarantine) == []
    assert ask("SELECT events, invalid FROM np6_events_windows") == [(240, 0)]


def test_the_same_events_in_other_slices_are_written_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    first = Window(MIDNIGHT, MIDNIGHT + HOUR)
    for window in (first, Window(first.end, TODAY.end)):
        land(client, sql, query_of(sandbox, window))
    assert outcomes(client, sql, sandbox) == ["changed", "unchanged"]
    assert land(client, sql, query_of(sandbox, first))["outcome"] == "changed"
    assert outcomes(client, sql, sandbox) == ["changed", "unchanged"]
    assert len(windows()) == 1
    assert payloads() == in_order(held(sandbox, query_of(sandbox)))


@pytest.mark.parametrize("sql", ["postgres"], indirect=True)
def test_what_is_unchanged_is_no_asset_of_the_pull(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    assets = []
    for _ in range(2):
        with sql.open(query_of(sandbox), "test") as writer:
            assets.append(list(writer.publish(pull_into(client, query_of(sandbox), writer)).assets))
    assert assets == [[sql.asset_uri], []]


def test_a_slice_without_events_is_unchanged_too(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    sandbox.account = FakeAccount(withheld=1)
    assert outcomes(client, sql, sandbox) == ["created", "unchanged"]


def test_other_events_of_the_same_number_are_written(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    """One has other content, and the same id and time."""
    land(client, sql, query_of(sandbox))
    events = in_order(held(sandbox, query_of(sandbox)))
    events[5] = events[5].replace(b'"agency":"DEMO"', b'"agency":"OTHER"')
    sandbox.plan.add(Fault(body=b"[" + b",".join(events) + b"]"))
    assert land(client, sql, query_of(sandbox))["outcome"] == "changed"
    assert payloads() == events
    assert ask("SELECT COUNT(*) FROM np6_events WHERE agency = 'OTHER'") == [(1,)]


def test_the_order_of_a_response_does_not_matter(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    """Events are stored by time and id, however they come."""
    sandbox.account = ListedAccount(MIDNIGHT + HOUR + index // 6 * 60_000 for index in range(90))
    land(client, sql, query_of(sandbox))
    before = rows()
    sandbox.behavior = ServerBehavior(stable_ties=False)
    assert outcomes(client, sql, sandbox, 3) == ["unchanged"] * 3
    sandbox.behavior = ServerBehavior(sorting="ignored")
    assert outcomes(client, sql, sandbox, 3) == ["unchanged"] * 3
    assert rows() == before


def test_the_size_of_batches_does_not_matter(sandbox: Sandbox, sql: SqlDestination) -> None:
    two_days = TODAY.union(TOMORROW)
    events = [
        (event.timestamp, event.json)
        for event in sandbox.account.events("bounces", "000PE4", two_days.start, two_days.end)
    ]
    query = query_of(sandbox, two_days)
    for batch in (400, 1, 7, 10_000):
        report = write_events(sql, query, events, batch=batch)
        assert report["slices"] == {"created" if batch == 400 else "unchanged": 2}


def test_a_release_with_another_column_writes_all_slices_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows have more than those of the release before, of the same events."""
    assert outcomes(client, sql, sandbox) == ["created", "unchanged"]
    monkeypatch.setattr(spool, "_FORM", spool._FORM + b"\0another")
    assert outcomes(client, sql, sandbox) == ["changed", "unchanged"]


def test_a_slice_that_lost_an_event_to_another_is_written_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    assert outcomes(client, sql, sandbox) == ["created", "unchanged"]
    events = held(sandbox, query_of(sandbox))
    moved = events[5].replace(b'"timestamp":', b'"timestamp":%d,"was":' % TOMORROW.start)
    sandbox.plan.add(Fault(body=b"[" + moved + b"]"))
    land(client, sql, query_of(sandbox, TOMORROW))
    assert ask("SELECT displaced, digest FROM np6_events_windows ORDER BY window_start")[0] == (1, None)
    assert outcomes(client, sql, sandbox) == ["changed", "unchanged"]
    assert payloads() == in_order(events)
    assert ask("SELECT events, displaced FROM np6_events_windows ORDER BY window_start") == [
        (len(events), 0),
        (0, 1),
    ]
    assert sql.verify().problems == []


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("mode", ["keep", "pseudonymize"])
def test_a_slice_of_which_a_person_was_erased_is_written_again_once(
    sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """And the person's events are kept out."""
    connect(monkeypatch, sandbox)
    assert [pull(sql, mode)["outcome"] for _ in range(2)] == ["created", "unchanged"]
    (person,) = ask("SELECT MIN(recipient) FROM np6_events")[0]
    erased = erase(sql, person)["events"]
    assert erased > 0
    kept = payloads()
    reports = [pull(sql, mode) for _ in range(2)]
    assert [report["outcome"] for report in reports] == ["changed", "unchanged"]
    assert [report["erased"] for report in reports] == [erased, erased]
    assert [report["events"] for report in reports] == [len(kept), len(kept)]
    assert payloads() == kept
    assert ask("SELECT events FROM np6_events_windows") == [(len(kept),)]


@pytest.mark.usefixtures("airflow_db")
def test_a_slice_of_which_nobody_was_erased_stays_unchanged(
    sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox)
    pull(sql, "keep")
    before = rows()
    erase(sql, "nobody@example.com")
    assert pull(sql, "keep")["outcome"] == "unchanged"
    assert rows() == before
