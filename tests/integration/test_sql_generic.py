"""SQL without a dialect of its own: H2, which folds names that are not quoted to upper case, through JDBC.

Java runs in a zone with summer time, and the JDBC driver's Python side reads milliseconds wrongly: neither
changes what is stored.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.coverage import UtcWindow
from airflow_provider_np6.destinations.inventory import Scope
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6Error,
    Np6InputError,
)
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.databases import ask
from tests.support.h2 import SETTINGS, WARNINGS, h2_database
from tests.support.operator_pulls import connect, pull
from tests.support.people import KEY
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, in_order, land, query_of
from tests.support.writes import TimedEvent, write_events

pytestmark = pytest.mark.filterwarnings(WARNINGS)

TABLES = {f"np6_events{suffix}" for suffix in ("", "_windows", "_header", "_quarantine", "_erased")}
ACCOUNT = "np6_default"
"""Under which the operator records what it pulls: its connection's id."""
SUMMER = 1_711_843_200_000
"""2024-03-31, a Sunday without a time from 2 to 3 in Java's zone."""
_numbers = itertools.count()


@pytest.fixture
def sql(monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlDestination]:
    """A destination in an empty database, at a connection of its own: what is found out about one is
    remembered. The connection ``test_sql`` leads there too."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    conn_id = f"h2_{next(_numbers)}"
    with h2_database() as connection:
        for name in ("TEST_SQL", conn_id.upper()):
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
        yield SqlDestination(conn_id)


def tables() -> set[tuple[str, str]]:
    """Schema and name of each table, as they are stored."""
    statement = "SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA.TABLES"
    return set(ask(f"{statement} WHERE TABLE_SCHEMA <> 'INFORMATION_SCHEMA'"))


def stored(schema: str = "PUBLIC") -> list[bytes]:
    """The stored raw events, in order."""
    rows = ask(f'SELECT "payload" FROM "{schema}"."np6_events" ORDER BY "occurred_at", "event_id"')
    return [row[0].encode() for row in rows]


def windows(schema: str = "PUBLIC") -> list[tuple[str, str, int, int]]:
    """Start, end, events and invalid events of each recorded slice."""
    bounds = ", ".join(f'CAST("window_{end}" AS VARCHAR(19))' for end in ("start", "end"))
    return ask(f'SELECT {bounds}, "events", "invalid" FROM "{schema}"."np6_events_windows" ORDER BY 1')


def pulled_at() -> list[str]:
    """When each recorded slice was pulled, as the database itself says it."""
    return [row[0] for row in ask('SELECT CAST("pulled_at" AS VARCHAR(23)) FROM "np6_events_windows"')]


def statements_of(error: Np6Error) -> list[str]:
    """The statements that an error prints."""
    _, separator, statements = error.hint.partition("Run in the database:\n")
    assert separator, str(error)
    return [statement.strip() for statement in statements.split(";") if statement.strip()]


def day_of(*parts: str) -> tuple[str, str]:
    """The bounds of hours of the tests' day, as :func:`windows` has them."""
    first, last = (f"2024-10-04 {part}:00:00" if part != "24" else "2024-10-05 00:00:00" for part in parts)
    return first, last


def event(id_: str, time: int) -> TimedEvent:
    return time, json.dumps({"id": id_, "timestamp": time}).encode()


def problems(sql: SqlDestination) -> list[str]:
    return sql.verify().problems


# Names


def test_names_are_the_same_in_all_statements(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox)
    report = land(client, sql, query)
    assert (report["outcome"], report["events"]) == ("created", len(held(sandbox, query)))
    assert tables() == {("PUBLIC", name) for name in TABLES}
    columns = ask("SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'PUBLIC'")
    assert {name for (name,) in columns if name != name.lower()} == set()
    indexes = ask("SELECT INDEX_NAME FROM INFORMATION_SCHEMA.INDEXES WHERE TABLE_SCHEMA = 'PUBLIC'")
    ours = {name for (name,) in indexes if not name.startswith(("PRIMARY_KEY", "CONSTRAINT"))}
    assert {name for name in ours if not name.startswith("np6_events")} == set()
    assert stored() == in_order(held(sandbox, query))


