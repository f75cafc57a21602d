"""Every event type of the catalogue into files and SQL; one action after the other, and all at once."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6ConflictError
from airflow_provider_np6.np6.event_types import COMMON, EVENT_TYPES, EventType
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import from_ms
from airflow_provider_np6.sandbox import Sandbox
from tests.support.databases import ask
from tests.support.files import coverage, data_files
from tests.support.pulls import TODAY, held, in_order, land

pytestmark = pytest.mark.core

EACH = [
    EventQuery.checked(row.event_type, "000PE4", TODAY, classification)
    for row in EVENT_TYPES.values()
    for classification in ("", "genericrobot,gsr,mpp")[: 1 + row.has_classification]
]
ALL_AT_ONCE = [
    EventQuery.checked(event_type, "*", TODAY, classification)
    for event_type, classification in (
        ("bounces", ""),
        ("responses/stop", ""),
        ("hits", ""),
        ("hits", "gsr,mpp"),
        ("events", ""),
    )
]


def dataset(query: EventQuery) -> str:
    return f"{query.event_type}~{query.classification}"


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDestination:
    connection = {"conn_type": "sqlite", "host": str(tmp_path / "np6.db")}
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    return SqlDestination("test_sql")


def files(root: Path, query: EventQuery) -> list[str]:
    """Data files that manifests name."""
    span = (from_ms(query.window.start), from_ms(query.window.end))
    return data_files(
        str(root), query.event_type, query.action_id, *span, classification=query.classification
    )


def lines(root: Path, query: EventQuery) -> list[bytes]:
    """Raw events in them."""
    return [line for path in files(root, query) for line in Path(path).read_bytes().splitlines()]


def in_table(columns: str) -> list[tuple[Any, ...]]:
    return ask(f"SELECT {columns} FROM np6_events ORDER BY occurred_at, event_id")


def requests_for_all_of_today(sandbox: Sandbox) -> int:
    """How many requests came without those that check a response."""
    bounds = {"start": "2024-10-03T23:59:59Z", "end": "2024-10-05T00:00:01Z"}
    return sum(bounds.items() <= request.parameters.items() for request in sandbox.received)


@pytest.mark.parametrize("query", EACH, ids=dataset)
def test_each_type_into_files_and_sql(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, sqlite: SqlDestination, query: EventQuery
) -> None:
    row, classification = EVENT_TYPES[EventType(query.event_type)], query.classification
    expected = in_order(held(sandbox, query))
    assert expected
    for destination in (
        FileDestination(str(tmp_path / "lines"), "jsonl"),
        FileDestination(str(tmp_path / "parquet"), "parquet"),
        sqlite,
    ):
        land(client, destination, query)
    request = sandbox.received[0]
    assert request.path == query.path
    assert request.parameters.get("classification", "") == classification

    assert in_order(lines(tmp_path / "lines", query)) == expected
    (path,) = files(tmp_path / "parquet", query)
    with closing(pq.ParquetFile(path)) as file:
        table = file.read()
    assert in_order([text.encode() for text in table["payload"].to_pylist()]) == expected
    assert [payload.encode() for (payload,) in in_table("payload")] == expected

    declared = {*COMMON, *row.columns}
    filled = {name for name in table.column_names if table[name].null_count < len(table)}
    assert filled == declared - {"pulled_at"}
    names = [name for _, name, *_ in ask("PRAGMA table_info(np6_events)")]
    assert {name for name in names if ask(f"SELECT 1 FROM np6_events WHERE {name} IS NOT NULL")} == declared

    assert set(in_table("event_type, classification, action_id")) == {
        (query.event_type, classification, "000PE4")
    }
    types = {payload_type for (payload_type,) in in_table("payload_type")}
    if query.event_type == EventType.EVENTS:
        assert types == {other.payload_type for other in EVENT_TYPES.values()}
    else:
        assert types == {row.payload_type}


@pytest.mark.parametrize("query", ALL_AT_ONCE, ids=dataset)
def test_all_actions_at_once_are_the_same_events_by_one_request(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, sqlite: SqlDestination, query: EventQuery
) -> None:
    actions = sandbox.account.action_ids
    each = [replace(query, action_id=action) for action in actions]
    for one in each:
        land(client, FileDestination(str(tmp_path / "each"), "jsonl"), one)
        land(client, SqlDestination("test_sql", "each"), one)
    assert requests_for_all_of_today(sandbox) == 2 * len(actions)
    land(client, FileDestination(str(tmp_path / "all"), "jsonl"), query)
    land(client, SqlDestination("test_sql", "all_at_once"), query)
    assert requests_for_all_of_today(sandbox) == 2 * len(actions) + 2

    one_by_one = in_order([line for one in each for line in lines(tmp_path / "each", one)])
    assert one_by_one
    assert in_order(lines(tmp_path / "all", query)) == one_by_one
    columns = "event_id, event_type, classification, occurred_at, recipient, hit_type, payload"
    rows = [set(ask(f"SELECT {columns} FROM {table}")) for table in ("each", "all_at_once")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(one_by_one)
    # The action is the same where the event tells it; what comes by SMS does not.
    told = ask(
        "SELECT each.action_id, all_at_once.action_id FROM each JOIN all_at_once USING (event_id)"
        " WHERE json_extract(each.payload, '$.source.type') = 'email'"
    )
    assert set(told) == {(action, action) for action in actions if query.event_type != "responses/stop"}
    silent = ask(
        "SELECT DISTINCT action_id FROM all_at_once WHERE json_extract(payload, '$.source.type') = 'sms'"
    )
    assert silent == [(None,)][: query.event_type in ("responses/stop", "events")]


@pytest.mark.parametrize("kind", ["files", "sql"])
def test_robots_and_people_never_replace_each_other(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, sqlite: SqlDestination, kind: str
) -> None:
    destination = sqlite if kind == "sql" else FileDestination(str(tmp_path / "np6"), "jsonl")
    queries = [
        EventQuery.checked("hits/open", "000PE4", TODAY, classification)
        for classification in ("", "gsr", "gsr,mpp", "", "mpp,gsr", "gsr")
    ]
    for query in queries:
        land(client, destination, query)
    for query in queries:
        expected = in_order(held(sandbox, query))
        assert expected
        if kind == "sql":
            stored = [
                payload.encode()
                for (payload,) in ask(
                    "SELECT payload FROM np6_events WHERE classification = ?", query.classification
                )
            ]
        else:
            stored = lines(tmp_path / "np6", query)
            found = coverage(
                str(tmp_path / "np6"),
                *("hits/open", "000PE4", "2024-10-04", "2024-10-05"),
                classification=query.classification,
            )
            assert (found.events, found.missing) == (len(expected), [])
        assert in_order(stored) == expected


def test_all_actions_are_refused_beside_one_of_the_same_classes_only(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, sqlite: SqlDestination
) -> None:
    for destination in (FileDestination(str(tmp_path / "np6")), sqlite):
        land(client, destination, EventQuery.checked("hits", "000PE4", TODAY, "gsr"))
        land(client, destination, EventQuery.checked("hits", "*", TODAY))
        requests = len(sandbox.received)
        with pytest.raises(Np6ConflictError):
            land(client, destination, EventQuery.checked("hits", "*", TODAY, "gsr"))
        assert len(sandbox.received) == requests


def test_a_path_of_ones_own_is_a_dataset_of_its_own(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    queries = [EventQuery.checked(name, "000PE4", TODAY, "gsr") for name in ("hits/open", "/hits/open")]
    for query in queries:
        land(client, FileDestination(str(tmp_path), "jsonl"), query)
    named, raw = (lines(tmp_path, query) for query in queries)
    assert named == raw
    folders = {path.name for path in tmp_path.glob("type=*")}
    assert folders == {"type=hits%2Fopen~gsr", "type=%2Fhits%2Fopen~gsr"}
