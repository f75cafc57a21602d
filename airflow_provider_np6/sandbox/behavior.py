"""How the sandbox behaves where NP6's documentation leaves it open, and its rate limit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Literal

_DAY = 86_400_000
_EVER = -(2**62), 2**62

Order = Literal["asc", "desc"]


class RefusedError(Exception):
    """A request whose response is an error.

    :param status: HTTP status.
    """

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True, kw_only=True)
class ServerBehavior:
    """How a sandbox responds to every request; what it does to single requests is a plan of faults.

    Everything can be combined. It happens in this order: bounds, span, order, ids and types, repetitions,
    limits; then comes the fault's change to this one response.

    :param start_inside: whether an event at ``start`` is in the window (documented).
    :param end_inside: whether an event at ``end`` is in the window (documented: it is not).
    :param start_shift: ms by which it moves ``start``; 1: exclusive, 999 and -999: rounded.
    :param end_shift: ms by which it moves ``end``; 1: inclusive.
    :param max_span: ms; of a longer window it silently returns the newest part of this length; None: any.
    :param fractions: how it treats milliseconds in a bound.
    :param epochs: whether a bound may be ms since the epoch (documented: a timestamp).
    :param bounds_needed: whether it refuses a request without bounds; else it returns the last day.
    :param unknown_actions: whether an action that does not exist has no events, instead of a 404.
    :param classification: name of the parameter that selects hits of robots; "" for none.
    :param mixed_robots: whether hits of robots come without that parameter too.
    :param stable_ties: whether events of equal time always come in the same order.
    :param unsorted: the order of events without ``sort``; None for a new one each time (documented).
    :param sorting: what it makes of ``sort``; ``ascending``: ``desc`` is ascending too.
    :param max_events: the most events in a response, silently; None for any number.
    :param max_bytes: the most bytes of a response before compression, silently; it has whole events and ends
        with ``]``. None for any size.
    :param kept: which events are in a response that is limited by number or size: the oldest, the newest, the
        first ones in the order of the response, or a sample that depends on ids only. They come in the order
        that the response has without a limit.
    :param repeated: about one event in so many, chosen by id, comes again some events later; None for none.
    :param foreign_action: the action's id that events show, whatever was requested; "" for their own.
    :param foreign_type: the ``type`` that events show, whatever was requested; "" for their own.
    :param cached: whether it repeats its response to an URL, with its first ``Date`` and its ``Age``, unless
        the request says ``Cache-Control: no-cache``.
    :param age: s that ``Age`` shows in every response, in addition to that of ``cached``, unless the request
        says ``Cache-Control: no-cache``; None for no ``Age``.
    :param listing: whether ``GET /actions`` exists; else its status is 410.
    :param request_ids: whether responses have an ``x-request-id``.
    :param dated: whether responses have a ``Date``.
    :param error_body: body of error responses.
    """

    start_inside: bool = True
    end_inside: bool = False
    start_shift: int = 0
    end_shift: int = 0
    max_span: int | None = None
    fractions: Literal["honored", "ignored", "refused"] = "honored"
    epochs: bool = True
    bounds_needed: bool = True
    unknown_actions: bool = False
    classification: str = "classification"
    mixed_robots: bool = False
    stable_ties: bool = True
    unsorted: Order | None = None
    sorting: Literal["honored", "ignored", "ascending"] = "honored"
    max_events: int | None = None
    max_bytes: int | None = None
    kept: Literal["oldest", "newest", "first", "sample"] = "first"
    repeated: int | None = None
    foreign_action: str = ""
    foreign_type: str = ""
    cached: bool = False
    age: int | None = None
    listing: bool = True
    request_ids: bool = True
    dated: bool = True
    error_body: bytes = b""

    def window(self, parameters: Mapping[str, str]) -> tuple[int, int]:
        """``[start, end)`` in ms of a request for events.

        :param parameters: the request's query parameters.
        :raises RefusedError: with 400, for invalid bounds.
        """
        if self.bounds_needed and not {"start", "end"} <= set(parameters):
            raise RefusedError(400)
        now = round(time.time() * 1_000)
        start, end = self.bounds(parameters, "start", "end", default=(now - _DAY, now))
        start += self.start_shift + (not self.start_inside)
        end += self.end_shift + self.end_inside
        return start if self.max_span is None else max(start, end - self.max_span), end

    def order(self, parameters: Mapping[str, str]) -> Order | None:
        """The order of the events of a response; None for one at random.

        :param parameters: the request's query parameters.
        :raises RefusedError: with 400, for an invalid ``sort``.
        """
        sort = parameters.get("sort")
        if sort not in (None, "asc", "desc"):
            raise RefusedError(400)
        if sort is None or self.sorting == "ignored":
            return self.unsorted
        return "desc" if sort == "desc" and self.sorting == "honored" else "asc"

    def bounds(
        self, parameters: Mapping[str, str], start: str, end: str, *, default: tuple[int, int] = _EVER
    ) -> tuple[int, int]:
        """Two bounds in ms.

        :param parameters: the request's query parameters.
        :param start: name of the parameter that has the first bound.
        :param end: name of the parameter that has the second bound.
        :param default: bounds where a parameter is missing.
        :raises RefusedError: with 400, for invalid bounds.
        """
        return (
            self._parse_bound(parameters[start]) if start in parameters else default[0],
            self._parse_bound(parameters[end]) if end in parameters else default[1],
        )

    def _parse_bound(self, text: str) -> int:
        """Epoch milliseconds, or an ISO date-time with an offset."""
        if text.lstrip("-").isdigit():
            return int(text) if self.epochs else _refuse()
        try:
            bound = datetime.fromisoformat(text)
        except ValueError:
            return _refuse()
        if bound.tzinfo is None or (self.fractions == "refused" and "." in text):
            return _refuse()
        if self.fractions == "ignored":
            bound = bound.replace(microsecond=0)
        return round(bound.timestamp() * 1_000)


class RateLimit:
    """A limit on the requests in each second, for all clients together.

    Documented: 429, and that ``X-RateLimit`` headers may come. The sandbox's own choice: the limit holds for
    each second of its clock, and ``Reset`` is in whole seconds from now.

    :param per_second: number of requests.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.granted: list[float] = []
        """Times of the requests that were granted, in seconds of a monotonic clock."""
        self.refused = 0
        """Number of requests that were refused with 429."""
        self._lock = Lock()
        self._second = -1
        self._remaining = 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether a request that comes now is granted, and the headers that show the limit."""
        with self._lock:
            now = time.monotonic()
            if int(now) != self._second:
                self._second, self._remaining = int(now), self.per_second
            granted = self._remaining > 0
            if granted:
                self._remaining -= 1
                self.granted.append(now)
            else:
                self.refused += 1
            values = {"Limit": self.per_second, "Remaining": self._remaining, "Reset": 1}
        return granted, {f"X-RateLimit-{name}": str(value) for name, value in values.items()}

    @property
    def seconds(self) -> float:
        """Time between the first and the last request that were granted."""
        return self.granted[-1] - self.granted[0] if self.granted else 0.0


def _refuse() -> int:
    raise RefusedError(400)
