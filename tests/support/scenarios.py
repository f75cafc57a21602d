"""Pulls, erasures and cleaners that act on one store at once, and orders of their operations."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from airflow_provider_np6.destinations.files.day import StoredDay
from airflow_provider_np6.destinations.files.erase import FileErasure
from airflow_provider_np6.destinations.files.storage import Store
from airflow_provider_np6.destinations.files.verify import remove_orphans
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from tests.support.schedules import (
    HOUR,
    MIDNIGHT,
    Actor,
    FakeEvent,
    Faults,
    MemoryStore,
    Pull,
    Run,
    header_of,
    problems,
    problems_of_manifests,
    stored_lines,
    stored_slices,
)

PSEUDONYMS = Pseudonyms("a key of forty characters, and not secret")


def window(start: float, end: float) -> Window:
    return Window(MIDNIGHT + int(start * HOUR), MIDNIGHT + int(end * HOUR))


DAY = window(0, 24)
EVENTS = (
    *(FakeEvent(f"e{hour}", hour + 0.5) for hour in range(0, 48, 3)),
    FakeEvent("late", 6.7, since=1_000),
    FakeEvent("later", 12.1, since=2_000),
    FakeEvent("erased", 6.2, person="erased"),
)
FEW = (FakeEvent("only", 6.5, since=1_500),)
PURGED = tuple(FakeEvent(f"e{hour}", hour + 0.5, until=1_500) for hour in range(0, 24, 6))


def clean(store: Store) -> None:
    """A cleaner whose clock is two days ahead: each file that no manifest names is old enough for it."""
    remove_orphans(StoredDay(store, EventQuery("bounces", "A", DAY), "2024-10-04"), math.inf)


def erase(folder: Path) -> Actor:
    def body(store: Store) -> None:
        FileErasure(store, "ours", ["erased@example.com"], PSEUDONYMS, folder).run()

    return body


@dataclass(frozen=True)
class Scenario:
    """What is stored, and who acts on it.

    :param before: windows that are stored, each with its time.
    :param pulls: windows that are pulled at once, each with its time.
    :param others: other actors.
    """

    before: Sequence[tuple[Window, int]]
    pulls: Sequence[tuple[Window, int]]
    events: Sequence[FakeEvent] = EVENTS
    others: Sequence[str] = ()
    options: Sequence[dict[str, Any]] = ({}, {}, {})
    folder: list[Path] = field(default_factory=list)

    def start(
        self,
        faults: dict[int, Faults] | None = None,
        *,
        store: Store | None = None,
        honors_conditions: bool = True,
    ) -> Case:
        store = store or MemoryStore()
        for part, when in self.before:
            first = Pull(self.events, part, when)
            Run(store, [first]).finish(0)
            assert first.is_published, first.error
        if isinstance(store, MemoryStore):
            store.honors_conditions = honors_conditions
        pulls = [
            Pull(self.events, part, when, **options)
            for (part, when), options in zip(self.pulls, self.options, strict=False)
        ]
        others: list[Actor] = [erase(self.folder[0]) if name == "erasure" else clean for name in self.others]
        return Case(self, store, pulls, others, faults or {})


class Case:
    """One run of a scenario."""

    def __init__(
        self,
        scenario: Scenario,
        store: Store,
        pulls: Sequence[Pull],
        others: Sequence[Actor],
        faults: dict[int, Faults],
    ) -> None:
        self.scenario = scenario
        self.store = store
        self.pulls = pulls
        self.before = stored_slices(store)
        self.seen: list[str] = []
        self.run = Run(store, [*pulls, *others], faults, self.look)

    def look(self) -> None:
        """See that all manifests fit their data at this moment."""
        self.seen += problems_of_manifests(self.store)

    def problems(self) -> list[str]:
        """What is wrong, at any moment or at the end."""
        found = [*self.seen, *problems(self.store, self.pulls, self.before)]
        stored = header_of(self.store)
        if stored is not None:
            if any(pull.is_done and pull.account != stored.account for pull in self.pulls):
                found.append("two accounts have succeeded")
            forms = {pull.action == "*" for pull in self.pulls if pull.is_done}
            if len(forms) > 1:
                found.append("pulls by action and of all actions have succeeded")
        is_erased = "erasure" in self.scenario.others and len(self.pulls) not in self.run.errors
        if is_erased and any(b"erased@" in line for line in stored_lines(self.store)):
            found.append("an event of an erased person is named")
        return found


SCENARIOS = {
    "equal windows, other events": Scenario([(DAY, 500)], [(DAY, 1_500), (DAY, 2_500)]),
    "equal windows, nothing stored": Scenario([], [(DAY, 1_500), (DAY, 2_500)]),
    "equal windows, same bytes": Scenario([(DAY, 500)], [(DAY, 2_500), (DAY, 3_500)]),
    "equal windows, unchanged": Scenario([(DAY, 2_500)], [(DAY, 3_500), (DAY, 4_500)]),
    "equal windows, empty": Scenario([(DAY, 500)], [(DAY, 1_000), (DAY, 2_500)], FEW),
    "equal server seconds": Scenario([(DAY, 500)], [(DAY, 1_000), (DAY, 1_000)]),
    "a day and one of its hours": Scenario([(window(6, 7), 500)], [(DAY, 1_500), (window(6, 7), 2_500)]),
    "an hour and its day": Scenario([(window(6, 7), 500)], [(window(6, 7), 1_500), (DAY, 2_500)]),
    "hours and their day": Scenario(
        [(window(hour, hour + 6), 500) for hour in (0, 6, 12, 18)],
        [(DAY, 1_500), (window(6, 12), 2_500), (window(12, 18), 3_500)],
    ),
    "crossing windows": Scenario([], [(window(0, 12), 1_500), (window(6, 18), 2_500)]),
    "two days and one": Scenario([(DAY, 500)], [(window(0, 48), 1_500), (DAY, 2_500)]),
    "two days, the later first": Scenario([(DAY, 500)], [(window(12, 48), 1_500), (window(0, 48), 2_500)]),
    "fewer than stored, kept": Scenario(
        [(DAY, 500)], [(DAY, 1_000), (DAY, 2_500)], PURGED, options=({"on_shrink": "keep"},) * 2
    ),
    "fewer than stored, refused": Scenario(
        [(DAY, 500)], [(DAY, 1_000), (DAY, 2_500)], PURGED, options=({"on_shrink": "fail"},) * 2
    ),
    "fewer than stored, replaced": Scenario([(DAY, 500)], [(DAY, 1_000), (DAY, 2_500)], PURGED),
    "two accounts": Scenario([], [(DAY, 1_500), (DAY, 2_500)], options=({}, {"account": "theirs"})),
    "by action beside all": Scenario([], [(DAY, 1_500), (DAY, 2_500)], options=({}, {"action": "*"})),
    "a pull and a cleaner": Scenario([(DAY, 500)], [(DAY, 1_500)], others=["cleaner"]),
    "a first pull and a cleaner": Scenario([], [(DAY, 1_500)], others=["cleaner"]),
    "two pulls and a cleaner": Scenario([(DAY, 500)], [(DAY, 1_500), (DAY, 2_500)], others=["cleaner"]),
    "a pull and an erasure": Scenario([(DAY, 500)], [(DAY, 1_500)], others=["erasure"]),
    "a first pull of another day and an erasure": Scenario(
        [(DAY, 500)], [(window(24, 48), 1_500)], others=["erasure"]
    ),
    "a pull of hours and an erasure": Scenario(
        [(window(hour, hour + 12), 500) for hour in (0, 12)], [(window(0, 12), 1_500)], others=["erasure"]
    ),
}


def lengths(scenario: Scenario) -> list[int]:
    """Operations of each actor alone, and a few more for what it does again."""
    found = []
    for number in range(len(scenario.start().run.actors)):
        case = scenario.start()
        case.run.finish(number)
        found.append(case.run.stores[number].operations + 2)
    return found


def two_changes_of_turn(scenario: Scenario, **options: Any) -> Iterator[Case]:
    """One actor does some operations, another one some, then the first ends, then the other."""
    count = lengths(scenario)
    pairs = [(a, b) for a in range(len(count)) for b in range(len(count)) if a != b]
    for first, second in pairs:
        for i, j in product(range(count[first]), range(count[second])):
            case = scenario.start(**options)
            case.run.steps(first, i)
            case.run.steps(second, j)
            case.run.finish(first)
            for number in range(len(count)):
                case.run.finish(number)
            yield case


def random_orders(
    scenario: Scenario,
    number: int,
    seed: int,
    new_store: Callable[[], Store] = MemoryStore,
    **options: Any,
) -> Iterator[Case]:
    """Actors take turns at random.

    :param number: of cases.
    :param seed: of the turns.
    :param new_store: makes an empty store for each case.
    """
    choices = random.Random(seed)  # noqa: S311 - repeatable
    for _ in range(number):
        case = scenario.start(store=new_store(), **options)
        left = list(range(len(case.run.actors)))
        while left:
            actor = choices.choice(left)
            case.run.steps(actor, choices.choice((1, 1, 2, 5)))
            left = [n for n in left if not case.run.has_ended(n)]
        yield case


def with_faults(scenario: Scenario) -> Iterator[Case]:
    """One actor is killed or stopped before each operation, or each of its puts is lost, late, refused or
    fails, while another one comes in between or after it."""
    count = lengths(scenario)
    for first, second in ((0, 1), (1, 0)):
        faults = [
            *(Faults(kill_at=k) for k in range(count[first])),
            *(Faults(stop_at=k) for k in range(count[first])),
            *(
                Faults(**{kind: k})
                for kind in ("lost_put", "failed_put", "late_put", "conflict_put")
                for k in range(4)
            ),
        ]
        for fault, pause in product(faults, (0, 4, 6, 8, 99)):
            case = scenario.start({first: fault})
            case.run.steps(first, pause)
            case.run.steps(second, 6)
            case.run.finish(first)
            if pause % 4:
                case.run.arrive()
            for number in range(len(count)):
                case.run.finish(number)
            case.run.arrive()
            yield case


def check(scenario: Scenario, cases: Iterator[Case]) -> tuple[int, list[str]]:
    """The number of cases, and what was wrong in them."""
    total, wrong = 0, []
    for case in cases:
        total += 1
        found = case.problems()
        if found:
            wrong.append(f"{found[0]} ({[store.log for store in case.run.stores]})")
    return total, wrong
