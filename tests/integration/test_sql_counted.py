"""What is recorded is what is stored: rows are counted, whatever triggers, rules and policies do to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.events import Invalid
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.databases import ask, payloads
from tests.support.operator_pulls import connect, pull
from tests.support.postgres import Postgres
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, in_order, land, query_of, whole

pytestmark = pytest.mark.core

TOMORROW = Window(TODAY.end, TODAY.end + DAY)
QUARANTINE = "np6_events_quarantine"
MOVE = "UPDATE np6_events SET occurred_at = '2024-10-09T00:00:00.000Z' WHERE event_id = NEW.event_id"
FEWER = FakeAccount(events_per_day=96, withheld=1 / 3)

Statements = list[str]


def function(*lines: str) -> str:
    """The function of a trigger in PostgreSQL."""
    return f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {' '.join(lines)} END $$"


def trigger(when: str, table: str = "np6_events") -> str:
    return f"CREATE TRIGGER meddles {when} ON {table} FOR EACH ROW"


DROPPING = [
    pytest.param(
        "postgres",
        [
            function("IF NEW.event_id < '8' THEN RETURN NULL; END IF; RETURN NEW;"),
            f"{trigger('BEFORE INSERT')} EXECUTE FUNCTION meddle()",
        ],
        id="postgres",
    ),
    pytest.param(
        "sqlite",
        [f"{trigger('BEFORE INSERT')} WHEN NEW.event_id < '8' BEGIN SELECT RAISE(IGNORE); END"],
        id="sqlite",
    ),
]
"""Triggers that drop rows. In MariaDB none can."""
MOVING = [
    pytest.param(
        "postgres",
        [
            function("NEW.occurred_at := NEW.occurred_at + interval '2 days'; RETURN NEW;"),
            f"{trigger('BEFORE INSERT')} EXECUTE FUNCTION meddle()",
        ],
        id="postgres",
    ),
    pytest.param(
        "sqlite",
        [f"{trigger('AFTER INSERT')} BEGIN {MOVE}; END"],
        id="sqlite",
    ),
    pytest.param(
        "mariadb",
        [f"{trigger('BEFORE INSERT')} SET NEW.occurred_at = NEW.occurred_at + INTERVAL 2 DAY"],
        id="mariadb",
    ),
]
"""Triggers that give rows another time."""
KEEPING = [
    pytest.param(
        "postgres",
        [function("RETURN NULL;"), f"{trigger('BEFORE DELETE')} EXECUTE FUNCTION meddle()"],
        id="postgres",
    ),
    pytest.param(
        "postgres",
        ["CREATE RULE meddles AS ON DELETE TO np6_events DO INSTEAD NOTHING"],
        id="postgres-rule",
    ),
    pytest.param("sqlite", [f"{trigger('BEFORE DELETE')} BEGIN SELECT RAISE(IGNORE); END"], id="sqlite"),
]
"""Triggers and a rule that keep rows which are to be replaced."""


def meddled(*cases: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("sql", "statements"), cases, indirect=["sql"])


def create_tables(sql: SqlDestination, sandbox: Sandbox) -> None:
    with sql.open(query_of(sandbox), "test"):
        pass


def content() -> dict[str, list[tuple[Any, ...]]]:
    """All that is stored and recorded."""
    columns = {
        "np6_events": "event_id, occurred_at, pulled_at",
        "np6_events_windows": "*",
        "np6_events_header": "*",
        "np6_events_quarantine": "*",
    }
    return {
        table: sorted(ask(f"SELECT {names} FROM {table}"), key=str) for table, names in columns.items()
    } | {"payloads": [(payload,) for payload in payloads()]}


def check_is_refused(client: Np6Client, sandbox: Sandbox, sql: SqlDestination, window: Window) -> None:
    """An error without retry, which says where to look; nothing is stored or recorded."""
    before = content()
    with pytest.raises(Np6DestinationError) as caught:
        land(client, sql, query_of(sandbox, window), on_shrink="replace")
    assert content() == before
    text = str(caught.value)
    assert not caught.value.retryable, text
    for word in ("trigger", "rule", "policy", "np6_events", "000PE4"):
        assert word in text
    assert "@" not in text


@meddled(*DROPPING, *MOVING)
def test_nothing_is_recorded_of_a_first_pull_that_loses_rows(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, statements: Statements
) -> None:
    create_tables(sql, sandbox)
    for statement in statements:
        ask(statement)
    check_is_refused(client, sandbox, sql, TODAY)
    assert {table: rows for table, rows in content().items() if rows} == {}
    assert not sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").is_complete


@meddled(*DROPPING, *MOVING)
def test_the_old_content_stays_if_the_new_loses_rows(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, statements: Statements
) -> None:
    whole_account, sandbox.account = sandbox.account, FEWER
    land(client, sql, query_of(sandbox))
    for statement in statements:
        ask(statement)
    sandbox.account = whole_account
    check_is_refused(client, sandbox, sql, TODAY)
    check_is_refused(client, sandbox, sql, Window(MIDNIGHT, MIDNIGHT + 12 * HOUR))
    check_is_refused(client, sandbox, sql, TOMORROW)
    assert sql.verify().problems == []
    ask("DROP TRIGGER meddles" + " ON np6_events" * (len(statements) > 1))
    land(client, sql, query_of(sandbox))
    assert payloads() == in_order(held(sandbox, query_of(sandbox)))


@meddled(*DROPPING, *MOVING)
def test_both_windows_stay_if_an_event_is_lost_that_moves_between_them(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, statements: Statements
) -> None:
    land(client, sql, query_of(sandbox))
    for statement in statements:
        ask(statement)
    events = map(json.loads, held(sandbox, query_of(sandbox)))
    event = next(event for event in events if event["id"] < "8")
    moved = json.dumps(event | {"timestamp": TOMORROW.start}).encode()
    sandbox.plan.add(Fault(body=b"[" + moved + b"]"))
    check_is_refused(client, sandbox, sql, TOMORROW)
    assert sql.verify().problems == []


@meddled(*KEEPING)
def test_the_old_content_stays_if_it_cannot_be_deleted(
    client: Np6Client,
    sandbox: Sandbox,
    sql: SqlDestination,
    statements: Statements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_np6.destinations.sql.database.TRIES", 1)
    land(client, sql, query_of(sandbox))
    for statement in statements:
        ask(statement)
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    check_is_refused(client, sandbox, sql, TODAY)
    sandbox.account = FEWER
    check_is_refused(client, sandbox, sql, TODAY)
    other = json.dumps({"id": "another", "timestamp": MIDNIGHT}).encode()
    sandbox.plan.add(Fault(body=b"[" + other + b"]"), times=2)
    check_is_refused(client, sandbox, sql, TODAY)
    assert sql.verify().problems == []


@pytest.mark.parametrize("sql", ["postgres"], indirect=True)
def test_a_rule_that_drops_rows_stores_all_or_nothing(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    """COPY passes rules over, so that all is stored; the statement that takes over an event does not."""
    create_tables(sql, sandbox)
    condition = "WHERE NEW.event_id < '8' DO INSTEAD NOTHING"
    ask(f"CREATE RULE meddles AS ON INSERT TO np6_events {condition}")
    land(client, sql, query_of(sandbox))
    assert payloads() == in_order(held(sandbox, query_of(sandbox)))
    events = map(json.loads, held(sandbox, query_of(sandbox)))
    event = next(event for event in events if event["id"] < "8")
    moved = json.dumps(event | {"timestamp": TOMORROW.start}).encode()
    sandbox.plan.add(Fault(body=b"[" + moved + b"]"))
    check_is_refused(client, sandbox, sql, TOMORROW)
    assert sql.verify().problems == []


HIDING = {"SELECT": "USING (event_id >= '8')", "INSERT": "WITH CHECK (true)", "DELETE": "USING (true)"}
REFUSING = {"SELECT": "USING (true)", "INSERT": "WITH CHECK (event_id >= '8')", "DELETE": "USING (true)"}
SPARING = {"SELECT": "USING (true)", "INSERT": "WITH CHECK (true)"}


@pytest.mark.parametrize(
    ("policies", "is_first"),
    [
        pytest.param(HIDING, True, id="hides-first"),
        pytest.param(HIDING, False, id="hides-second"),
        pytest.param(REFUSING, True, id="refuses-first"),
        pytest.param(REFUSING, False, id="refuses-second"),
        pytest.param(SPARING, False, id="spares-second"),
    ],
)
def test_a_policy_that_hides_refuses_or_spares_rows(
    client: Np6Client,
    sandbox: Sandbox,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    policies: dict[str, str],
    is_first: bool,
) -> None:
    """The owner of the tables, who reads them here, is above policies."""
    database = postgres.database()
    role = f"pulls_{database['schema']}"
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(database))
    monkeypatch.setenv("AIRFLOW_CONN_ROLE_SQL", json.dumps({**database, "login": role}))
    sql = SqlDestination("role_sql")
    ask(f"CREATE ROLE {role} LOGIN")
    create_tables(SqlDestination("test_sql"), sandbox)
    ask(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    whole_account, sandbox.account = sandbox.account, FEWER
    if not is_first:
        land(client, sql, query_of(sandbox))
    ask("ALTER TABLE np6_events ENABLE ROW LEVEL SECURITY")
    for command, condition in policies.items():
        ask(f"CREATE POLICY on_{command} ON np6_events FOR {command} TO {role} {condition}")
    sandbox.account = whole_account
    before = content()
    with pytest.raises((Np6DestinationError, Np6InputError), match="policy") as caught:
        land(client, sql, query_of(sandbox))
    assert not caught.value.retryable
    assert content() == before
    ask("ALTER TABLE np6_events DISABLE ROW LEVEL SECURITY")
    land(client, sql, query_of(sandbox))
    assert payloads() == in_order(held(sandbox, query_of(sandbox)))
    assert sql.verify().problems == []


@pytest.mark.parametrize("sql", ["postgres", "sqlite"], indirect=True)
def test_invalid_events_that_are_lost_are_noticed_too(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    land(client, sql, query_of(sandbox))
    before = content()
    statements = {
        "sqlite": [f"{trigger('BEFORE INSERT', QUARANTINE)} BEGIN SELECT RAISE(IGNORE); END"],
        "postgres": [
            function("RETURN NULL;"),
            f"{trigger('BEFORE INSERT', QUARANTINE)} EXECUTE FUNCTION meddle()",
        ],
    }
    for statement in statements[str(BaseHook.get_connection("test_sql").conn_type)]:
        ask(statement)
    sandbox.plan.add(Fault(change=faults.broken(40, b'{"id":"x"}')))
    with pytest.raises(Np6DestinationError, match=QUARANTINE) as caught:
        land(client, sql, query_of(sandbox), quarantine=True)
    assert not caught.value.retryable
    assert content() == before


# Ids and invalid events that come twice


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, airflow_db: None) -> None:
    """For pulls by the operator."""
    connect(monkeypatch, sandbox)


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("apart", [0, 4_000, 96 * 60_000], ids=["at-once", "seconds", "minutes"])
def test_of_a_hundred_events_with_one_id_twice_there_are_99(
    sandbox: Sandbox, sql: SqlDestination, apart: int
) -> None:
    sandbox.account = FakeAccount(events_per_day=99)
    events = in_order(held(sandbox, query_of(sandbox)))
    index = 40
    again = faults.repeated_later(index, apart) if apart else faults.doubled(index)
    sandbox.plan.add(Fault(path=whole(TODAY), change=again), times=99)
    outcomes = []
    for _ in range(2):
        report = pull(sql, "keep")
        outcomes.append(report["outcome"])
        assert (report["events"], report["duplicates"], report["invalid"]) == (99, 1, 0)
        assert payloads() == events
        assert ask("SELECT events, invalid FROM np6_events_windows") == [(99, 0)]
        assert sql.verify().problems == []
    assert outcomes == ["created", "unchanged"]


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("positions", [(40, 40), (40, 600)], ids=["together", "apart"])
def test_invalid_events_that_are_equal_are_set_aside_once(
    sandbox: Sandbox, sql: SqlDestination, positions: tuple[int, int]
) -> None:
    sandbox.account = FakeAccount(events_per_day=960)
    invalid = FakeEvent(0, "", b'{"id":"x"}')

    def change(events: list[FakeEvent]) -> list[FakeEvent]:
        first, second = positions
        return [*events[:first], invalid, *events[first:second], invalid, *events[second:]]

    sandbox.plan.add(Fault(path=whole(TODAY), change=change), times=99)
    outcomes = []
    for _ in range(2):
        report = pull(sql, "keep")
        outcomes.append(report["outcome"])
        assert (report["events"], report["duplicates"], report["invalid"]) == (960, 0, 1)
        assert ask("SELECT event FROM np6_events_quarantine") == [('{"id":"x"}',)]
        assert ask("SELECT events, invalid FROM np6_events_windows") == [(960, 1)]
        assert sql.verify().problems == []
    assert outcomes == ["created", "unchanged"]


def test_invalid_events_that_are_equal_in_two_responses_are_one_row(
    sandbox: Sandbox, sql: SqlDestination
) -> None:
    """A window that comes in parts may bring the same twice, at one time or at two."""
    nears = [MIDNIGHT + 7, MIDNIGHT + 7, MIDNIGHT + HOUR, MIDNIGHT - 1_000, MIDNIGHT]
    invalid = [Invalid(b"{}", "has no id", 0, near, "0" * 64) for near in nears]
    with sql.open(query_of(sandbox), "test") as writer:
        writer.restart(MIDNIGHT + 9 * DAY)
        for element in invalid:
            writer.set_aside(element)
        writer.publish(VerifiedPull(MIDNIGHT + 9 * DAY, {}, {}, len(invalid), 0, 1, "all"))
    assert ask("SELECT event FROM np6_events_quarantine") == [("{}",)] * 3
    assert ask("SELECT events, invalid FROM np6_events_windows") == [(0, 3)]
    assert sql.verify().problems == []