def test_the_probe_leaves_no_row(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    with sql.open(query_of(sandbox), "test"):
        pass
    assert tables() in (set(), {("PUBLIC", name) for name in TABLES})
    for _, table in tables():
        assert ask(f'SELECT COUNT(*) FROM "{table}"') == [(0,)], table
    land(client, sql, query_of(sandbox))
    series = 'SELECT "event_type", "classification" FROM "np6_events_header" ORDER BY 1'
    assert ask(series) == [("", ""), ("bounces", "")]
    for table in ("np6_events_quarantine", "np6_events_erased"):
        assert ask(f'SELECT COUNT(*) FROM "{table}"') == [(0,)], table


def test_a_schema_whose_name_must_be_quoted(
    client: Np6Client,
    sandbox: Sandbox,
    sql: SqlDestination,
    monkeypatch: pytest.MonkeyPatch,
    airflow_db: None,
) -> None:
    lake, query = replace(sql, schema="crm-eu"), query_of(sandbox)
    connect(monkeypatch, sandbox)
    ask('CREATE SCHEMA "crm-eu"')
    report = pull(lake, "keep")
    assert (report["outcome"], report["table"]) == ("created", "crm-eu.np6_events")
    assert tables() == {("crm-eu", name) for name in TABLES}
    assert pull(lake, "keep")["outcome"] == "unchanged"
    assert stored("crm-eu") == in_order(held(sandbox, query))
    assert lake.verify().is_ok
    assert lake.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").is_complete
    assert lake.action_ids("bounces") == ["000PE4"]
    person = recipient_of(held(sandbox, query)[0])
    assert lake.erase([person], Pseudonyms(KEY), ACCOUNT)["events"] >= 1
    pull(lake, "keep")
    assert stored("crm-eu") == [raw for raw in in_order(held(sandbox, query)) if not names(person, raw)]
    assert land(client, sql, query)["outcome"] == "created"  # the connection's own schema is another place
    assert tables() == {(schema, name) for schema in ("crm-eu", "PUBLIC") for name in TABLES}


def test_a_schema_that_does_not_exist_is_refused_with_the_statement(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    lake = replace(sql, schema="crm-eu")
    with pytest.raises(Np6InputError, match="crm-eu") as caught:
        land(client, lake, query_of(sandbox))
    assert sql.conn_id in str(caught.value)
    assert sandbox.received == []
    assert tables() == set()
    for statement in statements_of(caught.value):
        if statement.startswith("CREATE SCHEMA"):
            ask(statement)
    assert land(client, lake, query_of(sandbox))["outcome"] == "created"


@pytest.mark.parametrize("schema", [None, "crm-eu"])
def test_printed_statements_run_as_printed(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, schema: str | None
) -> None:
    if schema:
        ask(f'CREATE SCHEMA "{schema}"')
    strict = replace(sql, schema=schema, create=False)
    for _ in TABLES:  # an error may print one table's statements alone
        try:
            land(client, strict, query_of(sandbox))
        except Np6InputError as error:
            assert sandbox.received == []
            for statement in statements_of(error):
                ask(statement)
    assert tables() == {(schema or "PUBLIC", name) for name in TABLES}
    land(client, strict, query_of(sandbox))
    assert stored(schema or "PUBLIC") == in_order(held(sandbox, query_of(sandbox)))


def test_a_missing_column_is_added_or_its_statement_printed(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox)
    land(client, sql, query)
    for allowed in (False, True):
        ask('ALTER TABLE "np6_events" DROP COLUMN "hit_type"')
        if not allowed:
            received = len(sandbox.received)
            with pytest.raises(Np6InputError, match="hit_type") as caught:
                land(client, replace(sql, evolve=False), query)
            assert len(sandbox.received) == received
            for statement in statements_of(caught.value):
                ask(statement)
        sandbox.account = FakeAccount(events_per_day=96 + 24 * (allowed + 1))
        land(client, replace(sql, evolve=allowed), query)
        assert stored() == in_order(held(sandbox, query))
    assert tables() == {("PUBLIC", name) for name in TABLES}


# Pulls


def test_pulling_again_writes_nothing_but_when(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox)
    land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 7)
    before = stored(), windows()
    report = land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 12)
    events = len(before[0])
    assert (report["outcome"], report["events"], report["previous_events"]) == ("unchanged", events, events)
    assert report["changed"] == []
    assert (stored(), windows()) == before
    assert pulled_at() == ["2024-10-13 00:00:00.012"]
    statement = 'SELECT DISTINCT CAST("pulled_at" AS VARCHAR(23)) FROM "np6_events"'
    assert ask(statement) == [("2024-10-13 00:00:00.007",)]


