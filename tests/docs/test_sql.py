"""What docs/sql.md says, run in each database: the recipes for views, what reads them, and the coverage."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.destinations.sql import layout
from airflow_provider_np6.destinations.sql.dialects import TableName, get_dialect
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.databases import ask
from tests.support.pages import Page, code
from tests.support.postgres import Postgres
from tests.support.pulls import MIDNIGHT, held, land, query_of

pytestmark = pytest.mark.core

PAGE = Page("docs/sql.md")
DAYS = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
DATABASES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MariaDB"}
"""The page's name of each type of connection."""


@pytest.fixture
def pulled_with_views(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days of an action's events, and the page's views, at the connection ``my_database``."""
    monkeypatch.setenv("AIRFLOW_CONN_MY_DATABASE", os.environ["AIRFLOW_CONN_TEST_SQL"])
    for event_type in ("bounces", "activations", "cancellations"):
        land(client, sql, query_of(sandbox, DAYS, event_type))
    name = DATABASES[json.loads(os.environ["AIRFLOW_CONN_TEST_SQL"])["conn_type"]]
    recipes = [block.text for block in PAGE.blocks if name in block.title.split(", ")]
    assert len(recipes) == 2
    for recipe in recipes:
        ask(recipe)


def details(sandbox: Sandbox, event_type: str) -> list[tuple[int, dict[str, Any]]]:
    """Time and detail of each event that NP6 has."""
    events = [json.loads(line) for line in held(sandbox, query_of(sandbox, DAYS, event_type))]
    return [(event["timestamp"], event["source"]["detail"]) for event in events]


def verdict(detail: dict[str, Any]) -> str:
    return str(detail["bounce"]["analysis"]["verdict"])


def test_every_query_is_run_here() -> None:
    titles = [block.title for block in PAGE.blocks if block.language == "sql"]
    assert len([title for title in titles if title]) == 6
    assert titles.count("") == 2


def test_every_column_is_listed() -> None:
    headings = {
        "### Events": COLUMNS,
        "### Windows": layout.WINDOW_COLUMNS,
        "### Header": layout.HEADER_COLUMNS[2:],  # without its key, which both tables share
    }
    for heading, columns in headings.items():
        listed = [name for row in PAGE.rows(heading) for name in code(row[0])]
        assert listed == [column.name for column in columns], heading
    rows = {code(table)[0]: code(columns) for table, columns in PAGE.rows("### Quarantine and erasure list")}
    for suffix, columns in (("quarantine", layout.QUARANTINE_COLUMNS), ("erased", layout.ERASED_COLUMNS)):
        listed = [name for name in rows[f"np6_events_{suffix}"] if name != "base64:"]
        assert listed == [column.name for column in columns], suffix


def test_every_table_is_listed_with_its_key_and_index() -> None:
    name, dialect = TableName(None, "np6_events"), get_dialect("sqlite")
    makers = (
        *(layout.events_table, layout.windows_table, layout.header_table),
        *(layout.quarantine_table, layout.erased_table),
    )
    tables = [make(name, dialect, "?") for make in makers]
    rows = PAGE.rows("## Tables")[:5]
    assert [(code(row[0]), code(row[2])) for row in rows] == [
        ([table.name.table], list(table.key)) for table in tables
    ]
    for index in (layout.BY_ACTION, layout.ALL_ACTIONS):
        columns = ", ".join(f"`{column}`" for column in index.columns)
        assert f"`np6_events_{index.suffix}` on {columns}" in PAGE.section("### Indexes").replace("\n", " ")


def test_rights_are_enough(
    client: Np6Client, sandbox: Sandbox, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = postgres.database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW_CONN_FEW_RIGHTS", json.dumps({**fields, "login": "airflow"}))
    ask('CREATE SCHEMA "crm-eu"')
    land(client, SqlDestination("test_sql", schema="crm-eu"), query_of(sandbox, DAYS))
    ask("DROP ROLE IF EXISTS airflow")
    ask("CREATE ROLE airflow LOGIN")
    for statement in PAGE.block("sql", "GRANT").split(";\n"):
        if statement.strip():
            ask(statement)
    sandbox.account = FakeAccount(events_per_day=120)
    sql = SqlDestination("few_rights", schema="crm-eu", create=False, evolve=False)
    assert land(client, sql, query_of(sandbox, DAYS))["outcome"] == "changed"
    assert sql.verify().is_ok
    assert sql.expire("2024-10-05")["slices"] == 1
    ask("DROP OWNED BY airflow")
    ask("DROP ROLE airflow")


@pytest.mark.usefixtures("pulled_with_views")
def test_bounces_by_day(sandbox: Sandbox) -> None:
    expected = Counter(
        ("2024-10-04" if time < MIDNIGHT + DAY else "2024-10-05", verdict(detail))
        for time, detail in details(sandbox, "bounces")
    )
    rows = ask("SELECT day, verdict, bounces, action_id FROM np6_events_bounces_by_day")
    assert {(str(row[0]), row[1]): row[2] for row in rows} == expected
    assert {row[3] for row in rows} == {query_of(sandbox).action_id}
    hard = [(str(day), int(bounces)) for day, bounces in ask(PAGE.block("sql", "SUM(bounces) AS hard"))]
    assert hard == [(day, bounces) for (day, name), bounces in sorted(expected.items()) if name == "hard"]


@pytest.mark.usefixtures("pulled_with_views")
def test_deliverability_by_domain(sandbox: Sandbox) -> None:
    expected: dict[str, list[int]] = {}
    for event_type in ("activations", "bounces"):
        for _, detail in details(sandbox, event_type):
            domain = detail["activation"]["recipient"].split("@")[1].lower()
            counts = expected.setdefault(domain, [0, 0, 0, 0])
            if event_type == "activations":
                counts[0] += 1
            else:
                counts[1] += 1
                counts[2 if verdict(detail) == "hard" else 3] += 1
    columns = "domain, activations, bounces, hard_bounces, soft_bounces"
    rows = ask(f"SELECT {columns} FROM np6_events_deliverability")
    assert {domain: [int(count) for count in counts] for domain, *counts in rows} == expected


@pytest.mark.usefixtures("pulled_with_views")
def test_windows_that_were_pulled(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    events = len(details(sandbox, "bounces"))
    slices = ask(PAGE.block("sql", "FROM np6_events_windows"))
    assert (len(slices), sum(row[2] for row in slices)) == (2, events)
    assert [row[3] for row in slices] == [0, 0]
    names: dict[str, Any] = {"SqlDestination": SqlDestination}
    exec(PAGE.block("python", "coverage("), names)  # noqa: S102 - the page's own words
    missing = names["coverage"].missing_windows()
    assert [window["window_start"] for window in missing] == ["2024-10-06T00:00:00.000Z"]
    # Airflow 2 logs to stdout, too.
    assert capsys.readouterr().out.splitlines()[-1] == f"{events} {missing} []"
    assert names["warehouse"].verify().is_ok
    assert names["warehouse"].action_ids("bounces") == [query_of(sandbox).action_id]
    exec(PAGE.block("python", "expire("), names)  # noqa: S102 - the page's own words
    assert names["warehouse"].verify().events > 0
