"""The plan for responses without order: a response is believed if two smaller ones bring the same events.

So the part of a response that might have been cut short is requested again by its halves. If these bring
other events, or one of them is as large, each is verified by its own halves, down to one second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.plan import EventsMissingError, Received, Request, Step, widened
from airflow_provider_np6.np6.window import SECOND, Window, halves

if TYPE_CHECKING:
    from airflow_provider_np6.np6.caps import ResponseSize, Sizes


@dataclass(frozen=True, slots=True)
class Unpulled:
    """A part of the window that was not pulled.

    :param window: in whole seconds.
    :param is_split: whether a larger request failed, so that no events at all are not believed at once.
    """

    window: Window
    is_split: bool = False


@dataclass(frozen=True, slots=True)
class OneSecond:
    """One second whose response might have been cut short.

    :param window: the second.
    :param size: of that response.
    """

    window: Window
    size: ResponseSize


@dataclass(frozen=True, slots=True)
class Halved:
    """A part whose response might have been cut short, while its halves are requested.

    :param window: in whole seconds; longer than one.
    :param size: of that response.
    :param left: what its first half brought; None as long as that was not requested.
    :param is_interrupted: whether a half broke off after some events: what it brought then is known when it
        is requested again, whether the part's response had it or not.
    """

    window: Window
    size: ResponseSize
    left: Received | None = None
    is_interrupted: bool = False

    def agrees(self, half: Received) -> bool:
        """Whether a half brought what was known of it, in a smaller response."""
        return half.size.is_below(self.size) and not half.is_new and not half.is_missing


Part = Unpulled | OneSecond | Halved


@dataclass(frozen=True, slots=True)
class HalvingPlan:
    """What is left to request, whatever the order of responses.

    :param sizes: what is known about the sizes of responses.
    :param latest: nothing is requested beyond it, in ms.
    :param parts: what is not done, in order of time.
    """

    sizes: Sizes
    latest: int
    parts: Sequence[Part]

    @classmethod
    def of(cls, window: Window, sizes: Sizes, latest: int) -> HalvingPlan:
        """The plan to pull a window of whole seconds."""
        return cls(sizes, latest, (Unpulled(window),))

    @property
    def request(self) -> Request | None:
        if not self.parts:
            return None
        window = self._requested
        step = Step.REVERSE if isinstance(self.parts[0], OneSecond) else Step.PULL
        return Request(window, widened(window, self.latest), step)

    @property
    def _requested(self) -> Window:
        part = self.parts[0]
        if isinstance(part, Halved):
            return halves(part.window)[0 if part.left is None else 1]
        return part.window

    def after(self, received: Received) -> HalvingPlan:
        plan = replace(self, sizes=self.sizes.with_received(received.size))
        part = plan.parts[0]
        if isinstance(part, OneSecond):
            return plan._after_reverse(part, received)
        if received.is_missing and self.sizes.believes(received.size):
            raise EventsMissingError
        if isinstance(part, Unpulled):
            if part.is_split and not received.size.events:
                return plan._with(Unpulled(part.window))  # requested again
            return plan._with(*plan._unverified(part.window, received))
        if part.left is None:
            return plan._with(replace(part, left=received))
        if not part.is_interrupted and part.agrees(part.left) and part.agrees(received):
            return replace(plan._with(), sizes=plan.sizes.with_verified(part.size))
        left, right = halves(part.window)
        return plan._with(*plan._unverified(left, part.left), *plan._unverified(right, received))

    def resumed(self, first: int | None, last: int | None, *, is_ordered: bool) -> HalvingPlan:
        part = self.parts[0]
        if isinstance(part, Halved) and last is not None:
            return self._with(replace(part, is_interrupted=True))
        return self

    def split(self) -> HalvingPlan | None:
        part, window = self.parts[0], self._requested
        if isinstance(part, OneSecond) or window.end - window.start <= SECOND:
            return None
        new: list[Part] = [Unpulled(half, is_split=True) for half in halves(window)]
        if isinstance(part, Halved):
            left, right = halves(part.window)
            new = [*new, Unpulled(right)] if part.left is None else [*self._unverified(left, part.left), *new]
        return self._with(*new)

    def _with(self, *parts: Part) -> HalvingPlan:
        """The plan with other parts in place of the first one."""
        return replace(self, parts=(*parts, *self.parts[1:]))

    def _unverified(self, window: Window, received: Received) -> list[Part]:
        """What is left of a part after its response: nothing, if that is believed."""
        if self.sizes.believes(received.size):
            return []
        if window.end - window.start <= SECOND:
            return [OneSecond(window, received.size)]
        return [Halved(window, received.size)]

    def _after_reverse(self, part: OneSecond, received: Received) -> HalvingPlan:
        if received.is_new:
            raise Np6ResponseError(
                f"NP6 gives no more than {part.size.events:,} events at a time, and there are more within one"
                " second",
                hint="NP6's support can say what limits the response.",
            )
        if received.is_missing:
            raise EventsMissingError
        return replace(self._with(), sizes=self.sizes.with_verified(part.size))
