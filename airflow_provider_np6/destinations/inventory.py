"""What is recorded of a destination, and how the stored data compares with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Literal

from airflow_provider_np6.np6.query import ALL_ACTIONS

if TYPE_CHECKING:
    from airflow_provider_np6.np6.window import Window


@dataclass(frozen=True, order=True)
class Series:
    """The windows that a destination keeps together: one event type and classification of one action.

    :param action_id: an action's id, or ``"*"`` for what was pulled for all of them.
    """

    event_type: str
    classification: str
    action_id: str

    @property
    def dataset(self) -> str:
        """Event type and classification in a user's words."""
        return f"{self.event_type} by {self.classification}" if self.classification else self.event_type

    def __str__(self) -> str:
        action = "all actions" if self.action_id == ALL_ACTIONS else f"action {self.action_id}"
        return f"{self.dataset} of {action}"


@dataclass(frozen=True)
class Scope:
    """Which stored windows to read.

    :param span: those that it touches.
    :param event_types: those of these event types; none means all.
    :param action_ids: those of these actions, ``"*"`` being one of them; none means all.
    """

    span: Window
    event_types: frozenset[str] = frozenset()
    action_ids: frozenset[str] = frozenset()

    def holds(self, series: Series) -> bool:
        return (not self.event_types or series.event_type in self.event_types) and (
            not self.action_ids or series.action_id in self.action_ids
        )


@dataclass(frozen=True, order=True)
class StoredWindow:
    """One window that was pulled.

    :param empty: whether it holds no event.
    :param invalid: whether events were set aside.
    :param expired: whether its events were removed by ``expire``.
    """

    series: Series
    window: Window
    empty: bool
    invalid: bool
    expired: bool = False


@dataclass(frozen=True)
class Checked:
    """One thing that was compared with what is recorded of it.

    :param name: what it is, in a user's words.
    :param problem: what does not hold; None if all does.
    :param window: whether it is a window that was pulled.
    :param events: that were counted.
    :param bytes: that were read.
    :param orphan: whether it is a file that no manifest names. That is not damage: a killed pull left it, or
        a pull that still runs is about to publish it.
    """

    name: str
    problem: str | None = None
    window: bool = False
    events: int = 0
    bytes: int = 0
    orphan: bool = False


@dataclass(frozen=True)
class PendingVerification:
    """A comparison that is about to be made.

    :param total: how many things there are to compare, about.
    :param checks: made one by one, as they are requested; nothing is changed.
    """

    total: int
    checks: Iterator[Checked]

    def run(self) -> Verification:
        """Make all checks."""
        checks = list(self.checks)
        return Verification(
            windows=sum(check.window for check in checks),
            events=sum(check.events for check in checks),
            bytes=sum(check.bytes for check in checks),
            problems=[f"{check.name}: {check.problem}" for check in checks if check.problem],
            orphans=[check.name for check in checks if check.orphan],
        )


@dataclass(frozen=True)
class Verification:
    """What is stored, compared with what is recorded of it.

    :param windows: windows that are stored.
    :param events: events that were counted.
    :param bytes: size of the data files, in bytes; 0 in SQL.
    :param problems: one sentence for each thing that does not match its record.
    :param orphans: files that no manifest names; removed, if that was wanted. They are not damage.
    """

    windows: int
    events: int
    bytes: int
    problems: list[str]
    orphans: list[str] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Whether everything matches."""
        return not self.problems


Outcome = Literal["unchanged", "created", "changed", "shrunk", "superseded"]
"""What became of a slice: it is stored already; nothing was stored of it; it replaced stored slices; it has
fewer events than are stored, which were kept; a newer pull is stored."""


def is_published(outcome: Outcome) -> bool:
    """Whether the events of a pull with this outcome are stored."""
    return outcome not in ("shrunk", "superseded")


@dataclass(frozen=True)
class SliceOutcome:
    """What a pull did to one slice of a destination.

    :param events: events that are stored of it now.
    :param previous_events: events that were stored of it before.
    """

    window: Window
    outcome: Outcome
    events: int
    previous_events: int

    @property
    def is_published(self) -> bool:
        """Whether the pull's own events are stored."""
        return is_published(self.outcome)

    @property
    def is_changed(self) -> bool:
        """Whether something else is stored than before."""
        return self.outcome in ("created", "changed")


def overlapping(pulled: Iterable[tuple[Series, Window]]) -> Iterator[Checked]:
    """Pairs of windows of one series that overlap."""
    for series, each in groupby(sorted(pulled), key=lambda one: one[0]):
        for (_, earlier), (_, later) in pairwise(each):
            if earlier.overlaps(later):
                yield Checked(f"{series}, window {later}", f"overlaps {earlier}")
