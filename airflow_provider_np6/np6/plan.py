"""What is left to request of a window: a value, of which each response, break or split makes another one.

Nothing here sends a request. :mod:`~airflow_provider_np6.np6.ordered_plan` relies on order, and
:mod:`~airflow_provider_np6.np6.halving_plan` does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal, Protocol

from airflow_provider_np6.np6.window import SECOND, Window

if TYPE_CHECKING:
    from airflow_provider_np6.np6.caps import ResponseSize, Sizes

EDGE = SECOND
"""How much wider than its part a request is, on both sides, in ms: an exclusive start, an inclusive end and
rounded bounds neither lose an event nor bring one twice."""

Sort = Literal["asc", "desc"]


class StartOverError(Exception):
    """Responses are not in order, or not whole: the window must be pulled again, without relying on order."""


class EventsMissingError(Exception):
    """A response lacks an event that an earlier one for the same time brought."""


class Step(Enum):
    """What a request is for."""

    PULL = auto()
    """Brings the events of a part. All other steps check a response that might have been cut short."""
    TAIL = auto()
    """Brings what follows from the last event's second on: nothing new, if the response before was whole."""
    AFTER = auto()
    """Checks that nothing follows that second, where the second alone is as large as a whole response."""
    HEAD = auto()
    """Checks that nothing comes before the first event, up to the end of its second."""
    BEFORE = auto()
    """Checks that nothing comes before that second."""
    REVERSE = auto()
    """Checks one second in descending order."""

    @property
    def brings_events(self) -> bool:
        """Whether events that come for the first time are taken."""
        return self in (Step.PULL, Step.TAIL)


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a plan.

    :param part: the events of this part count.
    :param span: the bounds to send, in whole seconds.
    :param step: what it is for.
    """

    part: Window
    span: Window
    step: Step

    @property
    def sort(self) -> Sort:
        """The order to request."""
        return "desc" if self.step is Step.REVERSE else "asc"


@dataclass(frozen=True, slots=True)
class Received:
    """What a response brought.

    :param size: of the response.
    :param is_new: whether an event of the part came that had not come before.
    :param is_missing: whether an event of the part did not come that had come before.
    :param first: time of the first event of the part, in ms; None if there was none.
    :param last: time of the last one.
    :param is_begun: whether something came from before the part.
    :param is_ended: whether something came from after the part.
    """

    size: ResponseSize
    is_new: bool = False
    is_missing: bool = False
    first: int | None = None
    last: int | None = None
    is_begun: bool = False
    is_ended: bool = False


class Plan(Protocol):
    """What is left to request."""

    @property
    def request(self) -> Request | None:
        """The next request; None if the window is pulled."""

    @property
    def sizes(self) -> Sizes:
        """What is known about the sizes of responses."""

    def after(self, received: Received) -> Plan:
        """The plan after a response that ended as it should.

        :param received: what it brought.
        :raises StartOverError: if the window must be pulled without relying on order.
        :raises EventsMissingError: if an event that came before is missing.
        :raises Np6ResponseError: if it cannot be pulled whole.
        """

    def resumed(self, first: int | None, last: int | None, *, is_ordered: bool) -> Plan:
        """The plan after a response that broke off.

        :param first: time of the first event of the part that came, in ms; None if there was none.
        :param last: time of the last one.
        :param is_ordered: whether enough events came to show that the server honors the order.
        """

    def split(self) -> Plan | None:
        """The plan with the next request split in half; None if that cannot be done."""


def widened(part: Window, latest: int) -> Window:
    """The bounds of a request for a part: one second more on both sides, as far as that may be requested.

    :param part: in whole seconds.
    :param latest: nothing is requested beyond it, in ms.
    """
    return Window(max(0, part.start - EDGE), max(part.end, min(part.end + EDGE, latest)))


def second_of(time: int) -> int:
    """The whole second of a time, both in ms."""
    return time // SECOND * SECOND
