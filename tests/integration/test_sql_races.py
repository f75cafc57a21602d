"""Pulls, erasures and expiries at the same time, and connections that are lost at every statement."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.event_writer import EventWriter
from airflow_provider_np6.destinations.sql import database as sql_database
from airflow_provider_np6.destinations.sql.dialects import get_dialect
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6PullAgainError,
    Np6ShrunkError,
)
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.privacy.erasure_filter import ErasureFilter
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from tests.support.databases import ask
from tests.support.people import KEY
from tests.support.pulls import HOUR, MIDNIGHT, TODAY
from tests.support.writes import TimedEvent

pytestmark = [pytest.mark.core, pytest.mark.timeout(300)]

ROUNDS = int(os.environ.get("NP6_ROUNDS", "20"))
SECONDS = float(os.environ.get("NP6_STORM", "2"))

KILLS = int(os.environ.get("NP6_KILLS", "100"))
BREAKS = max(3, KILLS // 16)
FEW_ROUNDS = -(-ROUNDS // 5)
PULLS = 8
"""Pulls at once."""

ON_SERVERS = pytest.mark.parametrize("sql", ["postgres", "mariadb"], indirect=True)
PULLED_AT = MIDNIGHT + 10 * DAY
COMMIT = "COMMIT"
CONNECTION = "AIRFLOW_CONN_TEST_SQL"
PERSON = "ann.lee@example.com"
CONFIG = Np6Config(base_url="https://x", api_key="k", account="test", pseudonym_key=KEY)


# Statements: seen, held up and broken


class _Hooked(threading.local):
    before: Callable[[Any, str], None] | None = None
    after: Callable[[Any, str], None] | None = None


_hooked = _Hooked()


class Connection:
    """A driver's connection that reports each statement before and after it is executed."""

    def __init__(self, connection: Any) -> None:
        vars(self).update(_connection=connection)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def cursor(self, *arguments: Any, **options: Any) -> Cursor:
        return Cursor(self._connection.cursor(*arguments, **options), self._connection)

    def commit(self) -> None:
        with _reported(self._connection, COMMIT):
            self._connection.commit()


class Cursor:
    """A driver's cursor that does so."""

    def __init__(self, cursor: Any, connection: Any) -> None:
        self._cursor = cursor
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cursor, name)
        if name == "copy":  # psycopg 3
            return lambda statement: _copied(self._connection, method, statement)
        if name not in ("execute", "executemany", "copy_expert"):
            return method

        def execute(statement: str, *arguments: Any) -> Any:
            with _reported(self._connection, statement):
                return method(statement, *arguments)

        return execute

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)


@contextmanager
def _reported(connection: Any, statement: str) -> Iterator[None]:
    if _hooked.before is not None:
        _hooked.before(connection, statement)
    yield
    if _hooked.after is not None:
        _hooked.after(connection, statement)


@contextmanager
def _copied(connection: Any, copy: Callable[[str], Any], statement: str) -> Iterator[Any]:
    with _reported(connection, statement), copy(statement) as copied:
        yield copied


@contextmanager
def statements(
    before: Callable[[Any, str], None] | None = None, after: Callable[[Any, str], None] | None = None
) -> Iterator[None]:
    """Calls functions with the driver's connection and each statement of this thread; the last statement of a
    transaction is ``COMMIT``."""
    outer = _hooked.before, _hooked.after
    _hooked.before, _hooked.after = before, after
    try:
        yield
    finally:
        _hooked.before, _hooked.after = outer


class Hold:
    """Holds a transaction up before it commits, the first one that has executed a statement of a kind."""

    def __init__(self, pattern: str = "") -> None:
        self._pattern = re.compile(pattern)
        self._is_meant = False
        self.reached = Event()
        self._go = Event()

    def __call__(self, connection: Any, statement: str) -> None:
        if statement != COMMIT:
            self._is_meant = self._is_meant or bool(self._pattern.search(statement))
        elif self._is_meant and not self.reached.is_set():
            self.reached.set()
            assert self._go.wait(60)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """While it does; at the end, let it go on."""
        try:
            assert self.reached.wait(60)
            yield
        finally:
            self._go.set()


class Arrival:
    """Notices that a transaction begins that writes."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._begun = Event()

    def __call__(self, connection: Any, statement: str) -> None:
        if statement.startswith(("BEGIN IMMEDIATE", "SELECT pg_advisory_xact_lock", "SELECT `version`")):
            self._begun.set()

    def wait_for_lock(self, waiting: int = 1) -> None:
        """Until it waits for another.

        :param waiting: how many transactions wait then.
        """
        assert self._begun.wait(30)
        if self._kind == "sqlite":
            time.sleep(0.2)  # nothing shows who waits
            return
        count = {
            "postgres": "SELECT COUNT(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'",
            # innodb_trx would show what it was at the last look, if that was just before.
            "mariadb": "SELECT CAST(variable_value AS INT) FROM information_schema.global_status"
            " WHERE variable_name = 'Innodb_row_lock_current_waits'",
        }[self._kind]
        deadline = time.monotonic() + 30
        while ask(count) != [(waiting,)]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of the database of ``sql``."""
    return str(request.node.callspec.params["sql"])


