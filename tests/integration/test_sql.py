from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.destinations.sql.replacement import Replacement
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6InputError,
    Np6PullAgainError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.databases import ask, payloads, windows
from tests.support.postgres import Postgres, free_port
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, in_order, land, query_of, whole

pytestmark = pytest.mark.core


@pytest.mark.parametrize("event_type", ["bounces", "cancellations", "responses/stop"])
def test_payloads_keep_their_bytes(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, event_type: str
) -> None:
    query = query_of(sandbox, event_type=event_type)
    assert land(client, sql, query) == {
        "table": "np6_events",
        "outcome": "created",
        "events": len(held(sandbox, query)),
        "previous_events": 0,
        "bytes_written": 0,
        "slices": {"created": 1},
        "changed": [[iso(query.window.start), iso(query.window.end)]],
    }
    assert payloads() == in_order(held(sandbox, query))


def test_columns_of_a_bounce(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    query = query_of(sandbox)
    land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 7)
    names = [column.name for column in COLUMNS if column.kind != "timestamp"]
    stored = ask(f"SELECT {', '.join(names)} FROM np6_events ORDER BY occurred_at, event_id")
    for row, line in zip(stored, in_order(held(sandbox, query)), strict=True):
        event = json.loads(line)
        activation, bounce = event["source"]["detail"]["activation"], event["source"]["detail"]["bounce"]
        found = dict(zip(names, row, strict=True))
        found.pop("payload")
        assert found == {
            "event_id": event["id"],
            "event_type": "bounces",
            "classification": "",
            "payload_type": "bounce",
            "action_id": "000PE4",
            "channel": "email",
            "agency": "DEMO",
            "customer": "028",
            "message_id": activation["stamp"]["id"],
            "thread_id": activation["stamp"]["thread"],
            "recipient": activation["recipient"],
            "target_id": activation["receiver"]["value"],
            "target_unicity": None,
            "target_hash": None,
            "bounce_verdict": bounce["analysis"]["verdict"],
            "bounce_status": "sync",
            "bounce_code": bounce["status"]["code"]["enhanced"],
            "bounce_diagnostic": bounce["status"]["diagnostic"],
            "bounce_mta": bounce["status"]["mta"],
            "bounce_subject": bounce["analysis"]["subject"]["type"],
            "bounce_subject_detail": bounce["analysis"]["subject"].get("detail", {}).get("type"),
            "cancellation_type": None,
            "cancellation_message": None,
            "hit_type": None,
        }


def test_times_are_utc_to_the_millisecond(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    query = query_of(sandbox)
    land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 7)
    stored = ask("SELECT occurred_at, sent_at, pulled_at FROM np6_events ORDER BY occurred_at, event_id")
    for row, line in zip(stored, in_order(held(sandbox, query)), strict=True):
        event = json.loads(line)
        sent = event["source"]["detail"]["activation"]["stamp"]["time"]
        times = [event["timestamp"], sent, MIDNIGHT + 9 * DAY + 7]
        if isinstance(row[0], str):
            assert list(row) == [iso(time) for time in times]
        else:
            assert [round(time.timestamp() * 1_000) for time in row] == times


def test_columns_of_cancellations_and_of_stops(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox, event_type="cancellations"))
    land(client, sql, query_of(sandbox, event_type="responses/stop"))
    cancelled = ask(
        "SELECT target_id, target_unicity, target_hash, recipient, cancellation_type, cancellation_message"
        " FROM np6_events WHERE event_type = 'cancellations' ORDER BY occurred_at, event_id"
    )
    expected = []
    for line in in_order(held(sandbox, query_of(sandbox, event_type="cancellations"))):
        detail = json.loads(line)["source"]["detail"]
        target, cancellation = detail["execution"]["recipient"], detail["cancellation"]
        message = cancellation.get("value", {}).get("message")
        expected.append(
            (target["id"], target["unicity"], target["hash"], None, cancellation["type"], message)
        )
    assert cancelled == expected
    assert set(
        ask(
            "SELECT payload_type, channel, message_id, action_id FROM np6_events"
            " WHERE event_type = 'responses/stop'"
        )
    ) == {(None, "sms", None, "000PE4")}


