"""The plan for responses in order of time, as NP6 documents for ``sort=asc``.

What broke off is resumed from its last second. A response that might have been cut short is checked at both
ends: whatever limits it, by number or size, keeping the oldest or the newest events, a smaller request next
to its end shows more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_provider_np6.np6.caps import NOTHING, ResponseSize, Sizes
from airflow_provider_np6.np6.plan import (
    EDGE,
    EventsMissingError,
    Received,
    Request,
    StartOverError,
    Step,
    second_of,
    widened,
)
from airflow_provider_np6.np6.window import SECOND, Window, halves


@dataclass(frozen=True, slots=True)
class Check:
    """A request that must bring nothing new.

    :param step: what it is for.
    :param second: the second that it is about, in ms.
    """

    step: Step
    second: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the window that is not done.

    :param start: where it begins, in ms.
    :param end: where it ends (exclusive).
    :param at: where the next request for events begins.
    :param head: the second up to which its beginning is to be checked: that of its first event; None as long
        as none has come.
    :param is_head_open: whether events may be missing before that.
    :param checks: what is left to check of the last response.
    :param size: of the last response that brought events and ended as it should; nothing if a check of it
        broke off or was split in half, and so cannot show that it was whole.
    :param is_split: whether a larger request failed, so that no events at all are not believed at once.
    """

    start: int
    end: int
    at: int
    head: int | None = None
    is_head_open: bool = True
    checks: Sequence[Check] = ()
    size: ResponseSize = NOTHING
    is_split: bool = False

    @classmethod
    def of(cls, window: Window, *, is_split: bool = False) -> Part:
        """All of a window."""
        return cls(window.start, window.end, window.start, is_split=is_split)

    @property
    def step(self) -> Step:
        """What the next request is for."""
        return self.checks[0].step if self.checks else Step.PULL

    def request(self, latest: int) -> Request:
        """The next request.

        :param latest: nothing is requested beyond it, in ms.
        """
        step = self.step
        if step.brings_events:
            part = Window(self.at, self.end)
            return Request(part, widened(part, latest), step)
        second = self.checks[0].second
        if step is Step.BEFORE:  # without the edge, which would bring the second again
            part = Window(self.start, second)
            return Request(part, Window(widened(part, latest).start, part.end), step)
        if step is Step.AFTER:
            part = Window(second + SECOND, self.end)
            return Request(part, Window(part.start, widened(part, latest).end), step)
        part = Window(self.start if step is Step.HEAD else second, second + SECOND)
        return Request(part, widened(part, latest), step)

    def received(self, first: int | None, last: int | None) -> Part:
        """The part after events of it have come, the first and the last one with these times, in ms."""
        if first is None or last is None:
            return self
        at = max(self.at, second_of(last))
        checks = [Check(check.step, at) if check.step is Step.TAIL else check for check in self.checks]
        head = second_of(first) if self.head is None else self.head
        return replace(self, at=at, head=head, checks=checks, size=NOTHING)


