"""Ids that come twice: SQL has one row per id, the first in time, and all counts are of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.sql.dialects import TableDialect
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window, iso
from tests.support.databases import ask, payloads, windows
from tests.support.pulls import HOUR, MIDNIGHT
from tests.support.writes import TimedEvent, write_events

pytestmark = pytest.mark.core

THREE_DAYS = Window(MIDNIGHT, MIDNIGHT + 3 * DAY)
SECOND_DAY = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
ACTIONS = pytest.mark.parametrize("action", ["000PE4", "*"])


def event(id_: str, time: int, action: str = "000PE4") -> TimedEvent:
    raw = {"id": id_, "timestamp": time, "source": {"detail": {"activation": {"id": action}}}}
    return time, json.dumps(raw).encode()


def many(begin: int, count: int, prefix: str = "e") -> list[TimedEvent]:
    return [event(f"{prefix}{n}", begin + 1 + n) for n in range(count)]


def query_of(window: Window = THREE_DAYS, action: str = "000PE4") -> EventQuery:
    return EventQuery.checked("bounces", action, window)


def raws(*events: TimedEvent) -> list[bytes]:
    return [raw for _, raw in events]


def counted(sql: SqlDestination) -> int:
    """The events that are recorded, which are those that are stored, slice by slice."""
    verification = sql.verify()
    assert verification.problems == []
    assert sum(events for _, events in windows()) == verification.events
    assert ask("SELECT COUNT(*) FROM np6_events") == [(verification.events,)]
    return verification.events


def displaced(action: str = "000PE4") -> list[int]:
    """How many events each slice of an action has lost to others, in order of time."""
    statement = "SELECT displaced FROM np6_events_windows WHERE action_id = ? ORDER BY window_start"
    return [count for (count,) in ask(statement, action)]


@ACTIONS
def test_of_an_id_on_three_days_far_apart_the_first_is_kept(sql: SqlDestination, action: str) -> None:
    """More than a thousand rows apart, so that each is inserted by another statement."""
    same = [event("same", MIDNIGHT + n * DAY) for n in range(3)]
    filled = [many(MIDNIGHT + n * DAY, 1_200, f"day{n}-") for n in range(3)]
    events = [*(one for n in range(3) for one in (same[n], *filled[n]))]
    report = write_events(sql, query_of(action=action), events)
    assert (report["events"], report["slices"]) == (3_601, {"created": 3})
    assert payloads() == raws(same[0], *filled[0], *filled[1], *filled[2])
    assert counted(sql) == 3_601
    assert [events for _, events in windows()] == [1_201, 1_200, 1_200]
    # Another pull of the same stores the same.
    for _ in range(2):
        report = write_events(sql, query_of(action=action), events)
        assert (report["events"], report["previous_events"]) == (3_601, 3_601)
        assert payloads() == raws(same[0], *filled[0], *filled[1], *filled[2])
        assert counted(sql) == 3_601
        assert displaced(action) == [0, 0, 0]


@ACTIONS
def test_an_id_that_is_gone_from_its_first_day_is_stored_on_the_next(
    sql: SqlDestination, action: str
) -> None:
    """Of the second day NP6 brings the same as before, and not all of that was stored."""
    first, later = event("same", MIDNIGHT), event("same", MIDNIGHT + DAY)
    others = event("one", MIDNIGHT + 1), event("two", MIDNIGHT + DAY + 1)
    write_events(sql, query_of(action=action), [first, others[0], later, others[1]])
    assert payloads() == raws(first, others[0], others[1])
    report = write_events(sql, query_of(action=action), [others[0], later, others[1]], on_shrink="replace")
    assert payloads() == raws(others[0], later, others[1])
    assert report["events"] == counted(sql) == 3


@ACTIONS
def test_an_id_that_comes_on_an_earlier_day_too_moves_there(sql: SqlDestination, action: str) -> None:
    """The day that loses it is the same as before, and so its event is dropped."""
    first, later = event("same", MIDNIGHT), event("same", MIDNIGHT + DAY)
    others = event("one", MIDNIGHT + 1), event("two", MIDNIGHT + DAY + 1)
    write_events(sql, query_of(action=action), [others[0], later, others[1]])
    for _ in range(3):
        report = write_events(sql, query_of(action=action), [first, others[0], later, others[1]])
        assert payloads() == raws(first, *others)
        assert report["events"] == counted(sql) == 3
        assert [events for _, events in windows()] == [2, 1, 0]


@pytest.mark.filterwarnings("ignore:The default datetime adapter is deprecated:DeprecationWarning")
def test_a_database_without_a_dialect_of_its_own_keeps_the_first_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "np6.db")}
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    monkeypatch.setattr(
        "airflow_provider_np6.destinations.sql.database.get_dialect", lambda _: TableDialect()
    )
    events = [event("same", MIDNIGHT), *many(MIDNIGHT, 1_200), event("same", MIDNIGHT + DAY)]
    sql = SqlDestination("test_sql")
    assert write_events(sql, query_of(), events)["events"] == 1_201
    assert payloads() == raws(*events[:-1])
    assert counted(sql) == 1_201


@ACTIONS
@pytest.mark.parametrize("apart", [1, 999, 1_000, 1_001])
def test_many_ids_that_come_twice_are_kept_once(sql: SqlDestination, action: str, apart: int) -> None:
    first = many(MIDNIGHT, apart)
    again = [event(json.loads(raw)["id"], time + DAY) for time, raw in first]
    report = write_events(sql, query_of(action=action), [*first, *again, *again])
    assert report["events"] == apart
    assert payloads() == raws(*first)
    assert counted(sql) == apart


def test_at_one_time_the_first_in_the_pull_is_kept(sql: SqlDestination) -> None:
    filled = many(MIDNIGHT, 1_500)
    one, other = ((MIDNIGHT, raw) for raw in (event("same", MIDNIGHT)[1], event("same", MIDNIGHT, "B")[1]))
    write_events(sql, query_of(), [one, other, *filled])
    assert payloads() == raws(one, *filled)
    write_events(sql, query_of(), [other, one, *filled])
    assert payloads() == raws(other, *filled)


@ACTIONS
def test_rows_of_other_windows_give_way_and_are_counted(sql: SqlDestination, action: str) -> None:
    """Before and after the window, more than a thousand of them; those that come twice are displaced once."""
    before, after = (Window(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in (0, 2))
    write_events(sql, query_of(before, action), many(MIDNIGHT, 1_300, "early"))
    write_events(sql, query_of(after, action), many(MIDNIGHT + 2 * DAY, 1_300, "late"))
    moved = [*many(MIDNIGHT + DAY, 1_200, "early"), *many(MIDNIGHT + DAY + HOUR, 1_200, "late")]
    again = many(MIDNIGHT + DAY + 2 * HOUR, 1_250, "early")
    report = write_events(sql, query_of(SECOND_DAY, action), [*moved, *again])
    assert report["events"] == 2_450
    assert [events for _, events in windows()] == [50, 2_450, 100]
    assert displaced(action) == [1_250, 0, 1_200]
    kept = many(MIDNIGHT, 1_300, "early")[1_250:], many(MIDNIGHT + 2 * DAY, 1_300, "late")[1_200:]
    assert payloads() == raws(*kept[0], *moved, *again[1_200:], *kept[1])
    assert counted(sql) == 2_600


def test_rows_of_other_actions_give_way_inside_the_window(sql: SqlDestination) -> None:
    write_events(sql, query_of(action="B"), many(MIDNIGHT + DAY, 5))
    events = [*many(MIDNIGHT, 3), *many(MIDNIGHT + DAY, 4)]
    report = write_events(sql, query_of(), events)
    assert (report["events"], report["slices"]) == (4, {"created": 3})
    rows = ask("SELECT action_id, events FROM np6_events_windows ORDER BY action_id, window_start")
    assert rows == [("000PE4", 3), ("000PE4", 1), ("000PE4", 0), ("B", 0), ("B", 1), ("B", 0)]
    assert ask("SELECT action_id, COUNT(*) FROM np6_events GROUP BY action_id ORDER BY 1") == [
        ("000PE4", 4),
        ("B", 1),
    ]
    assert (displaced("000PE4"), displaced("B")) == ([0, 0, 0], [0, 4, 0])
    assert payloads() == raws(*events[:3], events[6], many(MIDNIGHT + DAY, 5)[4])
    assert counted(sql) == 5


def test_a_row_that_goes_back_to_its_action_is_counted_there(sql: SqlDestination) -> None:
    """The other action's day is the same as at its first pull, but it is not stored like that."""
    mine, others = [event("same", MIDNIGHT)], [event("same", MIDNIGHT, "B"), event("b", MIDNIGHT, "B")]
    day = Window(MIDNIGHT, MIDNIGHT + DAY)
    for n in range(3):
        pulled_at = MIDNIGHT + (9 + n) * DAY
        report = write_events(sql, query_of(day, "B"), others, pulled_at=pulled_at)
        assert (report["outcome"], report["events"]) == ("created" if n == 0 else "changed", 2)
        assert sorted(payloads()) == sorted(raws(*others))
        assert counted(sql) == 2
        report = write_events(sql, query_of(day), mine, pulled_at=pulled_at)
        assert (report["outcome"], report["events"]) == ("created" if n == 0 else "changed", 1)
        assert sorted(payloads()) == sorted(raws(*mine, others[1]))
        assert counted(sql) == 2
        assert (displaced(), displaced("B")) == ([0], [1])