def test_a_changed_window_is_replaced(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    query = query_of(sandbox)
    counts = []
    for withheld in (0, 1 / 3, 0):
        sandbox.account = FakeAccount(events_per_day=96, withheld=withheld)
        report = land(client, sql, query, on_shrink="replace")
        counts.append((report["outcome"], report["events"]))
        assert stored() == in_order(held(sandbox, query))
        assert windows() == [(*day_of("00", "24"), len(stored()), 0)]
    (first, whole), (second, fewer), (third, again) = counts
    assert (first, second, third) == ("created", "changed", "changed")
    assert fewer < whole == again
    assert problems(sql) == []


def test_a_day_with_fewer_events_is_kept_unless_it_may_shrink(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox)
    land(client, sql, query)
    before = stored(), windows()
    sandbox.account = FakeAccount(events_per_day=96, withheld=1 / 3)
    with pytest.raises(Np6DestinationError, match="are stored"):
        land(client, sql, query, on_shrink="fail")
    report = land(client, sql, query, on_shrink="keep")
    assert (report["outcome"], report["events"]) == ("shrunk", 0)
    assert (stored(), windows()) == before


def test_overlapping_windows_are_exact(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    for begin, end in ((0, 12), (6, 18), (12, 24), (3, 4), (20, 28), (2, 30)):
        window = Window(MIDNIGHT + begin * HOUR, MIDNIGHT + end * HOUR)
        land(client, sql, query_of(sandbox, window))
        bounds = [(start, end) for start, end, *_ in windows()]
        assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds)), bounds
        assert problems(sql) == []
    whole = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 30 * HOUR))
    assert stored() == in_order(held(sandbox, whole))
    assert sum(events for *_, events, _ in windows()) == len(stored())
    # A slice ends at midnight.
    assert {"2024-10-05 00:00:00"} <= {start for start, *_ in windows()} & {end for _, end, *_ in windows()}


def test_an_older_pull_that_comes_last_gives_way(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    """To the millisecond."""
    query = query_of(sandbox)
    land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 70)
    before = stored()
    sandbox.account = FakeAccount(events_per_day=96, withheld=1 / 3)
    report = land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 69, on_shrink="replace")
    assert (report["outcome"], report["changed"]) == ("superseded", [])
    assert stored() == before
    report = land(client, sql, query, pulled_at=MIDNIGHT + 9 * DAY + 71, on_shrink="replace")
    assert report["outcome"] == "changed"
    assert stored() == in_order(held(sandbox, query))
    assert pulled_at() == ["2024-10-13 00:00:00.071"]


def test_an_id_that_moves_to_another_window_is_taken_over(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    tomorrow = Window(TODAY.end, TODAY.end + DAY)
    land(client, sql, query_of(sandbox))
    events = in_order(held(sandbox, query_of(sandbox)))
    moved = json.loads(events[5]) | {"timestamp": tomorrow.start}
    sandbox.plan.add(Fault(body=json.dumps([moved]).encode()))
    land(client, sql, query_of(sandbox, tomorrow))
    assert stored() == [*events[:5], *events[6:], json.dumps(moved).encode()]
    assert [counts for *_, counts, _ in windows()] == [len(events) - 1, 1]
    assert problems(sql) == []


def test_an_id_that_comes_twice_is_one_row(sql: SqlDestination) -> None:
    query = EventQuery.checked("bounces", "000PE4", Window(MIDNIGHT, MIDNIGHT + 2 * DAY))
    events = [event("same", MIDNIGHT), *(event(f"e{n}", MIDNIGHT + 1 + n) for n in range(1_200))]
    report = write_events(sql, query, [*events, event("same", MIDNIGHT + DAY)])
    assert report["events"] == len(events)
    assert stored() == [raw for _, raw in events]
    assert problems(sql) == []


def test_all_actions_at_once(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    query = query_of(sandbox, action="*")
    assert [land(client, sql, query)["outcome"] for _ in range(2)] == ["created", "unchanged"]
    assert stored() == in_order(held(sandbox, query))
    assert sql.action_ids("bounces") == ["*"]
    assert problems(sql) == []
    with pytest.raises(Np6ConflictError):
        land(client, sql, query_of(sandbox))


def test_another_account_is_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox), account="ours")
    received = len(sandbox.received)
    with pytest.raises(Np6ConflictError, match="account 'ours'"):
        land(client, sql, query_of(sandbox, event_type="cancellations"), account="theirs")
    assert len(sandbox.received) == received