@dataclass(frozen=True, slots=True)
class OrderedPlan:
    """What is left to request, if responses come in order of time.

    :param sizes: what is known about the sizes of responses.
    :param latest: nothing is requested beyond it, in ms.
    :param parts: what is not done, in order of time.
    """

    sizes: Sizes
    latest: int
    parts: Sequence[Part]

    @classmethod
    def of(cls, window: Window, sizes: Sizes, latest: int) -> OrderedPlan:
        """The plan to pull a window of whole seconds."""
        return cls(sizes, latest, (Part.of(window),))

    @property
    def request(self) -> Request | None:
        return self.parts[0].request(self.latest) if self.parts else None

    def after(self, received: Received) -> OrderedPlan:
        plan = replace(self, sizes=self.sizes.with_received(received.size))
        step = self.parts[0].step
        if not step.brings_events and received.is_new:
            raise StartOverError("a check brought an event that the response before it lacks")
        if received.is_missing:
            raise EventsMissingError
        if step is Step.PULL or (step is Step.TAIL and received.is_new):
            return plan._after_events(received)
        first, *rest = self.parts[0].checks
        if step in (Step.TAIL, Step.HEAD) and not self._is_small(received.size):
            rest = _closer_checks(self.parts[0], first, rest)
        return plan._with(replace(self.parts[0], checks=rest))._concluded()

    def resumed(self, first: int | None, last: int | None, *, is_ordered: bool) -> OrderedPlan:
        if not self._brings_events:
            return self
        part = self.parts[0].received(first, last)
        if last is not None and not is_ordered:  # what came may not be all up to its last second
            checks = [check for check in part.checks if check.step is Step.TAIL]
            if checks:
                checks.append(Check(Step.HEAD, part.at))
            part = replace(part, head=part.at, is_head_open=True, checks=checks)
        return self._with(part)

    def split(self) -> OrderedPlan | None:
        part, *others = self.parts
        if not self._brings_events or part.end - part.at <= SECOND:
            return None
        left, right = halves(Window(part.at, part.end))
        first = replace(part, end=left.end, size=NOTHING, is_split=True)
        return replace(self, parts=(first, Part.of(right, is_split=True), *others))

    @property
    def _brings_events(self) -> bool:
        return self.parts[0].step.brings_events

    def _is_small(self, size: ResponseSize) -> bool:
        """Whether a check's response is too small to have been cut where a larger one came."""
        return self.sizes.believes(size) or size.is_below(self.sizes.largest)

    def _with(self, part: Part) -> OrderedPlan:
        return replace(self, parts=(part, *self.parts[1:]))

    def _after_events(self, received: Received) -> OrderedPlan:
        """After a response that brought events: the part is done, or what is to be checked of it is known."""
        part = self.parts[0]
        if part.is_split and not received.size.events:
            return self._with(replace(part, is_split=False))  # requested again
        is_believed = self.sizes.believes(received.size)
        is_first = part.head is None and part.step is Step.PULL
        part = replace(part.received(received.first, received.last), size=received.size)
        if is_first and (is_believed or received.is_begun):
            part = replace(part, is_head_open=False)
        checks: list[Check] = []
        if not is_believed and not received.is_ended:
            checks = _tail_checks(part, received)
        if part.is_head_open:
            checks += _head_checks(part, received)
        return self._with(replace(part, checks=checks))._concluded()

    def _concluded(self) -> OrderedPlan:
        """The part is done once nothing is left to check."""
        part, *others = self.parts
        if part.checks:
            return self
        sizes = self.sizes if part.head is None else self.sizes.with_verified(part.size)
        return replace(self, sizes=sizes, parts=others)


def _tail_checks(part: Part, received: Received) -> list[Check]:
    """What shows that nothing follows the last event."""
    if part.head is not None:
        return [Check(Step.TAIL, part.at)]
    # Nothing of the part came, but what lies just before it: that may fill the response.
    return [Check(Step.AFTER, part.start - EDGE)] if received.is_begun else []


def _head_checks(part: Part, received: Received) -> list[Check]:
    """What shows that nothing comes before the first event."""
    if part.head is not None:
        return [Check(Step.HEAD, part.head)]
    return [Check(Step.BEFORE, part.end)] if received.is_ended else []


def _closer_checks(part: Part, check: Check, rest: Sequence[Check]) -> list[Check]:
    """What replaces a check whose response is as large as the one that it checks: its second alone may fill a
    response, so what lies outside of it is requested without it, and the second itself in the other order."""
    second, reverse = check.second, Check(Step.REVERSE, check.second)
    if check.step is Step.HEAD:
        return [*_before(part, second), reverse, *rest]
    after = [Check(Step.AFTER, second)] if second + SECOND < part.end else []
    if Check(Step.HEAD, second) in rest:
        rest = _before(part, second)
    return [*after, reverse, *rest]


def _before(part: Part, second: int) -> list[Check]:
    return [Check(Step.BEFORE, second)] if second > part.start else []
