"""Large windows, many pulls at once, readers meanwhile and lost connections: each kind of database."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.sql.dialects import get_dialect
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.databases import ask, payloads
from tests.support.pulls import HOUR, MIDNIGHT, held, land, query_of
from tests.support.run import KEY

pytestmark = [pytest.mark.core, pytest.mark.timeout(900)]

EVENTS = int(os.environ.get("NP6_LARGE", "25000"))
ROUNDS = int(os.environ.get("NP6_ROUNDS", "6"))
KILLS = int(os.environ.get("NP6_KILLS", "15"))

ON_SERVERS = pytest.mark.parametrize("sql", ["postgres", "mariadb"], indirect=True)
PATHS = {
    "event_id": "id",
    "payload_type": "type",
    "channel": "source.type",
    "agency": "identity.agency",
    "customer": "identity.customer",
    "message_id": "source.detail.activation.stamp.id",
    "thread_id": "source.detail.activation.stamp.thread",
    "recipient": "source.detail.activation.recipient",
    "target_id": "source.detail.activation.receiver.value",
    "bounce_verdict": "source.detail.bounce.analysis.verdict",
    "bounce_status": "source.detail.bounce.status.type",
    "bounce_code": "source.detail.bounce.status.code.enhanced",
    "bounce_diagnostic": "source.detail.bounce.status.diagnostic",
    "bounce_mta": "source.detail.bounce.status.mta",
    "bounce_subject": "source.detail.bounce.analysis.subject.type",
    "bounce_subject_detail": "source.detail.bounce.analysis.subject.detail.type",
}
"""Where the fields of a documented bounce are, by column."""


def at(event: Any, path: str) -> Any:
    for step in path.split("."):
        event = event.get(step, {})
    return event or (None if event == {} else event)


def expected(line: bytes) -> tuple[Any, ...]:
    event = json.loads(line)
    sent = event["source"]["detail"]["activation"]["stamp"]["time"]
    fields = {column: at(event, path) for column, path in PATHS.items()}
    return (*fields.values(), event["timestamp"], sent, "bounces", "", "000PE4", line.decode())


def stored() -> dict[str, tuple[Any, ...]]:
    """All rows by id: the fields of ``PATHS``, times in ms, what was requested, and the payload."""
    from airflow.providers.common.compat.sdk import BaseHook

    dialect = BaseHook.get_hook("test_sql").dialect_name
    payload = "payload::text" if dialect == "postgresql" else "payload"
    columns = f"{', '.join(PATHS)}, occurred_at, sent_at, event_type, classification, action_id, {payload}"
    ms = get_dialect(dialect).ms
    rows = {}
    for row in ask(f"SELECT {columns} FROM np6_events"):
        *fields, occurred_at, sent_at, event_type, classification, action, text = row
        rows[row[0]] = (*fields, ms(occurred_at), ms(sent_at), event_type, classification, action, text)
    return rows


class Joined(FakeAccount):
    """An account with some events more, all at one time."""

    def __init__(self, lines: list[bytes], time: int) -> None:
        super().__init__(events_per_day=EVENTS)
        self._more = [FakeEvent(time, json.loads(line)["id"], line) for line in lines]

    def hour(
        self,
        event_type: str,
        action_id: str | None,
        hour: int,
        *,
        classification: frozenset[str] = frozenset(),
    ) -> list[FakeEvent]:
        events = super().hour(event_type, action_id, hour, classification=classification)
        return events + [event for event in self._more if event.timestamp // HOUR == hour]


def test_a_large_window_is_exact_whatever_changes_upstream(
    sandbox: Sandbox, sql: SqlDestination, client: Np6Client
) -> None:
    sandbox.account = FakeAccount(events_per_day=EVENTS)
    query = query_of(sandbox)
    events = held(sandbox, query)
    assert len(events) >= EVENTS
    whole = {json.loads(line)["id"]: expected(line) for line in events}

    assert land(client, sql, query)["outcome"] == "created"
    assert stored() == whole
    assert land(client, sql, query)["outcome"] == "unchanged"
    assert ask("SELECT COUNT(*), SUM(events) FROM np6_events_windows") == [(1, len(events))]
    # Shrunk upstream: every third event is gone.
    sandbox.account = FakeAccount(events_per_day=EVENTS, withheld=1 / 3)
    land(client, sql, query, on_shrink="replace")
    kept = {json.loads(line)["id"] for line in held(sandbox, query)}
    assert 0.6 < len(kept) / len(whole) < 0.7
    assert stored() == {id_: row for id_, row in whole.items() if id_ in kept}
    # Grown again.
    sandbox.account = FakeAccount(events_per_day=EVENTS)
    land(client, sql, query)
    assert stored() == whole
    # Some events moved from the morning into the evening, which is pulled by itself.
    evening = Window(MIDNIGHT + 18 * HOUR, MIDNIGHT + 24 * HOUR)
    morning = held(sandbox, query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + HOUR)))
    moved = [
        line.replace(b'"timestamp":%d' % json.loads(line)["timestamp"], b'"timestamp":%d' % (evening.end - 1))
        for line in morning
    ]
    sandbox.account = Joined(moved, evening.end - 1)
    land(client, sql, query_of(sandbox, evening))
    assert stored() == whole | {json.loads(line)["id"]: expected(line) for line in moved}
    assert ask("SELECT SUM(events), SUM(displaced) FROM np6_events_windows") == [(len(events), len(moved))]
    assert sql.verify().problems == []


PULLS = """
import os, sys, traceback
from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6PullAgainError
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.window import Window

url, *bounds = sys.argv[1:]
windows = [Window(*map(int, window.split("-"))) for window in bounds]

