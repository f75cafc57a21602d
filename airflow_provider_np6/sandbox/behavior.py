"""What the sandbox is like where NP6's documentation leaves it open, or as another NP6 might be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

_DAY = 86_400_000
_EVER = -(2**62), 2**62


class RefusedError(Exception):
    """A request that is answered with an error.

    :param status: HTTP status.
    """

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True, kw_only=True)
class ServerBehavior:
    """How a sandbox answers, always; what it does wrong once in a while is a plan of faults.

    :param start_inside: whether an event at ``start`` is in the window (documented).
    :param end_inside: whether an event at ``end`` is, which is documented not to be.
    :param fractions: what becomes of milliseconds in a bound.
    :param epochs: whether a bound may be ms since the epoch (documented that it may be a timestamp).
    :param bounds_needed: whether a request without bounds is refused; else it means the last day.
    :param unknown_actions: whether actions that do not exist have an empty answer, not a 404.
    :param classification: name of the parameter that asks for hits of robots; "" for none.
    :param mixed_robots: whether hits of robots come unasked, too.
    :param stable_ties: whether events of one time always come in one order.
    :param unsorted: the order that comes unasked; None for another one each time (documented).
    :param listing: whether there is ``GET /actions``; else it answers 410.
    :param request_ids: whether answers have an ``x-request-id``.
    :param dated: whether answers have a ``Date``.
    :param error_body: body of refusals.
    """

    start_inside: bool = True
    end_inside: bool = False
    fractions: Literal["honoured", "ignored", "refused"] = "honoured"
    epochs: bool = True
    bounds_needed: bool = True
    unknown_actions: bool = False
    classification: str = "classification"
    mixed_robots: bool = False
    stable_ties: bool = True
    unsorted: Literal["asc", "desc"] | None = None
    listing: bool = True
    request_ids: bool = True
    dated: bool = True
    error_body: bytes = b""

    def window(self, parameters: Mapping[str, str]) -> tuple[int, int]:
        """``[start, end)`` in ms of a request for events.

        :raises RefusedError: with 400, for bounds that are none.
        """
        if self.bounds_needed and not {"start", "end"} <= set(parameters):
            raise RefusedError(400)
        now = round(time.time() * 1_000)
        start, end = self.bounds(parameters, "start", "end", default=(now - _DAY, now))
        return start + (not self.start_inside), end + self.end_inside

    def bounds(
        self, parameters: Mapping[str, str], start: str, end: str, *, default: tuple[int, int] = _EVER
    ) -> tuple[int, int]:
        """Two bounds in ms, by the names of their parameters."""
        return (
            self._moment(parameters[start]) if start in parameters else default[0],
            self._moment(parameters[end]) if end in parameters else default[1],
        )

    def _moment(self, text: str) -> int:
        """Epoch milliseconds, or an ISO date-time with an offset."""
        if text.lstrip("-").isdigit():
            return int(text) if self.epochs else _refuse()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _refuse()
        if moment.tzinfo is None or (self.fractions == "refused" and "." in text):
            return _refuse()
        if self.fractions == "ignored":
            moment = moment.replace(microsecond=0)
        return round(moment.timestamp() * 1_000)


def _refuse() -> int:
    raise RefusedError(400)