def test_odd_values_stay_out_of_columns_and_break_nothing(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    detail = {
        "activation": {"recipient": {"x": 1}, "stamp": {"time": "soon", "id": 7}, "receiver": [1]},
        "bounce": {"status": {"code": {"enhanced": 5.5}, "diagnostic": True}, "analysis": "none"},
    }
    odd = {
        "id": "not-a-uuid",
        "timestamp": MIDNIGHT,
        "type": None,
        "identity": 5,
        "source": {"detail": detail},
    }
    huge = {
        "id": "b",
        "timestamp": MIDNIGHT,
        "source": {"detail": {"activation": {"stamp": {"time": 10**17}}}},
    }
    sandbox.plan.add(Fault(body=json.dumps([odd, huge]).encode()))
    land(client, sql, query_of(sandbox))
    columns = "recipient, sent_at, message_id, target_id, bounce_code, bounce_diagnostic, bounce_verdict"
    assert ask(f"SELECT {columns} FROM np6_events ORDER BY event_id DESC") == [
        (None, None, "7", None, "5.5", "true", None),
        (None,) * 7,
    ]


def test_pulling_again_changes_nothing_but_pulled_at(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    columns = ", ".join(column.name for column in COLUMNS if column.name not in ("pulled_at", "payload"))
    statement = f"SELECT {columns}, payload FROM np6_events ORDER BY occurred_at, event_id"
    land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 8 * DAY)
    before = ask(statement), windows(), ask("SELECT pulled_at FROM np6_events")
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 9 * DAY)
    assert (report["outcome"], report["slices"], report["changed"]) == ("unchanged", {"unchanged": 1}, [])
    assert (report["events"], report["previous_events"]) == (len(payloads()), len(payloads()))
    assert (ask(statement), windows(), ask("SELECT pulled_at FROM np6_events")) == before
    ((pulled_at,),) = ask("SELECT pulled_at FROM np6_events_windows")
    assert sql._database().ms(pulled_at) == MIDNIGHT + 9 * DAY
    # An older pull is older than that, too.
    sandbox.plan.add(Fault(body=b"[]"))
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 8 * DAY + HOUR)
    assert report["outcome"] == "superseded"
    assert (ask(statement), windows(), ask("SELECT pulled_at FROM np6_events")) == before


def test_hours_hold_what_the_day_holds(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    for hour in range(24):
        window = Window(MIDNIGHT + hour * HOUR, MIDNIGHT + (hour + 1) * HOUR)
        land(client, sql, query_of(sandbox, window))
    hourly = payloads()
    assert len(windows()) == 24
    land(client, sql, query_of(sandbox))
    assert payloads() == hourly == in_order(held(sandbox, query_of(sandbox)))
    assert [events for _, events in windows()] == [len(hourly)]


def test_recorded_windows_tile_whatever_is_pulled(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox))
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    inside = Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)
    land(client, sql, query_of(sandbox, inside), on_shrink="replace")
    before = len(held(sandbox, query_of(sandbox, Window(MIDNIGHT, inside.start))))
    behind = len(held(sandbox, query_of(sandbox, Window(inside.end, TODAY.end))))
    assert [events for _, events in windows()] == [before, 0, behind]
    assert len(payloads()) == before + behind


