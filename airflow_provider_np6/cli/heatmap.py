"""A picture of a calendar: a row an action, a column a day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from airflow_provider_np6.cli.calendar import Calendar
    from airflow_provider_np6.destinations.coverage import State

# Told apart in grey and by eyes that see no red or green, too.
_COLOURS: dict[State, str] = {
    "complete": "#1b6ca8",
    "empty": "#c9dff0",
    "missing": "#d1352b",
    "invalid": "#f2b134",
}
_DPI = 120
_LABELS_OF_ROWS = 80
_LABELS_OF_DAYS = 14
_GRID_UP_TO = 100


def check_matplotlib() -> None:
    """:raises Np6InputError: if it is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Np6InputError(
            "--png needs matplotlib, which is not installed",
            hint="pip install 'airflow-provider-np6[plot]', or do without the picture.",
        ) from None


def draw(found: Calendar, path: Path) -> None:
    """Write ``found`` as a PNG.

    :raises Np6InputError: if there is nothing to draw, or the file cannot be written.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    if not found.rows:
        raise Np6InputError("there is nothing to draw", hint="Ask for what was pulled.")
    days, rows = len(found.days), len(found.rows)
    numbers = {state: number for number, state in enumerate(_COLOURS)}
    figure = Figure(
        figsize=(min(18.0, 4.5 + 0.16 * days), min(20.0, 1.8 + 0.22 * rows)), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.imshow(
        [[numbers[state] for state in states] for states in found.rows.values()],
        cmap=ListedColormap([*_COLOURS.values()]),
        vmin=-0.5,
        vmax=len(numbers) - 0.5,
        aspect="auto",
        interpolation="nearest",
    )
    _label(axes, found)
    figure.suptitle(f"{found.destination}, {found.days[0]} to {found.days[-1]}", fontsize=10)
    figure.legend(
        handles=[
            Patch(facecolor=colour, edgecolor="grey", label=f"{state} ({found.counts[state]})")
            for state, colour in _COLOURS.items()
        ],
        loc="outside lower center",
        ncols=len(_COLOURS),
        frameon=False,
        fontsize=8,
    )
    try:
        figure.savefig(path, dpi=_DPI)
    except OSError as error:
        raise Np6InputError(f"{path} cannot be written: {error.strerror}") from None


def _label(axes: Axes, found: Calendar) -> None:
    names = [f"{series.dataset} · {series.action_id}" for series in found.rows]
    step = -(-len(names) // _LABELS_OF_ROWS)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=7)
    step = -(-len(found.days) // _LABELS_OF_DAYS)
    axes.set_xticks(range(0, len(found.days), step), found.days[::step], fontsize=7, rotation=30, ha="right")
    axes.tick_params(length=2)
    if max(len(names), len(found.days)) <= _GRID_UP_TO:
        axes.set_xticks([at - 0.5 for at in range(1, len(found.days))], minor=True)
        axes.set_yticks([at - 0.5 for at in range(1, len(names))], minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="minor", length=0)
