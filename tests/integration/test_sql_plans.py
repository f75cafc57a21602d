"""No statement of a pull scans a table that grows: plans in tables with many windows and events."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from benchmarks.sql_cost import CREATED, SERVERS, START, Database, Fill, make_events
from tests.support.databases import ask
from tests.support.people import KEY
from tests.support.pulls import HOUR
from tests.support.writes import TimedEvent, write_events

pytestmark = pytest.mark.core

TABLE = "np6_events"
GROWING = {TABLE: "occurred_at", f"{TABLE}_windows": "window_start", f"{TABLE}_quarantine": "near"}
"""Tables that grow with what is stored, and the columns that say when their rows are from."""

SELECTIVE = {*GROWING.values(), "event_id", "sha256"}
"""Columns that an index must be searched by; by others it has as many rows as a series or an action has."""

MAX_ROWS = 200
"""Rows that one statement may read: some more than are stored of the days that a pull touches."""

WINDOWS, ALL_EVENTS, EVENTS = 20_000, 30_000, 20
WITHOUT_PLAN = re.compile(
    r"SET |BEGIN|START TRANSACTION|PRAGMA |COPY |INSERT INTO \S+ \([^)]*\) VALUES "
    r"|CREATE TEMPORARY TABLE \S*np6_staging\S* |DROP TABLE \S*np6_staging"
)
READS_ALL = re.compile(r"SELECT DISTINCT |SELECT .* LIKE |SELECT .*\Wevent\W IS NOT NULL$")
"""Statements by which an erasure and an expiry find out where they have something to do."""


@dataclass
class Access:
    """How a statement reaches a table.

    :param condition: what the index is searched by; None if it is read without one.
    :param rows: how many are read, also those that do not fit; None where the database does not say.
    """

    table: str
    condition: str | None
    rows: float | None = None


Explain = Callable[[Any, str, Sequence[Any] | None], list[Access]]


@dataclass
class Recorder:
    """Explains the statements that go through connections, each one just before it is executed."""

    explain: Explain
    plans: list[tuple[str, list[Access]]] = field(default_factory=list)

    def take(self, cursor: Any, statement: str, values: Sequence[Any] | None) -> None:
        if WITHOUT_PLAN.match(statement):
            return
        try:
            self.plans.append((statement, self.explain(cursor, statement, values)))
        except Exception as error:
            pytest.fail(f"{statement}: {error!r}")  # which a pull does not catch

    def check(self, *tables: str, reads_all: re.Pattern[str] | None = None) -> None:
        """No plan since the last check has a fault.

        :param tables: that some statement must have searched.
        :param reads_all: statements that may read all.
        """
        judged = [plan for plan in self.plans if reads_all is None or not reads_all.match(plan[0])]
        self.plans.clear()
        bad = {
            f"{statement}\n    {fault}"
            for statement, accesses in judged
            for fault in find_faults(statement, accesses)
        }
        assert not bad, "\n".join(sorted(bad))
        assert {access.table for _, accesses in judged for access in accesses} >= set(tables)


class Connection:
    """A driver's connection whose cursors report their statements."""

    def __init__(self, connection: Any, recorder: Recorder) -> None:
        vars(self).update(_connection=connection, _recorder=recorder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def cursor(self, *arguments: Any, **options: Any) -> Cursor:
        return Cursor(self._connection.cursor(*arguments, **options), self._connection, self._recorder)


class Cursor:
    """A driver's cursor that reports its statements."""

    def __init__(self, cursor: Any, connection: Any, recorder: Recorder) -> None:
        self._cursor = cursor
        self._connection = connection
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cursor, name)
        if name not in ("copy", "copy_expert"):  # each driver of PostgreSQL has one of them
            return method

        def copy(statement: str, *arguments: Any) -> Any:
            self._take(statement)
            return method(statement, *arguments)

        return copy

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self._cursor.close()

    def execute(self, statement: str, *values: Any) -> Any:
        self._take(statement, *values)
        return self._cursor.execute(statement, *values)

    def executemany(self, statement: str, rows: Sequence[Any]) -> Any:
        self._take(statement, rows[0])
        return self._cursor.executemany(statement, rows)

    def _take(self, statement: str, values: Sequence[Any] | None = None) -> None:
        with closing(self._connection.cursor()) as cursor:
            self._recorder.take(cursor, statement, values)


def explain_postgres(cursor: Any, statement: str, values: Sequence[Any] | None) -> list[Access]:
    with _undone(cursor):
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", values)
        ((plan,),) = cursor.fetchall()
    (root,) = json.loads(plan) if isinstance(plan, str) else plan
    accesses = []
    for node in _nodes(root["Plan"], "Plans"):
        if "Relation Name" not in node or node["Node Type"] == "ModifyTable":
            continue
        parts = list(_nodes(node, "Plans")) if node["Node Type"] == "Bitmap Heap Scan" else [node]
        conditions = [_searched(cursor, part) for part in parts if "Index Cond" in part]
        read = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        rows = sum(node.get(name, 0) for name in read) * node["Actual Loops"]
        accesses.append(Access(node["Relation Name"], " AND ".join(conditions) or None, rows))
    return accesses