def test_invalid_events_are_set_aside_and_replaced_with_their_window(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    sandbox.plan.add(Fault(change=faults.broken(40, b'{"id":"x"}')))
    land(client, sql, query_of(sandbox), quarantine=True)
    columns = '"event_type", "action_id", "reason", "event"'
    assert ask(f'SELECT {columns} FROM "np6_events_quarantine"') == [
        ("bounces", "000PE4", "has no timestamp", '{"id":"x"}')
    ]
    assert windows() == [(*day_of("00", "24"), 96, 1)]
    today = UtcWindow.from_window(TODAY)
    assert sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").invalid == [today]
    assert problems(sql) == []
    assert land(client, sql, query_of(sandbox), quarantine=True)["outcome"] == "changed"
    assert ask('SELECT COUNT(*) FROM "np6_events_quarantine"') == [(0,)]
    assert windows() == [(*day_of("00", "24"), 96, 0)]


def test_a_load_that_fails_leaves_the_tables_as_they_were(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_np6.destinations.sql.database.TRIES", 1)
    query = query_of(sandbox)
    sandbox.account = FakeAccount(events_per_day=96, withheld=1 / 3)
    land(client, sql, query)
    before = stored(), windows(), pulled_at()
    late = in_order(held(sandbox, query))[-1]
    sandbox.account = FakeAccount(events_per_day=96)
    limit = max(json.loads(raw)["timestamp"] for raw in held(sandbox, query) if raw != late)
    condition = f"CHECK (\"occurred_at\" < TIMESTAMP '{iso(limit)[:-1]}') NOCHECK"
    ask(f'ALTER TABLE "np6_events" ADD CONSTRAINT "early" {condition}')
    with pytest.raises(Np6DestinationError) as caught:
        land(client, sql, query)
    assert "@" not in str(caught.value)
    assert (stored(), windows(), pulled_at()) == before
    ask('ALTER TABLE "np6_events" DROP CONSTRAINT "early"')
    land(client, sql, query)
    assert stored() == in_order(held(sandbox, query))


def test_large_and_strange_values_are_stored_unchanged(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    texts = ["x" * 1_000_000, "📫 𝒩é\u200d", "a\tb\nc\rd", "\x01\x1f", "\\N", "", '"\\.', "'; --", "%s ? {}"]
    events = [
        {
            "id": f"e{n}",
            "timestamp": MIDNIGHT + n,
            "source": {"detail": {"bounce": {"status": {"diagnostic": text}}}},
            "n": 10**40,
        }
        for n, text in enumerate(texts)
    ]
    lines = [json.dumps(one, ensure_ascii=n % 2 == 0).encode() for n, one in enumerate(events)]
    sandbox.plan.add(Fault(body=b"[" + b",".join(lines) + b"]"))
    land(client, sql, query_of(sandbox))
    assert stored() == lines
    rows = ask('SELECT "bounce_diagnostic" FROM "np6_events" ORDER BY "occurred_at"')
    assert [text for (text,) in rows] == texts


def test_times_are_utc_to_the_millisecond_whatever_javas_zone(sql: SqlDestination) -> None:
    query = EventQuery.checked("bounces", "000PE4", Window(SUMMER, SUMMER + DAY))
    times = [SUMMER + 2 * HOUR + ms for ms in (7, 70, 700, 1_800_012)]
    events = [event(f"e{time}", time) for time in times]
    write_events(sql, query, events, pulled_at=SUMMER + 9 * DAY + 7)
    assert write_events(sql, query, events, pulled_at=SUMMER + 9 * DAY + 7)["outcome"] == "unchanged"
    rows = ask('SELECT CAST("occurred_at" AS VARCHAR(23)) FROM "np6_events" ORDER BY 1')
    assert [f"{text:0<23}" for (text,) in rows] == [iso(time)[:-1].replace("T", " ") for time in times]
    # What is recorded is read back as it is: the window that loses an event, and what is missing beside it.
    hour = Window(SUMMER + 2 * HOUR, SUMMER + 3 * HOUR)
    inside = EventQuery.checked("bounces", "000PE4", hour)
    write_events(sql, inside, events[1:], pulled_at=SUMMER + 9 * DAY + 8, on_shrink="replace")
    assert [events for *_, events, _ in windows()] == [0, 3, 0]
    whole = sql.coverage("bounces", "000PE4", "2024-03-30", "2024-04-02")
    beside = [Window(SUMMER - DAY, SUMMER), Window(SUMMER + DAY, SUMMER + 2 * DAY)]
    assert whole.missing == [UtcWindow.from_window(window) for window in beside]
    assert problems(sql) == []


def test_pulls_at_once_are_exact(sandbox: Sandbox, sql: SqlDestination, settings: Np6Config) -> None:
    """The first ones too."""
    hours = ((0, 24), (0, 9), (5, 14), (9, 18))
    queries = [query_of(sandbox, Window(MIDNIGHT + a * HOUR, MIDNIGHT + b * HOUR)) for a, b in hours]
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda query: land_again(settings, sql, query), queries))
        assert stored() == in_order(held(sandbox, queries[0]))
        assert tables() == {("PUBLIC", name) for name in TABLES}
    assert problems(sql) == []


def land_again(settings: Np6Config, sql: SqlDestination, query: EventQuery) -> None:
    """Pull as the operator does: again if another pull published a part of the window meanwhile."""
    client = Np6Client(settings)
    try:
        land(client, sql, query, on_shrink="fail")
    finally:
        client.close()


# What is stored


def test_verify_finds_a_row_that_is_missing(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    for action in sandbox.account.action_ids[:2]:
        land(client, sql, query_of(sandbox, action=action))
    verified = sql.verify()
    assert (verified.windows, verified.events, verified.problems) == (2, len(stored()), [])
    ask('DELETE FROM "np6_events" WHERE "event_id" = ?', json.loads(stored()[0])["id"])
    (problem,) = problems(sql)
    assert "96" in problem
    assert "95" in problem


def test_coverage_shows_what_is_missing(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    morning = Window(MIDNIGHT, MIDNIGHT + 12 * HOUR)
    land(client, sql, query_of(sandbox, morning))
    found = sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-06")
    assert found.missing == [UtcWindow.from_window(Window(morning.end, MIDNIGHT + 2 * DAY))]
    assert found.events == len(stored())
    (window,) = sql.stored_windows(Scope(TODAY))
    assert (window.window, window.empty, window.invalid) == (morning, False, False)
    assert sql.stored_windows(Scope(Window(TODAY.end, TODAY.end + DAY))) == []


def test_actions_that_were_pulled(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    actions = sandbox.account.action_ids[:2]
    for action in actions:
        land(client, sql, query_of(sandbox, action=action))
    assert sql.action_ids("bounces") == sorted(actions)
    assert sql.action_ids("cancellations") == []


def test_nothing_was_pulled(sql: SqlDestination) -> None:
    with pytest.raises(Np6InputError, match="np6_events"):
        sql.verify()
    with pytest.raises(Np6InputError, match="np6_events"):
        sql.erase(["x@example.com"], Pseudonyms(KEY), "test")
    assert not sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").is_complete
    assert tables() == set()


def recipient_of(raw: bytes) -> str:
    return str(json.loads(raw)["source"]["detail"]["activation"]["recipient"])


def names(person: str, raw: bytes) -> bool:
    return recipient_of(raw).lower() == person.lower()


def test_an_erased_person_is_gone_and_stays_out(
    sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch, airflow_db: None
) -> None:
    connect(monkeypatch, sandbox)
    pull(sql, "keep")
    events = stored()
    person = recipient_of(events[7])
    about = [raw for raw in events if names(person, raw)]
    report = sql.erase([person.upper()], Pseudonyms(KEY), ACCOUNT)
    assert report == {"events": len(about), "windows": 1}
    left = [raw for raw in events if raw not in about]
    assert stored() == left
    assert windows() == [(*day_of("00", "24"), len(left), 0)]
    assert problems(sql) == []
    pull(sql, "keep")
    assert stored() == left
    assert ask('SELECT COUNT(*) FROM "np6_events_erased"')[0][0] >= 1
    assert person not in str(ask('SELECT * FROM "np6_events_erased"'))


def test_what_was_set_aside_of_an_erased_person_is_emptied(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    invalid: Any = json.dumps({"id": "x", "who": "ann@example.com"}).encode()
    sandbox.plan.add(Fault(change=faults.broken(40, invalid)))
    land(client, sql, query_of(sandbox), quarantine=True)
    sql.erase(["ann@example.com"], Pseudonyms(KEY), "test")
    assert ask('SELECT "reason", "event" FROM "np6_events_quarantine"') == [("has no timestamp", None)]
    assert problems(sql) == []