@pytest.fixture(autouse=True)
def _reporting(sql: SqlDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections of threads that use :func:`statements` report their statements."""
    from airflow.providers.common.compat.sdk import BaseHook

    hook_class = type(BaseHook.get_hook(sql.conn_id))
    get_conn = hook_class.get_conn

    def get(hook: Any) -> Any:
        connection = get_conn(hook)
        is_hooked = _hooked.before is not None or _hooked.after is not None
        return Connection(connection) if is_hooked else connection

    monkeypatch.setattr(hook_class, "get_conn", get)


@pytest.fixture(autouse=True)
def _quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_database, "random", SimpleNamespace(uniform=lambda *_: 0.01))


# Pulls


def event(id_: str, time: int, action: str = "A", person: str = "bob@example.com") -> TimedEvent:
    send = {"id": action, "recipient": person}
    raw = {"id": id_, "timestamp": time, "source": {"detail": {"activation": send}}}
    return time, json.dumps(raw).encode()


def many(window: Window, count: int, prefix: str = "e", **values: Any) -> list[TimedEvent]:
    """Events spread over a window."""
    step = (window.end - window.start) // count
    return [event(f"{prefix}-{n}", window.start + n * step, **values) for n in range(count)]


HALF = Window(TODAY.start, TODAY.start + 12 * HOUR)
LONG, SHORT = many(TODAY, 40), many(TODAY, 40)[:25]


def query_of(
    window: Window = TODAY, action: str = "A", event_type: str = "bounces", *, robots: str = ""
) -> EventQuery:
    return EventQuery.checked(event_type, action, window, robots or None)


@dataclass(frozen=True)
class Pull:
    """One pull that has brought events.

    :param events: in order of time.
    :param pulled_at: in ms.
    """

    query: EventQuery
    events: Sequence[TimedEvent]
    account: str = "test"
    personal_data: str = "keep"
    pulled_at: int = PULLED_AT
    on_shrink: str = "fail"
    is_confirmed: bool = True
    invalid: Sequence[Invalid] = ()

    def run(self, sql: SqlDestination, **options: Any) -> dict[str, Any]:
        """Open the destination and publish; the destination's own entries of the report.

        :param options: see :meth:`publish`.
        """
        with self.open(sql) as writer:
            return self.publish(writer, **options)

    def open(self, sql: SqlDestination) -> Any:
        return sql.open(self.query, self.account, self.personal_data, self.on_shrink)

    def publish(
        self,
        writer: EventWriter,
        *,
        before: Callable[[Any, str], None] | None = None,
        after: Callable[[Any, str], None] | None = None,
    ) -> dict[str, Any]:
        """Write the events, without those of erased persons, and publish.

        :param before: see :func:`statements`.
        """
        spool = ErasureFilter(writer, writer.erased, CONFIG, "np6_default")
        spool.restart(self.pulled_at)
        spool.write(Events([raw for _, raw in self.events], [time for time, _ in self.events]))
        for invalid in self.invalid:
            spool.set_aside(invalid)
        days = Counter(time // DAY for time, _ in self.events)
        pull = VerifiedPull(self.pulled_at, days, {}, len(self.invalid), 0, 1, "all")
        with statements(before, after):
            erased = spool.pending_by_day
            return writer.publish(pull, is_confirmed=self.is_confirmed, erased_by_day=erased).to_dict()


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each returns or raises, in threads of their own."""
    with ThreadPoolExecutor(len(works)) as threads:
        futures = [threads.submit(work) for work in works]
    return [future.exception() or future.result() for future in futures]


def stored(table: str = "np6_events") -> list[tuple[str, str]]:
    """Event type and id of each row."""
    return sorted(ask(f"SELECT event_type, event_id FROM {table}"))


def ids(events: Sequence[TimedEvent], event_type: str = "bounces") -> list[tuple[str, str]]:
    return sorted((event_type, json.loads(raw)["id"]) for _, raw in events)


def recorded(table: str = "np6_events") -> list[tuple[Any, ...]]:
    """Each recorded slice, and how many events it has."""
    columns = "event_type, classification, action_id, window_start, events"
    return sorted((*row[:3], str(row[3]), row[4]) for row in ask(f"SELECT {columns} FROM {table}_windows"))


def header(table: str = "np6_events") -> list[tuple[Any, ...]]:
    """The row of the table, and one of each series."""
    return sorted(
        ask(f"SELECT event_type, classification, account, erasures, form FROM {table}_header"), key=str
    )


def check_is_consistent(sql: SqlDestination, *, may_be_erasing: bool = False) -> None:
    """Recorded numbers are those of rows, and each series has its row in the header.

    :param may_be_erasing: whether an erasure may be unfinished.
    """
    verification = sql.verify()
    problems = [one for one in verification.problems if not may_be_erasing or "erase() again" not in one]
    assert problems == []
    slices, series = recorded(sql.table), {row[:2] for row in header(sql.table)}
    assert {row[:2] for row in slices} == series - {("", "")}
    assert not slices or ("", "") in series
    assert verification.events == sum(row[-1] for row in slices) == len(stored(sql.table))


# First pulls at once


NAMES = {
    "postgres": (
        "SELECT tablename FROM pg_tables",
        "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid WHERE NOT indisprimary",
    ),
    "mariadb": (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
        "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE()",
    ),
    "sqlite": (
        "SELECT name FROM sqlite_master WHERE type = 'table'",
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    ),
}
"""How each kind of database lists tables, and indexes."""


def names(kind: str, table: str) -> list[list[str]]:
    """Tables of a destination, and their indexes beside the keys."""
    return [
        sorted(name for (name,) in ask(statement) if f"{name}_".startswith(f"{table}_"))
        for statement in NAMES[kind]
    ]


def race(
    sql: SqlDestination,
    n: int,
    pulls: Sequence[Pull],
    *,
    is_late: bool,
    schemas: Sequence[str | None] = (None,),
) -> tuple[SqlDestination, list[Any]]:
    """Pulls at once into tables that do not exist.

    :param n: a number for the tables.
    :param schemas: that destinations name, in turn.
    :param is_late: whether they wait for each other after they have opened the destination, too.
    :return: the destination, and what each pull returned or raised.
    """
    sql = replace(sql, table=f"race{n}")
    begin, opened = Barrier(len(pulls), timeout=60), Barrier(len(pulls), timeout=60)

    def work(pull: Pull, schema: str | None) -> dict[str, Any]:
        begin.wait()
        with pull.open(replace(sql, schema=schema)) as writer:
            if is_late:
                opened.wait()
            return pull.publish(writer)

    return sql, at_once([partial(work, pull, schemas[at % len(schemas)]) for at, pull in enumerate(pulls)])


def check_tables(kind: str, sql: SqlDestination, *, all_actions: bool = False) -> None:
    """There is one set of them, complete, with the indexes that they need."""
    suffixes = ("", "_erased", "_header", "_quarantine", "_windows")
    indexes = ["time", "times"] if all_actions else ["time"]
    assert names(kind, sql.table) == [
        [f"{sql.table}{suffix}" for suffix in suffixes],
        [f"{sql.table}_{index}" for index in indexes],
    ]


def test_eight_first_pulls_of_different_windows(sql: SqlDestination, kind: str) -> None:
    windows = [Window(MIDNIGHT + n * 3 * HOUR, MIDNIGHT + (n + 1) * 3 * HOUR) for n in range(PULLS)]
    pulls = [Pull(query_of(window), many(window, 20, f"w{n}")) for n, window in enumerate(windows)]
    for n in range(ROUNDS):
        race_sql, results = race(sql, n, pulls, is_late=n % 2 == 1)
        assert [result["outcome"] for result in results] == ["created"] * PULLS, results
        assert stored(race_sql.table) == ids([one for pull in pulls for one in pull.events])
        assert [row[-1] for row in recorded(race_sql.table)] == [20] * PULLS
        common, series = header(race_sql.table)
        assert common == ("", "", "test", 0, None)
        assert (*series[:2], series[4]) == ("bounces", "", "by_action")
        check_is_consistent(race_sql)
        check_tables(kind, race_sql)


def test_eight_first_pulls_of_one_window(sql: SqlDestination, kind: str) -> None:
    """Half of them name the schema that is the connection's own."""
    pulls = [Pull(query_of(), many(TODAY, 40))] * PULLS
    own = {"postgres": "public", "sqlite": None, "mariadb": json.loads(os.environ[CONNECTION]).get("schema")}
    for n in range(FEW_ROUNDS):
        race_sql, results = race(sql, n, pulls, is_late=n % 2 == 1, schemas=(None, own[kind]))
        outcomes = Counter(result["outcome"] for result in results)
        assert outcomes == {"created": 1, "unchanged": PULLS - 1}, results
        assert stored(race_sql.table) == ids(pulls[0].events)
        assert len(recorded(race_sql.table)) == 1
        check_is_consistent(race_sql)
        check_tables(kind, race_sql)


def test_first_pulls_of_eight_series(
    sql: SqlDestination, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Some of them for all actions, whose index is created once."""
    kinds = [("bounces", "A", ""), ("activations", "*", ""), ("cancellations", "*", ""), ("hits", "A", "")]
    kinds += [("hits", "*", "gsr"), ("hits", "*", "mpp"), ("hits/open", "*", ""), ("responses/stop", "A", "")]
    pulls = [
        Pull(query_of(TODAY, action, event_type, robots=robots), many(TODAY, 20, f"s{n}"))
        for n, (event_type, action, robots) in enumerate(kinds)
    ]
    for n in range(FEW_ROUNDS):
        race_sql, results = race(sql, n, pulls, is_late=n % 2 == 1)
        assert [result["outcome"] for result in results] == ["created"] * PULLS, results
        assert stored(race_sql.table) == sorted(
            one for pull in pulls for one in ids(pull.events, pull.query.event_type)
        )
        assert {(*row[:2], row[4]) for row in header(race_sql.table)} == {
            ("", "", None),
            *(
                (event_type, robots, "all_actions" if action == "*" else "by_action")
                for event_type, action, robots in kinds
            ),
        }
        check_is_consistent(race_sql)
        check_tables(kind, race_sql, all_actions=True)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


def test_the_index_for_all_actions_is_added_once(
    sql: SqlDestination, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    types = ["activations", "cancellations", "hits", "hits/open", "responses/stop", "responses/reply"]
    pulls = [Pull(query_of(TODAY, "*", event_type), many(TODAY, 20)) for event_type in types]
    for n in range(FEW_ROUNDS):
        Pull(query_of(), LONG).run(replace(sql, table=f"race{n}"))
        check_tables(kind, replace(sql, table=f"race{n}"))
        race_sql, results = race(sql, n, pulls, is_late=False)
        assert [result["outcome"] for result in results] == ["created"] * len(types), results
        check_is_consistent(race_sql)
        check_tables(kind, race_sql, all_actions=True)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


def check_one_side_wins(sql: SqlDestination, kind: str, sides: Sequence[Sequence[Pull]], says: str) -> None:
    """Pulls of both sides at once, into tables that do not exist."""
    for n in range(FEW_ROUNDS):
        race_sql, results = race(
            sql, n, [pull for pair in zip(*sides, strict=True) for pull in pair], is_late=n % 2 == 1
        )
        won = [at for at in range(2) if isinstance(results[at], dict)]
        assert len(won) == 1, results
        for at, result in enumerate(results):
            if at % 2 == won[0]:
                assert result["outcome"] == "created", results
            else:
                assert type(result) is Np6ConflictError, results
                assert says in str(result)
        winners = sides[won[0]]
        assert stored(race_sql.table) == ids([one for pull in winners for one in pull.events])
        assert len(recorded(race_sql.table)) == len(winners)
        common, series = header(race_sql.table)
        assert common[2] == winners[0].account
        assert series[4] == ("all_actions" if winners[0].query.action_id == "*" else "by_action")
        check_is_consistent(race_sql)
        check_tables(kind, race_sql, all_actions=bool(names(kind, race_sql.table)[1][1:]))


def test_first_pulls_by_action_and_for_all_actions(sql: SqlDestination, kind: str) -> None:
    windows = [Window(MIDNIGHT + n * 6 * HOUR, MIDNIGHT + (n + 1) * 6 * HOUR) for n in range(PULLS // 2)]
    by_action = [Pull(query_of(TODAY, f"A{n}"), many(TODAY, 20, f"a{n}")) for n in range(PULLS // 2)]
    for_all = [Pull(query_of(window, "*"), many(window, 20, f"b{n}")) for n, window in enumerate(windows)]
    check_one_side_wins(sql, kind, [by_action, for_all], "Pull this event type in one form")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (partial(replace, account="two"), "has events of account"),
        (partial(replace, personal_data="drop"), "was written with personal_data"),
    ],
    ids=["account", "personal_data"],
)
def test_first_pulls_of_two_kinds(
    sql: SqlDestination, kind: str, other: Callable[[Pull], Pull], says: str
) -> None:
    pulls = [Pull(query_of(TODAY, f"A{n}"), many(TODAY, 20, f"a{n}")) for n in range(PULLS)]
    check_one_side_wins(sql, kind, [pulls[:4], [other(pull) for pull in pulls[4:]]], says)


# A day with fewer events than are stored


@dataclass
class Two:
    """Two pulls at once, of which the second waits until the first has committed."""

    sql: SqlDestination
    kind: str

    def run(self, first: Pull, second: Pull) -> list[Any]:
        """What each returns or raises."""
        hold, arrival = Hold("INSERT INTO|COPY|UPDATE"), Arrival(self.kind)
        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(first.run, self.sql, before=hold)
            with hold.holding():
                other = threads.submit(second.run, self.sql, before=arrival)
                arrival.wait_for_lock()
                assert not one.done()
                assert not other.done()
        return [future.exception() or future.result() for future in (one, other)]


@pytest.fixture
def two(sql: SqlDestination, kind: str) -> Two:
    return Two(sql, kind)


ARE_STORED = pytest.mark.parametrize("is_stored", [False, True], ids=["first pulls", "later pulls"])
MORE = Window(TODAY.start - 3 * HOUR, TODAY.end)


@ARE_STORED
def test_a_short_pull_that_waited_is_not_stored(two: Two, is_stored: bool) -> None:
    """Pulled before, after or in the same second as the other; of the same window, of a part or of more."""
    cases = [(TODAY, SHORT, 1, "fail"), (TODAY, SHORT, 0, "keep"), (TODAY, SHORT, -1, "fail")]
    cases += [(HALF, SHORT[:19], 1, "keep"), (MORE, SHORT, 1, "fail")]
    for n, (window, short, age, on_shrink) in enumerate(cases):
        sql = replace(two.sql, table=f"short{n}")
        if is_stored:
            Pull(query_of(), SHORT, pulled_at=PULLED_AT - DAY).run(sql)
        pull = Pull(query_of(window), short, pulled_at=PULLED_AT + age * HOUR, on_shrink=on_shrink)
        first, second = Two(sql, two.kind).run(Pull(query_of(), LONG), pull)
        assert first["outcome"] == ("changed" if is_stored else "created")
        if age < 0:
            assert second["outcome"] == "superseded"
        elif on_shrink == "fail":
            assert type(second) is Np6ShrunkError
        else:
            assert second["outcome"] == "shrunk"
        assert stored(sql.table) == ids(LONG)
        check_is_consistent(sql)


def test_a_short_pull_that_waited_is_pulled_again_first(two: Two) -> None:
    first, second = two.run(Pull(query_of(), LONG), Pull(query_of(), SHORT, is_confirmed=False))
    assert first["outcome"] == "created"
    assert type(second) is Np6PullAgainError
    assert second.is_short
    assert stored() == ids(LONG)


@ARE_STORED
def test_a_longer_pull_that_waited_is_stored(two: Two, is_stored: bool) -> None:
    for n, (window, age, on_shrink) in enumerate([(TODAY, 1, "fail"), (TODAY, 0, "keep"), (HALF, 1, "keep")]):
        sql = replace(two.sql, table=f"long{n}")
        if is_stored:
            Pull(query_of(), SHORT[:10], pulled_at=PULLED_AT - DAY).run(sql)
        inside = [one for one in SHORT if one[0] < window.end]
        longer = Pull(query_of(), LONG, pulled_at=PULLED_AT + age * HOUR, on_shrink=on_shrink)
        first, second = Two(sql, two.kind).run(Pull(query_of(window), inside), longer)
        assert first["outcome"] == ("changed" if is_stored else "created")
        assert (second["outcome"], second["previous_events"]) == ("changed", len(inside))
        assert stored(sql.table) == ids(LONG)
        check_is_consistent(sql)


def test_equal_pulls_at_once_are_stored_once(two: Two) -> None:
    first, second = two.run(Pull(query_of(), LONG), Pull(query_of(), LONG))
    assert (first["outcome"], second["outcome"]) == ("created", "unchanged")
    assert stored() == ids(LONG)
    # A pull that waits for one that fails finds what was stored before.
    failing = Pull(query_of(), SHORT, pulled_at=PULLED_AT + HOUR)
    first, second = two.run(Pull(query_of(), many(TODAY, 50)), failing)
    assert (first["outcome"], type(second)) == ("changed", Np6ShrunkError)
    assert stored() == ids(many(TODAY, 50))


# Locks


@ON_SERVERS
@pytest.mark.parametrize("is_first", [False, True], ids=["stored", "first pulls"])
def test_pulls_of_other_series_wait_for_nobody(sql: SqlDestination, is_first: bool) -> None:
    """A replacement of one series is held open; in between come pulls of series old and new, and readers."""
    opens = Pull(query_of(event_type="hits/open"), LONG)
    Pull(query_of(event_type="activations"), LONG).run(sql)  # the first of the table
    if not is_first:
        for event_type in ("bounces", "hits/open"):
            Pull(query_of(event_type=event_type), SHORT).run(sql)
    hold = Hold("INSERT INTO|COPY|UPDATE")
    with ThreadPoolExecutor(2) as threads:
        bounces = threads.submit(Pull(query_of(), LONG).run, sql, before=hold)
        with hold.holding():
            begun = time.monotonic()
            others = [opens, replace(opens, events=SHORT, on_shrink="replace", pulled_at=PULLED_AT + 1)]
            for n, pull in enumerate([*others, opens, Pull(query_of(event_type="hits"), LONG)]):
                report = threads.submit(pull.run, sql).result(timeout=20)
                assert report["outcome"] == (
                    "superseded" if n == 2 else "created" if n == 3 or (n == 0 and is_first) else "changed"
                )
            coverage = sql.coverage("bounces", "A", "2024-10-04", "2024-10-05")
            assert coverage.events == (0 if is_first else len(SHORT))
            assert sql.verify().is_ok
            assert time.monotonic() - begun < 20
            assert not bounces.done()
        assert bounces.result()["outcome"] == ("created" if is_first else "changed")
    assert stored() == sorted(
        [*ids(LONG), *ids(SHORT, "hits/open"), *ids(LONG, "hits"), *ids(LONG, "activations")]
    )
    check_is_consistent(sql)


def erase(sql: SqlDestination, person: str = PERSON, **options: Any) -> dict[str, int]:
    """:param options: see :func:`statements`."""
    with statements(**options):
        return sql.erase([person], Pseudonyms(KEY), "test")


def mixed(window: Window, count: int, prefix: str = "e", **values: Any) -> list[TimedEvent]:
    """Events of which every fourth is about the person."""
    others = many(window, count, prefix, **values)
    about = many(window, count, prefix, person=PERSON, **values)
    return [about[n] if n % 4 == 1 else others[n] for n in range(count)]


def without_person(events: Sequence[TimedEvent]) -> list[TimedEvent]:
    return [one for one in events if PERSON.encode() not in one[1]]


def check_is_erased(sql: SqlDestination) -> None:
    """No table names the person, and what is recorded is what there is."""
    for column in ("payload", "recipient"):
        text = f"CAST({column} AS CHAR(10000))"
        assert ask(f"SELECT COUNT(*) FROM {sql.table} WHERE LOWER({text}) LIKE ?", "%ann%lee%") == [(0,)]
    events = ask(f"SELECT event FROM {sql.table}_quarantine WHERE event IS NOT NULL")
    assert [event for (event,) in events if "ann" in event.lower()] == []
    check_is_consistent(sql)


@ON_SERVERS
def test_an_erasure_waits_for_replacements_and_pulls_wait_for_its_list(
    sql: SqlDestination, kind: str
) -> None:
    events = mixed(TODAY, 40)
    for event_type in ("bounces", "hits/open"):
        Pull(query_of(event_type=event_type), events).run(sql)
    replaced = [*events, event("new", TODAY.end - 1, person=PERSON)]
    hold, listed, arrival = Hold("INSERT INTO|COPY"), Hold("INSERT INTO .*erased"), Arrival(kind)
    late = Arrival(kind)
    with ThreadPoolExecutor(3) as threads:
        pull = Pull(query_of(), replaced, pulled_at=PULLED_AT + 1)
        bounces = threads.submit(pull.run, sql, before=hold)
        with hold.holding():
            erasure = threads.submit(erase, sql, before=both(listed, arrival))
            arrival.wait_for_lock()
            assert not listed.reached.is_set()
        with listed.holding():  # it has written its list, and has not committed it
            assert bounces.result()["events"] == len(replaced)
            opens = threads.submit(
                Pull(query_of(event_type="hits/open"), events, pulled_at=PULLED_AT + 1).run, sql, before=late
            )
            late.wait_for_lock()
            assert not opens.done()
        assert isinstance(opens.exception(timeout=60), Np6PullAgainError)
        assert erasure.result()["events"] == 10 + 11
    kept = without_person(events)
    assert stored() == sorted([*ids(kept), *ids(kept, "hits/open")])
    check_is_erased(sql)


@ON_SERVERS
def test_pulls_of_other_series_do_not_wait_for_the_rest_of_an_erasure(sql: SqlDestination, kind: str) -> None:
    events = mixed(TODAY, 40)
    for event_type in ("bounces", "hits/open"):
        Pull(query_of(event_type=event_type), events).run(sql)
    hold, late = Hold("DELETE FROM .*event_id"), Arrival(kind)
    with ThreadPoolExecutor(3) as threads:
        erasure = threads.submit(erase, sql, before=hold)  # of bounces, first
        with hold.holding():
            opens = Pull(
                query_of(event_type="hits/open"), events, pulled_at=PULLED_AT + 1, on_shrink="replace"
            )
            assert threads.submit(opens.run, sql).result(timeout=20)["events"] == 30
            same = Pull(query_of(), events, pulled_at=PULLED_AT + 1)
            bounces = threads.submit(same.run, sql, before=late)
            late.wait_for_lock()
            assert not bounces.done()
        assert bounces.result()["events"] == 30
        assert erasure.result() == {"events": 10, "windows": 1}
    kept = without_person(events)
    assert stored() == sorted([*ids(kept), *ids(kept, "hits/open")])
    check_is_erased(sql)


def both(*hooks: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
    def call(connection: Any, statement: str) -> None:
        for hook in hooks:
            hook(connection, statement)

    return call


# Erasures beside pulls


DAYS = Window(MIDNIGHT, MIDNIGHT + 3 * DAY)
NAMED = Invalid(json.dumps({"id": 5, "to": PERSON}).encode(), "has no id", 3, MIDNIGHT + DAY, "0" * 64)
"""An invalid event that names the person."""
SERIES = [("bounces", "A"), ("bounces", "B"), ("hits/open", "*")]


def pulls_of(prefix: str = "", **options: Any) -> list[Pull]:
    """Pulls of several days, actions and series, each with events of the person."""
    pulls = []
    for event_type, action in SERIES:
        events = mixed(DAYS, 60, f"{prefix}{action}")
        if action == "*":
            events = [
                event(json.loads(raw)["id"], time, "AB"[at % 2], person(raw))
                for at, (time, raw) in enumerate(events)
            ]
        pulls.append(Pull(query_of(DAYS, action, event_type), events, invalid=[NAMED], **options))
    return pulls


def person(raw: bytes) -> str:
    return str(json.loads(raw)["source"]["detail"]["activation"]["recipient"])


def test_pulls_that_opened_before_an_erasure_bring_nobody_back(sql: SqlDestination) -> None:
    pulls = pulls_of(pulled_at=PULLED_AT + HOUR, on_shrink="replace")
    with ExitStack() as stack:
        writers = [stack.enter_context(pulls[0].open(sql))]  # before anything is stored
        Pull(pulls[0].query, pulls[0].events[:30], invalid=[NAMED]).run(sql)
        writers += [stack.enter_context(pull.open(sql)) for pull in pulls[1:]]
        assert erase(sql)["events"] == len(pulls[0].events[:30]) - len(without_person(pulls[0].events[:30]))
        for pull, writer in zip(pulls, writers, strict=True):
            assert writer.erased is None
            with pytest.raises(Np6PullAgainError, match="persons were erased"):
                pull.publish(writer)
            check_is_erased(sql)
            report = pull.publish(writer)  # without the person, whom it knows now
            assert report["events"] == len(without_person(pull.events))
            check_is_erased(sql)


def test_pulls_beside_an_erasure_bring_nobody_back(sql: SqlDestination) -> None:
    for n in range(max(1, FEW_ROUNDS // 2)):
        table = replace(sql, table=f"beside{n}")
        pulls = pulls_of(on_shrink="replace")
        for pull in pulls:
            pull.run(table)
        ended = Event()

        def repeat(pull: Pull, table: SqlDestination = table, ended: Event = ended) -> None:
            for at in itertools.count(1):
                is_last = ended.is_set()
                # Each is other than the one before, so that all are written.
                other = [*pull.events, event(f"{pull.query.action_id}-new-{at}", DAYS.end - 1, "A")]
                now = replace(pull, events=other, pulled_at=PULLED_AT + at)
                with now.open(table) as writer:
                    for left in reversed(range(4)):
                        try:
                            now.publish(writer)
                            break
                        except Np6PullAgainError:
                            assert left
                if is_last:
                    break

        with ThreadPoolExecutor(2 * len(pulls)) as threads:
            repeated = [threads.submit(repeat, pull) for pull in pulls * 2]
            try:
                time.sleep(0.2)
                erase(table)  # which pulls may forestall in a window or two
            finally:
                ended.set()
        assert [future.exception() for future in repeated] == [None] * len(repeated)
        kept = [one for pull in pulls for one in ids(without_person(pull.events), pull.query.event_type)]
        assert set(kept) <= set(stored(table.table))
        assert len(stored(table.table)) == len(kept) + len(pulls)
        check_is_erased(table)


def test_erasures_at_once(sql: SqlDestination) -> None:
    people = [f"p{n}q@example.com" for n in range(6)]
    for event_type, action in SERIES:
        events = [event(f"{action}{n}", DAYS.start + n * HOUR, "A", people[n % 6]) for n in range(60)]
        Pull(query_of(DAYS, action, event_type), events).run(sql)
    reports = at_once([partial(erase, sql, name) for name in (*people[:3], *people[1:4])])
    assert sum(report["events"] for report in reports) == 4 * 30, reports
    (common,) = header()[:1]
    assert common[3] == 4
    assert sorted({name for (name,) in ask("SELECT recipient FROM np6_events")}) == people[4:]
    check_is_consistent(sql)


class LostError(Exception):
    """What a driver raises, as far as anybody knows."""


class Breaker:
    """Breaks a connection at a statement.

    :param kill: ends a connection; None to raise an error instead.
    :param at: which statement, from 1; 0 for none.
    """

    def __init__(self, kill: Callable[[Any], None] | None, at: int = 0) -> None:
        self._kill = kill
        self._at = at
        self.count = 0
        self.statements: list[str] = []

    def __call__(self, connection: Any, statement: str) -> None:
        self.count += 1
        self.statements.append(statement)
        if self.count == self._at:
            if self._kill is None:
                raise LostError
            with statements():
                self._kill(connection)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:  # the server takes its time
                with closing(connection.cursor()) as cursor:
                    cursor.execute("SELECT 1")  # raises the driver's own error


def make_killer(kind: str) -> Callable[[Any], None] | None:
    """What lets the server end a connection; None where there is no server."""
    if kind == "postgres":

        def terminate(connection: Any) -> None:
            info = getattr(connection, "info", None)
            pid = info.backend_pid if info is not None else connection.get_backend_pid()
            assert ask(f"SELECT pg_terminate_backend({pid})") == [(True,)]

        return terminate
    if kind == "mariadb":

        def end(connection: Any) -> None:
            ask(f"KILL {connection.thread_id()}")

        return end
    return None


@pytest.fixture
def kill(kind: str) -> Callable[[Any], None] | None:
    return make_killer(kind)


def check_is_left(sql: SqlDestination, people: Sequence[str]) -> None:
    """Events and invalid events are left of these only."""
    assert {name for (name,) in ask("SELECT DISTINCT recipient FROM np6_events")} == set(people)
    rows = ask("SELECT event FROM np6_events_quarantine WHERE event IS NOT NULL")
    assert {json.loads(text)["to"] for (text,) in rows} == set(people)
    check_is_consistent(sql)


def test_an_erasure_that_broke_off_is_finished_by_the_next(
    sql: SqlDestination, kill: Callable[[Any], None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken at statements all along, each time of another person."""
    monkeypatch.setattr(sql_database, "TRIES", 1)
    people = [f"p{n:03}q@example.com" for n in range(BREAKS + 2)]
    for event_type, action in SERIES[1:]:
        events = sorted(
            event(f"{n}-{day}", MIDNIGHT + day * DAY + n, "AB"[n % 2] if action == "*" else action, name)
            for n, name in enumerate(people)
            for day in range(2)
        )
        invalid = [
            Invalid(json.dumps({"to": name}).encode(), "has no id", n, MIDNIGHT + n, f"{n:064}")
            for n, name in enumerate(people)
        ]
        Pull(query_of(DAYS, action, event_type), events, invalid=invalid).run(sql)
    whole = Breaker(kill)
    assert erase(sql, people.pop(), before=whole) == {"events": 4, "windows": 4}
    check_is_left(sql, people)
    for n in range(BREAKS + 1):
        at = 1 + n * (whole.count - 1) // BREAKS  # the first and the last one too
        with pytest.raises(Np6DestinationError):
            erase(sql, people[-1], before=Breaker(kill, at))
        check_is_consistent(sql, may_be_erasing=True)
        assert erase(sql, people.pop())["events"] <= 4
        check_is_left(sql, people)


def break_off(sql: SqlDestination, person: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that has written its list, and breaks off when it deletes the first event."""

    def break_at_deletion(connection: Any, statement: str) -> None:
        if statement.startswith("DELETE"):
            raise LostError

    with monkeypatch.context() as patched:
        patched.setattr(sql_database, "TRIES", 1)
        with pytest.raises(Np6DestinationError):
            erase(sql, person, before=break_at_deletion)


def test_an_unfinished_erasure_is_a_problem(sql: SqlDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    Pull(query_of(), mixed(TODAY, 40)).run(sql)
    break_off(sql, PERSON, monkeypatch)
    (problem,) = sql.verify().problems
    assert "erase() again" in problem
    assert erase(sql)["events"] == 10
    assert sql.verify().problems == []


def test_another_erasure_does_not_hide_an_unfinished_one(
    sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = ["ann@example.com", "bea@example.com", "cid@example.com"]
    events = [event(f"{n}", TODAY.start + n, person=people[n % 3]) for n in range(30)]
    Pull(query_of(), events).run(sql)
    ann, bea, cid = people
    break_off(sql, ann, monkeypatch)
    assert erase(sql, bea)["events"] == 10
    assert len(sql.verify().problems) == 1  # Ann is stored
    break_off(sql, cid, monkeypatch)
    assert erase(sql, ann)["events"] == 10
    assert len(sql.verify().problems) == 1  # Cid is
    assert erase(sql, cid)["events"] == 10
    assert sql.verify().problems == []
    assert stored() == []


@pytest.mark.parametrize("on_shrink", ["fail", "keep"])
def test_a_day_of_an_unfinished_erasure_is_not_short(
    sql: SqlDestination, on_shrink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored events of the person are not among those that the pull must have."""
    events = mixed(TODAY, 40)
    Pull(query_of(), events).run(sql)
    break_off(sql, PERSON, monkeypatch)
    pull = Pull(query_of(), events, pulled_at=PULLED_AT + HOUR, on_shrink=on_shrink)
    missing = replace(pull, events=events[:-1])
    if on_shrink == "keep":
        assert missing.run(sql)["outcome"] == "shrunk"
    else:
        with pytest.raises(Np6ShrunkError):
            missing.run(sql)
    report = pull.run(sql)
    assert (report["outcome"], report["events"]) == ("changed", 30)
    assert stored() == ids(without_person(events))
    erase(sql)
    check_is_erased(sql)
    # What the person had does not make up for events that are missing.
    missing = replace(missing, pulled_at=PULLED_AT + 2 * HOUR)
    if on_shrink == "keep":
        assert missing.run(sql)["outcome"] == "shrunk"
    else:
        with pytest.raises(Np6ShrunkError):
            missing.run(sql)


def test_persons_who_are_gone_do_not_make_up_for_events(
    sql: SqlDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor while another person's erasure is unfinished."""
    gone = "zoe@example.com"
    events = sorted([*mixed(TODAY, 40), *many(TODAY, 10, "gone", person=gone)])
    Pull(query_of(), events).run(sql)
    assert erase(sql, gone)["events"] == 10
    break_off(sql, PERSON, monkeypatch)
    before = stored()
    missing = Pull(query_of(), events[:-4], pulled_at=PULLED_AT + HOUR)
    assert len(without_person(missing.events)) < len(without_person(events))
    with pytest.raises(Np6DestinationError):
        missing.run(sql)
    assert stored() == before


# What SQLite keeps


@pytest.fixture
def file(sql: SqlDestination) -> Path:
    """The file of a SQLite database."""
    return Path(json.loads(os.environ[CONNECTION])["host"])


def files_that_name(person: str, file: Path) -> list[str]:
    """Files of a SQLite database with a name in any of their bytes."""
    text = person.encode()
    return [
        path.name for path in sorted(file.parent.glob(f"{file.name}*")) if text in path.read_bytes().lower()
    ]


ON_SQLITE = pytest.mark.parametrize("sql", ["sqlite"], indirect=True)


@ON_SQLITE
@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("page_size", [512, 4096])
def test_no_byte_of_an_erased_person_is_left(
    sql: SqlDestination, file: Path, journal: str, page_size: int
) -> None:
    """Neither of rows that earlier pulls have replaced, nor of long ones; with another connection open."""
    with closing(sqlite3.connect(file)) as own:
        own.execute(f"PRAGMA page_size = {page_size}")
        assert own.execute(f"PRAGMA journal_mode = {journal}").fetchall() == [(journal,)]
        own.execute("VACUUM")
        pulls = pulls_of(on_shrink="replace")
        for n in range(4):
            for pull in pulls:
                # Other rows each time, some of which need several pages.
                events = [
                    (time, raw[:-1] + b',"n":"%b"}' % (b"%d" % n * (1 + 37 * at * n % 9_000)))
                    for at, (time, raw) in enumerate(pull.events)
                    if at % (n + 2)
                ]
                replace(pull, events=events, pulled_at=PULLED_AT + n).run(sql)
        assert files_that_name(PERSON, file) != []
        assert erase(sql)["events"] > 20
        check_is_erased(sql)
        assert own.execute("PRAGMA journal_mode").fetchall() == [(journal,)]
        assert files_that_name(PERSON, file) == []
    assert files_that_name("bob@example.com", file) == [file.name]


@ON_SQLITE
@pytest.mark.parametrize("is_patient", [True, False])
def test_an_erasure_waits_for_readers_of_the_log(
    sql: SqlDestination, file: Path, is_patient: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """While somebody reads an old state, SQLite keeps the log of all that was written since."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as own:
        assert own.execute("PRAGMA journal_mode = wal").fetchall() == [("wal",)]
        Pull(query_of(), mixed(TODAY, 40)).run(sql)
        own.execute("BEGIN")
        own.execute("SELECT COUNT(*) FROM np6_events").fetchall()
        Pull(query_of(), mixed(TODAY, 44), pulled_at=PULLED_AT + 1).run(sql)

        def at_checkpoint(connection: Any, statement: str) -> None:
            if "wal_checkpoint" not in statement:
                return
            if is_patient:
                threading.Timer(0.2, own.execute, ["ROLLBACK"]).start()
            else:
                connection.execute("PRAGMA busy_timeout = 100")

        erase(sql, before=at_checkpoint)
        warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        if is_patient:
            assert warnings == []
        else:
            assert files_that_name(PERSON, file) == [file.name, f"{file.name}-wal"]
            assert len(warnings) == 1
            own.execute("ROLLBACK")
            erase(sql)  # again
        assert files_that_name(PERSON, file) == []
        check_is_erased(sql)


# Expiries beside pulls


def expired() -> list[tuple[str, int, int]]:
    """Each slice's start, number of events, and whether it is expired."""
    rows = ask("SELECT window_start, events, expired FROM np6_events_windows ORDER BY 1")
    return [(str(start)[:10], events, expired) for start, events, expired in rows]


@pytest.mark.parametrize("is_equal", [False, True], ids=["other events", "the same events"])
def test_an_expiry_that_waited_for_a_pull_leaves_its_slices(
    sql: SqlDestination, kind: str, is_equal: bool
) -> None:
    Pull(query_of(), LONG).run(sql)
    events = LONG if is_equal else many(TODAY, 50)
    hold, arrival = Hold("INSERT INTO|COPY|UPDATE"), Arrival(kind)
    with ThreadPoolExecutor(2) as threads:
        pull = Pull(query_of(), events, pulled_at=PULLED_AT + 1)
        replacing = threads.submit(pull.run, sql, before=hold)
        with hold.holding():
            expiring = threads.submit(hooked, arrival, sql.expire, "2024-10-06")
            arrival.wait_for_lock()
        assert replacing.result()["outcome"] == ("unchanged" if is_equal else "changed")
        assert expiring.result() == {"slices": 0, "events": 0}
    assert expired() == [("2024-10-04", len(events), 0)]
    check_is_consistent(sql)
    assert sql.expire("2024-10-06") == {"slices": 1, "events": len(events)}


def test_a_pull_that_waited_for_an_expiry_stores_its_slices_again(sql: SqlDestination, kind: str) -> None:
    Pull(query_of(), LONG, invalid=[replace(NAMED, near=MIDNIGHT)]).run(sql)
    hold, arrival = Hold("DELETE FROM"), Arrival(kind)
    with ThreadPoolExecutor(2) as threads:
        expiring = threads.submit(hooked, hold, sql.expire, "2024-10-06")
        with hold.holding():
            pull = Pull(query_of(), SHORT, pulled_at=PULLED_AT + 1)
            replacing = threads.submit(pull.run, sql, before=arrival)
            arrival.wait_for_lock()
        assert expiring.result() == {"slices": 1, "events": len(LONG)}
        assert replacing.result()["outcome"] == "created"
    assert expired() == [("2024-10-04", len(SHORT), 0)]
    assert ask("SELECT COUNT(*) FROM np6_events_quarantine") == [(0,)]
    check_is_consistent(sql)


def hooked(before: Callable[[Any, str], None], work: Callable[..., Any], *arguments: Any) -> Any:
    with statements(before):
        return work(*arguments)


def test_expiries_beside_pulls(sql: SqlDestination) -> None:
    """Of each day all events are stored, or none and it is expired."""
    days = [Window(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in range(4)]
    queries = [query_of(DAYS, "A"), query_of(Window(days[1].start, days[3].end), "B")]
    ended = Event()

    def repeat(query: EventQuery) -> None:
        for n in itertools.count(1):
            events = [
                one
                for day in query.window.days()
                for one in many(day, 20 + n % 3, f"{query.action_id}{day.date}")
            ]
            Pull(query, events, pulled_at=PULLED_AT + n, on_shrink="replace").run(sql)
            if ended.is_set():
                return

    for query in queries:
        Pull(query, [], pulled_at=PULLED_AT).run(sql)
    with ThreadPoolExecutor(6) as threads:
        pulls = [threads.submit(repeat, query) for query in queries * 2]
        try:
            deadline = time.monotonic() + SECONDS / 4
            expiries = 0
            while time.monotonic() < deadline or not expiries:
                expiries += sql.expire("2024-10-06")["slices"]
                assert sql.verify().problems == []
        finally:
            ended.set()
    assert [pull.exception() for pull in pulls] == [None] * len(pulls)
    check_is_consistent(sql)
    sql.expire("2024-10-06")
    assert [(events == 0) == bool(is_expired) for _, events, is_expired in expired()] == [True] * 6
    assert [is_expired for _, _, is_expired in expired()] == [1, 1, 1, 0, 0, 0]
    check_is_consistent(sql)


# Events that move between windows and actions


@dataclass
class Slice:
    window: Window
    displaced: int = 0


@dataclass
class Model:
    """What a table of one series must have after pulls, one after another."""

    rows: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Action and time by id."""
    slices: dict[str, list[Slice]] = field(default_factory=dict)
    """By action."""

    def replace(self, pull: Pull) -> None:
        action, window = pull.query.action_id, pull.query.window
        self.rows = {
            id_: row
            for id_, row in self.rows.items()
            if row[0] != action or not window.start <= row[1] < window.end
        }
        left = []
        for slice_ in self.slices.get(action, []):
            if not slice_.window.overlaps(window):
                left.append(slice_)
                continue
            if slice_.window.start < window.start:
                left.append(Slice(Window(slice_.window.start, window.start)))
            if window.end < slice_.window.end:
                left.append(Slice(Window(window.end, slice_.window.end)))
        self.slices[action] = left + [Slice(day) for day in window.days()]
        for time_, raw in pull.events:
            id_ = json.loads(raw)["id"]
            if id_ in self.rows:
                owner, at = self.rows[id_]
                (slice_,) = (one for one in self.slices[owner] if one.window.start <= at < one.window.end)
                slice_.displaced += 1
            self.rows[id_] = action, time_

    def recorded(self) -> list[tuple[str, int, int, int, int]]:
        """Action, bounds, events and displaced events of each slice."""
        return sorted(
            (
                action,
                slice_.window.start,
                slice_.window.end,
                sum(
                    owner == action and slice_.window.start <= at < slice_.window.end
                    for owner, at in self.rows.values()
                ),
                slice_.displaced,
            )
            for action, slices in self.slices.items()
            for slice_ in slices
        )


@pytest.mark.parametrize("threads", [1, PULLS])
def test_no_event_is_lost_whatever_moves(sql: SqlDestination, kind: str, threads: int) -> None:
    """Pulls of overlapping windows of some actions and series for a while; ids move between windows and
    actions. What is stored in the end is what the pulls store one after another, in the order in which they
    have had the lock."""
    order: dict[str, list[Pull]] = {"bounces": [], "hits": []}
    deadlocks = count_deadlocks(kind)
    deadline = time.monotonic() + SECONDS / (4 if threads == 1 else 1)

    def work(seed: int) -> None:
        numbers = random.Random(seed)  # noqa: S311 - repeatable
        for n in itertools.count():
            if n >= 20 // threads and time.monotonic() > deadline:
                return
            begin = numbers.randrange(40)
            window = Window(MIDNIGHT + begin * HOUR, MIDNIGHT + (begin + numbers.randint(1, 30)) * HOUR)
            query = query_of(window, numbers.choice("ABC"), numbers.choice(list(order)))
            names = numbers.sample(range(400), numbers.randint(0, 60))
            # Some of them at one time.
            times = sorted(numbers.randrange(window.start, window.end, HOUR // 4) for _ in names)
            pull = Pull(
                query,
                [event(f"e{name}", time, query.action_id) for name, time in zip(names, times, strict=True)],
                on_shrink="replace",
            )

            def commits(connection: Any, statement: str, pull: Pull = pull) -> None:
                if statement == COMMIT:
                    order[pull.query.event_type].append(pull)

            pull.run(sql, before=commits)

    results = at_once([partial(work, seed) for seed in range(threads)])
    assert results == [None] * threads
    assert count_deadlocks(kind) == deadlocks
    check_is_consistent(sql)
    ms = get_dialect({"postgres": "postgresql", "mariadb": "mysql"}.get(kind, kind)).ms
    moved = 0
    for event_type, pulls in order.items():
        model = Model()
        for pull in pulls:
            model.replace(pull)
        rows = ask("SELECT event_id, action_id, occurred_at FROM np6_events WHERE event_type = ?", event_type)
        assert {id_: (action, ms(at)) for id_, action, at in rows} == model.rows
        columns = "action_id, window_start, window_end, events, displaced"
        slices = ask(f"SELECT {columns} FROM np6_events_windows WHERE event_type = ?", event_type)
        assert sorted((row[0], ms(row[1]), ms(row[2]), *row[3:]) for row in slices) == model.recorded()
        moved += sum(row[-1] for row in slices)
    assert moved > 0


def count_deadlocks(kind: str) -> int:
    """Deadlocks that the server has seen so far."""
    statement = {
        "postgres": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
        "mariadb": "SELECT CAST(variable_value AS INT) FROM information_schema.global_status"
        " WHERE variable_name = 'Innodb_deadlocks'",
        "sqlite": "SELECT 0",
    }[kind]
    ((count,),) = ask(statement)
    return int(count)


# Connections that are lost at every statement


def content(table: str) -> list[Any]:
    """All rows of all tables."""
    from airflow.providers.common.compat.sdk import BaseHook

    tables = [table, *(f"{table}_{suffix}" for suffix in ("windows", "header", "quarantine", "erased"))]
    with closing(BaseHook.get_hook("test_sql").get_conn()) as connection:
        cursor = connection.cursor()
        rows = []
        for name in tables:
            cursor.execute(f"SELECT * FROM {name}")
            rows.append(sorted(map(str, cursor.fetchall())))
    return rows


@pytest.mark.parametrize("moves", [False, True], ids=["own events", "events of other windows"])
def test_a_replacement_that_breaks_off_at_any_statement(
    sql: SqlDestination,
    kill: Callable[[Any], None] | None,
    moves: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once after the server has executed the statement, and without another try: what was stored is left, or
    all of the new is stored. And once before that, with other tries."""
    first = query_of(Window(TODAY.start - 6 * HOUR, TODAY.start + 6 * HOUR))
    other = query_of(Window(TODAY.start + 15 * HOUR, TODAY.end))
    middle = query_of(Window(TODAY.start - 3 * HOUR, TODAY.start + 15 * HOUR))
    Pull(first, many(first.window, 20, "first"), invalid=[replace(NAMED, near=MIDNIGHT)]).run(sql)
    begin = 1
    for n in itertools.count():  # at 0 it is not disturbed
        if moves:  # other events each time, which give way to the next ones
            Pull(other, many(other.window, 20, f"other{n}"), pulled_at=PULLED_AT + n).run(sql)
        pull = Pull(
            middle,
            many(middle.window, 20 + n, f"other{n}" if moves else f"middle{n}"),
            invalid=[replace(NAMED, near=MIDNIGHT + n)],
            pulled_at=PULLED_AT + n,
            on_shrink="replace",
        )
        at = 0 if n == 0 else begin + (n - 1) * (1 if KILLS >= 100 else 3)
        before, breaker = content(sql.table), Breaker(kill, at)
        try:
            with monkeypatch.context() as patched:
                patched.setattr(sql_database, "TRIES", 1)
                pull.run(sql, after=breaker)
        except Np6DestinationError:
            assert breaker.count == at
            is_stored = breaker.statements[-1] == COMMIT
            assert (content(sql.table) == before) is not is_stored
            check_is_consistent(sql)
        else:
            assert breaker.statements[-1] == COMMIT
            if n > 0:
                assert breaker.count < at
                break
            if moves:  # the first try of each fails with a double id, as the other test does up to there
                begin = 1 + breaker.statements.index(breaker.statements[0], 1)
            continue
        pull = replace(pull, events=pull.events[1:])
        breaker = Breaker(kill, at)
        report = pull.run(sql) if kill is None else pull.run(sql, before=breaker)
        assert kill is None or is_stored or breaker.count > at
        assert (report["outcome"], report["events"]) == ("changed", len(pull.events))
        assert set(ids(pull.events)) <= set(stored())
    check_is_consistent(sql)
    assert n > 4


@ON_SERVERS
def test_a_pull_whose_commit_is_not_confirmed_reports_what_it_changed(
    sql: SqlDestination, kill: Callable[[Any], None]
) -> None:
    """It is tried again, and finds its own events stored."""
    Pull(query_of(), SHORT).run(sql)
    pull = Pull(query_of(), LONG, pulled_at=PULLED_AT + 1)
    is_lost = False

    def lose(connection: Any, statement: str) -> None:
        nonlocal is_lost
        if statement == COMMIT and not is_lost:
            is_lost = True
            Breaker(kill, 1)(connection, statement)

    report = pull.run(sql, after=lose)
    assert is_lost
    assert stored() == ids(LONG)
    assert (report["outcome"], report["events"], report["previous_events"]) == ("changed", 40, 25)
    check_is_consistent(sql)


def test_a_first_pull_that_breaks_off_is_made_again(
    sql: SqlDestination,
    kind: str,
    kill: Callable[[Any], None] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Broken where it has written something, and elsewhere now and then; the next pull does the rest."""
    monkeypatch.setattr(sql_database, "TRIES", 1)
    pull = Pull(query_of(TODAY, "*"), LONG, invalid=[NAMED])
    whole = Breaker(kill)

    def first_pull(table: str, breaker: Breaker) -> SqlDestination:
        first = replace(sql, table=table)
        with statements(breaker), pull.open(first) as writer:
            pull.publish(writer, before=breaker)
        return first

    first_pull("whole", whole)
    writes = re.compile("CREATE|INSERT|UPDATE|COPY")
    places = [at for at, statement in enumerate(whole.statements) if writes.match(statement)]
    places = sorted({*(at + 2 for at in places), *range(1, whole.count, 11)})
    assert len(places) > 12
    for at in places if KILLS >= 100 else places[::3]:
        first = replace(sql, table=f"first{at}")
        try:
            first_pull(first.table, Breaker(kill, at))  # may try again to create tables
        except Np6DestinationError:
            assert pull.run(first)["outcome"] == "created"
        assert stored(first.table) == ids(LONG)
        check_is_consistent(first)
        check_tables(kind, first, all_actions=True)


@pytest.mark.parametrize("sql", ["mariadb"], indirect=True)
@pytest.mark.parametrize("create", [True, False])
def test_pulls_while_somebody_changes_the_tables(sql: SqlDestination, create: bool) -> None:
    """MySQL shows no table that is being changed to those who have read another one."""
    sql = replace(sql, create=create)
    Pull(query_of(), LONG).run(replace(sql, create=True))
    ended = Event()

    def change() -> None:
        while not ended.is_set():
            for suffix in ("", "_windows"):
                ask(f"CREATE INDEX own ON np6_events{suffix} (pulled_at)")
                ask(f"DROP INDEX own ON np6_events{suffix}")

    with ThreadPoolExecutor(1) as threads:
        changing = threads.submit(change)
        try:
            for n in range(15):
                assert Pull(query_of(), LONG, pulled_at=PULLED_AT + n).run(sql)["outcome"] == "unchanged"
                assert sql.verify().problems == []
                assert sql.coverage("bounces", "A", "2024-10-04", "2024-10-05").is_complete
        finally:
            ended.set()
    changing.result()
    check_is_consistent(sql)
