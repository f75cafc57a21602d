"""``python -m benchmarks.sql_cost``: what a pull costs in SQL, into empty tables and into very large ones.

Pulls of 200 events go into two tables in turn, an empty and a filled one, without an API: what is measured is
SQL. The filled one gets its rows by statements inside the database, which copy those of the table's first
pull. PostgreSQL is filled as large as ``docs/performance.md`` says, the others with a tenth of it. Prints the
median of some rounds, and fails if a filled table takes more than 1.3 times as long as the empty one. Of
SQLite, which runs in this process and in memory, the time is the processor's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.destinations.inventory import Scope
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import DAY, SECOND, Window, iso
from airflow_provider_np6.sandbox import FakeAccount
from tests.support.mariadb import Mariadb
from tests.support.postgres import Postgres
from tests.support.writes import TimedEvent, write_events

MAX_RATIO = 1.3
EVENTS = 200
YEARS = 5
ALL_EVENTS = 3_000_000
ACTIONS = 1_000
HOUR = DAY // 24
SHORT = HOUR // 4
"""Length of the windows of all actions: so many of a day each would go back for millenniums."""

START = 20_000 * DAY
"""The newest pulls begin here; what is filled ends here."""

CREATED = 100 * DAY
"""The window that creates the tables begins here, before all that is filled."""

FORECAST = 10_000
"""Actions whose size in PostgreSQL is estimated."""

TRIES = 5
"""Pulls into each table per round, of which the fastest counts: other work on the machine only adds time."""

MARIADB_MEMORY = 2 * 1024**3
"""Bytes of its buffer pool, in which there should be room for the keys. Events are stored in the order of
their ids, which is random: with the default of 128 MB, nearly each row of a load reads a page of the disk."""

STAGES = ("new", "in a gap", "changed", "unchanged")
CONN_ID = "sql_cost"
_ENVELOPE = re.compile(rb'(.*?"id":")[0-9a-f]{8}(.*?"timestamp":)\d{13}(.*)', re.DOTALL)


@dataclass(frozen=True)
class Server:
    """A kind of database, and how it spells what the fill needs.

    :param numbers: a table with a column ``n``, of the numbers from ``{first}`` to ``{last}``.
    :param time: a time, of ``{}`` in seconds since the epoch.
    :param action: an action's id, of the number ``{}``.
    :param unique: an event's id, of the text ``{}`` and ``n``; without any order, as NP6's.
    :param analyze: the statement that refreshes the statistics of table ``{}``.
    """

    title: str
    start: Callable[[Path], AbstractContextManager[dict[str, object]]]
    numbers: str
    time: str
    action: str
    unique: str
    analyze: str
    quote: str = '"'
    divide: str = "/"
    clock: Callable[[], float] = perf_counter


@contextmanager
def _postgres(_: Path) -> Iterator[dict[str, object]]:
    with Postgres() as server:
        yield server.database()


@contextmanager
def _mariadb(_: Path) -> Iterator[dict[str, object]]:
    import MySQLdb

    with Mariadb() as server:
        with closing(MySQLdb.connect(host="127.0.0.1", port=server.port, user="root")) as connection:
            connection.query(f"SET GLOBAL innodb_buffer_pool_size = {MARIADB_MEMORY}")
        yield server.database()


@contextmanager
def _sqlite(folder: Path) -> Iterator[dict[str, object]]:
    # In memory where that is possible: the others do not wait for the disk either.
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="np6-bench-", dir=memory if memory.is_dir() else folder) as path:
        yield {"conn_type": "sqlite", "host": f"{path}/np6.db"}


SERVERS = {
    "postgres": Server(
        "PostgreSQL",
        _postgres,
        numbers="generate_series({first}::bigint, {last}) AS numbers(n)",
        time="to_timestamp({})",
        action="'A' || lpad(({})::text, 5, '0')",
        unique="md5('{}' || n)",
        analyze="VACUUM (ANALYZE) {}",
    ),
    "mariadb": Server(
        "MariaDB",
        _mariadb,
        numbers="(SELECT seq AS n FROM seq_{first}_to_{last}) AS numbers",
        time="TIMESTAMPADD(SECOND, {}, '1970-01-01')",
        action="CONCAT('A', LPAD({}, 5, '0'))",
        unique="MD5(CONCAT('{}', n))",
        analyze="ANALYZE TABLE {}",
        quote="`",
        divide="DIV",
    ),
    "sqlite": Server(
        "SQLite",
        _sqlite,
        numbers="(WITH RECURSIVE counted(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM counted"
        " WHERE n < {last}) SELECT n FROM counted) AS numbers",
        time="strftime('%Y-%m-%dT%H:%M:%S.000Z', {}, 'unixepoch')",
        action="printf('A%05d', {})",
        unique="'{}' || lower(hex(randomblob(16)))",
        analyze="ANALYZE {}",
        clock=process_time,  # it runs in this process, and its file is in memory
    ),
}


@dataclass(frozen=True)
class Fill:
    """Rows of a series: for each action one window after the other, back from :data:`START`.

    :param action_id: the action, or ``"*"``; "" for those of many actions.
    :param length: of a window, in ms.
    :param windows: their numbers, counted over all actions.
    :param events: how many there are.
    :param span: time over which they are spread, in ms.
    :param actions: whose windows these are.
    :param gap: windows that are left out, for pulls.
    """

    event_type: str
    action_id: str
    length: int
    windows: range
    events: int
    span: int
    actions: int = 1
    gap: range = range(0)


@dataclass(frozen=True)
class Case:
    """What is added to a table, and pulls into it.

    :param title: what the table has then.
    :param query: the first pull.
    :param middle: time between pulls into a gap and those of the newest windows, in ms.
    """

    table: str
    title: str
    fill: Fill
    query: EventQuery
    middle: int

    @property
    def empty(self) -> str:
        """The table that is empty but for the same pulls."""
        return f"empty_{self.table}_{self.fill.windows.stop}"

    def pull(self, stage: str, number: int) -> EventQuery:
        """What one pull pulls."""
        window = self.query.window
        by = number * self.fill.length - (self.middle if stage == "in a gap" else 0)
        return replace(self.query, window=Window(window.start + by, window.end + by))


def plan(part: int, actions: int, pulls: int) -> list[Case]:
    """All cases; each begins with what the ones before it left in its table.

    :param part: of the full size: 1, or 10 for a tenth.
    :param actions: whose windows and events the table by action has, in full size; the other one has as many
        windows as that would have of :data:`ACTIONS`.
    :param pulls: of each stage.
    """
    days, hours = YEARS * 365, YEARS * 8_760 // part
    events, actions = ALL_EVENTS // part, actions // part
    cases: list[Case] = []

    def add(table: str, title: str, fill: Fill, action_id: str, middle: int) -> None:
        pulled = sum(case.table == table and case.fill.length == fill.length for case in cases) * pulls
        begin = START + pulled * fill.length
        query = EventQuery(fill.event_type, action_id, Window(begin, begin + fill.length))
        cases.append(Case(table, title, fill, query, middle))

    for begin, end in ((0, actions * 365), (actions * 365, actions * days)):
        fill = Fill("bounces", "", DAY, range(begin, end), 0 if begin else events, days * DAY, actions)
        title = f"by action, {end:,} days of {actions:,} others"
        add("by_action", title, fill, "PULLED", days // 2 * DAY)
    gap = range(hours // 2, hours // 2 + pulls)
    fill = Fill("bounces", "HOURLY", HOUR, range(hours), hours, hours * HOUR, gap=gap)
    add("by_action", f"and {hours:,} hours of the same action", fill, "HOURLY", gap.stop * HOUR)

    one, all_ = (ACTIONS // part * length for length in (365, days))
    middle = range(one // 2, one // 2 + 2 * pulls)
    for begin, end in ((0, one), (one, all_)):
        numbers, new = range(begin, end), 0 if begin else events
        fill = Fill("bounces", ALL_ACTIONS, SHORT, numbers, new, all_ * SHORT, gap=middle)
        title = f"`*`, {end:,} quarters of an hour"
        add("all_actions", title, fill, ALL_ACTIONS, middle.stop * SHORT)
    fill = Fill("cancellations", ALL_ACTIONS, HOUR, range(hours), hours, hours * HOUR, gap=gap)
    add("all_actions", f"and {hours:,} hours of this event type", fill, ALL_ACTIONS, gap.stop * HOUR)
    return cases


class Database:
    """Statements that are none of the destination's.

    :param server: its kind.
    :param conn_id: of its connection.
    """

    def __init__(self, server: Server, conn_id: str = CONN_ID) -> None:
        from airflow.providers.common.compat.sdk import BaseHook

        self._server = server
        self._hook = BaseHook.get_hook(conn_id)

    def run(self, *statements: str) -> None:
        self._hook.run(list(statements), autocommit=True)

    def number(self, query: str) -> int:
        return int(self._hook.get_first(query)[0])

    def fill(self, table: str, fill: Fill) -> None:
        """Add windows and events."""
        server, end = self._server, START // SECOND
        length, span = fill.length // SECOND, fill.span // SECOND
        many = server.action.format(f"n % {fill.actions if fill.actions > 1 else ACTIONS}")
        own = f"'{fill.action_id}'" if fill.action_id else many
        before = f"(n {server.divide} {fill.actions})"
        values = {
            "action_id": own,
            "window_start": server.time.format(f"({end} - ({before} + 1) * {length})"),
            "window_end": server.time.format(f"({end} - {before} * {length})"),
        }
        where = _outside(before, fill.gap, 1)
        self._multiply(f"{table}_windows", fill.event_type, values, fill.windows, where)
        before = f"(n * {span} {server.divide} {max(fill.events, 1)})"
        values = {
            "action_id": many if fill.action_id == ALL_ACTIONS else own,
            "event_id": server.unique.format(f"{fill.event_type}{fill.action_id}"),
            "occurred_at": server.time.format(f"({end} - 1 - {before})"),
        }
        where = _outside(before, fill.gap, length)
        self._multiply(table, fill.event_type, values, range(fill.events), where)

    def analyze(self, table: str) -> None:
        """Refresh statistics, as databases do by themselves from time to time."""
        names = [f"{table}{suffix}" for suffix in ("", "_windows", "_quarantine")]
        self.run(*map(self._server.analyze.format, names))

    def _multiply(
        self, table: str, event_type: str, values: dict[str, str], numbers: range, where: str
    ) -> None:
        """Insert rows like the one that the first pull left.

        :param values: expressions of what differs, by column.
        :param numbers: what their ``n`` is.
        """
        if not numbers:
            return
        quote = self._server.quote
        with closing(self._hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"SELECT * FROM {table} WHERE 1 = 0")
            columns = [described[0] for described in cursor.description]
        names = ", ".join(f"{quote}{column}{quote}" for column in columns)
        chosen = ", ".join(values.get(column, f"first_pull.{quote}{column}{quote}") for column in columns)
        time = "window_start" if "window_start" in columns else "occurred_at"
        source = self._server.numbers.format(first=numbers.start, last=numbers.stop - 1)
        created = self._server.time.format((CREATED + DAY) // SECOND)
        self.run(
            "DROP TABLE IF EXISTS first_pull",
            f"CREATE TABLE first_pull AS SELECT * FROM {table}"
            f" WHERE event_type = '{event_type}' AND {time} < {created}",
            f"INSERT INTO {table} ({names}) SELECT {chosen}"
            f" FROM first_pull CROSS JOIN {source} WHERE {where}",
        )


def _outside(number: str, gap: range, length: int) -> str:
    """Whether a number, of windows or of seconds, is outside of a gap."""
    return f"{number} NOT BETWEEN {gap.start * length} AND {gap.stop * length - 1}" if gap else "1 = 1"


@cache
def _templates() -> list[tuple[bytes, ...]]:
    """Bounces of many actions, cut where another id and another time go."""
    account = FakeAccount(actions=50, events_per_day=EVENTS)
    bounces = islice(account.events("bounces", None, START, START + DAY), EVENTS)
    return [match.groups() for match in (_ENVELOPE.fullmatch(event.json) for event in bounces) if match]


def make_events(query: EventQuery, version: int, count: int = EVENTS) -> list[TimedEvent]:
    """Events of a window, in order of time.

    :param version: the same events come with other content in another version.
    """
    window = query.window
    events = []
    for number, (head, middle, tail) in enumerate(_templates()[:count]):
        at = window.start + number * (window.end - window.start) // count
        name = f"{query.description} {number}".encode()
        id_ = blake2b(name, digest_size=4).hexdigest()  # as unordered as NP6's
        content = b'%b,"version":%d}' % (tail[:-1], version)
        events.append((at, b"%b%b%b%d%b" % (head, id_.encode(), middle, at, content)))
    return events


def pull(
    table: str,
    query: EventQuery,
    stage: str = "new",
    count: int = EVENTS,
    clock: Callable[[], float] = perf_counter,
) -> float:
    """Seconds that a pull takes, with all that comes before and after its response."""
    version = 1 if stage in ("new", "in a gap") else 2
    events = make_events(query, version, count)
    pulled_at = query.window.end + DAY + STAGES.index(stage)
    begun = clock()
    report = write_events(SqlDestination(CONN_ID, table), query, events, pulled_at=pulled_at)
    seconds = clock() - begun
    outcome = "created" if version == 1 else stage
    if report["outcome"] != outcome or report["events"] != count:
        raise RuntimeError(f"{table}: {query.description} is {report}")
    return seconds


def create(table: str, event_type: str, action_id: str) -> None:
    """Let a pull of one event create a table, or begin a series in it."""
    pull(table, EventQuery(event_type, action_id, Window(CREATED, CREATED + HOUR)), count=1)


def measure(case: Case, rounds: int, clock: Callable[[], float]) -> dict[str, tuple[float, float]]:
    """Median seconds into the empty and the filled table, for each stage."""
    medians = {}
    for stage in STAGES:
        fastest: dict[str, list[float]] = {case.empty: [], case.table: []}
        for first in range(0, rounds * TRIES, TRIES):
            seconds: dict[str, list[float]] = {table: [] for table in fastest}
            for number in range(first, first + TRIES):
                tables = list(fastest)
                for table in tables if number % 2 else reversed(tables):  # neither is always the first
                    seconds[table].append(pull(table, case.pull(stage, number), stage, clock=clock))
            for table, values in seconds.items():
                fastest[table].append(min(values))
        medians[stage] = (statistics.median(fastest[case.empty]), statistics.median(fastest[case.table]))
    return medians


def run(server: Server, part: int, actions: int, rounds: int) -> float:
    """Print a row for each case; the highest ratio."""
    database = Database(server)
    highest = 0.0
    known = set()
    for case in plan(part, actions, rounds * TRIES):
        for table in (case.table, case.empty):
            series = (table, case.query.event_type)
            if series not in known:
                create(table, case.query.event_type, case.query.action_id)
                known.add(series)
        database.fill(case.table, case.fill)
        database.analyze(case.table)
        os.sync()  # or what was filled is written to the disk meanwhile
        cells = []
        for empty, filled in measure(case, rounds, server.clock).values():
            highest = max(highest, filled / empty)
            cells.append(f"{1e3 * empty:.1f} → {1e3 * filled:.1f} ({filled / empty:.2f})")
        print(f"| {server.title}: {case.title} | {' | '.join(cells)} |", flush=True)
    return highest


def readings() -> Iterator[str]:
    """What coverage takes."""
    destination = SqlDestination(CONN_ID, "by_action")
    years, month = (Window(START - days * DAY, START) for days in (YEARS * 365, 30))
    begun = perf_counter()
    coverage = destination.coverage("bounces", "A00001", iso(years.start), iso(years.end))
    yield f"coverage of one action over {YEARS} years: {perf_counter() - begun:.2f} s"
    if not coverage.is_complete:
        raise RuntimeError(f"these windows are missing: {coverage.missing[:3]}")
    begun = perf_counter()
    stored = destination.stored_windows(Scope(month))
    yield f"coverage of all over 30 days, {len(stored):,} windows: {perf_counter() - begun:.2f} s"


def sizes(actions: int) -> Iterator[str]:
    """What a row takes in PostgreSQL, and what five years of so many actions would."""
    database = Database(SERVERS["postgres"])
    each = {}
    for table in ("by_action_windows", "by_action"):
        rows = database.number(f"SELECT COUNT(*) FROM {table}")
        each[table] = database.number(f"SELECT pg_total_relation_size('{table}')") / rows
        indexes = database.number(f"SELECT pg_indexes_size('{table}')") / rows
        yield f"{table}: {each[table]:.0f} bytes per row, of which {indexes:.0f} in indexes"
    windows = actions * YEARS * 365
    gigabytes = windows * each["by_action_windows"] / 1e9
    yield f"{windows:,} windows (a day each, of {actions:,} actions, for {YEARS} years): {gigabytes:.1f} GB"


def main() -> int:
    """Print a table; 1 if a ratio is too high."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=SERVERS, help="this one alone")
    parser.add_argument("--tenth", action="store_true", help="a tenth on PostgreSQL too")
    parser.add_argument("--actions", type=int, default=ACTIONS, help="of the full size, by action")
    parser.add_argument("--rounds", type=int, default=5, help="that each median is of")
    options = parser.parse_args()
    highest = 0.0
    lines: list[str] = []
    print("| ms into an empty → a filled table (ratio) |", " | ".join(STAGES), "|")
    print("| --- |" + " ---: |" * len(STAGES), flush=True)
    for name in [options.server] if options.server else SERVERS:
        part = 10 if options.tenth or name != "postgres" else 1
        with tempfile.TemporaryDirectory(prefix="np6-bench-") as folder:
            os.environ["AIRFLOW_HOME"] = folder
            os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
            with SERVERS[name].start(Path(folder)) as connection:
                os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(connection)
                highest = max(highest, run(SERVERS[name], part, options.actions, options.rounds))
                lines += (f"{SERVERS[name].title}, {line}" for line in readings())
                if name == "postgres":
                    lines += sizes(FORECAST)
    print("", *lines, sep="\n")
    print(f"highest ratio: {highest:.2f}, at most {MAX_RATIO}")
    return int(highest > MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main())
