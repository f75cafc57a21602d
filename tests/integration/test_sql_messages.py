"""What a pull says when the database is not as it should be, and whether what it prints puts that right."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.sql import access
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6Error, Np6InputError
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from tests.support.postgres import Postgres, free_port
from tests.support.pulls import TODAY, held, in_order, land, pull_into, query_of

pytestmark = pytest.mark.core

PASSWORD = "p4ss-w0rd"
PSEUDONYMS = Pseudonyms("k" * 32)
SUFFIXES = ("", "_windows", "_header", "_quarantine", "_erased")
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
KEY = ("event_type", "classification", "event_id")

NEEDED = {
    "": {"SELECT", "INSERT", "DELETE"},
    "_windows": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "_header": {"SELECT", "INSERT", "UPDATE"},
    "_quarantine": {"SELECT", "INSERT", "DELETE"},
    "_erased": {"SELECT"},
}
"""Without these, a pull cannot do all that it may have to; it is refused before any request."""


@dataclass
class Warehouse:
    """An empty database.

    :param kind: the connection's type.
    :param database: its name.
    :param sql: a destination whose connection has few rights, or, in SQLite, all of them.
    :param admin: id of a connection that may do everything.
    """

    kind: str
    database: str
    sql: SqlDestination
    admin: str

    @property
    def role(self) -> str:
        """The login of the destination's connection, as a statement has it."""
        name = f"np6-{self.database}"
        return f"'{name}'@'127.0.0.1'" if self.kind == "mysql" else f'"{name}"'

    @property
    def owner(self) -> SqlDestination:
        """The same tables, by a connection that may do everything."""
        return replace(self.sql, conn_id=self.admin)

    def quote(self, name: str) -> str:
        return f"`{name}`" if self.kind == "mysql" else f'"{name}"'

    def table(self, suffix: str = "") -> str:
        """One of the tables, in a statement."""
        parts = [part for part in (self.sql.schema, self.sql.table + suffix) if part]
        return ".".join(map(self.quote, parts))

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement that the administrator runs."""
        from airflow.providers.common.compat.sdk import BaseHook

        hook = BaseHook.get_hook(self.admin)
        with closing(hook.get_conn()) as connection:
            if hook.supports_autocommit:
                hook.set_autocommit(connection, True)  # CREATE DATABASE takes nothing else
            cursor = connection.cursor()
            cursor.execute(statement, values) if values else cursor.execute(statement)
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
            return rows

    def grant(self, rights: str, on: str) -> None:
        self.run(f"GRANT {rights} ON {on} TO {self.role}")

    def grant_all(self) -> None:
        for suffix in SUFFIXES:
            self.grant(", ".join(RIGHTS), self.table(suffix))

    def payloads(self) -> list[bytes]:
        """The stored raw events, in order."""
        payload = "payload::text" if self.kind == "postgres" else "payload"
        rows = self.run(f"SELECT {payload} FROM {self.table()} ORDER BY occurred_at, event_id")
        return [str(row[0]).encode() for row in rows]


def connection(monkeypatch: pytest.MonkeyPatch, name: str, fields: dict[str, object]) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


def warehouse_of(request: pytest.FixtureRequest, kind: str, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    if kind == "sqlite":
        path = request.getfixturevalue("tmp_path") / "np6.db"
        connection(monkeypatch, "my_db", {"conn_type": "sqlite", "host": str(path)})
        return Warehouse("sqlite", str(path), SqlDestination("my_db"), "my_db")
    server = request.getfixturevalue("postgres" if kind == "postgres" else "mariadb")
    fields = server.database()
    made = Warehouse(str(fields["conn_type"]), str(fields["schema"]), SqlDestination("my_db"), "admin")
    connection(monkeypatch, "admin", fields)
    connection(monkeypatch, "my_db", fields | {"login": f"np6-{made.database}", "password": PASSWORD})
    if kind == "postgres":
        made.run(f"CREATE ROLE {made.role} LOGIN PASSWORD '{PASSWORD}'")
        made.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is from PostgreSQL 15 on
    else:
        made.run(f"CREATE USER {made.role} IDENTIFIED BY '{PASSWORD}'")
        made.run("CREATE TABLE other (n INT)")
        made.grant("SELECT", "other")  # or it could not connect
    return made


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """On a server, with a role that may connect and nothing else."""
    return warehouse_of(request, request.param, monkeypatch)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """On any database, with a connection that may do everything."""
    made = warehouse_of(request, request.param, monkeypatch)
    return replace(made, sql=made.owner)


@pytest.fixture
def lake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """On PostgreSQL, with a role that may connect and nothing else."""
    return warehouse_of(request, "postgres", monkeypatch)


def check_message(error: Np6Error, sql: SqlDestination, sandbox: Sandbox) -> None:
    """The error names the connection, and neither a password nor what an event has."""
    text = f"{error} {error.__cause__ or ''}"
    assert repr(sql.conn_id) in text
    assert PASSWORD not in text
    assert not re.search(r"[\w.+-]@[\w-]", text)
    for line in held(sandbox, query_of(sandbox))[:3]:
        assert json.loads(line)["id"] not in text


def forget_checks() -> None:
    """Be a new process, as each task is: some checks are made once in a process."""
    access._checked.clear()


@pytest.fixture(autouse=True)
def _new_process() -> None:
    forget_checks()


def refuse(client: Np6Client, sandbox: Sandbox, sql: SqlDestination, **options: Any) -> Np6InputError:
    """The error of a pull that the database cannot take: no request is sent, and no other try can help."""
    forget_checks()
    before = len(sandbox.received)
    with pytest.raises(Np6InputError) as caught:
        land(client, sql, query_of(sandbox, **options))
    assert len(sandbox.received) == before
    assert not caught.value.retryable
    check_message(caught.value, sql, sandbox)
    return caught.value


def statements(error: Np6Error) -> list[str]:
    """The statements that an error says to run; they end the message."""
    _, intro, printed = error.hint.partition("Run in the database:\n")
    assert intro, str(error)
    assert printed.endswith(";"), printed
    return re.split(r";\n", printed.removesuffix(";"))


def repair(warehouse: Warehouse, error: Np6Error) -> list[str]:
    """Run what an error says to run."""
    printed = statements(error)
    for statement in printed:
        warehouse.run(statement)
    return printed


def land_all(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> None:
    """A pull after which exactly the sandbox's events are stored."""
    land(client, warehouse.sql, query_of(sandbox))
    assert warehouse.payloads() == in_order(held(sandbox, query_of(sandbox)))