def _searched(cursor: Any, node: dict[str, Any]) -> str:
    """The condition of a search. If it lacks a column of the index, what comes after that does not narrow the
    search: then the names of the columns before it."""
    condition = str(node["Index Cond"])
    cursor.execute("SELECT pg_get_indexdef(CAST(%s AS regclass))", (f'"{node["Index Name"]}"',))
    ((definition,),) = cursor.fetchall()
    columns = re.findall(r"\w+", definition.rpartition("(")[2])
    used = [column for column in columns if re.search(rf"\b{column}\b", condition)]
    prefix = list(takewhile(lambda column: column in used, columns))
    return condition if prefix == used else ", ".join(prefix)


def explain_mariadb(cursor: Any, statement: str, values: Sequence[Any] | None) -> list[Access]:
    with _undone(cursor):
        cursor.execute(f"ANALYZE FORMAT=JSON {statement}", values)
        ((plan,),) = cursor.fetchall()
    accesses = []
    for node in _nodes(json.loads(plan)):
        if "access_type" in node:
            is_search = node["access_type"] in ("const", "eq_ref", "ref", "range", "system")
            parts = ", ".join(node.get("used_key_parts", ())) if is_search else None
            rows = (node.get("r_rows") or 0) * (node.get("r_loops") or 1)
            accesses.append(Access(node["table_name"], parts, rows))
    return accesses


def explain_sqlite(cursor: Any, statement: str, values: Sequence[Any] | None) -> list[Access]:
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values or ())
    accesses = []
    for *_, detail in cursor.fetchall():
        match = re.match(r"(SCAN|SEARCH) (\w+)(?:[^(]*\((.*)\))?", detail)
        if match:
            is_search = match[1] == "SEARCH" and "ANY(" not in match[3]  # that skips from value to value
            accesses.append(Access(match[2], match[3] if is_search else None))
    return accesses


EXPLAIN = {"postgres": explain_postgres, "mariadb": explain_mariadb, "sqlite": explain_sqlite}


@contextmanager
def _undone(cursor: Any) -> Iterator[None]:
    """Executed to see how many rows are read, and then once more by the pull."""
    cursor.execute("SAVEPOINT np6_plan")
    yield
    cursor.execute("ROLLBACK TO SAVEPOINT np6_plan")


def _nodes(value: Any, key: str | None = None) -> Iterator[dict[str, Any]]:
    """All dictionaries in a plan."""
    if isinstance(value, dict):
        yield value
        for name, child in value.items():
            if key is None or name == key:
                yield from _nodes(child, key)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child, key)


def find_faults(statement: str, accesses: Sequence[Access]) -> list[str]:
    """What is wrong with a plan."""
    found = []
    for access in accesses:
        if access.table not in GROWING:
            continue
        time = GROWING[access.table]
        names = set(re.findall(r"\w+", access.condition or ""))
        wanted = set(re.findall(rf"\W{time}\W? (<|>|=)", statement))
        bounds = set(re.findall(rf"\b{time}\b\W*?(<|>|=)", access.condition or ""))
        if access.condition is None:
            found.append(f"scans {access.table}")
        elif not names & SELECTIVE:
            found.append(f"reads all of a series in {access.table}: {access.condition}")
        elif wanted and (time not in names or (bounds and bounds != wanted)):
            found.append(f"searches {access.table} without the time's bounds: {access.condition}")
        if (access.rows or 0) > MAX_ROWS:
            found.append(f"reads {access.rows} rows of {access.table}: {access.condition}")
    return found


