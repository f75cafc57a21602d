"""Poolers, and what a role, database, server or connection may preset: what is stored stays exact."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from operator import attrgetter
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.sql import access
from airflow_provider_np6.erasure import erase
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import Np6Error
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.databases import ask
from tests.support.mariadb import Mariadb
from tests.support.operator_pulls import connect, pull
from tests.support.pgbouncer import Pgbouncer
from tests.support.postgres import Postgres
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db"), pytest.mark.timeout(120)]

TOMORROW = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
PLAIN = "plain_sql"
"""A connection to the same database without any preset, which the tests read by."""

PERSON = "o'neill.1@example.com"
PERSONS = (PERSON, "björn.2@exämple.example", r"back\slash.3@example.com", "дмитрий.4@почта.example")
TEXTS = (
    r"C:\new\table\x41\N\.",
    'it\'s "quoted" `twice`',
    r"\'; --",
    "50 %s, 5 %% and %(x)s",
    "$1, ? and :x",
    "03/04/2024 05:06",
    "ends in spaces   ",
    "ñ ÿ ß",
    "📫 я 小林",
)
"""What a session's settings may change on its way."""


@pytest.fixture(autouse=True)
def _new_process() -> None:
    """Each task is a process of its own, which checks what a process checks once."""
    access._checked.clear()


