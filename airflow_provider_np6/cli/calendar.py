"""Actions by days: as data, and as a table that fits a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.cli.printing import console, table
from airflow_provider_np6.np6.window import Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination
    from airflow_provider_np6.destinations.coverage import State
    from airflow_provider_np6.destinations.inventory import Series

WRONG: Sequence[State] = ("missing", "invalid")
COLOURS: dict[State, str] = {"complete": "green", "empty": "cyan", "missing": "red", "invalid": "yellow"}

_MARKS: dict[State, str] = {"complete": "#", "empty": ".", "missing": "-", "invalid": "!"}
_WORST_FIRST: Sequence[State] = ("missing", "invalid", "complete", "empty")
_MOST_CELLS = 62
_WEEK = 7


@dataclass(frozen=True)
class Calendar:
    """The state of each UTC day of each action.

    :param rows: a state for each of :attr:`days`.
    """

    destination: str
    span: Window
    rows: dict[Series, list[State]]

    @classmethod
    def of(
        cls, destination: Destination, span: Window, event_types: frozenset[str], action_ids: frozenset[str]
    ) -> Calendar:
        """What a destination holds; see :func:`~airflow_provider_np6.destinations.coverage.states_by_day`."""
        from airflow_provider_np6.destinations.coverage import states_by_day
        from airflow_provider_np6.destinations.inventory import Scope

        return cls(destination.uri, span, states_by_day(destination, Scope(span, event_types, action_ids)))

    @property
    def days(self) -> list[str]:
        """The UTC days, ``2026-11-22``."""
        return [day.date for day in self.span.days()]

    @property
    def counts(self) -> dict[State, int]:
        """How many days of actions are in each state."""
        states = [state for row in self.rows.values() for state in row]
        return {state: states.count(state) for state in COLOURS}

    @property
    def is_complete(self) -> bool:
        """Whether anything was pulled, and nothing of it is missing or invalid."""
        return bool(self.rows) and not any(self.counts[state] for state in WRONG)

    def as_json(self) -> dict[str, Any]:
        days = self.days
        return {
            "ok": self.is_complete,
            "destination": self.destination,
            "start": iso(self.span.start),
            "end": iso(self.span.end),
            "counts": self.counts,
            "rows": [
                {
                    "event_type": series.event_type,
                    "classification": series.classification,
                    "action_id": series.action_id,
                    "days": dict(zip(days, states, strict=True)),
                }
                for series, states in self.rows.items()
            ],
        }

    def wrong(self) -> Iterator[tuple[Series, State, str, str]]:
        """Days in a row that are missing or invalid: whose, how, the first and the last."""
        days = self.days
        for series, states in self.rows.items():
            for state, each in groupby(zip(states, days, strict=True), key=lambda one: one[0]):
                if state in WRONG:
                    dates = [day for _, day in each]
                    yield series, state, dates[0], dates[-1]


def print_calendar(found: Calendar) -> None:
    """A character a day, or a week where there are more days than a line takes; then what is wrong."""
    out = console()
    if not found.rows:
        out.print("Nothing of this was ever pulled.")
        return
    length = 1 if len(found.days) <= _MOST_CELLS else _WEEK
    unit = "day" if length == 1 else "week, the worst of its days"
    shown = table(
        "event type", "action", f"{found.days[0]} … {found.days[-1]}, a {unit}", "missing", "invalid"
    )
    for series, states in found.rows.items():
        cells = "".join(_cell(states[at : at + length]) for at in range(0, len(states), length))
        wrong = (str(states.count(state) or "") for state in WRONG)
        shown.add_row(series.dataset, series.action_id, cells, *wrong)
    out.print(shown)
    for series, state, first, last in found.wrong():
        out.print(f"{series}: {first}{f' to {last}' if last != first else ''} {state}", markup=False)
    out.print(_summary(found))


def _cell(states: Sequence[State]) -> str:
    worst = next(state for state in _WORST_FIRST if state in states)
    return f"[{COLOURS[worst]}]{_MARKS[worst]}[/]"


def _summary(found: Calendar) -> str:
    told = (
        f"{count} {state} ([{COLOURS[state]}]{_MARKS[state]}[/])" for state, count in found.counts.items()
    )
    return f"In days: {', '.join(told)}"