@dataclass
class Filled:
    """A destination with many windows and events, and pulls of one series and action into it."""

    destination: SqlDestination
    recorder: Recorder
    query: EventQuery
    begin: int
    """Start of what is stored."""
    gap: int
    """Start of two days in the middle of which nothing is stored."""
    pulls: int = 0

    def pull(
        self,
        begin: int,
        length: int = HOUR,
        *,
        version: int = 1,
        count: int = EVENTS,
        outcome: str = "created",
        on_shrink: str = "fail",
        events: list[TimedEvent] | None = None,
        has_invalid: bool = False,
    ) -> list[TimedEvent]:
        """One pull; its events.

        :param has_invalid: whether an invalid event comes with them.
        """
        query = EventQuery(self.query.event_type, self.query.action_id, Window(begin, begin + length))
        events = events or make_events(query, version, count)
        self.pulls += 1
        at = query.window.end if outcome == "superseded" else START + 10 * DAY + self.pulls
        days = Counter(time // DAY for time, _ in events)
        with self.destination.open(query, "test", on_shrink=on_shrink) as writer:
            writer.restart(at)
            writer.write(Events([raw for _, raw in events], [time for time, _ in events]))
            if has_invalid:
                writer.set_aside(Invalid(b'{"x":1}', "has no id", 3, begin + 1, "ab" * 32))
            pull = VerifiedPull(at, days, {}, int(has_invalid), 0, 1, "all")
            report = writer.publish(pull, is_confirmed=True).to_dict()
        assert report["outcome"] == outcome
        return events


def hook_of(conn_id: str) -> Any:
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_hook(conn_id)


@pytest.fixture(params=["by_action", "all_actions"])
def filled(request: pytest.FixtureRequest, sql: SqlDestination, monkeypatch: pytest.MonkeyPatch) -> Filled:
    """Windows of one hour of the action, or of all, that is pulled, and as many days of other actions."""
    name = request.node.callspec.params["sql"]
    action_id = "PULLED" if request.param == "by_action" else ALL_ACTIONS
    query = EventQuery("bounces", action_id, Window(CREATED, CREATED + HOUR))
    write_events(sql, query, make_events(query, 1, 1))
    database = Database(SERVERS[name], sql.conn_id)
    hours = WINDOWS if action_id == ALL_ACTIONS else WINDOWS // 2
    gap = range(hours // 2, hours // 2 + 48)
    fill = Fill("bounces", action_id, HOUR, range(hours), ALL_EVENTS // 2, hours * HOUR, gap=gap)
    database.fill(TABLE, fill)
    if action_id != ALL_ACTIONS:
        days = range(WINDOWS - hours)
        database.fill(TABLE, Fill("bounces", "", DAY, days, ALL_EVENTS // 2, 400 * DAY, actions=25))
    ask(
        f"INSERT INTO {TABLE}_quarantine (event_type, classification, action_id, near, reason, sha256)"
        f" SELECT event_type, classification, action_id, window_start, 'x', 'y' FROM {TABLE}_windows"
    )
    database.analyze(TABLE)
    recorder = Recorder(EXPLAIN[name])
    hook = type(hook_of(sql.conn_id))
    connect = hook.get_conn
    monkeypatch.setattr(hook, "get_conn", lambda self: Connection(connect(self), recorder))
    return Filled(sql, recorder, query, START - hours * HOUR, START - gap.stop * HOUR)


def test_no_statement_scans_a_table_that_grows(filled: Filled) -> None:
    recorder, destination, gap = filled.recorder, filled.destination, filled.gap
    pull_all_ways(filled)
    recorder.check(*GROWING)
    assert ask(f"SELECT SUM(displaced) FROM {TABLE}_windows") == [(EVENTS,)]  # which needs more statements
    recorder.plans.clear()

    coverage = destination.coverage("bounces", filled.query.action_id, iso(gap - 2 * DAY), iso(gap))
    assert coverage.is_complete
    recorder.check(f"{TABLE}_windows")

    expired = destination.expire(iso(filled.begin + 6 * HOUR))
    assert expired["slices"] == 7  # with the one that the tables were created with
    recorder.check(*GROWING, reads_all=READS_ALL)

    raw = filled.pull(gap + 30 * HOUR)[5][1]  # whose address only this event and those of other pulls have
    person = json.loads(raw)["source"]["detail"]["activation"]["recipient"]
    recorder.plans.clear()
    assert destination.erase([person], Pseudonyms(KEY), "test")["events"]
    recorder.check(TABLE, f"{TABLE}_windows", reads_all=READS_ALL)


def pull_all_ways(filled: Filled) -> None:
    """Pulls that each need some statements of their own."""
    gap = filled.gap
    filled.pull(START)
    filled.pull(gap)
    filled.pull(START + 12 * HOUR, DAY)  # parts of two days
    filled.pull(gap, version=2, outcome="changed")
    filled.pull(gap, version=2, outcome="unchanged")
    filled.pull(gap, outcome="superseded")
    filled.pull(gap - 10 * HOUR, 8 * HOUR, outcome="changed", count=100)  # several slices become one
    filled.pull(gap, 2 * HOUR, outcome="changed", count=40)
    events = filled.pull(gap, HOUR // 2, outcome="changed")  # a slice is cut
    filled.pull(START, count=EVENTS // 2, outcome="shrunk", on_shrink="keep")
    filled.pull(START, count=EVENTS // 2, outcome="changed", on_shrink="replace")
    # The same ids in another window, which takes them over.
    by = 10 * HOUR
    later = [(time + by, raw.replace(b"%d" % time, b"%d" % (time + by))) for time, raw in events]
    filled.pull(gap + by, events=later)
    for outcome in ("created", "unchanged"):
        filled.pull(gap + 2 * by, outcome=outcome, has_invalid=True)
