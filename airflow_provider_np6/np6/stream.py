"""The events of one window as they arrive, verified.

What is requested next is the plan's to know; here it is sent, repeated where it failed, and verified.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.caps import BELIEVED_EVENTS, Sizes
from airflow_provider_np6.np6.client import Np6Client, chunks
from airflow_provider_np6.np6.errors import (
    Np6Error,
    Np6ResponseError,
    Np6TimeoutError,
    Np6TruncatedError,
    Np6WindowOpenError,
)
from airflow_provider_np6.np6.halving_plan import HalvingPlan
from airflow_provider_np6.np6.http_errors import add_facts
from airflow_provider_np6.np6.json_stream import batches
from airflow_provider_np6.np6.ordered_plan import OrderedPlan
from airflow_provider_np6.np6.plan import EDGE, EventsMissingError, Plan, Request, StartOverError
from airflow_provider_np6.np6.progress import Progress
from airflow_provider_np6.np6.retry import Attempts
from airflow_provider_np6.np6.server_clock import content_age, content_time
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.verify import Verifier
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.raw_batch import RawBatch

log = logging.getLogger(__name__)

MAX_INVALID = 1_000
"""Invalid events that a pull sets aside at most."""

MAX_INVALID_OF_FEW = 10
"""Invalid events that are set aside even if they are more than 1 %, as long as they are fewer than half."""

_SPLIT_AFTER = 2
"""Breaks in a row without anything new after which a part is split in half."""


class EventStream:
    """Pulls the events of one window.

    :param client: of the account.
    :param query: what to pull.
    :param grace_period: ms that the window must have ended ago by NP6's own clock.
    :param set_aside: takes what is invalid.
    :param restart: is called with ``pulled_at``, in ms, once before all else, and whenever the window is
        pulled again from its start: events that came until then do not count.
    :param verified_size: the largest response of the series that was verified before.
    :param uncached: whether caches on the way must pass on the first request too.
    """

    def __init__(
        self,
        client: Np6Client,
        query: EventQuery,
        *,
        grace_period: int,
        set_aside: Callable[[Invalid], None],
        restart: Callable[[int], None],
        verified_size: VerifiedSize | None = None,
        uncached: bool = False,
    ) -> None:
        self._client = client
        self._query = query
        self._closed_at = query.window.end + grace_period
        self._part = query.window.in_whole_seconds()
        self._latest = self._part.end + (EDGE if grace_period >= EDGE else 0)
        self._set_aside = set_aside
        self._restart_spool = restart
        self._sizes = Sizes.of(verified_size, _now())
        self._uncached = uncached
        self._attempts = Attempts(client.config)
        self._requests_before = client.requests
        self._bytes_read = 0
        self._progress = Progress(query)
        self._restarts = 0
        self._begin(ordered=True)

    def events(self) -> Iterator[Events]:
        """All events in order of time and id, as they are verified.

        :raises Np6Error: if the window could not be pulled whole.
        """
        try:
            yield from self._verified_events()
        finally:
            self._verifier.close()
        self._check_share_of_invalid()

    def verified_pull(self) -> VerifiedPull:
        """What came of it, once all events have been taken."""
        assert self.pulled_at is not None  # noqa: S101 - a response came
        return VerifiedPull(
            pulled_at=self.pulled_at,
            events_by_day=dict(self._verifier.events_by_day),
            duplicates_by_day=dict(self._verifier.duplicates_by_day),
            invalid=self._verifier.invalid,
            bytes_read=self._bytes_read,
            requests=self._client.requests - self._requests_before,
            ids_compared="all" if self._verifier.compared_all else "per_second",
            verified_size=self._plan.sizes.raised,
            is_believed=self._sizes.verified is not None
            and self._plan.sizes.largest.events >= BELIEVED_EVENTS,
        )

    def _begin(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self.pulled_at: int | None = None
        kind = OrderedPlan if ordered else HalvingPlan
        self._plan: Plan = kind.of(self._part, self._sizes, self._latest)
        self._verifier = Verifier(self._query, ordered=ordered, set_aside=self._set_aside_bounded)

    def _begin_again(self, *, ordered: bool) -> None:
        self._verifier.close()
        self._begin(ordered=ordered)

    def _verified_events(self) -> Iterator[Events]:
        while (request := self._plan.request) is not None:
            try:
                yield from self._read(request)
                self._conclude()
            except StartOverError as reason:
                log.info("%s: %s. The window is pulled again.", self._query.description, reason)
                self._begin_again(ordered=False)
            except EventsMissingError:
                self._restart(self._missing_error())
            except Np6WindowOpenError as error:
                error.at(self._query.description)
                self._restart(error)
            except Np6Error as error:
                self._recover(error.at(self._query.description))
        yield from self._verifier.finish()

    def _read(self, request: Request) -> Iterator[Events]:
        verifier = self._verifier
        verifier.begin(request)
        self._response_size = 0
        with self._client.get_ok(
            self._query.path,
            self._query.parameters(request.span, request.sort),
            headers=self._cache_headers(),
        ) as response:
            with add_facts(response):
                time_ = self._check_window_closed(response.headers)
            self._note_response(time_)
            with add_facts(response):
                for batch in batches(self._metered(chunks(response)), self._client.config.max_event_bytes):
                    events = self._verify(request, batch)
                    if events.items:
                        yield events
                    self._progress.show(verifier.events, self._bytes_read, verifier.last)
                    if verifier.is_broken:
                        raise Np6TruncatedError(
                            "the response has an element that is not an event: it has neither id nor"
                            " timestamp"
                        )

    def _verify(self, request: Request, batch: RawBatch) -> Events:
        if request.step.brings_events:
            return self._verifier.verify(batch)
        return self._verifier.compare(batch)

    def _cache_headers(self) -> dict[str, str] | None:
        """All requests but the first go past caches: they check or repeat another."""
        is_first = self._client.requests == self._requests_before
        return None if is_first and not self._uncached else {"Cache-Control": "no-cache"}

    def _check_window_closed(self, headers: Mapping[str, str]) -> int | None:
        """The time of a response's content; a worker's fast clock must not close a window that is still open
        for NP6, and a response that a cache has kept since then does not count."""
        time_ = content_time(headers, _now())
        if time_ is None or time_ >= self._closed_at:
            return time_
        if content_age(headers):
            raise Np6WindowOpenError(
                f"a cache sent a response of {iso(time_)}, when the window was still open",
                hint="If this lasts, exclude NP6's host from the cache between it and the worker.",
            )
        raise Np6WindowOpenError(
            f"by NP6's clock it is {iso(time_)}, and the window is still open",
            hint="If this lasts, the worker's clock is ahead.",
            delay=(self._closed_at - time_) / 1_000,
        )

    def _note_response(self, time_: int | None) -> None:
        """With the first response since a start, the spool is empty and has the time of that response."""
        if self.pulled_at is None:
            self.pulled_at = _now() if time_ is None else time_
            self._restart_spool(self.pulled_at)

    def _metered(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._bytes_read += len(piece)
            self._response_size += len(piece)
            yield piece

    def _conclude(self) -> None:
        """A response ended as it should: no plan has endless requests, so that is progress."""
        self._plan = self._plan.after(self._verifier.received(self._response_size))
        self._attempts.progressed()

    def _missing_error(self) -> Np6WindowOpenError:
        missing = self._verifier.missing
        events = "1 event of one response is" if missing == 1 else f"{missing:,} events of one response are"
        return Np6WindowOpenError(
            f"{events} missing in the next",
            hint="If this lasts, NP6's support can look up the request id.",
            context=self._query.description,
        )

    def _restart(self, error: Np6WindowOpenError) -> None:
        """Pull the window again, or raise ``error`` if that was done too often."""
        if self._verifier.taken or self._verifier.invalid:  # what came is thrown away, and so no progress
            self._attempts.failed = self._restarts
            self._restarts += 1
            self._attempts.wait_or_raise(error)
            self._begin_again(ordered=self._ordered)
        else:
            self._attempts.wait_or_raise(error)

    def _recover(self, error: Np6Error) -> None:
        """Make ready for the next try, or raise ``error``."""
        verifier = self._verifier
        if verifier.is_new:
            self._attempts.progressed()
        plan = self._plan.resumed(verifier.first, verifier.latest, is_ordered=verifier.is_order_shown)
        if self._may_be_too_much(error) and (split := plan.split()) is not None:
            log.warning("%s The request is split in half.", error)
            self._plan = split
            return
        self._attempts.wait_or_raise(error)
        self._plan = plan

    def _may_be_too_much(self, error: Np6Error) -> bool:
        """Whether NP6 may be able to respond for a smaller window."""
        if error.status in (413, 504) or (
            isinstance(error, Np6TimeoutError) and not self._verifier.in_response
        ):
            return True
        broke = isinstance(error, Np6TruncatedError | Np6TimeoutError)
        return broke and self._attempts.failed + 1 >= _SPLIT_AFTER

    def _set_aside_bounded(self, invalid: Invalid) -> None:
        if self._verifier.invalid >= MAX_INVALID:
            raise Np6ResponseError(
                f"more than {MAX_INVALID:,} events are invalid; the last one {invalid.reason}"
            )
        self._set_aside(invalid)

    def _check_share_of_invalid(self) -> None:
        invalid = self._verifier.invalid
        elements = invalid + self._verifier.events + sum(self._verifier.duplicates_by_day.values())
        if invalid * 100 <= elements or (invalid <= MAX_INVALID_OF_FEW and invalid * 2 < elements):
            return
        raise Np6ResponseError(
            f"{invalid:,} of {elements:,} events {'is' if invalid == 1 else 'are'} invalid, more than 1 %",
            hint="So many are not set aside. NP6's support can say why it sends them.",
            context=self._query.description,
        )


def _now() -> int:
    return time.time_ns() // 1_000_000