# Rights


def test_a_role_that_may_create_no_table_gets_statements_that_create_them(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    if server.kind == "mysql":
        server.grant(", ".join(RIGHTS), f"{server.quote(server.database)}.*")
    error = refuse(client, sandbox, server.sql)
    printed = "\n".join(repair(server, error))
    assert all(server.sql.table + suffix in printed for suffix in SUFFIXES) or "GRANT" in printed
    land_all(client, sandbox, server)
    # The statements, or the role, made all of the tables, so that no later pull is refused.
    land(client, server.sql, query_of(sandbox, event_type="cancellations"))


def test_a_role_that_sees_nothing_gets_statements_too(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    """MariaDB hides tables from those who have no right on them, so that they look like missing ones."""
    land(client, server.owner, query_of(sandbox))
    before = server.payloads()
    error = refuse(client, sandbox, server.sql)
    assert "GRANT" in "\n".join(repair(server, error))
    assert server.payloads() == before
    sandbox.account = FakeAccount(events_per_day=100)
    land_all(client, sandbox, server)


def test_a_missing_right_is_named_and_its_grant_printed(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    land(client, server.owner, query_of(sandbox))
    server.grant_all()
    for n, (suffix, right) in enumerate(product(SUFFIXES, RIGHTS)):
        forget_checks()
        before, requests = server.payloads(), len(sandbox.received)
        sandbox.account = FakeAccount(events_per_day=100 + n)  # the next pull replaces rows
        server.run(f"REVOKE {right} ON {server.table(suffix)} FROM {server.role}")
        error = refusal(client, sandbox, server.sql)
        if error is None:
            assert right not in NEEDED[suffix]
            server.grant(right, server.table(suffix))
            continue
        assert len(sandbox.received) == requests
        assert server.payloads() == before
        check_message(error, server.sql, sandbox)
        assert re.search(rf"\b{right}\b.* on {server.sql.table}{suffix}\b", error.what)
        (statement,) = repair(server, error)
        assert re.match(rf"GRANT [A-Z, ]*\b{right}\b", statement)
        land_all(client, sandbox, server)


def refusal(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> Np6InputError | None:
    """The error of a pull; None if it was stored."""
    try:
        land(client, sql, query_of(sandbox))
    except Np6InputError as error:
        return error
    return None


def test_all_missing_rights_are_printed_at_once(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    land(client, server.owner, query_of(sandbox))
    for suffix in SUFFIXES:
        server.grant("SELECT", server.table(suffix))
    repair(server, refuse(client, sandbox, server.sql))
    sandbox.account = FakeAccount(events_per_day=100)
    land_all(client, sandbox, server)


def test_rights_on_columns_are_enough(client: Np6Client, sandbox: Sandbox, server: Warehouse) -> None:
    land(client, server.owner, query_of(sandbox))
    server.grant_all()
    table = server.table()
    server.run(f"REVOKE SELECT, INSERT ON {table} FROM {server.role}")
    schema = "public" if server.kind == "postgres" else server.database
    where = f"table_name = 'np6_events' AND table_schema = '{schema}'"
    columns = ", ".join(
        server.quote(name)
        for (name,) in server.run(f"SELECT column_name FROM information_schema.columns WHERE {where}")
    )
    server.grant(f"SELECT ({columns}), INSERT ({columns})", table)
    sandbox.account = FakeAccount(events_per_day=100)
    land_all(client, sandbox, server)


def test_a_right_that_is_lost_during_the_pull_is_named(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    land(client, server.owner, query_of(sandbox))
    server.grant_all()
    before = server.payloads()
    sandbox.account = FakeAccount(events_per_day=100)
    query = query_of(sandbox)
    with server.sql.open(query, "test") as writer:
        verified = pull_into(client, query, writer)
        server.run(f"REVOKE INSERT ON {server.table()} FROM {server.role}")
        with pytest.raises(Np6DestinationError) as caught:
            writer.publish(verified)
    check_message(caught.value, server.sql, sandbox)
    assert not caught.value.retryable
    assert server.payloads() == before
    repair(server, caught.value)
    land_all(client, sandbox, server)


def test_who_does_not_own_the_tables_gets_the_statement_of_a_new_index(
    client: Np6Client, sandbox: Sandbox, server: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """Pulls of all actions are right without their index, and slow."""
    land(client, server.owner, query_of(sandbox, event_type="cancellations"))
    server.grant_all()
    query = query_of(sandbox, action="*")
    land(client, server.sql, query)
    assert set(held(sandbox, query)) < set(server.payloads())
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert repr(server.sql.conn_id) in warning
    _, _, printed = warning.partition("\n")
    assert printed.startswith("CREATE INDEX")
    server.run(printed.removesuffix(";"))
    caplog.clear()
    land(client, server.sql, query)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


READS: dict[str, Callable[[SqlDestination], object]] = {
    "verify": lambda sql: sql.verify(),
    "coverage": lambda sql: sql.coverage("bounces", "000PE4", iso(TODAY.start), iso(TODAY.end)),
    "action_ids": lambda sql: sql.action_ids("bounces"),
}


@pytest.mark.parametrize("read", READS)
def test_reading_takes_no_right_but_select(
    client: Np6Client, sandbox: Sandbox, server: Warehouse, read: str
) -> None:
    land(client, server.owner, query_of(sandbox))
    for suffix in SUFFIXES:
        server.grant("SELECT", server.table(suffix))
    if server.kind == "postgres":
        server.run(f"ALTER ROLE {server.role} SET default_transaction_read_only = on")
    assert READS[read](server.sql) == READS[read](server.owner)
    # A right that is missing is named here, too.
    server.run(f"REVOKE SELECT ON {server.table('_windows')} FROM {server.role}")
    with pytest.raises(Np6InputError) as caught:
        READS[read](server.sql)
    check_message(caught.value, server.sql, sandbox)
    assert "np6_events_windows" in caught.value.what
    (statement,) = repair(server, caught.value)
    assert statement.startswith("GRANT SELECT ")
    assert READS[read](server.sql) == READS[read](server.owner)


def test_erasing_and_expiring_name_a_missing_right(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    land(client, server.owner, query_of(sandbox))
    for suffix in SUFFIXES:
        server.grant("SELECT", server.table(suffix))
    person = next(json.loads(line) for line in held(sandbox, query_of(sandbox)))
    address = person["source"]["detail"]["activation"]["recipient"]

    def erase() -> object:
        return server.sql.erase([address], PSEUDONYMS, "test")

    def expire() -> object:
        return server.sql.expire(iso(TODAY.end))

    for change in (erase, expire):
        before = server.payloads()
        with pytest.raises(Np6Error) as caught:
            change()
        check_message(caught.value, server.sql, sandbox)
        assert address not in str(caught.value)
        assert not caught.value.retryable
        assert server.payloads() == before
        repair(server, caught.value)
        change()
        assert len(server.payloads()) < len(before)
        for suffix in SUFFIXES:
            server.run(f"REVOKE INSERT, UPDATE, DELETE ON {server.table(suffix)} FROM {server.role}")


# Schemas


def test_a_missing_schema_gets_the_statement_that_creates_it(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    for name, sql in product(("lake", "crm-eu", "Crm"), (server.owner, server.sql)):
        keyword, schema = "SCHEMA", name
        if server.kind == "mysql":  # where a schema is a database, of the whole server
            keyword, schema = "DATABASE", f"{name}-{server.database}"
        made = replace(server, sql=replace(sql, schema=schema))
        error = refuse(client, sandbox, made.sql)
        assert schema in error.what
        printed = repair(server, error)
        assert re.match(f"CREATE {keyword} (IF NOT EXISTS )?{re.escape(server.quote(schema))}", printed[0])
        land_all(client, sandbox, made)
        server.run(f"DROP {keyword} {server.quote(schema)}" + " CASCADE" * (server.kind == "postgres"))


@pytest.mark.parametrize("has_tables", [True, False])
def test_a_schema_that_a_role_may_not_use_gets_its_grant(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse, has_tables: bool
) -> None:
    lake.sql = replace(lake.sql, schema="crm-eu")
    lake.run('CREATE SCHEMA "crm-eu"')
    if has_tables:
        land(client, lake.owner, query_of(sandbox))
        lake.grant_all()
    error = refuse(client, sandbox, lake.sql)
    assert "crm-eu" in error.what
    assert "USAGE" in str(error)
    printed = repair(lake, error)
    assert any(re.match(r'GRANT .*USAGE.* ON SCHEMA "crm-eu" TO', statement) for statement in printed)
    assert any(statement.startswith("CREATE TABLE") for statement in printed) <= (not has_tables)
    sandbox.account = FakeAccount(events_per_day=100)
    land_all(client, sandbox, lake)


def test_a_search_path_without_a_usable_schema_is_named(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse
) -> None:
    lake.run(f"ALTER ROLE {lake.role} SET search_path TO nowhere")
    assert "search_path" in str(refuse(client, sandbox, lake.sql))


def test_a_schema_is_refused_in_sqlite(
    client: Np6Client, sandbox: Sandbox, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = warehouse_of(request, "sqlite", monkeypatch)
    assert "schema" in str(refuse(client, sandbox, replace(made.sql, schema="lake")))


# Tables that may not be created or changed, or are no tables


def test_tables_that_may_not_be_created_are_printed(
    client: Np6Client, sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sql = replace(warehouse.sql, create=False)
    printed = repair(warehouse, refuse(client, sandbox, warehouse.sql))
    for suffix in SUFFIXES:
        name = warehouse.quote(warehouse.sql.table + suffix)
        assert any(re.match(rf"CREATE TABLE .*{re.escape(name)} \(", statement) for statement in printed)
    land_all(client, sandbox, warehouse)
    # One of them is dropped: only that is printed.
    warehouse.run(f"DROP TABLE {warehouse.table('_quarantine')}")
    error = refuse(client, sandbox, warehouse.sql)
    assert all("np6_events_quarantine" in statement for statement in repair(warehouse, error))
    land_all(client, sandbox, warehouse)


def test_a_role_that_may_not_create_and_must_not_gets_its_grants_too(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    server.sql = replace(server.sql, create=False)
    repair(server, refuse(client, sandbox, server.sql))
    land_all(client, sandbox, server)


MISSING = [("", "hit_type"), ("_windows", "displaced"), ("_header", "verified_at"), ("_quarantine", "reason")]


def test_columns_that_may_not_be_added_are_printed(
    client: Np6Client, sandbox: Sandbox, warehouse: Warehouse
) -> None:
    land(client, warehouse.sql, query_of(sandbox))
    before = warehouse.payloads()
    fixed = replace(warehouse, sql=replace(warehouse.sql, evolve=False))
    for suffix, column in MISSING:
        warehouse.run(f"ALTER TABLE {warehouse.table(suffix)} DROP COLUMN {column}")
        error = refuse(client, sandbox, fixed.sql)
        assert f"np6_events{suffix}" in error.what
        assert column in error.what
        statement, *_ = repair(warehouse, error)
        assert "ADD COLUMN" in statement
        assert warehouse.payloads() == before
        land_all(client, sandbox, fixed)


def test_who_may_not_alter_a_table_gets_the_statement(
    client: Np6Client, sandbox: Sandbox, server: Warehouse
) -> None:
    land(client, server.owner, query_of(sandbox))
    server.grant_all()
    server.run(f"ALTER TABLE {server.table()} DROP COLUMN hit_type")
    error = refuse(client, sandbox, server.sql)
    assert "hit_type" in str(error)
    statement, *_ = repair(server, error)
    assert "ADD COLUMN" in statement
    sandbox.account = FakeAccount(events_per_day=100)
    land_all(client, sandbox, server)


WRONG = {
    "mysql": [
        ("payload", "TEXT CHARACTER SET utf8mb4 NOT NULL"),
        ("bounce_diagnostic", "VARCHAR(500)"),
        ("occurred_at", "DATETIME NOT NULL"),
        ("event_id", "VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL"),
    ],
    "postgres": [
        ("payload", "JSONB"),
        ("occurred_at", "TIMESTAMPTZ(0)"),
        ("sent_at", "TIMESTAMP"),
        ("bounce_diagnostic", "VARCHAR(500)"),
    ],
    "sqlite": [("payload", "BLOB"), ("target_id", "NUMERIC")],
}
"""Types that lose something, by kind of database."""


def test_a_column_of_a_wrong_type_gets_the_statements_that_change_it(
    client: Np6Client, sandbox: Sandbox, warehouse: Warehouse
) -> None:
    """What the wrong type has lost already comes back with the next pull, although NP6's events are the
    same."""
    land_all(client, sandbox, warehouse)
    events = len(warehouse.payloads())
    for column, wrong in WRONG[warehouse.kind]:
        retype(warehouse, column, wrong)
        error = refuse(client, sandbox, warehouse.sql)
        assert "np6_events" in error.what
        assert column in error.what
        repair(warehouse, error)
        assert len(warehouse.payloads()) == events
        land_all(client, sandbox, warehouse)


def retype(warehouse: Warehouse, column: str, wrong: str) -> None:
    """Change a column's type, and keep what fits it."""
    table = warehouse.table()
    if warehouse.kind == "postgres":
        warehouse.run(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {wrong} USING {column}::{wrong}")
    elif warehouse.kind == "mysql":
        warehouse.run(f"ALTER TABLE {table} MODIFY COLUMN {column} {wrong}")
    else:
        rows = warehouse.run("SELECT sql FROM sqlite_master WHERE tbl_name = 'np6_events' ORDER BY type DESC")
        creation = [sql for (sql,) in rows if sql]  # the table, then its indexes
        creation[0] = re.sub(rf'"{column}" \w+', f'"{column}" {wrong}', creation[0])
        for statement in (
            f"CREATE TABLE kept AS SELECT * FROM {table}",
            f"DROP TABLE {table}",
            *creation,
            f"INSERT INTO {table} SELECT * FROM kept",
            "DROP TABLE kept",
        ):
            warehouse.run(statement)


def is_a(error: Np6Error, name: str, kind: str) -> bool:
    """Whether an error says that a name is of something else than a table."""
    return bool(re.search(rf"\b{name}\b.* is an? {kind}\b", error.what))


def test_a_view_is_no_table(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> None:
    """Rows can be inserted into a simple view, and then belong to a table with other rules."""
    land(client, warehouse.sql, query_of(sandbox))
    before = warehouse.payloads()
    for suffix in SUFFIXES:
        warehouse.run(f"ALTER TABLE {warehouse.table(suffix)} RENAME TO kept")
        warehouse.run(f"CREATE VIEW {warehouse.table(suffix)} AS SELECT * FROM kept")
        error = refuse(client, sandbox, warehouse.sql)
        assert is_a(error, f"np6_events{suffix}", "view")
        assert "table" in error.hint
        assert warehouse.payloads() == before
        warehouse.run(f"DROP VIEW {warehouse.table(suffix)}")
        warehouse.run(f"ALTER TABLE kept RENAME TO {warehouse.quote('np6_events' + suffix)}")
    land_all(client, sandbox, warehouse)


def test_other_relations_are_no_tables(client: Np6Client, sandbox: Sandbox, lake: Warehouse) -> None:
    lake.sql = lake.owner
    lake.run("CREATE FOREIGN DATA WRAPPER none")
    lake.run("CREATE SERVER elsewhere FOREIGN DATA WRAPPER none")
    for kind, creation, removal in (
        ("materialized view", "CREATE MATERIALIZED VIEW np6_events AS SELECT 1 AS event_id", ""),
        ("foreign table", "CREATE FOREIGN TABLE np6_events (event_id text) SERVER elsewhere", ""),
        ("sequence", "CREATE SEQUENCE np6_events", ""),
        ("composite type", "CREATE TYPE np6_events AS (event_id text)", "TYPE"),
    ):
        lake.run(creation)
        error = refuse(client, sandbox, lake.sql)
        assert is_a(error, "np6_events", kind) or "has other content" in error.what
        lake.run(f"DROP {removal or kind} np6_events")
    land_all(client, sandbox, lake)


def test_a_sequence_of_mariadb_is_no_table(
    client: Np6Client, sandbox: Sandbox, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = warehouse_of(request, "mariadb", monkeypatch)
    made.run("CREATE SEQUENCE np6_events")
    error = refuse(client, sandbox, made.owner)
    assert is_a(error, "np6_events", "sequence") or "has other content" in error.what


# Keys and partitions


def creation_of(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> list[str]:
    """The statements that create the five tables, the one of events first."""
    printed = statements(refuse(client, sandbox, replace(warehouse.sql, create=False)))
    assert re.match(r'CREATE TABLE .*["`]np6_events["`] \(', printed[0])
    return printed


def without_key(creation: str) -> str:
    changed = re.sub(r",\s*PRIMARY KEY \([^)]*\)", "", creation)
    assert changed != creation
    return changed


KEY_LIST = ", ".join(KEY)
UNIQUE = f"CREATE UNIQUE INDEX ours ON np6_events ({KEY_LIST})"
FIT_KEYS = {
    "INCLUDE": [f"{UNIQUE} INCLUDE (occurred_at)"],
    "NULLS NOT DISTINCT": [f"{UNIQUE} NULLS NOT DISTINCT"],
    "another order": ["CREATE UNIQUE INDEX ours ON np6_events (event_id, event_type, classification)"],
    "a constraint": [f"ALTER TABLE np6_events ADD CONSTRAINT ours UNIQUE ({KEY_LIST})"],
}
UNFIT_KEYS = {
    "none": [],
    "partial": [f"{UNIQUE} WHERE event_type = 'opens'"],
    "not unique": [f"CREATE INDEX ours ON np6_events ({KEY_LIST})"],
    "an expression": ["CREATE UNIQUE INDEX ours ON np6_events (event_type, classification, lower(event_id))"],
    "one column more": [f"CREATE UNIQUE INDEX ours ON np6_events ({KEY_LIST}, occurred_at)"],
    "one column less": ["CREATE UNIQUE INDEX ours ON np6_events (event_id)"],
    "included, not a part": [
        "CREATE UNIQUE INDEX ours ON np6_events (event_type, event_id) INCLUDE (classification)"
    ],
    "deferred": [f"ALTER TABLE np6_events ADD PRIMARY KEY ({KEY_LIST}) DEFERRABLE INITIALLY DEFERRED"],
    "deferrable": [f"ALTER TABLE np6_events ADD CONSTRAINT ours UNIQUE ({KEY_LIST}) DEFERRABLE"],
    "a key of numbers": ["ALTER TABLE np6_events ADD COLUMN n BIGSERIAL PRIMARY KEY"],
}


@pytest.mark.parametrize("key", FIT_KEYS)
def test_any_unique_key_of_the_right_columns_is_taken(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse, key: str
) -> None:
    lake.sql = lake.owner
    if "NULLS" in key and int(lake.run("SHOW server_version_num")[0][0]) < 150_000:
        pytest.skip("PostgreSQL 15 has this key first")
    creation, *_ = creation_of(client, sandbox, lake)
    for statement in (without_key(creation), *FIT_KEYS[key]):
        lake.run(statement)
    land_all(client, sandbox, lake)
    move_events(client, sandbox, lake)


@pytest.mark.parametrize("key", UNFIT_KEYS)
def test_other_keys_are_refused_and_the_right_one_is_printed(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse, key: str
) -> None:
    """A deferred key finds a second row only when the transaction ends."""
    lake.sql = lake.owner
    creation, *_ = creation_of(client, sandbox, lake)
    for statement in (without_key(creation), *UNFIT_KEYS[key]):
        lake.run(statement)
    error = refuse(client, sandbox, lake.sql)
    assert "np6_events" in error.what
    assert "key" in error.what
    repair(lake, error)
    land_all(client, sandbox, lake)
    move_events(client, sandbox, lake)


def test_a_table_without_a_key_gets_one(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> None:
    printed = creation_of(client, sandbox, warehouse)
    for statement in printed:
        warehouse.run(without_key(statement) if statement.startswith("CREATE TABLE") else statement)
    for suffix in SUFFIXES:  # one table at a time, or all at once
        if not has_all_keys(warehouse):
            error = refuse(client, sandbox, warehouse.sql)
            assert "key" in error.what, suffix
            repair(warehouse, error)
    land_all(client, sandbox, warehouse)
    move_events(client, sandbox, warehouse)


def has_all_keys(warehouse: Warehouse) -> bool:
    """Whether each of the tables has a unique key."""
    if warehouse.kind == "sqlite":
        tables = [
            f"SELECT 1 FROM pragma_index_list('np6_events{suffix}') WHERE \"unique\"" for suffix in SUFFIXES
        ]
    elif warehouse.kind == "mysql":
        query = (
            "SELECT 1 FROM information_schema.statistics WHERE non_unique = 0 AND table_schema = DATABASE()"
        )
        tables = [f"{query} AND table_name = 'np6_events{suffix}'" for suffix in SUFFIXES]
    else:
        query = "SELECT 1 FROM pg_index WHERE indisunique AND indrelid = "
        tables = [f"{query}'np6_events{suffix}'::regclass" for suffix in SUFFIXES]
    return all(warehouse.run(query) for query in tables)


def move_events(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> None:
    """Pull events that have moved to the next day: each stays one row."""
    lines = held(sandbox, query_of(sandbox))
    moved = [json.loads(line) | {"timestamp": TODAY.end + n} for n, line in enumerate(lines[:5])]
    sandbox.plan.add(Fault(body=json.dumps(moved).encode()))
    land(client, warehouse.sql, query_of(sandbox, Window(TODAY.end, TODAY.end + DAY)))
    ids = [json.loads(payload)["id"] for payload in warehouse.payloads()]
    assert sorted(ids) == sorted(json.loads(line)["id"] for line in lines)


def test_a_table_partitioned_by_time_is_refused_for_the_right_reason(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse
) -> None:
    """PostgreSQL wants the partitions' column in each key, and then one id may have two times."""
    lake.sql = lake.owner
    creation, *_ = creation_of(client, sandbox, lake)
    key = "event_type, classification, event_id, occurred_at"
    for statement in (
        without_key(creation) + " PARTITION BY RANGE (occurred_at)",
        f"ALTER TABLE np6_events ADD PRIMARY KEY ({key})",
        "CREATE TABLE np6_events_rest PARTITION OF np6_events DEFAULT",
    ):
        lake.run(statement)
    error = refuse(client, sandbox, lake.sql)
    assert "partitioned by occurred_at" in error.what
    assert "PRIMARY KEY" not in error.hint  # PostgreSQL would not take it
    assert "event_type" in str(error)
    land_all(client, sandbox, replace(lake, sql=replace(lake.sql, table="np6_pulls")))


@pytest.mark.parametrize("by", ["LIST (event_type)", "HASH (event_id)"])
def test_a_table_partitioned_by_columns_of_its_key_is_taken(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse, by: str
) -> None:
    lake.sql = lake.owner
    creation, *_ = creation_of(client, sandbox, lake)
    parts = ["FOR VALUES WITH (MODULUS 2, REMAINDER 0)", "FOR VALUES WITH (MODULUS 2, REMAINDER 1)"]
    if by.startswith("LIST"):
        parts = ["FOR VALUES IN ('bounces')", "FOR VALUES IN ('cancellations')"]
    lake.run(f"{creation} PARTITION BY {by}")
    for n, part in enumerate(parts):
        lake.run(f"CREATE TABLE part{n} PARTITION OF np6_events {part}")
    land_all(client, sandbox, lake)
    bounces = lake.payloads()
    land(client, lake.sql, query_of(sandbox, event_type="cancellations"))
    assert len(lake.payloads()) == len(bounces) + len(
        held(sandbox, query_of(sandbox, event_type="cancellations"))
    )
    sandbox.account = FakeAccount(events_per_day=100)
    land(client, lake.sql, query_of(sandbox))
    assert set(held(sandbox, query_of(sandbox))) < set(lake.payloads())
    sandbox.account = FakeAccount(events_per_day=96)
    land(client, lake.sql, query_of(sandbox), on_shrink="replace")
    assert set(bounces) < set(lake.payloads())
    lake.run("DELETE FROM np6_events WHERE event_type = 'cancellations'")
    move_events(client, sandbox, lake)


def test_events_that_no_partition_takes_are_not_recorded(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse
) -> None:
    lake.sql = lake.owner
    creation, *_ = creation_of(client, sandbox, lake)
    lake.run(f"{creation} PARTITION BY LIST (event_type)")
    lake.run("CREATE TABLE part PARTITION OF np6_events FOR VALUES IN ('cancellations')")
    with pytest.raises(Np6DestinationError) as caught:
        land(client, lake.sql, query_of(sandbox))
    check_message(caught.value, lake.sql, sandbox)
    assert not caught.value.retryable
    assert "partition" in str(caught.value)
    assert lake.run("SELECT COUNT(*) FROM np6_events_windows") == [(0,)]
    lake.run("CREATE TABLE rest PARTITION OF np6_events DEFAULT")
    land_all(client, sandbox, lake)


def test_a_column_of_others_that_may_not_be_null_is_named(
    client: Np6Client, sandbox: Sandbox, warehouse: Warehouse
) -> None:
    printed = creation_of(client, sandbox, warehouse)
    warehouse.run(printed[0].replace("(\n", "(\n  theirs VARCHAR(9) NOT NULL,\n", 1))
    with pytest.raises(Np6Error) as caught:
        land(client, warehouse.sql, query_of(sandbox))
    check_message(caught.value, warehouse.sql, sandbox)
    assert not caught.value.retryable
    assert warehouse.payloads() == []


# Names


def test_names_are_quoted(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> None:
    for table in ("np6-events", "NP6_Events", "order", "2024", "t" * 50, "T" * 49 + "-"):
        made = replace(warehouse, sql=replace(warehouse.sql, table=table))
        for events in (96, 100):
            sandbox.account = FakeAccount(events_per_day=events)
            report = land(client, made.sql, query_of(sandbox))
            assert report["table"] == table
            assert made.payloads() == in_order(held(sandbox, query_of(sandbox)))
        land_all(client, sandbox, replace(made, sql=replace(made.sql, create=False, evolve=False)))
        assert made.sql.verify().problems == []
        assert made.sql.action_ids("bounces") == [sandbox.account.action_ids[0]]
        for suffix in SUFFIXES:
            assert made.run(f"SELECT COUNT(*) FROM {made.table(suffix)}")


def test_schemas_are_quoted(client: Np6Client, sandbox: Sandbox, server: Warehouse) -> None:
    for schema in ("crm-eu", "Crm", "select", "2024"):
        keyword, name = "SCHEMA", schema
        if server.kind == "mysql":
            keyword, name = "DATABASE", f"{schema}-{server.database}"
        made = replace(server, sql=replace(server.owner, schema=name, table="Pulls"))
        server.run(f"CREATE {keyword} {server.quote(name)}")
        for events in (96, 100):
            sandbox.account = FakeAccount(events_per_day=events)
            report = land(client, made.sql, query_of(sandbox))
            assert report["table"] == f"{name}.Pulls"
            assert made.payloads() == in_order(held(sandbox, query_of(sandbox)))
        assert made.sql.verify().problems == []
        uri = made.sql.asset_uri
        assert uri is not None
        place = f"{name}/Pulls" if server.kind == "mysql" else f"{server.database}/{name}/Pulls"
        assert re.fullmatch(rf"{server.kind}://127\.0\.0\.1:\d+/{re.escape(place)}", uri)


UNFIT_NAMES = ["a.b", 'a"b', "a`b", "a'b", "a b", " a", "a/b", "a\n", "a%b", "t" * 51, 'x"; DROP TABLE y']


@pytest.mark.parametrize("field", ["schema", "table"])
def test_other_names_are_refused(
    client: Np6Client, sandbox: Sandbox, warehouse: Warehouse, field: str
) -> None:

    def renamed(name: str) -> SqlDestination:
        if field == "schema":
            return replace(warehouse.sql, schema=name)
        return replace(warehouse.sql, table=name)

    for name in UNFIT_NAMES:
        with pytest.raises(Np6InputError, match="name") as caught:
            land(client, renamed(name), query_of(sandbox))
        assert repr(name) in caught.value.what
    assert sandbox.received == []


# What is read only


@pytest.mark.parametrize(
    ("where", "has_tables"),
    [
        ("ROLE {role}", False),
        ("ROLE {role}", True),
        ("DATABASE {database}", True),
        ("ROLE {role} IN DATABASE {database}", True),
    ],
)
def test_a_read_only_session_of_postgresql_gets_the_statement(
    client: Np6Client,
    sandbox: Sandbox,
    lake: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    has_tables: bool,
) -> None:
    if has_tables:
        land(client, lake.owner, query_of(sandbox))
        lake.grant_all()
    else:
        lake.grant("CREATE", "SCHEMA public")
    place = where.format(role=lake.role, database=lake.quote(lake.database))
    lake.run(f"ALTER {place} SET default_transaction_read_only = on")
    error = refuse(client, sandbox, lake.sql)
    assert "read-only" in error.what
    # Whoever repairs a database that is read-only may write for once.
    options = {"options": "-c default_transaction_read_only=off"}
    fields = json.loads(os.environ["AIRFLOW_CONN_ADMIN"])
    connection(monkeypatch, "admin", fields | {"extra": options})
    (statement,) = repair(lake, error)
    assert place in statement
    sandbox.account = FakeAccount(events_per_day=100)
    land_all(client, sandbox, lake)


def test_a_read_only_connection_is_named(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, lake.owner, query_of(sandbox))
    lake.grant_all()
    fields = json.loads(os.environ["AIRFLOW_CONN_MY_DB"])
    options = {"options": "-c default_transaction_read_only=on"}
    connection(monkeypatch, "my_db", fields | {"extra": options})
    error = refuse(client, sandbox, lake.sql)
    assert "read-only" in error.what
    assert "options" in error.hint
    connection(monkeypatch, "my_db", fields)
    land_all(client, sandbox, lake)


@pytest.mark.parametrize("has_tables", [True, False])
def test_a_read_only_session_of_mariadb_is_named(
    client: Np6Client,
    sandbox: Sandbox,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    has_tables: bool,
) -> None:
    made = warehouse_of(request, "mariadb", monkeypatch)
    if has_tables:
        land(client, made.owner, query_of(sandbox))
        made.grant_all()
    made.grant("ALL", f"{made.quote(made.database)}.*")
    with global_variable(made, "tx_read_only"):
        error = refuse(client, sandbox, made.sql)
        assert "read-only" in error.what
    land_all(client, sandbox, made)


@pytest.mark.usefixtures("_no_waits")
@pytest.mark.parametrize("has_tables", [True, False])
def test_a_read_only_server_may_be_promoted(
    client: Np6Client,
    sandbox: Sandbox,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    has_tables: bool,
) -> None:
    made = warehouse_of(request, "mariadb", monkeypatch)
    made.grant("ALL", f"{made.quote(made.database)}.*")
    if has_tables:
        land(client, made.owner, query_of(sandbox))
    before = len(sandbox.received)
    with global_variable(made, "read_only"), pytest.raises(Np6DestinationError) as caught:
        land(client, made.sql, query_of(sandbox))
    assert caught.value.retryable
    assert "read-only" in caught.value.what
    check_message(caught.value, made.sql, sandbox)
    assert len(sandbox.received) == before
    land_all(client, sandbox, made)


@contextmanager
def global_variable(warehouse: Warehouse, name: str) -> Iterator[None]:
    warehouse.run(f"SET GLOBAL {name} = 1")
    try:
        yield
    finally:
        warehouse.run(f"SET GLOBAL {name} = 0")


@pytest.mark.parametrize("has_tables", [True, False])
def test_a_sqlite_file_that_may_not_be_written_is_named(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_tables: bool
) -> None:
    path = tmp_path / "np6.db"
    fields: dict[str, object] = {"conn_type": "sqlite", "host": str(path)}
    connection(monkeypatch, "my_db", fields)
    sql = SqlDestination("my_db")
    if has_tables:
        land(client, sql, query_of(sandbox))
    else:
        path.touch()
    connection(monkeypatch, "my_db", fields | {"extra": {"mode": "ro"}})
    assert "read-only" in refuse(client, sandbox, sql).what
    connection(monkeypatch, "my_db", fields)
    if os.geteuid() != 0:  # who may write everything
        path.chmod(0o444)
        assert "read-only" in refuse(client, sandbox, sql).what
        path.chmod(0o644)
    land(client, sql, query_of(sandbox))


# Connections


def _nothing(_low: float, _high: float) -> float:
    return 0.0


@pytest.fixture
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", _nothing)


def test_a_sqlite_path_that_cannot_be_opened_is_named(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_bytes(b"This is no database. " * 99)
    for path in ("missing/np6.db", "text", "."):
        connection(monkeypatch, "my_db", {"conn_type": "sqlite", "host": str(tmp_path / path)})
        refuse(client, sandbox, SqlDestination("my_db"))


@pytest.fixture
def with_passwords(postgres: Postgres) -> None:
    """Let members of a role need their passwords."""
    rules = postgres.folder / "data" / "pg_hba.conf"
    rule = "host all +with_password 127.0.0.1/32 scram-sha-256\n"
    if rule not in rules.read_text():
        rules.write_text(rule + rules.read_text())


@pytest.mark.usefixtures("_no_waits")
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "wr0ng-one"}, "password"),
        ({"login": "nobody", "password": PASSWORD}, "login"),
        ({"schema": "nowhere"}, "schema"),
    ],
)
def test_a_connection_that_the_server_refuses_is_refused(
    client: Np6Client,
    sandbox: Sandbox,
    request: pytest.FixtureRequest,
    server: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, object],
    says: str,
) -> None:
    if server.kind == "postgres":
        request.getfixturevalue("with_passwords")
        server.run("DROP ROLE IF EXISTS with_password")
        server.run("CREATE ROLE with_password")
        server.run(f"GRANT with_password TO {server.role}")
        server.run("SELECT pg_reload_conf()")
    known = json.loads(os.environ["AIRFLOW_CONN_MY_DB"])
    connection(monkeypatch, "my_db", known | fields)
    error = refuse(client, sandbox, server.sql)
    assert says in str(error)
    assert str(fields.get("password", PASSWORD)) not in str(error)


@pytest.mark.usefixtures("_no_waits")
@pytest.mark.parametrize("host", ["127.0.0.1", "database.invalid"])
def test_a_server_that_cannot_be_reached_may_come_back(
    client: Np6Client, sandbox: Sandbox, server: Warehouse, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    known = json.loads(os.environ["AIRFLOW_CONN_MY_DB"])
    connection(monkeypatch, "my_db", known | {"host": host, "port": free_port()})
    with pytest.raises(Np6DestinationError) as caught:
        land(client, server.sql, query_of(sandbox))
    assert caught.value.retryable
    check_message(caught.value, server.sql, sandbox)
    assert sandbox.received == []


@pytest.mark.usefixtures("_no_waits")
def test_a_server_with_too_many_connections_may_have_fewer(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse
) -> None:
    lake.run(f"ALTER ROLE {lake.role} CONNECTION LIMIT 0")
    with pytest.raises(Np6DestinationError) as caught:
        land(client, lake.sql, query_of(sandbox))
    assert caught.value.retryable
    check_message(caught.value, lake.sql, sandbox)
    assert sandbox.received == []


@pytest.mark.usefixtures("_no_waits")
def test_a_database_that_may_not_be_connected_to_is_refused(
    client: Np6Client, sandbox: Sandbox, lake: Warehouse
) -> None:
    lake.grant("CREATE", "SCHEMA public")
    lake.run(f"REVOKE CONNECT ON DATABASE {lake.database} FROM PUBLIC")
    assert "connect" in str(refuse(client, sandbox, lake.sql))
    lake.grant("CONNECT", f"DATABASE {lake.database}")
    land_all(client, sandbox, lake)


def test_no_error_shows_a_row(client: Np6Client, sandbox: Sandbox, warehouse: Warehouse) -> None:
    """A database's own message may have the row that it refuses."""
    land(client, warehouse.sql, query_of(sandbox))
    before = warehouse.payloads()
    if warehouse.kind == "sqlite":
        warehouse.run(
            "CREATE TRIGGER no_more BEFORE INSERT ON np6_events BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    else:
        # NOT VALID, as it were: rows that are stored already are as they are.
        later = "NOT VALID" if warehouse.kind == "postgres" else ""
        with nullcontext() if later else unchecked(warehouse):
            warehouse.run(f"ALTER TABLE np6_events ADD CONSTRAINT few CHECK (customer = 'us') {later}")
    sandbox.account = FakeAccount(events_per_day=100)
    with pytest.raises(Np6DestinationError) as caught:
        land(client, warehouse.sql, query_of(sandbox))
    check_message(caught.value, warehouse.sql, sandbox)
    assert caught.value.__cause__ is None
    assert not caught.value.retryable
    assert warehouse.payloads() == before


@contextmanager
def unchecked(warehouse: Warehouse) -> Iterator[None]:
    """MariaDB checks no rows that are stored already."""
    warehouse.run("SET GLOBAL check_constraint_checks = 0")
    try:
        yield
    finally:
        warehouse.run("SET GLOBAL check_constraint_checks = 1")
