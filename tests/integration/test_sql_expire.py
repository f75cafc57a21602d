"""Old slices of tables without their events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.coverage import states_by_day
from airflow_provider_np6.destinations.inventory import Scope, Series
from airflow_provider_np6.destinations.sql.database import Database
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.databases import ask, payloads, windows
from tests.support.files import Covered, to_covered
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, in_order, land, query_of, whole

pytestmark = pytest.mark.core

SPAN = ("bounces", "000PE4", "2024-10-04", "2024-10-07")
DAYS = [Window(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in range(3)]
THREE = Window(DAYS[0].start, DAYS[2].end)
EXPIRED = "SELECT expired FROM np6_events_windows ORDER BY window_start"


@pytest.fixture
def filled(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> SqlDestination:
    """Three days, of which the first has an invalid event."""
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"x"}')))
    land(client, sql, query_of(sandbox, THREE), quarantine=True, pulled_at=MIDNIGHT + 9 * DAY)
    assert ask("SELECT COUNT(*) FROM np6_events_quarantine") == [(1,)]
    return sql


def events_of(sandbox: Sandbox, window: Window = THREE) -> list[bytes]:
    return in_order(held(sandbox, query_of(sandbox, window)))


def covered(sql: SqlDestination) -> Covered:
    return to_covered(sql.coverage(*SPAN))


def test_the_events_of_old_slices_are_removed_and_not_missing(
    filled: SqlDestination, sandbox: Sandbox
) -> None:
    before = windows()
    record = "SELECT * FROM np6_events_windows WHERE expired = 0 ORDER BY window_start"
    last = ask(record)[-1]
    removed = filled.expire("2024-10-06")
    assert removed == {"slices": 2, "events": sum(events for _, events in before[:2])}
    assert ask(EXPIRED) == [(1,), (1,), (0,)]
    counts = "SELECT events, invalid, displaced, digest FROM np6_events_windows WHERE expired = 1"
    assert ask(counts) == [(0, 0, 0, None)] * 2
    assert ask(record) == [last]
    assert payloads() == events_of(sandbox, DAYS[2])
    assert ask("SELECT COUNT(*) FROM np6_events_quarantine") == [(0,)]
    found = covered(filled)
    assert (found.missing, found.invalid, found.expired) == ([], [], DAYS[:2])
    assert found.events == before[2][1]
    assert filled.coverage(*SPAN).is_complete
    assert filled.verify().problems == []
    states = states_by_day(THREE, filled.stored_windows(Scope(THREE)))
    assert states == {Series("bounces", "", "000PE4"): ["expired", "expired", "complete"]}


def test_what_is_expired_is_so_once(filled: SqlDestination) -> None:
    filled.expire("2024-10-06")
    record = "SELECT * FROM np6_events_windows ORDER BY window_start"
    before = ask(record), payloads()
    assert filled.expire("2024-10-06") == {"slices": 0, "events": 0}
    assert (ask(record), payloads()) == before


@pytest.mark.parametrize("on_shrink", [None, "fail", "keep"])
def test_a_later_pull_stores_it_again_and_never_shrinks_it(
    filled: SqlDestination, client: Np6Client, sandbox: Sandbox, on_shrink: str | None
) -> None:
    filled.expire("2024-10-07")
    assert payloads() == []
    sandbox.plan.add(Fault(change=faults.capped(6)))  # one of them lies before the window
    report = land(client, filled, query_of(sandbox, THREE), on_shrink=on_shrink)
    assert (report["slices"], report["events"], report["previous_events"]) == ({"created": 3}, 5, 0)
    found = covered(filled)
    assert (found.events, found.missing, found.expired) == (5, [], [])
    assert payloads() == events_of(sandbox)[:5]
    assert ask(EXPIRED) == [(0,)] * 3
    assert filled.verify().problems == []


def test_the_same_events_are_stored_again(
    filled: SqlDestination, client: Np6Client, sandbox: Sandbox
) -> None:
    """Although another pull of them would change nothing, had they not expired."""
    land(client, filled, query_of(sandbox, THREE))
    filled.expire("2024-10-06")
    report = land(client, filled, query_of(sandbox, THREE))
    assert report["slices"] == {"created": 2, "unchanged": 1}
    assert payloads() == events_of(sandbox)


def test_a_pull_without_events_stores_that_there_are_none(
    filled: SqlDestination, client: Np6Client, sandbox: Sandbox
) -> None:
    filled.expire("2024-10-05")
    assert covered(filled).expired == [TODAY]
    sandbox.plan.add(Fault(body=b"[]"))
    assert land(client, filled, query_of(sandbox))["outcome"] == "created"
    found = covered(filled)
    assert (found.expired, found.missing) == ([], [])


def test_slices_that_end_later_stay(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    hours = [Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in range(4)]
    for hour in hours:
        land(client, sql, query_of(sandbox, hour))
    assert sql.expire("2024-10-04T02:59:59.999Z")["slices"] == 2
    assert ask(EXPIRED) == [(1,), (1,), (0,), (0,)]
    assert payloads() == events_of(sandbox, Window(hours[2].start, hours[3].end))
    # A pull of a part leaves the rest of an expired slice expired.
    half = Window(hours[0].start + HOUR // 2, hours[0].end)
    assert land(client, sql, query_of(sandbox, half))["outcome"] == "created"
    assert ask(EXPIRED) == [(1,), (0,), (1,), (0,), (0,)]
    # The whole day replaces hours of both kinds.
    assert land(client, sql, query_of(sandbox))["outcome"] == "changed"
    assert payloads() == events_of(sandbox, TODAY)
    assert ask(EXPIRED) == [(0,)]


def test_every_series_expires(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    for event_type, action in (("bounces", "000PEB"), ("cancellations", "*"), ("responses/stop", "000PE4")):
        land(client, sql, query_of(sandbox, event_type=event_type, action=action))
    assert sql.expire("2024-10-05")["slices"] == 3
    assert payloads() == []


def test_other_tables_and_actions_stay(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    tomorrow = query_of(sandbox, DAYS[1], action="000PEB")
    land(client, SqlDestination("test_sql", table="others"), query_of(sandbox))
    land(client, sql, query_of(sandbox))
    land(client, sql, tomorrow)
    assert sql.expire("2024-10-05")["events"] == len(events_of(sandbox, TODAY))
    assert payloads() == in_order(held(sandbox, tomorrow))
    assert ask("SELECT COUNT(*) FROM others") == [(len(events_of(sandbox, TODAY)),)]


def test_an_older_pull_does_not_bring_it_back(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 9 * DAY)
    sql.expire("2024-10-05")
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 8 * DAY)
    assert (report["outcome"], report["events"], report["previous_events"]) == ("superseded", 0, 0)
    assert payloads() == []
    assert ask(EXPIRED) == [(1,)]


@pytest.mark.parametrize("is_same", [True, False], ids=["the same events", "others"])
def test_a_pull_between_listing_and_expiring_wins(
    filled: SqlDestination,
    client: Np6Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_same: bool,
) -> None:
    """It stored the first day again after this day was listed."""
    if not is_same:
        sandbox.account = FakeAccount(events_per_day=480)
    write = Database.write
    reports: list[dict[str, Any]] = []

    def interrupted(self: Database, work: Callable[[], Any]) -> Any:
        monkeypatch.setattr(Database, "write", write)
        if is_same:
            sandbox.plan.add(Fault(path=whole(TODAY), change=faults.broken(7, b'{"id":"x"}')))
        reports.append(land(client, filled, query_of(sandbox), quarantine=True))
        return self.write(work)

    monkeypatch.setattr(Database, "write", interrupted)
    removed = filled.expire("2024-10-06")
    assert [report["outcome"] for report in reports] == ["unchanged" if is_same else "changed"]
    assert removed == {"slices": 1, "events": 240}
    assert ask(EXPIRED) == [(0,), (1,), (0,)]
    sandbox.account = FakeAccount(events_per_day=240)
    later = events_of(sandbox, DAYS[2])
    if not is_same:
        sandbox.account = FakeAccount(events_per_day=480)
    assert payloads() == events_of(sandbox, TODAY) + later
    assert covered(filled).expired == [DAYS[1]]
    assert filled.verify().problems == []
    # The next time, it is expired too.
    assert filled.expire("2024-10-06")["slices"] == 1
    assert ask(EXPIRED) == [(1,), (1,), (0,)]


def test_what_cannot_be_expired_is_an_error(sql: SqlDestination) -> None:
    with pytest.raises(Np6InputError, match="connection 'test_sql'"):
        sql.expire("2024-10-05")
    with pytest.raises(Np6InputError, match="before"):
        sql.expire("yesterday")
    with pytest.raises(Np6InputError, match="connection 'nowhere' does not exist"):
        SqlDestination("nowhere").expire("2024-10-05")
