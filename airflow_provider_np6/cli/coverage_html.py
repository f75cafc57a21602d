"""``coverage --html``: one page of plain HTML and SVG, without a script, that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import State

Rows = Sequence[tuple[str, Sequence["State"]]]
"""A name, and a state for each day."""

_MEANINGS: dict[State, str] = {
    "complete": "stored, with events",
    "empty": "pulled, without events",
    "partial": "partly stored",
    "missing": "not stored",
    "invalid": "invalid events set aside",
    "expired": "events removed with expire",
}
PROBLEMS: Sequence[State] = ("missing", "partial", "invalid")
WORST_FIRST: Sequence[State] = (*PROBLEMS, "expired", "complete", "empty")

_MAX_ROWS = 1_000
_MAX_COLUMNS = 400
_MAX_BARS = 20_000
_DAYS_PER_COLUMN = (1, 7, 28, 364)
_MAX_LISTED = 500
_OPEN_LIST = 20

_PLOT_WIDTH = 900.0
_CELL_WIDTHS = (2.25, 34.0)
_MAX_LABEL = 44
_CHARACTER = 6.9
_MIN_CELL_WITH_GAP = 8
_TICK_WIDTH = 84
_AXIS_HEIGHT = 24


def to_html(destination: str, days: Sequence[str], rows: Rows) -> str:
    """A page that shows a row per event type and action, and a column per day.

    It stays below about 3 MB: if there are too many days, a column is several days and shows the worst of
    them; of more than 1,000 rows, those with problems are shown first.

    :param destination: what the rows are of.
    :param days: the days, in order.
    :param rows: the rows, in order.
    """
    body = "\n".join(_body(days, rows)) if rows else "<p>Nothing is stored in this range.</p>"
    page = Template(files(__package__).joinpath("coverage.html").read_text(encoding="utf-8"))
    return page.substitute(destination=escape(destination), body=body)


def _body(days: Sequence[str], rows: Rows) -> Iterator[str]:
    problems = [problem for row in rows for problem in _problems(days, row)]
    shown = rows
    if len(rows) > _MAX_ROWS:
        shown = sorted(rows, key=lambda row: not set(PROBLEMS).intersection(row[1]))[:_MAX_ROWS]
    chart = _Chart.of(days, shown)
    yield f"<p>{_count(len(rows), 'row')}, {_count(len(days), 'UTC day')}: {days[0]} to {days[-1]}."
    if chart.length > 1:
        yield f"Each column is {chart.length} days and shows the worst of them."
    if len(shown) < len(rows):
        yield f"{len(shown):,} rows are shown, those with problems first."
    yield f"</p>\n<ul>{''.join(_legend(rows))}</ul>"
    yield from chart.svg()
    if problems:
        yield from _list(problems)


def _legend(rows: Rows) -> Iterator[str]:
    for state, meaning in _MEANINGS.items():
        number = sum(states.count(state) for _, states in rows)
        yield (
            '<li><svg width="16" height="16" aria-hidden="true">'
            f'<rect width="16" height="16" class="{state}"/></svg>'
            f"<b>{number:,}</b> {state} <small>{meaning}</small></li>"
        )


class _Bar(NamedTuple):
    """Columns in a row that have the same state; ``first`` and ``end`` are indexes of days."""

    state: State
    first: int
    end: int


def _bars(states: Sequence[State], length: int) -> Iterator[_Bar]:
    """The bars of a row whose columns are ``length`` days."""
    columns = states
    if length > 1:
        chunks = (set(states[at : at + length]) for at in range(0, len(states), length))
        columns = [min(chunk, key=WORST_FIRST.index) for chunk in chunks]
    end = 0
    for state, run in groupby(columns):
        first, end = end, end + sum(length for _ in run)
        yield _Bar(state, first, min(end, len(states)))


@dataclass(frozen=True)
class _Chart:
    """A chart of rows by days.

    :param length: days per column.
    :param bars: of each row.
    """

    days: Sequence[str]
    rows: Rows
    length: int
    bars: list[list[_Bar]]

    @classmethod
    def of(cls, days: Sequence[str], rows: Rows) -> _Chart:
        """The chart with the narrowest columns that keep it small."""
        for length in (*_DAYS_PER_COLUMN, len(days)):
            if len(days) > _MAX_COLUMNS * length:
                continue
            bars = [list(_bars(states, length)) for _, states in rows]
            if sum(map(len, bars)) <= _MAX_BARS:
                break
        return cls(days, rows, length, bars)

    @cached_property
    def day_width(self) -> float:
        columns = -(-len(self.days) // self.length)
        return min(max(_PLOT_WIDTH / columns, _CELL_WIDTHS[0]), _CELL_WIDTHS[1]) / self.length

    @cached_property
    def label_width(self) -> float:
        return min(max(len(name) for name, _ in self.rows), _MAX_LABEL) * _CHARACTER + 12

    @property
    def width(self) -> float:
        return round(self.label_width + len(self.days) * self.day_width + _TICK_WIDTH, 2)

    @property
    def row_height(self) -> int:
        return 22 if len(self.rows) <= 40 else 15

    def x(self, day: int) -> float:
        return round(self.label_width + day * self.day_width, 2)

    def svg(self) -> Iterator[str]:
        """The chart below its axis, which stays in sight."""
        ticks, height = self._ticks(), len(self.rows) * self.row_height
        yield f'<svg class="axis" width="{self.width}" height="{_AXIS_HEIGHT}" aria-hidden="true">'
        yield self._lines(ticks, _AXIS_HEIGHT)
        yield "".join(f'<text x="{self.x(at) + 4}" y="16">{self.days[at]}</text>' for at in ticks)
        yield f'</svg>\n<svg role="img" aria-label="Coverage by day" width="{self.width}" height="{height}">'
        yield self._lines(ticks, height)
        for number, ((name, _), bars) in enumerate(zip(self.rows, self.bars, strict=True)):
            yield f'<g transform="translate(0 {number * self.row_height})">{self._row(name, bars)}</g>'
        if self.day_width * self.length >= _MIN_CELL_WITH_GAP:
            starts = range(self.length, len(self.days), self.length)
            yield f'<g class="gaps">{self._lines(starts, height)}</g>'
        yield "</svg>"

    def _row(self, name: str, bars: Sequence[_Bar]) -> str:
        height, half = self.row_height - 4, _MAX_LABEL // 2
        short = name if len(name) <= _MAX_LABEL else f"{name[: half - 1]}…{name[-half:]}"
        worst = "" if self.length == 1 else ", on the worst day of each column"
        parts = [f'<text y="{height / 2 + 4}">{escape(short)}<title>{escape(name)}</title></text>']
        for state, first, end in bars:
            x, width = self.x(first), round(self.x(end) - self.x(first), 2)
            parts.append(
                f'<rect class="{state}" x="{x}" width="{width}" height="{height}">'
                f"<title>{escape(name)}\n{self._dates(first, end)}: {state}{worst}</title></rect>"
            )
        return "".join(parts)

    def _lines(self, days: Iterable[int], height: int) -> str:
        return "".join(f'<line x1="{self.x(at)}" x2="{self.x(at)}" y2="{height}"/>' for at in days)

    def _dates(self, first: int, end: int) -> str:
        if end - first == 1:
            return self.days[first]
        return f"{self.days[first]} to {self.days[end - 1]}"

    def _ticks(self) -> list[int]:
        """Days that the axis names: the first of a month if there are several months."""
        months = [at for at, day in enumerate(self.days) if day.endswith("-01")]
        columns = range(0, len(self.days), self.length)
        candidates = months if len(months) > 2 and self.length == 1 else columns
        ticks: list[int] = []
        for at in candidates:
            if not ticks or (at - ticks[-1]) * self.day_width >= _TICK_WIDTH:
                ticks.append(at)
        return ticks


class _Problem(NamedTuple):
    name: str
    first: str
    last: str
    state: State


def _problems(days: Sequence[str], row: tuple[str, Sequence[State]]) -> Iterator[_Problem]:
    name, states = row
    for state, first, end in _bars(states, 1):
        if state in PROBLEMS:
            yield _Problem(name, days[first], days[end - 1], state)


def _list(problems: Sequence[_Problem]) -> Iterator[str]:
    """The problems as a table, for those who do not see the chart too."""
    is_open = " open" if len(problems) <= _OPEN_LIST else ""
    yield f"<details{is_open}><summary>Days that are missing, partial or invalid</summary>\n<table>"
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("event type · action", "from", "to", "state"))
    yield f"<thead><tr>{heads}</tr></thead>\n<tbody>"
    for problem in problems[:_MAX_LISTED]:
        cells = "".join(f"<td>{value}</td>" for value in problem[1:])
        yield f'<tr><th scope="row">{escape(problem.name)}</th>{cells}</tr>'
    yield "</tbody></table>"
    if len(problems) > _MAX_LISTED:
        yield f"<p>And {len(problems) - _MAX_LISTED:,} more.</p>"
    yield "</details>"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
