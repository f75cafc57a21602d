"""Compare what a destination holds of a window with what NP6 has of it now."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.coverage import to_coverage
from airflow_provider_np6.np6.errors import Np6DifferenceError, Np6Error, Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventType
from airflow_provider_np6.operators.events import Np6EventsOperator

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import Coverage
    from airflow_provider_np6.hooks.np6 import Np6Hook
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.operators._pull import EventPull

_ON_DIFFERENCE = ("pull", "report", "fail")

_COUNTERS: Mapping[str, tuple[str, ...]] = {
    EventType.BOUNCES: ("feedback", "bounce"),
    EventType.HITS_OPEN: ("feedback", "opening"),
    EventType.HITS_REDIRECTION: ("feedback", "click"),
    EventType.HITS_UNSUBSCRIBE: ("feedback", "redlist", "unsubscribe"),
}
"""Where an action's statistics count an event type (inferred from the names in older vendor material)."""


class Np6ReconcileOperator(Np6EventsOperator):
    """Compare what a destination holds of a window with a fresh count, and pull the window again if it
    grew.

    NP6 may show an event late, at the time that it had all along: a window that was whole when it was
    pulled is not any more. The count is streamed and proven as a pull is, and not kept. Whatever a pull
    would be refused for, such as a window that cuts a stored slice in two, is refused here too, before any
    request and whatever ``on_difference`` says.

    Equal numbers do not mean equal events: one that came and one that went, or an event that changed, are
    not seen. Where that matters, pull the window again instead, by ``Np6EventsOperator``.

    Takes the arguments of :class:`~airflow_provider_np6.operators.events.Np6EventsOperator`, and is mapped
    like it. Returns its report, with

    - ``outcome``: ``equal``; ``grown``, NP6 has more events than are held; ``shrunk``, it has fewer; or
      ``missing``, a part of the window was never pulled, or its data is gone;
    - ``held``: events that were held;
    - ``fresh``: events that NP6 has, but those of erased persons;
    - ``statistics``: the action's own counter of ``bounces``, ``hits/open``, ``hits/redirection`` or
      ``hits/unsubscribe``, where NP6 gives it. It spans the action's whole life, so it is reported and
      nothing is done about it.

    If nothing was pulled, ``counted_at`` stands in the place of ``pulled_at``, and there are neither
    ``events`` nor ``manifest`` or ``table``.

    :param on_difference: what to do if the outcome is not ``equal``: ``pull`` what has grown or is missing,
        ``report``, which does nothing more, or ``fail``. A window that has shrunk is told and left as it is
        with ``pull`` too: how long NP6 keeps events is unknown, and what is held may be all that is left.
    :raises AirflowFailException: for ``fail``, with the numbers; and as the other operator does.
    :raises Np6Error: as the other operator does.
    """

    def __init__(self, *, on_difference: str = "pull", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.on_difference = on_difference

    def _check_modes(self) -> None:
        super()._check_modes()
        if self.on_difference not in _ON_DIFFERENCE:
            raise Np6InputError(
                f"on_difference is {self.on_difference!r}", hint=f"Known are {', '.join(_ON_DIFFERENCE)}."
            )

    def _work(self, pulling: EventPull) -> dict[str, Any]:
        query = pulling.query
        with pulling.open():
            pass  # a pull would not be refused
        # Before the count: what another pull lands in between makes a window look grown, which does no harm.
        held = to_coverage(query.window, pulling.destination.held(query))
        filling = bool(held.missing) and self.on_difference == "pull"
        if filling:  # the pull counts as well
            report = pulling.pull()
            fresh = report["events"]
        else:
            report = pulling.count()
            fresh = report.pop("events")
        outcome = _outcome(held, fresh)
        compared = {
            "held": held.events,
            "fresh": fresh,
            "outcome": outcome,
            **self._statistics(pulling.hook, query),
        }
        self.log.log(
            logging.INFO if outcome == "equal" else logging.WARNING,
            "Compared %s: %s",
            *(query.description, ", ".join(f"{name} {value}" for name, value in compared.items())),
        )
        if outcome != "equal" and self.on_difference == "fail":
            raise Np6DifferenceError(
                f"the destination holds {held.events} events, and NP6 has {fresh}{_lacking(held)}",
                hint="Pull the window again, or look at what happened to it.",
                context=query.description,
            )
        if outcome == "grown" and self.on_difference == "pull":
            report = pulling.pull()
        return {**report, **compared}

    def _statistics(self, hook: Np6Hook, query: EventQuery) -> dict[str, int]:
        """The action's own counter, if there is one; asked for once, for nothing depends on it."""
        path = _COUNTERS.get(query.event_type)
        if path is None or query.action_id == ALL_ACTIONS or query.classification:
            return {}
        try:
            found: Any = hook.client.get_statistics(query.action_id, tries=1)
        except Np6Error as error:
            self.log.warning("No statistics to compare with: %s", error)
            return {}
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        counter = _number(found)
        return {} if counter is None else {"statistics": counter}


def _outcome(held: Coverage, fresh: int) -> str:
    if held.missing:
        return "missing"
    if fresh == held.events:
        return "equal"
    return "grown" if fresh > held.events else "shrunk"


def _lacking(held: Coverage) -> str:
    """What was never pulled, in an error's words, however much it is."""
    if not held.missing:
        return ""
    first, *others = held.missing
    return f"; {first}{f' and {len(others)} other parts' if others else ''} never came, or are gone"


def _number(counter: object) -> int | None:
    """A counter as older vendor material shows it: a number, a ``total``, or the parts of a sum."""
    if isinstance(counter, dict):
        parts = [counter["total"]] if "total" in counter else list(counter.values())
        numbers = [part for part in parts if type(part) is int]
        return sum(numbers) if parts and len(numbers) == len(parts) else None
    return counter if type(counter) is int else None