def is_latin1(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


INVALID = json.dumps({"id": "x", "to": PERSON, "é": list(filter(is_latin1, TEXTS))}, ensure_ascii=False)


class OddAccount(FakeAccount):
    """An event per hour, with texts and persons of the tests.

    :param withheld: share of the events that are not published yet.
    :param latin1: whether to leave out what LATIN1 lacks.
    """

    def __init__(self, *, withheld: float = 0.0, latin1: bool = False) -> None:
        super().__init__(events_per_day=24, withheld=withheld)
        self._texts = [text for text in TEXTS if is_latin1(text) or not latin1]
        self._persons = [person for person in PERSONS if is_latin1(person) or not latin1]
        self.more: list[FakeEvent] = []

    def hour(
        self,
        event_type: str,
        action_id: str | None,
        hour: int,
        *,
        classification: frozenset[str] = frozenset(),
    ) -> list[FakeEvent]:
        events = super().hour(event_type, action_id, hour, classification=classification)
        events += [event for event in self.more if event.timestamp // HOUR == hour]
        return sorted(events, key=attrgetter("timestamp"))

    def _generate(self, event_type: str, action_id: str, hour: int) -> Iterator[FakeEvent]:
        for at, event in enumerate(super()._generate(event_type, action_id, hour), start=hour):
            fields = json.loads(event.json)
            detail = fields["source"]["detail"]
            fields["identity"]["agency"] = self._texts[at % len(self._texts)]
            detail["activation"]["recipient"] = self._persons[at % len(self._persons)]
            detail["bounce"]["status"]["diagnostic"] = "user unknown"
            yield replace(event, json=to_json(fields))


def to_json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


Row = tuple[int, str, str, str]
"""Time in ms, agency, recipient and payload."""


def to_rows(lines: list[bytes]) -> list[Row]:
    """What raw events are as rows, in order."""
    rows = []
    for line in lines:
        event = json.loads(line)
        recipient = event["source"]["detail"]["activation"]["recipient"]
        rows.append((event["timestamp"], event["identity"]["agency"], recipient, line.decode()))
    return sorted(rows)


def stored(table: str = "np6_events") -> list[Row]:
    """All rows, in order."""
    from airflow.providers.common.compat.sdk import BaseHook

    ms, text = "CAST(EXTRACT(EPOCH FROM occurred_at) * 1000 AS BIGINT)", "CAST(payload AS TEXT)"
    if BaseHook.get_hook(PLAIN).conn_type == "mysql":
        ms, text = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', occurred_at) DIV 1000", "payload"
    # The limit says that MySQL's sql_select_limit is not to count here.
    columns = f"{ms}, agency, recipient, {text}"
    rows = ask(f"SELECT {columns} FROM {table} ORDER BY occurred_at LIMIT 9999", conn_id=PLAIN)
    return sorted((int(time), agency, recipient, payload) for time, agency, recipient, payload in rows)


def check_pulls(
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    sql: SqlDestination,
    *,
    table: str = "np6_events",
    latin1: bool = False,
) -> None:
    """A first pull, an unchanged and a changed one, one that takes an event over; ``verify``, and an erasure.

    :param table: where the events must be.
    :param latin1: whether the database stores LATIN1 alone.
    """
    connect(monkeypatch, sandbox)
    day, next_day = query_of(sandbox, TODAY), query_of(sandbox, TOMORROW)
    sandbox.account = OddAccount(withheld=0.4, latin1=latin1)
    first = to_rows(held(sandbox, day))
    report = pull(sql, "keep")
    assert (report["outcome"], report["events"]) == ("created", len(first))
    assert stored(table) == first
    assert pull(sql, "keep")["outcome"] == "unchanged"
    assert stored(table) == first

    sandbox.account = account = OddAccount(latin1=latin1)
    whole = to_rows(held(sandbox, day))
    assert len(whole) > len(first) > 0
    report = pull(sql, "keep")
    assert (report["outcome"], report["events"], report["previous_events"]) == (
        "changed",
        len(whole),
        len(first),
    )
    assert stored(table) == whole

    # One event is at another day now, and an invalid one is beside it.
    left = json.loads(whole[3][-1])
    moved = to_json({**left, "timestamp": TOMORROW.start + HOUR + 7})
    account.more = [FakeEvent(TOMORROW.start + HOUR + 7, left["id"], moved)]
    sandbox.plan.add(Fault(change=faults.broken(3, INVALID.encode())))
    pull(sql, "keep", window_start="2024-10-05", window_end="2024-10-06")
    rows = sorted(whole[:3] + whole[4:] + to_rows(held(sandbox, next_day)))
    assert stored(table) == rows
    check_reads(sql, len(rows))
    assert ask(f"SELECT event FROM {table}_quarantine", conn_id=PLAIN) == [(INVALID,)]

    kept = [row for row in rows if row[2] != PERSON]
    assert erase(sql, PERSON)["events"] == len(rows) - len(kept) > 0
    assert stored(table) == kept
    assert ask(f"SELECT event FROM {table}_quarantine", conn_id=PLAIN) == [(None,)]
    check_reads(sql, len(kept))


def check_reads(sql: SqlDestination, events: int) -> None:
    """All that reads the tables reads two whole days with ``events``."""
    verification = sql.verify()
    assert verification.problems == []
    assert (verification.windows, verification.events) == (2, events)
    coverage = sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-06")
    assert (coverage.is_complete, coverage.events, len(coverage.invalid)) == (True, events, 1)
    assert sql.action_ids("bounces") == ["000PE4"]


def set_connection(monkeypatch: pytest.MonkeyPatch, name: str, fields: Mapping[str, object]) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


# PostgreSQL


def _drivers() -> list[str]:
    """The drivers that PostgresHook can use here; it takes psycopg 3 where its SQLAlchemy can."""
    try:
        from airflow.providers.postgres.hooks import postgres
    except ImportError:
        return []
    names = ["psycopg"] if getattr(postgres, "USE_PSYCOPG3", False) else []
    return [*names, *(["psycopg2"] if find_spec("psycopg2") else [])]


DRIVERS = _drivers()


def use_driver(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let PostgresHook connect with one of ``DRIVERS``."""
    from airflow.providers.postgres.hooks import postgres

    monkeypatch.setattr(postgres, "USE_PSYCOPG3", name == "psycopg", raising=False)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    use_driver(monkeypatch, request.param)
    return str(request.param)


def run(server: Postgres, *statements: str, database: str = "postgres") -> None:
    """Run statements as the administrator, each in a transaction of its own."""
    import psycopg2

    address = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "dbname": database}
    with closing(psycopg2.connect(**address)) as connection, closing(connection.cursor()) as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def postgres_connection(
    monkeypatch: pytest.MonkeyPatch, server: Postgres, *, encoding: str = "", **extra: object
) -> tuple[str, str]:
    """A new database and the role that owns it, which ``test_sql`` uses; both names.

    :param encoding: the database's; UTF8 by default.
    :param extra: of the connection.
    """
    fields = server.database()
    database = str(fields["schema"])
    if encoding:
        database += f"_{encoding.lower()}"
        run(server, f"CREATE DATABASE {database} TEMPLATE template0 ENCODING '{encoding}'")
    role = f"role_{database}"
    run(server, f"CREATE ROLE {role} LOGIN", f"ALTER DATABASE {database} OWNER TO {role}")
    fields = {**fields, "schema": database}
    set_connection(monkeypatch, "test_sql", {**fields, "login": role, "extra": extra})
    set_connection(monkeypatch, PLAIN, {**fields, "extra": {"client_encoding": "UTF8"}})
    return database, role


def to_options(settings: Mapping[str, str]) -> str:
    """Settings as a connection's ``options``."""
    escaped = {name: value.replace(" ", "\\ ") for name, value in settings.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


EVERYTHING = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "sql_standard",
    "client_encoding": "LATIN1",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "timezone": "'America/St_Johns'",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "default_table_access_method": "heap",
}

POSTGRES_PRESETS: dict[str, tuple[str, dict[str, str]]] = {
    "SQL, DMY": ("ROLE", {"datestyle": "'SQL, DMY'"}),
    "German": ("options", {"datestyle": "German"}),
    "LATIN1": ("ROLE", {"client_encoding": "LATIN1"}),
    "LATIN1 by the connection": ("connection", {"client_encoding": "LATIN1"}),
    "SQL_ASCII": ("DATABASE", {"client_encoding": "SQL_ASCII"}),
    "quotes": ("DATABASE", {"quote_all_identifiers": "on"}),
    "serializable": ("ROLE", {"default_transaction_isolation": "serializable"}),
    "repeatable read": ("options", {"default_transaction_isolation": "repeatable read"}),
    "St. John's": ("DATABASE", {"timezone": "'America/St_Johns'"}),
    "backslashes": ("ROLE", {"standard_conforming_strings": "off"}),
    "deferrable": (
        "DATABASE",
        {"default_transaction_deferrable": "on", "default_transaction_isolation": "serializable"},
    ),
    "everything": ("ROLE", EVERYTHING),
}
"""Where each group of settings is set."""


BY_SERVER = ("quotes", "serializable", "repeatable read", "deferrable")
"""Presets that are the same to every driver."""


@pytest.mark.parametrize(
    ("driver", "preset"),
    [
        (name, preset)
        for name in DRIVERS
        for preset in POSTGRES_PRESETS
        if name == DRIVERS[0] or preset not in BY_SERVER
    ],
    indirect=["driver"],
)
def test_presets_of_postgresql(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, postgres: Postgres, driver: str, preset: str
) -> None:
    where, settings = POSTGRES_PRESETS[preset]
    extra = {
        "connection": settings,
        "options": {"options": to_options(settings)},
    }.get(where, {})
    database, role = postgres_connection(monkeypatch, postgres, **extra)
    if where in ("ROLE", "DATABASE"):
        name = role if where == "ROLE" else database
        run(postgres, *(f"ALTER {where} {name} SET {key} = {value}" for key, value in settings.items()))
    check_pulls(monkeypatch, sandbox, SqlDestination("test_sql"))


@pytest.mark.parametrize(
    ("search_path", "schema", "table"),
    [
        ('"crm-eu", public', None, '"crm-eu".np6_events'),
        ("missing, public", None, "public.np6_events"),
        ('"$user", lake', None, "lake.np6_events"),
        ("''", "lake", "lake.np6_events"),
        ("''", "crm-eu", '"crm-eu".np6_events'),
        ("lake, pg_catalog", None, "lake.np6_events"),
    ],
)
def test_search_paths(
    *,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    postgres: Postgres,
    search_path: str,
    schema: str | None,
    table: str,
) -> None:
    database, role = postgres_connection(monkeypatch, postgres)
    run(postgres, f"ALTER ROLE {role} SET search_path = {search_path}")
    schemas = (f'CREATE SCHEMA "{name}" AUTHORIZATION {role}' for name in ("crm-eu", "lake"))
    run(postgres, *schemas, database=database)
    check_pulls(monkeypatch, sandbox, SqlDestination("test_sql", schema=schema), table=table)


def test_a_search_path_without_a_schema_is_refused(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, postgres: Postgres
) -> None:
    _, role = postgres_connection(monkeypatch, postgres)
    run(postgres, f"ALTER ROLE {role} SET search_path = ''")
    check_refused(client, sandbox, SqlDestination("test_sql"), "schema")


@pytest.mark.timeout(20)
def test_a_search_path_of_temporary_tables_is_refused(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, postgres: Postgres
) -> None:
    """Tables that are created there end with the connection."""
    _, role = postgres_connection(monkeypatch, postgres)
    run(postgres, f"ALTER ROLE {role} SET search_path = pg_temp, public")
    check_refused(client, sandbox, SqlDestination("test_sql"), "schema")


def check_refused(client: Np6Client, sandbox: Sandbox, sql: SqlDestination, *says: str) -> None:
    """A first pull of a window is refused without a request and without retry, by an error that names the
    connection."""
    access._checked.clear()
    with pytest.raises(Np6Error) as caught:
        land(client, sql, query_of(sandbox, TOMORROW))
    assert not caught.value.retryable
    assert sandbox.received == []
    for part in ("test_sql", *says):
        assert part in str(caught.value)


def test_a_database_without_an_encoding(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, postgres: Postgres, driver: str
) -> None:
    postgres_connection(monkeypatch, postgres, encoding="SQL_ASCII")
    check_pulls(monkeypatch, sandbox, SqlDestination("test_sql"))


def test_a_database_in_latin1(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, postgres: Postgres, driver: str
) -> None:
    postgres_connection(monkeypatch, postgres, encoding="LATIN1")
    sql = SqlDestination("test_sql")
    check_pulls(monkeypatch, sandbox, sql, latin1=True)
    before = stored()

    # What it cannot store is refused as a whole; everything else is still taken.
    sandbox.account = OddAccount()
    with pytest.raises(Np6Error, match="LATIN1") as caught:
        land(client, sql, query_of(sandbox), account="np6_default")
    assert not caught.value.retryable
    assert "test_sql" in str(caught.value)
    assert stored() == before
    sandbox.account = OddAccount(latin1=True)
    after = query_of(sandbox, Window(TOMORROW.end, TOMORROW.end + DAY))
    land(client, sql, after, account="np6_default")
    assert len(stored()) > len(before)
    assert sql.verify().is_ok


CURSORS = [
    ("psycopg", "dictcursor"),
    ("psycopg", "namedtuplecursor"),
    ("psycopg2", "dictcursor"),
    ("psycopg2", "realdictcursor"),
    ("psycopg2", "namedtuplecursor"),
]


@pytest.mark.parametrize(("name", "cursor"), [pair for pair in CURSORS if pair[0] in DRIVERS])
def test_cursor_classes_of_postgresql(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, postgres: Postgres, name: str, cursor: str
) -> None:
    use_driver(monkeypatch, name)
    postgres_connection(monkeypatch, postgres, cursor=cursor)
    check_pulls(monkeypatch, sandbox, SqlDestination("test_sql"))


def test_a_cursor_class_of_the_other_driver_is_refused(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, postgres: Postgres, driver: str
) -> None:
    cursor = "realdictcursor" if driver == "psycopg" else "dict_row"
    postgres_connection(monkeypatch, postgres, cursor=cursor)
    check_refused(client, sandbox, SqlDestination("test_sql"))


def test_a_read_only_session_of_postgresql(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, postgres: Postgres
) -> None:
    _, role = postgres_connection(monkeypatch, postgres)
    sql = SqlDestination("test_sql")
    run(postgres, f"ALTER ROLE {role} SET default_transaction_read_only = on")
    check_refused(client, sandbox, sql, "read-only")  # without tables
    run(postgres, f"ALTER ROLE {role} RESET default_transaction_read_only")
    before = pull_once(client, sandbox, sql)
    run(postgres, f"ALTER ROLE {role} SET default_transaction_read_only = on")
    check_refused(client, sandbox, sql, "read-only")
    check_reader(sql, before)


def test_a_role_that_may_not_insert(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, postgres: Postgres
) -> None:
    database, role = postgres_connection(monkeypatch, postgres)
    sql = SqlDestination("test_sql")
    before = pull_once(client, sandbox, sql)
    tables = "ALL TABLES IN SCHEMA public"
    run(
        postgres,
        f"REASSIGN OWNED BY {role} TO postgres",
        f"GRANT SELECT, UPDATE, DELETE ON {tables} TO {role}",
        database=database,
    )
    check_refused(client, sandbox, sql, "INSERT", "GRANT", role)
    run(postgres, f"REVOKE UPDATE, DELETE ON {tables} FROM {role}", database=database)
    check_reader(sql, before)


def pull_once(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> list[Row]:
    """What is stored after one pull."""
    sandbox.account = OddAccount()
    land(client, sql, query_of(sandbox))
    sandbox.received.clear()
    return stored()


def check_reader(sql: SqlDestination, before: list[Row]) -> None:
    """Nothing has changed, and who may only read can do so."""
    assert stored() == before
    assert sql.verify().events == len(before)
    assert sql.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").is_complete
    assert sql.action_ids("bounces") == ["000PE4"]


# PgBouncer


@pytest.fixture(scope="module")
def pgbouncer(postgres: Postgres) -> Iterator[Pgbouncer]:
    with Pgbouncer(postgres, size=2) as pooler:
        yield pooler


@pytest.fixture
def pooled(
    monkeypatch: pytest.MonkeyPatch, pgbouncer: Pgbouncer, postgres: Postgres, driver: str
) -> SqlDestination:
    """A destination behind the pooler; ``plain_sql`` goes to the server."""
    fields = pgbouncer.database()
    set_connection(monkeypatch, "test_sql", fields)
    set_connection(
        monkeypatch, PLAIN, {**fields, "port": postgres.port, "extra": {"client_encoding": "UTF8"}}
    )
    return SqlDestination("test_sql")


KEPT_BY_CLIENT = [
    "application_name",
    "client_encoding",
    "datestyle",
    "standard_conforming_strings",
    "timezone",
]
"""What the pooler sets for each of its clients; psycopg2 changes some when it connects."""


def check_pool(pgbouncer: Pgbouncer) -> None:
    """No setting, lock, temporary table or prepared statement stays in the pool's own connections."""
    import psycopg2

    database = json.loads(os.environ["AIRFLOW_CONN_TEST_SQL"])["schema"]
    address = {"host": "127.0.0.1", "port": pgbouncer.port, "user": "postgres", "dbname": database}
    backends = set()
    with ExitStack() as stack:
        for _ in range(2):  # both, for each is in a transaction
            connection = stack.enter_context(closing(psycopg2.connect(**address)))
            cursor = stack.enter_context(closing(connection.cursor()))
            cursor.execute("SELECT pg_backend_pid()")
            backends.add(cursor.fetchone()[0])
            cursor.execute(
                "SELECT name, setting FROM pg_settings WHERE source = 'session'"
                " AND name NOT LIKE 'transaction%%' AND lower(name) <> ALL(%s)",
                (KEPT_BY_CLIENT,),
            )
            assert cursor.fetchall() == []
            cursor.execute("SELECT name FROM pg_prepared_statements")
            assert cursor.fetchall() == []
    assert len(backends) == 2
    assert ask("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'", conn_id=PLAIN) == [(0,)]
    assert ask("SELECT COUNT(*) FROM pg_class WHERE relpersistence = 't'", conn_id=PLAIN) == [(0,)]


def test_pulls_in_a_row_through_a_pooler(
    monkeypatch: pytest.MonkeyPatch,
    client: Np6Client,
    sandbox: Sandbox,
    pooled: SqlDestination,
    pgbouncer: Pgbouncer,
) -> None:
    check_pulls(monkeypatch, sandbox, pooled)
    days = [Window(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in (10, 11)]
    for n in range(20):
        sandbox.account = OddAccount(withheld=n // 2 % 2 * 0.4)
        query = query_of(sandbox, days[n % 2])
        land(client, pooled, query, account="np6_default", on_shrink="replace")
        inside = [row for row in stored() if query.window.start <= row[0] < query.window.end]
        assert inside == to_rows(held(sandbox, query))
    check_pool(pgbouncer)


@pytest.mark.parametrize("driver", ["psycopg"] if "psycopg" in DRIVERS else [], indirect=True)
def test_a_connection_that_prepares_and_commits_each_statement(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, pooled: SqlDestination, pgbouncer: Pgbouncer
) -> None:
    fields = json.loads(os.environ["AIRFLOW_CONN_TEST_SQL"])
    extra = {"autocommit": True, "prepare_threshold": 0}
    set_connection(monkeypatch, "test_sql", {**fields, "extra": extra})
    check_pulls(monkeypatch, sandbox, pooled)
    check_pool(pgbouncer)


def test_presets_behind_a_pooler(
    *,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    pooled: SqlDestination,
    pgbouncer: Pgbouncer,
    postgres: Postgres,
) -> None:
    database = json.loads(os.environ["AIRFLOW_CONN_TEST_SQL"])["schema"]
    run(postgres, *(f"ALTER DATABASE {database} SET {key} = {value}" for key, value in EVERYTHING.items()))
    check_pulls(monkeypatch, sandbox, pooled)
    check_pool(pgbouncer)


def test_pulls_at_once_through_a_pooler(
    *,
    monkeypatch: pytest.MonkeyPatch,
    settings: Np6Config,
    sandbox: Sandbox,
    pooled: SqlDestination,
    pgbouncer: Pgbouncer,
) -> None:
    hours = [
        [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20), (20, 24)],  # the tables are not there yet
        [(0, 24)] * 6,
        [(0, 24), (0, 24), (0, 12), (6, 18), (12, 24), (3, 4)],
    ]
    for n, windows in enumerate(hours):
        sandbox.account = OddAccount(withheld=(n + 1) % 2 * 0.4)
        queries = [
            query_of(sandbox, Window(MIDNIGHT + start * HOUR, MIDNIGHT + end * HOUR))
            for start, end in windows
        ]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(puller(settings, pooled), queries))
        assert stored() == to_rows(held(sandbox, query_of(sandbox)))
        assert pooled.verify().problems == []
    connect(monkeypatch, sandbox)
    kept = [row for row in stored() if row[2] != PERSON]
    assert erase(pooled, PERSON)["events"] > 0
    assert stored() == kept
    assert pooled.verify().is_ok
    check_pool(pgbouncer)


def puller(settings: Np6Config, sql: SqlDestination) -> Callable[[EventQuery], Any]:
    """Pulls with a client of its own each time."""

    def pull_window(query: EventQuery) -> None:
        with closing(Np6Client(settings)) as client:
            land(client, sql, query, account="np6_default", on_shrink="replace")

    return pull_window


# MySQL and MariaDB

CLIENTS = [
    name
    for name, module in (("mysqlclient", "MySQLdb"), ("mysql-connector-python", "mysql"))
    if find_spec(module)
]
"""The drivers that MySqlHook can use here, by the connection's extra ``client``."""


def mysql_run(server: Mariadb, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements as the administrator; the rows of the last one."""
    import MySQLdb

    address = {"host": "127.0.0.1", "port": server.port, "user": "root"}
    with closing(MySQLdb.connect(**address)) as connection, closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def mysql_connection(
    monkeypatch: pytest.MonkeyPatch, server: Mariadb, rights: str = "ALL", **extra: object
) -> tuple[str, str]:
    """A new database, and a user of it, whom ``test_sql`` uses; both names.

    :param rights: the user's.
    :param extra: of the connection.
    """
    fields = server.database()
    database = str(fields["schema"])
    user = f"user_{database}"
    for host in ("localhost", "127.0.0.1"):
        mysql_run(
            server,
            f"CREATE USER '{user}'@'{host}'",
            f"GRANT {rights} ON {database}.* TO '{user}'@'{host}'",
        )
    set_connection(monkeypatch, "test_sql", {**fields, "login": user, "extra": extra})
    set_connection(monkeypatch, PLAIN, {**fields, "extra": {"charset": "utf8mb4"}})
    return database, user


@contextmanager
def preset(server: Mariadb, settings: Mapping[str, str]) -> Iterator[None]:
    """Global settings, for all new sessions."""
    with ExitStack() as stack:
        for name, value in settings.items():
            ((before,),) = mysql_run(server, f"SELECT @@GLOBAL.{name}")
            literal = f"'{before}'" if isinstance(before, str) else str(before)
            stack.callback(mysql_run, server, f"SET GLOBAL {name} = {literal}")
            mysql_run(server, f"SET GLOBAL {name} = {value}")
        yield


MYSQL_PRESETS = {
    "lax": {"sql_mode": "''"},
    "ANSI": {"sql_mode": "'ANSI'"},
    "ORACLE": {"sql_mode": "'ORACLE'"},
    "NO_BACKSLASH_ESCAPES": {"sql_mode": "'NO_BACKSLASH_ESCAPES'"},
    "PAD_CHAR_TO_FULL_LENGTH": {"sql_mode": "'PAD_CHAR_TO_FULL_LENGTH'"},
    "strict": {"sql_mode": "'TRADITIONAL,ONLY_FULL_GROUP_BY,NO_UNSIGNED_SUBTRACTION,PIPES_AS_CONCAT'"},
    "zone": {"time_zone": "'-03:30'"},
    "safe updates": {"sql_safe_updates": "1"},
    "select limit": {"sql_select_limit": "5"},
    "serializable": {"tx_isolation": "'SERIALIZABLE'"},
    "without autocommit": {"autocommit": "0"},
    "without checks": {"unique_checks": "0", "foreign_key_checks": "0"},
    "by user": {"init_connect": "'SET NAMES latin1, autocommit = 0, sql_auto_is_null = 1'"},
    "everything": {
        "sql_mode": "'ORACLE,ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
        "time_zone": "'-03:30'",
        "sql_safe_updates": "1",
        "sql_select_limit": "5",
        "tx_isolation": "'SERIALIZABLE'",
        "autocommit": "0",
        "completion_type": "'CHAIN'",
        "init_connect": "'SET NAMES latin1'",
    },
}


DIFFERENT = ("NO_BACKSLASH_ESCAPES", "select limit", "without autocommit", "by user", "everything")
"""Presets that drivers themselves take notice of."""


@pytest.mark.parametrize(
    ("client_name", "name"),
    [
        (client, name)
        for client in CLIENTS
        for name in MYSQL_PRESETS
        if client == CLIENTS[0] or name in DIFFERENT
    ],
)
def test_presets_of_mysql(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, mariadb: Mariadb, client_name: str, name: str
) -> None:
    mysql_connection(monkeypatch, mariadb, client=client_name)
    with preset(mariadb, MYSQL_PRESETS[name]):
        check_pulls(monkeypatch, sandbox, SqlDestination("test_sql"))


@pytest.mark.parametrize(
    "extra",
    [{"cursor": name} for name in ("dictcursor", "sscursor", "ssdictcursor")]
    + [{"charset": "latin1"}, {"charset": "latin1", "cursor": "ssdictcursor"}],
    ids=lambda extra: " ".join(extra.values()),
)
def test_extras_of_mysql(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, mariadb: Mariadb, extra: dict[str, str]
) -> None:
    mysql_connection(monkeypatch, mariadb, **extra)
    check_pulls(monkeypatch, sandbox, SqlDestination("test_sql"))


def test_a_read_only_session_of_mysql(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, mariadb: Mariadb
) -> None:
    mysql_connection(monkeypatch, mariadb)
    sql = SqlDestination("test_sql")
    with preset(mariadb, {"tx_read_only": "1"}):
        check_refused(client, sandbox, sql, "read-only")  # without tables
    before = pull_once(client, sandbox, sql)
    with preset(mariadb, {"tx_read_only": "1"}):
        check_refused(client, sandbox, sql, "read-only")
        check_reader(sql, before)


def test_a_user_that_may_not_insert(
    monkeypatch: pytest.MonkeyPatch, client: Np6Client, sandbox: Sandbox, mariadb: Mariadb
) -> None:
    database, user = mysql_connection(monkeypatch, mariadb)
    sql = SqlDestination("test_sql")
    before = pull_once(client, sandbox, sql)
    hosts = ("localhost", "127.0.0.1")
    for host in hosts:
        mysql_run(mariadb, f"REVOKE INSERT, CREATE, ALTER, DROP ON {database}.* FROM '{user}'@'{host}'")
    check_refused(client, sandbox, sql, "INSERT", "GRANT", user)
    for host in hosts:
        mysql_run(mariadb, f"REVOKE UPDATE, DELETE ON {database}.* FROM '{user}'@'{host}'")
    check_reader(sql, before)