@ACTIONS
def test_a_day_that_is_kept_counts_as_the_first_too(sql: SqlDestination, action: str) -> None:
    """``same`` is on the first day, which stays as it is, so it is not stored again on the third."""
    day = many(MIDNIGHT, 10)
    same, later = event("same", MIDNIGHT), event("same", MIDNIGHT + 2 * DAY)
    write_events(sql, query_of(action=action), [same, *day])
    short, filled = [*day[:4], event("new", MIDNIGHT + HOUR)], many(MIDNIGHT + DAY, 1_500, "f")
    events = [same, *short, *filled, later]
    report = write_events(
        sql, query_of(action=action), events, on_shrink="keep", pulled_at=MIDNIGHT + 9 * DAY
    )
    assert report["slices"] == {"shrunk": 1, "changed": 2}
    assert report["events"] == 1_500
    assert payloads() == raws(same, *day, *filled)
    assert counted(sql) == 1_511
    assert displaced(action) == [0, 0, 0]


@ACTIONS
def test_an_event_that_left_a_day_that_is_kept_is_counted_where_it_is(
    sql: SqlDestination, action: str
) -> None:
    day = many(MIDNIGHT, 10)
    write_events(sql, query_of(action=action), [event("same", MIDNIGHT), *day])
    moved = event("same", MIDNIGHT + 2 * DAY)
    pulled_at = MIDNIGHT + 9 * DAY
    report = write_events(
        sql, query_of(action=action), [*day[:9], moved], on_shrink="keep", pulled_at=pulled_at
    )
    assert report["slices"] == {"shrunk": 1, "unchanged": 1, "changed": 1}
    assert payloads() == raws(*day, moved)
    assert report["changed"] == [[iso(MIDNIGHT + 2 * DAY), iso(MIDNIGHT + 3 * DAY)]]
    assert [events for _, events in windows()] == [10, 0, 1]
    assert displaced(action) == [1, 0, 0]
    assert counted(sql) == 11
    # What was displaced is no longer short by that, and the next pull stores the day again.
    report = write_events(sql, query_of(action=action), [*day, moved], pulled_at=pulled_at + DAY)
    assert report["slices"] == {"changed": 1, "unchanged": 2}
    assert displaced(action) == [0, 0, 0]
    assert counted(sql) == 11
