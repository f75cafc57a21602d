"""Databases without transactions or keys are refused before any request; those that have them work, known or
not."""

from __future__ import annotations

import itertools
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6Error, Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from tests.support.databases import ask
from tests.support.mariadb import Mariadb
from tests.support.people import KEY
from tests.support.postgres import Postgres
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, in_order, land, query_of

pytestmark = [
    pytest.mark.core,
    # A database without a dialect of its own gets times as its driver takes them.
    pytest.mark.filterwarnings("ignore:The default datetime adapter is deprecated:DeprecationWarning"),
]

TABLES = ["np6_events", *(f"np6_events_{suffix}" for suffix in ("windows", "header", "quarantine", "erased"))]
ON_TABLES = pytest.mark.parametrize("table", TABLES)
_numbers = itertools.count()

Content = dict[str, list[tuple[Any, ...]]]


# Connections: what is found out about one is remembered, so each test has its own.


@pytest.fixture
def new_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Makes connections to the database of ``test_sql``."""

    def new() -> str:
        conn_id = f"plain_{next(_numbers)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", os.environ["AIRFLOW_CONN_TEST_SQL"])
        return conn_id

    return new


@pytest.fixture
def plain_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty SQLite file at ``test_sql``, whose hook does not say that it is SQLite."""
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    path = tmp_path / "plain.db"
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    monkeypatch.setattr(SqliteHook, "dialect_name", "another", raising=False)
    return path


@pytest.fixture
def plain_postgres(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty PostgreSQL database at ``test_sql``, whose hook does not say that it is PostgreSQL."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(postgres.database()))
    monkeypatch.setattr(PostgresHook, "dialect_name", "another", raising=False)


@pytest.fixture(params=["sqlite", "postgres"])
def plain(request: pytest.FixtureRequest) -> str:
    """An empty database whose hook has a dialect that nobody knows; the type of its connection."""
    request.getfixturevalue(f"plain_{request.param}")
    return str(request.param)


def commit_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``commit`` and ``rollback`` do nothing from now on: each statement is a transaction."""
    if kind == "sqlite":
        from airflow.providers.sqlite.hooks.sqlite import SqliteHook as Hook
    else:
        from airflow.providers.postgres.hooks.postgres import PostgresHook as Hook
    get_conn = Hook.get_conn

    def get_conn_in_autocommit(hook: Any) -> Any:
        connection = get_conn(hook)
        setattr(connection, *(("isolation_level", None) if kind == "sqlite" else ("autocommit", True)))
        return connection

    monkeypatch.setattr(Hook, "get_conn", get_conn_in_autocommit)
    monkeypatch.setattr(Hook, "set_autocommit", lambda *_: None)


def connect_with(get_conn: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite's hook connect in another way."""
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    monkeypatch.setattr(SqliteHook, "get_conn", lambda _: get_conn())


def content(kind: str) -> Content:
    """All tables, and their rows."""
    listing = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    }
    return {name: sorted(map(_text, ask(f'SELECT * FROM "{name}"'))) for (name,) in ask(listing[kind])}


def _text(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(str, row))


def check_is_refused(client: Np6Client, sandbox: Sandbox, sql: SqlDestination, says: str) -> None:
    """Twice, before any request, with the advice to write files."""
    received = len(sandbox.received)
    for _ in range(2):
        with pytest.raises(Np6InputError, match=says) as caught:
            land(client, sql, query_of(sandbox))
        assert sql.conn_id in str(caught.value)
        assert re.search(r"\bfiles\b", caught.value.hint), caught.value.hint
        assert not caught.value.retryable
    assert len(sandbox.received) == received


# Databases whose hook has no dialect of ours


