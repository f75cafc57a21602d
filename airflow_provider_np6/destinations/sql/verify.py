"""A table of events compared with its table of windows: rows are counted, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.inventory import Checked, PendingVerification, Series, overlapping
from airflow_provider_np6.destinations.sql.dialects import read_rows
from airflow_provider_np6.destinations.sql.header import is_erasing, read_header
from airflow_provider_np6.np6.query import ALL_ACTIONS
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database

_COLUMNS = ["window_start", "window_end", "events", "invalid", "counted", "set_aside"]


def verification(database: Database) -> PendingVerification:
    """Events and invalid events of each window, windows that overlap, and events that lie in none.

    :raises Np6InputError: if there are no tables, or they cannot be read.
    """

    def begin() -> tuple[int, list[Series], bool]:
        columns = ["event_type", "classification", "action_id"]
        with database.reading() as cursor:
            recorded = set(database.windows.select(cursor, columns, {}, distinct=True))
            header = read_header(database, cursor)
            forms = {} if header is None else header.series
            all_actions = {series for series, row in forms.items() if row.form == "all_actions"}
            stored = {
                (*row[:2], ALL_ACTIONS if row[:2] in all_actions else row[2])
                for row in database.events.select(cursor, columns, {}, distinct=True)
            }
            is_unfinished = is_erasing(database, cursor)
            total = database.windows.count(cursor, {})
        series = [Series(*row) for row in sorted(recorded | stored)]
        return total, series, is_unfinished

    total, series, is_unfinished = database.read(begin)
    return PendingVerification(total, _all_checks(database, series, is_unfinished=is_unfinished))


def _all_checks(database: Database, series: Sequence[Series], *, is_unfinished: bool) -> Iterator[Checked]:
    if is_unfinished:
        yield Checked(str(database), "an erasure is not finished: call erase() again")
    for one in series:
        yield from _checks(database, one)


def _checks(database: Database, series: Series) -> Iterator[Checked]:
    rows = database.read(partial(_count_windows, database, series))
    inside = 0
    windows = []
    for start, end, events, invalid, counted, aside in rows[:-1]:
        window = Window(database.ms(start), database.ms(end))
        windows.append((series, window))
        inside += counted
        yield Checked(
            f"{series}, window {window}",
            _difference("events", events, counted) or _difference("invalid events", invalid, aside),
            window=True,
            events=counted,
        )
    yield from overlapping(windows)
    outside = rows[-1][4] - inside
    if outside > 0:
        yield Checked(str(series), f"{outside} events lie in no window that was pulled")


def _difference(what: str, recorded: int | None, counted: int) -> str | None:
    if recorded == counted:
        return None
    return f"{recorded} {what} are recorded, and there are {counted}"


def _count_windows(database: Database, series: Series) -> list[tuple[Any, ...]]:
    """One statement, so that no pull comes in between: each window of a series with what is recorded of it
    and what there is; and last, in a row without a window, all events that there are."""
    quote, mark = database.dialect.quote, database.windows.placeholder
    is_mixed = series.action_id == ALL_ACTIONS

    def equal(alias: str, *names: str) -> str:
        return " AND ".join(f"{alias}.{quote(name)} = w.{quote(name)}" for name in names)

    def inside(alias: str, time: str) -> str:
        start, end = quote("window_start"), quote("window_end")
        return f"{alias}.{quote(time)} >= w.{start} AND {alias}.{quote(time)} < w.{end}"

    def read(name: str) -> str:
        return database.windows.read(name, "w")

    action = () if is_mixed else ("action_id",)
    of_event = equal("e", "event_type", "classification", *action)
    of_invalid = equal("q", "event_type", "classification", "action_id")
    keys = [f"{quote(name)} = {mark}" for name in ("event_type", "classification", "action_id")]
    recorded = ", ".join(f"{read(name)} AS {quote(name)}" for name in _COLUMNS[:4])
    nothing = ", ".join(["NULL"] * 4)
    counted = f"FROM {database.events.quoted} e WHERE {of_event} AND {inside('e', 'occurred_at')}"
    set_aside = f"FROM {database.quarantine.quoted} q WHERE {of_invalid} AND {inside('q', 'near')}"
    statement = (
        f"SELECT {recorded}, (SELECT COUNT(*) {counted}) AS {quote('counted')},"
        f" (SELECT COUNT(*) {set_aside}) AS {quote('set_aside')}"
        f" FROM {database.windows.quoted} w WHERE {' AND '.join(keys)}"
        f" UNION ALL SELECT {nothing}, COUNT(*), NULL"
        f" FROM {database.events.quoted} WHERE {' AND '.join(keys[:2] if is_mixed else keys)}"
    )
    values = [series.event_type, series.classification, series.action_id]
    with database.reading() as cursor:
        cursor.execute(statement, [*values, *(values[:2] if is_mixed else values)])
        rows = read_rows(cursor, _COLUMNS)
    return sorted(rows, key=lambda row: (row[0] is None, row[0] and database.ms(row[0])))