def test_an_empty_window_is_recorded(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    land(client, sql, query_of(sandbox))
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    land(client, sql, query_of(sandbox), account="test", on_shrink="replace")
    assert payloads() == []
    columns = "event_type, classification, action_id, events, invalid, displaced, expired"
    assert ask(f"SELECT {columns} FROM np6_events_windows") == [("bounces", "", "000PE4", 0, 0, 0, 0)]


def test_the_header_has_what_all_pulls_have_in_common_and_each_series(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    with sql.open(query_of(sandbox), "test"):
        assert ask("SELECT COUNT(*) FROM np6_events_header") == [(0,)]
    for event_type, action in (("bounces", "000PE4"), ("bounces", "000PEB"), ("cancellations", "*")):
        land(client, sql, query_of(sandbox, event_type=event_type, action=action), account="ours")
    columns = "event_type, classification, version, account, personal_data, erasures, form"
    assert ask(f"SELECT {columns} FROM np6_events_header ORDER BY event_type") == [
        ("", "", 1, "ours", "keep", 0, None),
        ("bounces", "", None, None, None, None, "by_action"),
        ("cancellations", "", None, None, None, None, "all_actions"),
    ]


def test_days_are_slices_of_their_own(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    window = Window(MIDNIGHT + 20 * HOUR, MIDNIGHT + 2 * DAY + 3 * HOUR)
    days = list(window.days())
    counts = [len(held(sandbox, query_of(sandbox, day))) for day in days]
    report = land(client, sql, query_of(sandbox, window))
    assert (report["slices"], report["events"]) == ({"created": 3}, sum(counts))
    assert report["changed"] == [[iso(window.start), iso(window.end)]]
    ms = sql._database().ms
    rows = ask("SELECT window_start, window_end, events FROM np6_events_windows ORDER BY 1")
    assert [(Window(ms(start), ms(end)), events) for start, end, events in rows] == [
        *zip(days, counts, strict=True)
    ]
    # Of a day in the middle, nothing else is touched.
    sandbox.plan.add(Fault(path=whole(days[1]), change=faults.without(7)), times=2)
    land(client, sql, query_of(sandbox, days[1]), on_shrink="replace")
    assert [events for _, events in windows()] == [counts[0], counts[1] - 1, counts[2]]
    report = land(client, sql, query_of(sandbox, window))
    assert report["slices"] == {"unchanged": 2, "changed": 1}
    assert report["changed"] == [[iso(days[1].start), iso(days[1].end)]]
    assert (report["events"], report["previous_events"]) == (sum(counts), sum(counts) - 1)
    assert payloads() == in_order(held(sandbox, query_of(sandbox, window)))


def test_other_actions_types_and_days_stay(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    others = [
        query_of(sandbox, action=sandbox.account.action_ids[1]),
        query_of(sandbox, event_type="cancellations"),
        query_of(sandbox, Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)),
        query_of(sandbox, Window(MIDNIGHT - DAY, MIDNIGHT)),
    ]
    for query in others:
        land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY)
    recorded = "SELECT event_type, action_id, window_start, events FROM np6_events_windows"
    kept, windows_kept = set(payloads()), set(ask(recorded))
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 8 * DAY)
    assert report["outcome"] == "created"
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    land(client, sql, query_of(sandbox), on_shrink="replace")
    assert set(payloads()) == kept
    assert windows_kept < set(ask(recorded))


def test_an_event_that_moved_is_taken_over(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    tomorrow = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
    land(client, sql, query_of(sandbox))
    moved = json.loads(held(sandbox, query_of(sandbox))[5]) | {"timestamp": tomorrow.start}
    sandbox.plan.add(Fault(body=json.dumps([moved]).encode()))
    land(client, sql, query_of(sandbox, tomorrow))
    stored = [json.loads(payload) for payload in payloads()]
    assert len({event["id"] for event in stored}) == len(stored) == len(held(sandbox, query_of(sandbox)))
    assert stored[-1] == moved


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_truncated_answer_leaves_the_tables_as_they_were(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, framing: Any
) -> None:
    land(client, sql, query_of(sandbox))
    before = payloads(), windows()
    size = sum(map(len, held(sandbox, query_of(sandbox))))
    sandbox.plan.add(Fault(cut=size * 6 // 10, framing=framing))
    sandbox.plan.add(Fault(cut=1, framing=framing), times=99)
    with pytest.raises(Np6TruncatedError):
        land(client, sql, query_of(sandbox))
    assert (payloads(), windows()) == before


def test_a_failure_in_the_middle_of_the_load_leaves_the_tables_as_they_were(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, sql, query_of(sandbox))
    before = payloads(), windows()

    def fail(*_: object) -> None:
        raise RuntimeError("after all events went in")

    monkeypatch.setattr(Replacement, "_insert_quarantine", fail)
    sandbox.plan.add(Fault(path=whole(TODAY), change=faults.without(50)), times=2)
    with pytest.raises(Np6DestinationError, match=r"could not be written: .*\bRuntimeError\b"):
        land(client, sql, query_of(sandbox), on_shrink="replace")
    assert (payloads(), windows()) == before


def test_an_older_pull_that_comes_last_gives_way(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 9 * DAY)
    before = payloads()
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 8 * DAY)
    assert (report["outcome"], report["slices"], report["changed"]) == ("superseded", {"superseded": 1}, [])
    inside = Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)
    report = land(client, sql, query_of(sandbox, inside), pulled_at=MIDNIGHT + 8 * DAY)
    assert report["outcome"] == "superseded"
    assert payloads() == before


def test_an_older_pull_of_two_days_gives_way_on_one(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    tomorrow = Window(TODAY.end, TODAY.end + DAY)
    land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 9 * DAY)
    before = payloads()
    sandbox.plan.add(Fault(change=faults.without(3)))
    report = land(client, sql, query_of(sandbox, TODAY.union(tomorrow)), pulled_at=MIDNIGHT + 8 * DAY)
    assert (report["outcome"], report["slices"]) == ("superseded", {"superseded": 1, "created": 1})
    assert report["changed"] == [[iso(tomorrow.start), iso(tomorrow.end)]]
    assert report["events"] == len(held(sandbox, query_of(sandbox, tomorrow)))
    assert payloads() == before + in_order(held(sandbox, query_of(sandbox, tomorrow)))
    times = [
        sql._database().ms(time) for (time,) in ask("SELECT pulled_at FROM np6_events_windows ORDER BY 1")
    ]
    assert times == [MIDNIGHT + 8 * DAY, MIDNIGHT + 9 * DAY]


def test_another_account_is_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox), account="ours")
    with pytest.raises(Np6ConflictError, match="account 'ours'"):
        land(client, sql, query_of(sandbox, event_type="cancellations"), account="theirs")
    assert len(sandbox.received) == 1