def test_without_transactions_nothing_is_pulled_and_nothing_left(
    client: Np6Client,
    sandbox: Sandbox,
    plain: str,
    new_connection: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit_at_once(plain, monkeypatch)
    check_is_refused(client, sandbox, SqlDestination(new_connection()), "transaction")
    assert content(plain) == {}


def test_without_transactions_tables_stay_as_they_are(
    client: Np6Client,
    sandbox: Sandbox,
    plain: str,
    new_connection: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land(client, SqlDestination(new_connection()), query_of(sandbox))
    before = content(plain)
    assert sorted(before) == sorted(TABLES)
    commit_at_once(plain, monkeypatch)
    sql = SqlDestination(new_connection())
    check_is_refused(client, sandbox, sql, "transaction")
    assert content(plain) == before
    # What is stored may be read all the same.
    assert sql.verify().is_ok
    assert sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").is_complete


class KeylessCursor(sqlite3.Cursor):
    """Takes keys, and does not enforce them."""

    def execute(self, statement: str, *values: Any) -> KeylessCursor:
        super().execute(re.sub(r",\s*PRIMARY KEY \([^)]*\)", "", statement), *values)
        return self


class KeylessConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return KeylessCursor(self)


@pytest.mark.parametrize("are_made_before", [False, True])
def test_without_keys_nothing_is_pulled_and_nothing_left(
    client: Np6Client,
    sandbox: Sandbox,
    plain_sqlite: Path,
    new_connection: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    are_made_before: bool,
) -> None:
    """Keys that are not enforced, and tables that are made without keys."""
    before: Content = {}
    if are_made_before:
        land(client, SqlDestination(new_connection()), query_of(sandbox))
        for table in TABLES:
            ask(f"CREATE TABLE copy AS SELECT * FROM {table}")
            ask(f"DROP TABLE {table}")
            ask(f"ALTER TABLE copy RENAME TO {table}")
        before = content("sqlite")
    else:
        connect_with(lambda: sqlite3.connect(plain_sqlite, factory=KeylessConnection), monkeypatch)
    check_is_refused(client, sandbox, SqlDestination(new_connection()), "key")
    assert content("sqlite") == before


def test_a_connection_is_probed_once(
    client: Np6Client,
    sandbox: Sandbox,
    plain_sqlite: Path,
    new_connection: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statements: list[str] = []

    def get_traced() -> sqlite3.Connection:
        connection = sqlite3.connect(plain_sqlite)
        connection.set_trace_callback(statements.append)
        return connection

    connect_with(get_traced, monkeypatch)
    query = query_of(sandbox)
    land(client, SqlDestination(new_connection()), query)
    before = content("sqlite")

    def insertions(sql: SqlDestination) -> int:
        """Rows that are inserted before any request."""
        statements.clear()
        with sql.open(query, "test"):
            return sum(statement.lstrip().upper().startswith("INSERT") for statement in statements)

    one, other = (SqlDestination(new_connection()) for _ in range(2))
    assert [insertions(sql) > 0 for sql in (one, one, other, one, other)] == [True, False, True, False, False]
    assert content("sqlite") == before
    statements.clear()
    land(client, one, query)
    assert [statement for statement in statements if statement.lstrip().upper().startswith("INSERT")] == []


def test_with_transactions_an_unknown_database_is_exact(
    client: Np6Client, sandbox: Sandbox, plain: str, new_connection: Callable[[], str]
) -> None:
    sql, query = SqlDestination(new_connection()), query_of(sandbox)
    tomorrow = Window(TODAY.end, TODAY.end + DAY)
    assert land(client, sql, query)["outcome"] == "created"
    assert sorted(content(plain)) == sorted(TABLES)
    assert stored() == in_order(held(sandbox, query))
    assert land(client, sql, query)["outcome"] == "unchanged"
    sandbox.account = FakeAccount(events_per_day=240)
    assert land(client, sql, query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + HOUR)))["outcome"] == "changed"
    assert land(client, sql, query)["outcome"] == "changed"
    events = in_order(held(sandbox, query))
    assert stored() == events
    moved = json.dumps(json.loads(events[5]) | {"timestamp": tomorrow.start}).encode()
    sandbox.plan.add(Fault(body=b"[" + moved + b"]"))
    land(client, sql, query_of(sandbox, tomorrow))
    assert stored() == [*events[:5], *events[6:], moved]
    assert sql.verify().problems == []
    person = json.loads(events[0])["source"]["detail"]["activation"]["recipient"]
    assert sql.erase([person], Pseudonyms(KEY), "test")["events"] >= 1
    assert events[0] not in stored()
    assert sql.verify().problems == []


def test_with_transactions_a_failed_load_leaves_the_tables_as_they_were(
    client: Np6Client,
    sandbox: Sandbox,
    plain: str,
    new_connection: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow_provider_np6.destinations.sql.database.TRIES", 1)
    sql, query = SqlDestination(new_connection()), query_of(sandbox)
    sandbox.account = FakeAccount(events_per_day=96, withheld=0.95)
    land(client, sql, query)
    ask("DELETE FROM np6_events")  # or no index could be made
    ask("CREATE UNIQUE INDEX only_one ON np6_events (bounce_verdict)")
    before = content(plain)
    sandbox.account = FakeAccount(events_per_day=96)
    with pytest.raises(Np6DestinationError) as caught:
        land(client, sql, query)
    assert "@" not in str(caught.value)
    assert content(plain) == before


def stored() -> list[bytes]:
    """The stored raw events, in order."""
    rows = ask("SELECT payload FROM np6_events ORDER BY occurred_at, event_id")
    return [row[0].encode() for row in rows]


# Table engines


@pytest.fixture
def maria(mariadb: Mariadb, monkeypatch: pytest.MonkeyPatch) -> SqlDestination:
    """A destination in an empty MariaDB database."""
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(mariadb.database()))
    return SqlDestination("test_sql")


def engines() -> dict[str, str]:
    return dict(
        ask("SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()")
    )


def change_engine(table: str, engine: str) -> None:
    """As if the table had been made by hand: with a key that the engine can have."""
    columns = ask(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = ? AND column_key = 'PRI'"
        " AND column_type LIKE 'varchar%%'",
        table,
    )
    text = "VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
    changes = [*(f"MODIFY {column} {text}" for (column,) in columns), f"ENGINE={engine}"]
    ask(f"ALTER TABLE {table} {', '.join(changes)}")


def statements_of(error: Np6Error) -> list[str]:
    """The statements that an error prints."""
    _, separator, statements = error.hint.partition("Run in the database:\n")
    assert separator, str(error)
    return [statement.strip() for statement in statements.split(";") if statement.strip()]


@ON_TABLES
@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
def test_a_table_without_transactions_is_refused_with_the_statement(
    client: Np6Client, sandbox: Sandbox, maria: SqlDestination, table: str, engine: str
) -> None:
    with maria.open(query_of(sandbox), "test"):
        pass
    assert engines() == dict.fromkeys(TABLES, "InnoDB")
    change_engine(table, engine)
    with pytest.raises(Np6InputError, match=rf"\b{table}\b.*{engine}") as caught:
        land(client, maria, query_of(sandbox))
    assert "test_sql" in str(caught.value)
    assert not caught.value.retryable
    assert sandbox.received == []
    assert [ask(f"SELECT COUNT(*) FROM {name}") for name in TABLES] == [[(0,)]] * 5
    for statement in statements_of(caught.value):
        ask(statement)
    land(client, maria, query_of(sandbox))
    assert engines() == dict.fromkeys(TABLES, "InnoDB")
    assert stored() == in_order(held(sandbox, query_of(sandbox)))


def test_tables_that_lost_their_transactions_are_refused_later_too(
    client: Np6Client, sandbox: Sandbox, maria: SqlDestination
) -> None:
    land(client, maria, query_of(sandbox))
    before = stored()
    change_engine("np6_events", "MyISAM")
    received = len(sandbox.received)
    with pytest.raises(Np6InputError, match="MyISAM"):
        land(client, maria, query_of(sandbox))
    assert len(sandbox.received) == received
    assert stored() == before


def test_the_servers_default_engine_does_not_matter(
    client: Np6Client, sandbox: Sandbox, maria: SqlDestination
) -> None:
    ask("SET GLOBAL default_storage_engine = MyISAM")
    try:
        land(client, maria, query_of(sandbox))
    finally:
        ask("SET GLOBAL default_storage_engine = InnoDB")
    assert engines() == dict.fromkeys(TABLES, "InnoDB")
    assert stored() == in_order(held(sandbox, query_of(sandbox)))
