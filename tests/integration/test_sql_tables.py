"""Tables that exist already, and the values of their columns."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.extract import _found, found_columns, to_columns
from airflow_provider_np6.destinations.schema import COLUMNS, FOUND
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.databases import ask, payloads
from tests.support.properties import examples
from tests.support.pulls import HOUR, MIDNIGHT, held, in_order, land, query_of

pytestmark = pytest.mark.core


def name_of(sql: SqlDestination) -> str:
    from airflow.providers.common.compat.sdk import BaseHook

    return str(BaseHook.get_hook(sql.conn_id).conn_type)


def statements_of(error: Np6InputError) -> list[str]:
    """The statements that an error says to run."""
    assert error.hint.startswith("Run in the database:")
    return error.hint.removeprefix("Run in the database:").replace("\n", " ").rstrip(";").split("; ")


def test_a_missing_column_is_added(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    query = query_of(sandbox)
    land(client, sql, query)
    before = ask("SELECT event_id, hit_type, bounce_verdict FROM np6_events ORDER BY event_id")
    ask("ALTER TABLE np6_events DROP COLUMN hit_type")
    ask("ALTER TABLE np6_events ADD COLUMN ours VARCHAR(9)")
    with pytest.raises(Np6InputError, match="has no column hit_type") as caught:
        land(client, SqlDestination("test_sql", evolve=False), query)
    assert len(sandbox.received) == 1
    statements = statements_of(caught.value)
    land(client, sql, query)
    assert ask("SELECT event_id, hit_type, bounce_verdict FROM np6_events ORDER BY event_id") == before
    ask("ALTER TABLE np6_events DROP COLUMN hit_type")
    for statement in statements:
        ask(statement)
    land(client, SqlDestination("test_sql", evolve=False), query)
    assert payloads() == in_order(held(sandbox, query))
    assert ask("SELECT COUNT(*) FROM np6_events WHERE ours IS NULL") == [(len(before),)]


@pytest.mark.parametrize("is_by_hand", [False, True], ids=["evolve", "by hand"])
def test_the_next_pull_fills_a_column_that_was_added(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination, *, is_by_hand: bool
) -> None:
    """Although the events are those that are stored; after that they are, with all columns."""
    query, tomorrow = query_of(sandbox), query_of(sandbox, Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY))
    land(client, sql, query)
    land(client, sql, tomorrow)
    verdicts = "SELECT event_id, bounce_verdict FROM np6_events ORDER BY occurred_at, event_id"
    before = ask(verdicts)
    assert all(verdict for _, verdict in before)
    ask("ALTER TABLE np6_events DROP COLUMN bounce_verdict")
    if is_by_hand:
        with pytest.raises(Np6InputError, match="bounce_verdict") as caught:
            land(client, SqlDestination("test_sql", evolve=False), query)
        for statement in statements_of(caught.value):
            ask(statement)
    outcomes = [land(client, sql, query)["outcome"] for _ in range(2)]
    assert outcomes == ["changed", "unchanged"]
    count = len(held(sandbox, query))
    assert ask(verdicts) == before[:count] + [(id_, None) for id_, _ in before[count:]]
    assert land(client, sql, tomorrow)["outcome"] == "changed"
    assert ask(verdicts) == before


WRONG = {
    "mysql": [
        ("payload", "TEXT"),
        ("bounce_diagnostic", "VARCHAR(200)"),
        ("occurred_at", "DATETIME"),
        ("event_id", "VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
    ],
    "postgres": [
        ("payload", "JSONB"),
        ("occurred_at", "TIMESTAMP"),
        ("sent_at", "TIMESTAMPTZ(0)"),
        ("bounce_diagnostic", "VARCHAR(20)"),
    ],
    "sqlite": [("payload", "BLOB"), ("target_id", "NUMERIC")],
}


def test_columns_of_wrong_types_are_refused_with_the_fix(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    query = query_of(sandbox)
    for column, wrong in WRONG[name_of(sql)]:
        # A table made by hand, in our own words but for one column.
        with pytest.raises(Np6InputError) as missing:
            land(client, SqlDestination("test_sql", create=False), query)
        create, *_ = statements_of(missing.value)
        quote = "`" if "`" in create else '"'
        ours = next(part for part in create.split(",") if f"{quote}{column}{quote}" in part)
        ask(create.replace(ours, ours[: ours.index(column) + len(column) + 1] + f" {wrong} NOT NULL", 1))
        with pytest.raises(Np6InputError, match="of types that would change their values") as caught:
            land(client, sql, query)
        assert column in caught.value.what
        for statement in statements_of(caught.value):
            ask(statement)
        land(client, sql, query)
        assert payloads() == in_order(held(sandbox, query))
        for suffix in ("", "_windows", "_header", "_quarantine", "_erased", "_old"):
            ask(f"DROP TABLE IF EXISTS np6_events{suffix}")
    assert len(sandbox.received) == len(WRONG[name_of(sql)])


def test_a_table_without_its_key_is_refused(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    columns = ", ".join(column.name for column in COLUMNS)
    land(client, SqlDestination("test_sql", table="made"), query_of(sandbox))
    ask(f"CREATE TABLE np6_events AS SELECT {columns} FROM made WHERE 1 = 0")
    with pytest.raises(Np6InputError, match=r"lacks its key|types that would change"):
        land(client, sql, query_of(sandbox))
    ask("DROP TABLE np6_events")
    ask("CREATE TABLE np6_events (occurred_at INTEGER)")
    with pytest.raises(Np6InputError):
        land(client, sql, query_of(sandbox))
    assert len(sandbox.received) == 1


def test_ids_may_be_of_the_type_uuid(
    client: Np6Client, sandbox: Sandbox, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(postgres.database()))
    sql, query = SqlDestination("test_sql"), query_of(sandbox)
    with sql.open(query, "test"):
        ask("ALTER TABLE np6_events ALTER COLUMN event_id TYPE uuid USING event_id::uuid")
    for _ in range(2):
        land(client, sql, query)
    assert len(payloads()) == len(held(sandbox, query))
    sandbox.plan.add(Fault(body=b'[{"id":"no uuid","timestamp":%d}]' % MIDNIGHT), times=2)
    with pytest.raises(Np6DestinationError, match="SQLSTATE 22P02"):
        land(client, sql, query, on_shrink="replace")
    assert len(payloads()) == len(held(sandbox, query))


def test_windows_that_lose_events_to_another_are_counted_again(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    first, second = (Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in (0, 1))
    events = [{"id": f"e{n}", "timestamp": MIDNIGHT + n} for n in range(7)]
    sandbox.plan.add(Fault(body=json.dumps(events).encode()))
    land(client, sql, query_of(sandbox, first))
    moved = [{"id": f"e{n}", "timestamp": MIDNIGHT + HOUR + n} for n in range(3)]
    sandbox.plan.add(Fault(body=json.dumps(moved).encode()))
    land(client, sql, query_of(sandbox, second))
    counts = "SELECT events, displaced FROM np6_events_windows ORDER BY window_start"
    assert ask(counts) == [(4, 3), (3, 0)]
    assert ask("SELECT COUNT(*) FROM np6_events") == [(7,)]
    # What was displaced adds up, until the window is pulled again.
    moved = [{"id": "e6", "timestamp": MIDNIGHT + 2 * HOUR}]
    sandbox.plan.add(Fault(body=json.dumps(moved).encode()))
    land(client, sql, query_of(sandbox, Window(MIDNIGHT + 2 * HOUR, MIDNIGHT + 3 * HOUR)))
    assert ask(counts) == [(3, 4), (3, 0), (1, 0)]
    sandbox.plan.add(Fault(body=json.dumps(events[3:6]).encode()))
    assert land(client, sql, query_of(sandbox, first))["outcome"] == "changed"
    assert ask(counts) == [(3, 0), (3, 0), (1, 0)]


def test_what_is_large_or_strange_is_stored_unchanged(
    client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    texts = [
        "x" * 1_000_000,
        "📫 𝒩é\u200d",
        "a\tb\nc\rd",
        "\x01\x02\x03\x1f",
        "\\N",
        "",
        '"\\.',
        "'; --",
        "%s ? {}",
    ]
    events = [
        {
            "id": f"e{n}",
            "timestamp": MIDNIGHT + n,
            "source": {"detail": {"bounce": {"status": {"diagnostic": text}}}},
            "n": 10**40,
        }
        for n, text in enumerate(texts)
    ]
    lines = [json.dumps(event, ensure_ascii=n % 2 == 0).encode() for n, event in enumerate(events)]
    sandbox.plan.add(Fault(body=b"[" + b",".join(lines) + b"]"))
    land(client, sql, query_of(sandbox))
    assert payloads() == lines
    assert [row[0] for row in ask("SELECT bounce_diagnostic FROM np6_events ORDER BY occurred_at")] == texts


texts = st.text(st.characters(), max_size=5) | st.sampled_from(['"}', "\\", '{"[', "7" * 400, "]", "\ud83d"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400)])
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
steps = sorted({step for column in FOUND for path in column.paths for step in path})
anything = st.recursive(
    leaves,
    lambda inner: st.dictionaries(st.sampled_from(steps), inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@st.composite
def near_events(draw: st.DrawFn) -> dict[str, Any]:
    """Events as documented, but for some values."""
    event: dict[str, Any] = {
        "id": draw(st.text(min_size=1, max_size=9)),
        "timestamp": draw(st.integers(0, 2**42)),
    }
    for column in draw(st.lists(st.sampled_from(FOUND), max_size=6)):
        for path in column.paths[: draw(st.integers(1, len(column.paths)))]:
            node = event
            for step in path[:-1]:
                node = node.setdefault(step, {}) if isinstance(node.get(step, {}), dict) else {}
            lawful = st.integers(0, 2**53) if column.kind == "timestamp" else texts
            node.setdefault(path[-1], draw(lawful | anything))
    return event


@examples(300)
@given(
    st.lists(
        near_events() | anything.map(lambda odd: {"id": "x", "timestamp": 1, "source": odd}),
        min_size=1,
        max_size=5,
    )
)
def test_typed_reading_finds_what_reading_step_by_step_finds(bounces: EventQuery, events: list[Any]) -> None:
    items = [json.dumps(event).encode() for event in events]
    names = [column.name for column in COLUMNS]
    for group in (items, *([item] for item in items)):
        found = dict(zip(names, to_columns(group, bounces, 5), strict=True))
        for n, item in enumerate(group):
            event = json.loads(item, parse_float=str)
            for column in FOUND:
                value = _found(event, column)
                if isinstance(value, str):
                    value = re.sub("[\ud800-\udfff]", "\ufffd", value)
                if column.name != "action_id":
                    assert found[column.name][n] == value, column.name
        assert list(found["payload"]) == [item.decode() for item in group]
        assert list(found["pulled_at"]) == [5] * len(group)


@examples(300)
@given(
    event=near_events(),
    deep=st.integers(0, 3_000),
    spaced=st.booleans(),
    wide=st.sampled_from(["", "-"]).map(lambda sign: sign + "7" * 5_000),
)
def test_events_that_no_parser_takes_are_read_as_those_without_what_it_refuses(
    bounces: EventQuery, event: dict[str, Any], deep: int, spaced: bool, wide: str
) -> None:
    """``new`` is no column's, wherever it is; a number of thousands of digits keeps its text."""
    item = json.dumps(event, separators=(" , ", " : ") if spaced else None).encode()
    odd = [
        item[:-1] + b', "new":' + b'[{"a":' * deep + b"1" + b"}]" * deep + b"}",
        b'{"new":"\\ud83d]","new":[%b],' % wide.encode() + item[1:],
    ]

    def read(*items: bytes) -> dict[str, list[Any]]:
        return {name: list(values) for name, values in found_columns(items, bounces).items()}

    plain = read(item)
    assert [read(one) for one in odd] == [plain, plain]
    assert read(*odd, item) == {name: values * 3 for name, values in plain.items()}
    changed = read(item[:-1] + b',"type":%b,"source":%b}' % (wide.encode(), wide.encode()))
    assert changed["payload_type"] == [wide]
    assert changed["sent_at"] == changed["message_id"] == [None]


@pytest.fixture(scope="module")
def bounces() -> EventQuery:
    return EventQuery.checked("bounces", "000PE4", Window(MIDNIGHT, MIDNIGHT + DAY))