@pytest.mark.parametrize(("stored", "wanted"), [("*", "000PE4"), ("000PE4", "*")])
def test_all_actions_and_single_ones_do_not_mix(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, stored: str, wanted: str
) -> None:
    land(client, sql, query_of(sandbox, action=stored))
    received = len(sandbox.received)
    tomorrow = Window(TODAY.end, TODAY.end + DAY)
    forms = {"*": "for all actions at once", "000PE4": "for single actions"}
    message = f"np6_events .*'test_sql' has bounces pulled {forms[stored]}, and this pull is {forms[wanted]}"
    for window in (TODAY, tomorrow):
        with pytest.raises(Np6ConflictError, match=message):
            land(client, sql, query_of(sandbox, window, action=wanted))
    assert len(sandbox.received) == received
    # Another series is another thing, and so is another table.
    land(client, sql, query_of(sandbox, event_type="cancellations", action=wanted))
    land(client, SqlDestination("test_sql", table="others"), query_of(sandbox, action=wanted))


def test_all_actions_by_one_request_know_their_action(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox, action="*")
    land(client, sql, query)
    assert payloads() == in_order(held(sandbox, query))
    assert {row[0] for row in ask("SELECT DISTINCT action_id FROM np6_events")} == set(
        sandbox.account.action_ids
    )
    land(client, sql, query_of(sandbox, action="*", event_type="responses/stop"))
    assert ask("SELECT DISTINCT action_id FROM np6_events WHERE event_type = 'responses/stop'") == [(None,)]


def test_a_schema_of_its_own(
    client: Np6Client, sandbox: Sandbox, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(postgres.database()))
    ask("CREATE SCHEMA lake")
    report = land(client, SqlDestination("test_sql", table="events", schema="lake"), query_of(sandbox))
    assert report["table"] == "lake.events"
    assert ask("SELECT COUNT(*) FROM lake.events") == [(len(held(sandbox, query_of(sandbox))),)]


