"""A table of events compared with its table of windows: rows are counted, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.inventory import Checked, PendingVerification, Series, overlapping
from airflow_provider_np6.destinations.sql.dialects import plain_row
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database

# Windows of single actions apart from those of all: the index of events begins with type and action.
_EACH = """
SELECT w.action_id, w.window_start, w.window_end, w.events, w.invalid,
  (SELECT COUNT(*) FROM {events} e
   WHERE e.event_type = w.event_type AND e.classification = w.classification{of_action}
   AND e.occurred_at >= w.window_start AND e.occurred_at < w.window_end),
  (SELECT COUNT(*) FROM {aside} q
   WHERE q.event_type = w.event_type AND q.classification = w.classification AND q.action_id = w.action_id
   AND q.near >= w.window_start AND q.near < w.window_end)
FROM {windows} w WHERE w.event_type = {mark} AND w.classification = {mark} AND w.action_id {which}"""
_ALL = """
SELECT NULL, NULL, NULL, NULL, NULL, COUNT(*), NULL
FROM {events} WHERE event_type = {mark} AND classification = {mark}"""


def verification(database: Database) -> PendingVerification:
    """Events and what was set aside of each window, windows that overlap, and events that lie in none.

    :raises Np6InputError: if there are no tables, or they cannot be read.
    """

    def begin() -> tuple[int, list[tuple[str, str]]]:
        with database.reading() as cursor:
            datasets = {
                row
                for table in (database.windows, database.events)
                for row in table.select(cursor, ["DISTINCT event_type", "classification"], {})
            }
            return database.windows.count(cursor, {}), sorted(datasets)

    total, datasets = database.run_with_retries(begin, "cannot be read", Np6InputError)
    return PendingVerification(total, (check for dataset in datasets for check in _checks(database, dataset)))


def _checks(database: Database, dataset: tuple[str, str]) -> Iterator[Checked]:
    def read() -> list[tuple[Any, ...]]:
        with database.reading() as cursor:
            cursor.execute(_counting(database), [*dataset] * 3)
            return [plain_row(row) for row in cursor.fetchall()]

    *rows, total = sorted(
        database.run_with_retries(read, "cannot be read", Np6InputError), key=lambda row: row[0] is None
    )
    inside = 0
    windows = []
    for action, start, end, events, invalid, counted, aside in rows:
        series = Series(*dataset, action)
        window = Window(database.ms(start), database.ms(end))
        windows.append((series, window))
        inside += counted
        yield Checked(
            f"{series}, window {window}",
            _difference("events", events, counted) or _difference("events set aside", invalid, aside),
            window=True,
            events=counted,
        )
    yield from overlapping(windows)
    outside = total[5] - inside
    if outside > 0:
        yield Checked(
            Series(*dataset, ALL_ACTIONS).dataset, f"{outside} events lie in no window that was pulled"
        )


def _difference(what: str, recorded: int | None, counted: int) -> str | None:
    if recorded == counted:
        return None
    return f"{recorded} {what} are recorded, and there are {counted}"


def _counting(database: Database) -> str:
    """One statement, so that no pull comes in between: each window of a dataset with what is recorded of it
    and what is there; and in a row without an action, all that is there."""
    names = {
        "events": database.events.quoted,
        "windows": database.windows.quoted,
        "aside": database.quarantine.quoted,
        "mark": database.windows.placeholder,
    }
    single = _EACH.format(**names, which="<> '*'", of_action=" AND e.action_id = w.action_id")
    all_at_once = _EACH.format(**names, which="= '*'", of_action="")
    return " UNION ALL ".join([single, all_at_once, _ALL.format(**names)])