def write(window, table="np6_events"):
    client = Np6Client(Np6Config(base_url=url, api_key=os.environ["KEY"], account="test"))
    query = EventQuery.checked("bounces", "000PE4", window)
    with SqlDestination("test_sql", table).open(query, "test") as writer:
        for left in reversed(windows):
            try:
                return writer.publish(pull(client, query, writer))
            except Np6PullAgainError:
                if left is windows[0]:
                    raise

def child(window):
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        write(window)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)

write(windows[0], "other")  # imports what each process needs
for line in sys.stdin:
    children = [child(window) for window in windows]
    print(*["ended", *(os.waitpid(process, 0)[1] for process in children)], flush=True)
"""
"""Pulls some windows at once, each in a process of its own, for each line of input. A process pulls again if
others have stored a part of its window meanwhile: at most once for each of them."""


@contextmanager
def pullers(sandbox: Sandbox, windows: list[Window]) -> Iterator[Callable[[], list[int]]]:
    """What pulls all windows at once, each in a process of its own, and returns how these ended."""
    bounds = [f"{window.start}-{window.end}" for window in windows]
    command = [sys.executable, "-W", "ignore", "-c", PULLS, sandbox.url, *bounds]
    environment = {**os.environ, "KEY": KEY}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def pull_all() -> list[int]:
            print("pull", file=stdin, flush=True)
            while line := stdout.readline():
                word, *codes = line.split() or [""]
                if word == "ended":  # other lines are Airflow's log
                    return list(map(int, codes))
            return []

        try:
            yield pull_all
        finally:
            process.kill()


@ON_SERVERS
def test_eight_processes_pull_equal_and_overlapping_windows(sandbox: Sandbox, sql: SqlDestination) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    hours = [(0, 24), (0, 24), (0, 12), (6, 18), (12, 24), (3, 4), (0, 24), (11, 13)]
    windows = [Window(MIDNIGHT + a * HOUR, MIDNIGHT + b * HOUR) for a, b in hours]
    whole = sorted(held(sandbox, query_of(sandbox)))
    with pullers(sandbox, windows) as pull_all:
        for _ in range(ROUNDS):
            assert pull_all() == [0] * 8
            assert sorted(payloads()) == whole
            assert ask("SELECT SUM(events) FROM np6_events_windows") == [(len(whole),)]
            assert sql.verify().problems == []


@pytest.mark.parametrize("sql", ["postgres", "mariadb", "sqlite"], indirect=True)
def test_readers_never_see_a_window_partly_replaced(
    sandbox: Sandbox, sql: SqlDestination, client: Np6Client
) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    query = query_of(sandbox)
    land(client, sql, query)
    seen: set[tuple[Any, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            statement = (
                "SELECT COUNT(*), COUNT(DISTINCT event_id), (SELECT SUM(events) FROM np6_events_windows)"
            )
            seen.add(tuple(map(int, ask(f"{statement} FROM np6_events")[0])))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(20):
        sandbox.account = FakeAccount(events_per_day=2_400, withheld=n % 2 / 2)
        land(client, sql, query, on_shrink="replace")
    stop.set()
    reader.join()
    fewer = len(held(sandbox, query))
    assert 1_000 < fewer < 1_400
    assert seen == {(2_400,) * 3, (fewer,) * 3}


@contextmanager
def killer(kind: str, server: Any, database: str) -> Iterator[Callable[[], int]]:
    """What ends every connection to ``database``, and returns how many these were."""
    if kind == "postgres":
        import psycopg2

        address = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "dbname": "postgres"}
        with closing(psycopg2.connect(**address)) as own, closing(own.cursor()) as cursor:
            own.autocommit = True

            def terminate() -> int:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
                )
                return int(cursor.rowcount)

            yield terminate
        return
    import MySQLdb

    with closing(MySQLdb.connect(host="127.0.0.1", port=server.port, user="root")) as own:
        cursor = own.cursor()

        def kill() -> int:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (database,))
            connections = cursor.fetchall()
            for (connection,) in connections:
                with suppress(MySQLdb.OperationalError):  # it has ended by itself
                    cursor.execute(f"KILL {connection}")
            return len(connections)

        yield kill


@ON_SERVERS
def test_killed_connections_leave_the_old_content_or_the_new(
    request: pytest.FixtureRequest, sandbox: Sandbox, sql: SqlDestination, client: Np6Client
) -> None:
    kind = request.node.callspec.params["sql"]
    database = json.loads(os.environ["AIRFLOW_CONN_TEST_SQL"])["schema"]
    sandbox.account = FakeAccount(events_per_day=2_400)
    query = query_of(sandbox)
    whole = sorted(held(sandbox, query))
    land(client, sql, query)
    begun = time.monotonic()
    land(client, sql, query)
    undisturbed = time.monotonic() - begun
    delays = random.Random(4)  # noqa: S311 - repeatable
    killed = 0

    def kill_once(after: float, ended: threading.Event, kill: Callable[[], int]) -> None:
        """After a time, or as soon after it as there is a connection."""
        nonlocal killed
        ended.wait(after)
        while not ended.wait(0.001):
            if found := kill():
                killed += found
                return

    with killer(kind, request.getfixturevalue(kind), database) as kill:
        for n in itertools.count():  # a kill that came when all was over is none: another round
            sandbox.account = FakeAccount(events_per_day=2_400, withheld=n % 2 / 2)
            ended = threading.Event()
            after = delays.uniform(0, undisturbed)
            thread = threading.Thread(target=kill_once, args=(after, ended, kill))
            thread.start()
            land(client, sql, query, on_shrink="replace")  # it is published again from the spool
            ended.set()
            thread.join()
            lines = payloads()
            assert sorted(lines) == sorted(held(sandbox, query))
            assert set(lines) <= set(whole)
            if killed >= KILLS:
                return