def test_a_missing_table_is_an_error_where_none_may_be_created(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    with pytest.raises(Np6InputError, match=r"\bnp6_events\b.* not exist") as caught:
        land(client, SqlDestination("test_sql", create=False), query_of(sandbox))
    assert "connection 'test_sql'" in caught.value.what
    assert caught.value.hint.startswith("Run in the database:\nCREATE TABLE ")
    assert sandbox.received == []


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        (SqlDestination("nowhere"), "connection 'nowhere' does not exist"),
        (SqlDestination("None"), "conn_id of SqlDestination is 'None'"),
        (SqlDestination("test_sql", table='x"; DROP TABLE y'), "is not a table's or schema's name"),
        (SqlDestination("test_sql", table=""), "table of SqlDestination is ''"),
        (SqlDestination("test_sql", schema="a.b"), "is not a table's or schema's name"),
        (SqlDestination("aws_test"), "is not one of a SQL database"),
    ],
)
def test_unusable_databases_are_refused_before_any_request(
    client: Np6Client,
    sandbox: Sandbox,
    destination: SqlDestination,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", '{"conn_type": "aws"}')
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", '{"conn_type": "sqlite", "host": ":memory:"}')
    with pytest.raises(Np6InputError, match=says):
        land(client, destination, query_of(sandbox))
    assert sandbox.received == []


def test_errors_of_the_database_show_no_row(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.destinations.sql.database.TRIES", 2)
    land(client, sql, query_of(sandbox))
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    land(client, sql, query_of(sandbox), on_shrink="replace")
    ask("CREATE UNIQUE INDEX only_one ON np6_events (bounce_verdict)")
    with pytest.raises(Np6DestinationError, match="connection 'test_sql'") as caught:
        land(client, sql, query_of(sandbox))
    assert caught.value.__cause__ is None
    assert "@" not in str(caught.value)


def test_invalid_events_are_set_aside_and_go_with_their_window(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(120, b'{"id":"x"}')))
    land(client, sql, query_of(sandbox), quarantine=True)
    columns = "event_type, action_id, position, reason, event"
    edge = held(sandbox, query_of(sandbox, Window(MIDNIGHT - 1_000, MIDNIGHT)))  # requested too, and dropped
    assert ask(f"SELECT {columns} FROM np6_events_quarantine") == [
        ("bounces", "000PE4", 120 - len(edge), "has no timestamp", '{"id":"x"}')
    ]
    assert ask("SELECT events, invalid FROM np6_events_windows") == [(240, 1)]
    inside = Window(MIDNIGHT, MIDNIGHT + HOUR)
    land(client, sql, query_of(sandbox, inside), quarantine=True)
    assert ask("SELECT events, invalid FROM np6_events_windows ORDER BY window_start") == [(10, 0), (230, 1)]
    land(client, sql, query_of(sandbox), quarantine=True)
    assert ask("SELECT COUNT(*) FROM np6_events_quarantine") == [(0,)]


def test_a_pull_older_than_the_pieces_that_cover_its_window_gives_way(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 10 * DAY)
    inside = Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)
    land(client, sql, query_of(sandbox, inside), pulled_at=MIDNIGHT + 11 * DAY)
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 9 * DAY)
    assert (report["outcome"], report["slices"], report["changed"]) == ("superseded", {"superseded": 1}, [])
    # One that is older than a piece must not replace that piece, and does not know the rest as it was then.
    recorded = "SELECT * FROM np6_events_windows ORDER BY window_start"
    before = payloads(), ask(recorded)
    with pytest.raises(Np6PullAgainError, match="a newer pull of a part of this window"):
        land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 10 * DAY + 1)
    assert (payloads(), ask(recorded)) == before
    report = land(client, sql, query_of(sandbox), pulled_at=MIDNIGHT + 11 * DAY)
    assert report["outcome"] == "changed"
    assert len(windows()) == 1


