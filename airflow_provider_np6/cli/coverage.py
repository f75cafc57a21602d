"""``coverage``: which days of which actions are stored in a destination?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_np6.cli.coverage_html import PROBLEMS, WORST_FIRST, to_html
from airflow_provider_np6.cli.options import destination_options, json_option, named_destination
from airflow_provider_np6.cli.output import (
    EXIT_MISMATCH,
    EXIT_OK,
    Command,
    beside_airflow,
    console,
    print_json,
    table,
)
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, check_action_id, check_event_type
from airflow_provider_np6.np6.window import Window, iso, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination
    from airflow_provider_np6.destinations.coverage import State

_STYLES: dict[State, tuple[str, str]] = {
    "complete": ("#", "green"),
    "empty": (".", "cyan"),
    "partial": ("/", "magenta"),
    "missing": ("-", "red"),
    "invalid": ("!", "yellow"),
    "expired": ("x", "blue"),
}
_MAX_CHARACTERS = 62
_WEEK = 7


@click.command(cls=Command)
@destination_options
@click.option("--type", "types", multiple=True, help="An event type; repeatable. [default: all stored]")
@click.option(
    "--action",
    "actions",
    multiple=True,
    metavar="ID",
    help="An action, or '*' for pulls of all actions together; repeatable. [default: all stored]",
)
@click.option("--start", required=True, help="Start of the range: a day, or a time with an offset.")
@click.option("--end", required=True, help="End of the range (exclusive).")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write an HTML page with a chart.",
)
@json_option
def coverage(
    *,
    types: tuple[str, ...],
    actions: tuple[str, ...],
    start: str,
    end: str,
    html: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Show which days of which actions are stored.

    PATH is the root of a file destination: a folder, or a URI such as s3://aws_default@lake/np6. A day is
    complete, empty (pulled, without events), partial, missing, invalid (pulled, and events were set aside),
    or expired (events were removed with expire). No event is read. Exits with 1 if nothing is stored, if a
    day is partial, missing or invalid, or if nothing is stored of a type or an action that you name.
    """
    span = Window(parse_time("--start", start), parse_time("--end", end))
    names = frozenset(map(check_event_type, types)), frozenset(map(check_action_id, actions))
    with beside_airflow():
        calendar = Calendar.read(named_destination(**options), span, *names)
    if html is not None:
        _write(calendar, html)
    if as_json:
        print_json(calendar.to_json())
    else:
        _print(calendar)
    raise SystemExit(EXIT_OK if calendar.is_complete else EXIT_MISMATCH)


@dataclass(frozen=True)
class Row:
    """The days of one event type and action.

    :param event_type: None for an action that was named, and of which nothing is stored.
    :param action_id: None for an event type likewise.
    :param states: one for each day.
    """

    event_type: str | None
    classification: str
    action_id: str | None
    states: list[State]

    @property
    def names(self) -> tuple[str, str]:
        """Event type, with its classification, and action; "any" for None."""
        classification = f" by {self.classification}" if self.classification else ""
        return f"{self.event_type or 'any'}{classification}", self.action_id or "any"

    def __str__(self) -> str:
        series, action = self.names
        which = {None: "any action", ALL_ACTIONS: "all actions"}.get(self.action_id, f"action {action}")
        return f"{series if self.event_type else 'any type'} of {which}"


@dataclass(frozen=True)
class Calendar:
    """The state of each UTC day of each event type and action."""

    destination: str
    span: Window
    rows: list[Row]

    @classmethod
    def read(
        cls, destination: Destination, span: Window, event_types: frozenset[str], action_ids: frozenset[str]
    ) -> Calendar:
        """What a destination stores of a span; a row, too, for what is named and not stored."""
        from airflow_provider_np6.destinations.coverage import states_by_day
        from airflow_provider_np6.destinations.inventory import Scope

        stored = destination.stored_windows(Scope(span, event_types, action_ids))
        rows = [
            Row(series.event_type, series.classification, series.action_id, states)
            for series, states in states_by_day(span, stored).items()
        ]
        missing: list[State] = ["missing" for _ in span.days()]
        rows += [Row(name, "", action, missing) for name, action in _absent(rows, event_types, action_ids)]
        return cls(destination.uri, span, sorted(rows, key=lambda row: (row.names, row.classification)))

    @property
    def days(self) -> list[str]:
        """The UTC days, ``2026-11-22``."""
        return [day.date for day in self.span.days()]

    @property
    def counts(self) -> dict[State, int]:
        """How many days of all rows are in each state."""
        states = [state for row in self.rows for state in row.states]
        return {state: states.count(state) for state in _STYLES}

    @property
    def is_complete(self) -> bool:
        """Whether there is any row, and no day of any row is missing, partial or invalid."""
        return bool(self.rows) and not any(self.counts[state] for state in PROBLEMS)

    def problems(self) -> Iterator[tuple[Row, State, str, str]]:
        """Consecutive days that are missing, partial or invalid: row, state, first and last day."""
        days = self.days
        for row in self.rows:
            for state, run in groupby(zip(row.states, days, strict=True), key=lambda pair: pair[0]):
                if state in PROBLEMS:
                    dates = [day for _, day in run]
                    yield row, state, dates[0], dates[-1]

    def to_json(self) -> dict[str, Any]:
        days = self.days
        return {
            "ok": self.is_complete,
            "destination": self.destination,
            "start": iso(self.span.start),
            "end": iso(self.span.end),
            "counts": self.counts,
            "rows": [
                {
                    "event_type": row.event_type,
                    "classification": row.classification,
                    "action_id": row.action_id,
                    "days": dict(zip(days, row.states, strict=True)),
                }
                for row in self.rows
            ],
        }


def _absent(
    rows: Sequence[Row], event_types: frozenset[str], action_ids: frozenset[str]
) -> Iterator[tuple[str | None, str | None]]:
    """Event types and actions that are named, and that no row is of."""
    if event_types and action_ids:
        named: Sequence[tuple[str | None, str | None]] = [*product(event_types, action_ids)]
    else:
        named = [*((name, None) for name in event_types), *((None, action) for action in action_ids)]
    for event_type, action_id in named:
        if not any(
            event_type in (None, row.event_type) and action_id in (None, row.action_id) for row in rows
        ):
            yield event_type, action_id


def _write(calendar: Calendar, path: Path) -> None:
    """:raises Np6InputError: if the file cannot be written."""
    rows = [(" · ".join(row.names), row.states) for row in calendar.rows]
    try:
        path.write_text(to_html(calendar.destination, calendar.days, rows), encoding="utf-8")
    except OSError as error:
        raise Np6InputError(f"{path} cannot be written: {error.strerror}") from None


def _print(calendar: Calendar) -> None:
    """One character per day, or per week if a line has too few; then the days that are not ok."""
    out = console()
    if not calendar.rows:
        out.print("Nothing is stored in this range.")
        return
    days, counts = calendar.days, calendar.counts
    problems = [state for state in PROBLEMS if counts[state]]
    length = 1 if len(days) <= _MAX_CHARACTERS else _WEEK
    shown = table("event type", "action", f"{days[0]} … {days[-1]}", *problems)
    for row in calendar.rows:
        chunks = (row.states[at : at + length] for at in range(0, len(days), length))
        numbers = (str(row.states.count(state) or "") for state in problems)
        shown.add_row(*row.names, "".join(map(_cell, chunks)), *numbers)
    out.print(shown)
    for row, state, first, last in calendar.problems():
        out.print(f"{row}: {first}{f' to {last}' if last != first else ''} {state}", markup=False)
    legend = ", ".join(
        f"{count} {state} ([{color}]{mark}[/])"
        for (state, (mark, color)), count in zip(_STYLES.items(), counts.values(), strict=True)
        if count
    )
    unit = "day" if length == 1 else "week, the worst of its days"
    out.print(f"Days: {legend}. One character per {unit}.")


def _cell(states: Sequence[State]) -> str:
    mark, color = _STYLES[next(state for state in WORST_FIRST if state in states)]
    return f"[{color}]{mark}[/]"