def test_an_id_at_two_times_is_one_row_and_counted_so(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    events = [{"id": "a", "timestamp": MIDNIGHT}, {"id": "a", "timestamp": MIDNIGHT + 5_000}]
    sandbox.plan.add(Fault(body=json.dumps(events).encode()))
    land(client, sql, query_of(sandbox))
    assert ask("SELECT COUNT(*) FROM np6_events") == [(1,)]
    assert [events for _, events in windows()] == [1]


def test_numbers_and_texts_of_any_kind_are_stored(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    nul = f'{{"id":"a","timestamp":{MIDNIGHT},"identity":{{"customer":"x\\u0000y"}},"n":1e999}}'
    number = 123456789012345678901234567890
    big = f'{{"id":"b","timestamp":{MIDNIGHT},"identity":{{"customer":{number}}},"x":"📫 \\u00e9"}}'
    half = f'{{"id":"c","timestamp":{MIDNIGHT},"identity":{{"customer":"x\\ud83d"}},"n":-1e999}}'
    sandbox.plan.add(Fault(body=f"[{nul},{big},{half}]".encode()))
    land(client, sql, query_of(sandbox))
    assert payloads() == [nul.encode(), big.encode(), half.encode()]
    stored = [row[0] for row in ask("SELECT customer FROM np6_events ORDER BY event_id")]
    assert stored in ([first, str(number), "x\ufffd"] for first in ("x\0y", None))


def test_what_changed_between_opening_and_publishing_is_checked_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox)
    with sql.open(query, "test") as writer:
        verified = pull(client, query, writer)
        land(client, sql, query_of(sandbox, event_type="cancellations"), account="theirs")
        with pytest.raises(Np6ConflictError):
            writer.publish(verified)
    assert ask("SELECT COUNT(*) FROM np6_events WHERE event_type = 'bounces'") == [(0,)]


def test_pulls_at_once_are_exact(sandbox: Sandbox, sql: SqlDestination, settings: Np6Config) -> None:
    day = query_of(sandbox)
    queries = [
        day,
        *(query_of(sandbox, Window(MIDNIGHT + h * HOUR, MIDNIGHT + (h + 9) * HOUR)) for h in (0, 5, 9)),
    ]
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda query: land(Np6Client(settings), sql, query, on_shrink="fail"), queries))
        assert payloads() == in_order(held(sandbox, day))
    assert sum(events for _, events in windows()) == len(payloads())


def test_a_pull_that_comes_while_another_replaces_waits_its_turn(
    client: Np6Client,
    sandbox: Sandbox,
    sql: SqlDestination,
    settings: Np6Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without events, for then no row is in the way of another."""
    sandbox.plan.add(Fault(body=b"[]"), times=3)
    land(client, sql, query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + HOUR)))  # or both would make the tables
    inside = query_of(sandbox, Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR))
    decide = Replacement._decide
    others: list[Future[Any]] = []
    waited: list[bool] = []

    def pause(self: Replacement, *arguments: Any) -> Any:
        decision = decide(self, *arguments)
        if not others:
            others.append(pool.submit(lambda: land(Np6Client(settings), sql, inside)))
            waited.append(not wait(others, timeout=1).done)
        return decision

    monkeypatch.setattr(Replacement, "_decide", pause)
    with ThreadPoolExecutor(1) as pool:
        land(client, sql, query_of(sandbox))
    assert waited == [True]
    assert others[0].result()["outcome"] == "changed"
    assert [events for _, events in windows()] == [0, 0, 0]
    assert sql.verify().problems == []


def test_a_database_that_is_away_is_left_to_airflows_retries(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.destinations.sql.database.TRIES", 2)
    connection = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": free_port(),
        "login": "x",
        "schema": "x",
    }
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    with pytest.raises(Np6DestinationError) as caught:
        land(client, SqlDestination("test_sql"), query_of(sandbox))
    assert caught.value.retryable
    assert sandbox.received == []
