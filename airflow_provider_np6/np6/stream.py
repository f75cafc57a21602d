"""The events of one window as they arrive, verified.

An interrupted response resumes from its last second; a window too large for NP6 is split in half.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.client import Np6Client, chunks
from airflow_provider_np6.np6.errors import (
    Np6Error,
    Np6ResponseError,
    Np6TimeoutError,
    Np6TruncatedError,
    Np6WindowOpenError,
)
from airflow_provider_np6.np6.http_errors import facts
from airflow_provider_np6.np6.json_stream import RawBatch, batches
from airflow_provider_np6.np6.rate_limit import server_date
from airflow_provider_np6.np6.retry import Attempts
from airflow_provider_np6.np6.verify import (
    Events,
    Invalid,
    OutOfOrderError,
    Verifier,
)
from airflow_provider_np6.np6.window import DAY, SECOND, Window, halves, iso

if TYPE_CHECKING:
    from requests import Response

    from airflow_provider_np6.np6.query import EventQuery

log = logging.getLogger(__name__)

ROUND = 100
"""A count that is a multiple of this may be a silent cap of the server and not the end."""

MAX_INVALID = 1_000
"""Invalid events that a pull sets aside at most."""

_SPLIT_AFTER = 2
"""Breaks in a row without anything new after which the window is halved."""


INTERVAL = 10.0
"""Seconds between two lines."""


class Progress:
    """How far a pull is: never shows an event."""

    def __init__(self, query: EventQuery) -> None:
        self._query = query
        self._begun = self._told = time.monotonic()

    def tell(self, events: int, bytes_read: int, reached: int) -> None:
        """Log a line, if the last one is long enough ago.

        :param reached: largest timestamp so far, ms.
        """
        now = time.monotonic()
        if now - self._told < INTERVAL:
            return
        self._told = now
        window = self._query.window
        share = (reached - window.start) / (window.end - window.start)
        log.info(
            "Pulling %s: %d events, %.1f MB, %.0f events/s, at %s (%.0f %%)",
            *(self._query.description, events, bytes_read / 1e6, events / (now - self._begun), iso(reached)),
            100 * max(0.0, min(share, 1.0)),
        )


@dataclass(frozen=True, slots=True)
class VerifiedPull:
    """What was read and verified.

    :param pulled_at: when the first response that its events come from was sent, ms since the epoch: by the
        server's ``Date`` if that is plausible, else by this machine's clock.
    :param events_by_day: events handed on, by UTC day since the epoch.
    :param duplicates_by_day: events dropped because their id had come already, by UTC day since the epoch.
    :param invalid: events set aside.
    :param bytes_read: bytes of unpacked JSON, over all tries.
    :param requests: requests sent, over all tries.
    :param ids_compared: ``per_second`` if ids were compared within each second, ``all`` if all were.
    """

    pulled_at: int
    events_by_day: Mapping[int, int]
    duplicates_by_day: Mapping[int, int]
    invalid: int
    bytes_read: int
    requests: int
    ids_compared: str

    @property
    def events(self) -> int:
        """Events handed on."""
        return sum(self.events_by_day.values())

    @property
    def counts(self) -> tuple[Mapping[int, int], Mapping[int, int], int]:
        """What two pulls of one window agree about if NP6 has the same: events and duplicates by day, and
        invalid events."""
        return self.events_by_day, self.duplicates_by_day, self.invalid

    @property
    def duplicates(self) -> int:
        """Events dropped because their id had come already."""
        return sum(self.duplicates_by_day.values())


class EventStream:
    """The window as a list of parts that are left to be pulled, in order of time.

    An answer that breaks leaves the rest of its part, from the last second that something came of: what
    comes again of that second is known by its id. That wants order; where it is not there, a break means
    to start afresh.
    """

    def __init__(
        self,
        client: Np6Client,
        query: EventQuery,
        *,
        grace_period: int,
        set_aside: Callable[[Invalid], None],
        restart: Callable[[int], None],
        uncached: bool = False,
    ) -> None:
        self._client = client
        self._query = query
        self._closed_at = query.window.end + grace_period
        self._set_aside = set_aside
        self._restart_spool = restart
        self._attempts = Attempts(client.config)
        self._requests_before = client.requests
        self._headers = {"Cache-Control": "no-cache"} if uncached else None
        self._bytes_read = 0
        self._progress = Progress(query)
        self._restarts = 0
        self._reached = query.window.start  # end of the parts that are done, in any of the runs
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

    def _verified_events(self) -> Iterator[Events]:
        while self._left:
            requested, taken = self._left[0], self._verifier.taken
            try:
                yield from self._read(requested)
                self._conclude(requested, new=self._verifier.taken > taken)
            except OutOfOrderError:
                self._begin_again(ordered=False)
            except Np6WindowOpenError as error:
                error.at(self._query.description)
                if self._verifier.taken or self._verifier.invalid:
                    self._restart(error)
                else:
                    self._attempts.wait_or_raise(error)
            except Np6Error as error:
                self._recover(error.at(self._query.description), requested, new=self._verifier.taken > taken)
        yield from self._verifier.finish()

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
            ids_compared="per_second" if self._ordered else "all",
        )

    def _begin(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self.pulled_at: int | None = None
        self._left = [self._query.window.in_whole_seconds()]
        self._again = self._left[0].start  # parts before it have been requested already
        self._verifier = Verifier(self._query.window, ordered=ordered, set_aside=self._bounded)

    def _restart(self, error: Np6Error) -> None:
        """Pull the window afresh, or raise ``error`` if that was done too often: what came in between is
        thrown away, and so no progress."""
        self._attempts.failed = self._restarts
        self._restarts += 1
        self._attempts.wait_or_raise(error)
        self._begin_again(ordered=self._ordered)

    def _begin_again(self, *, ordered: bool) -> None:
        self._verifier.close()
        self._begin(ordered=ordered)

    def _read(self, requested: Window) -> Iterator[Events]:
        self._verifier.begin(requested, again=requested.start < self._again)
        with closing(self._response(requested)) as answer:
            for batch in answer:
                events = self._verifier.verify(batch)
                if events.items:
                    yield events
                self._progress.tell(self._verifier.events, self._bytes_read, self._verifier.last)

    def _response(self, requested: Window, sort: str = "asc") -> Generator[RawBatch, None, None]:
        with self._client.get_ok(
            self._query.path, self._query.parameters(requested, sort), headers=self._headers
        ) as response:
            date = server_date(response.headers)
            with _facts_added(response):
                self._check_window_closed(date)
            self._note_response(date)
            with _facts_added(response):
                yield from batches(self._metered(chunks(response)), self._client.config.max_event_bytes)

    def _note_response(self, date: int | None) -> None:
        """With the first response since a start, the spool is empty and has the time of that response."""
        if self.pulled_at is None:
            now = time.time_ns() // 1_000_000
            self.pulled_at = date if date is not None and abs(date - now) <= DAY else now
            self._restart_spool(self.pulled_at)

    def _metered(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._bytes_read += len(piece)
            yield piece

    def _check_window_closed(self, date: int | None) -> None:
        """A worker's fast clock must not close a window that is still open for NP6."""
        if date is not None and date < self._closed_at:
            raise Np6WindowOpenError(
                f"by NP6's clock it is {iso(date)}, and the window is still open",
                hint="If this lasts, the worker's clock is ahead.",
                delay=(self._closed_at - date) / 1_000,
            )

    def _conclude(self, requested: Window, *, new: bool) -> None:
        """A part ends with its closing bracket, unless a round count makes that look like a silent cap.

        Then one more request, from the last timestamp, must bring nothing new; without order there is no
        last one, and the part is requested again by halves.
        """
        if self._verifier.missing:
            raise Np6WindowOpenError(
                f"{self._verifier.missing} events that one answer held are missing in the next",
                hint="If this lasts, NP6's support can look up the request id.",
            )
        if self._ordered and new:
            self._attempts.progressed()
        count = self._verifier.in_response
        if count and count % ROUND == 0:
            if self._ordered:
                rest = self._rest(requested)
                if new or rest != requested:
                    self._left[0] = rest
                    return
            elif requested.end - requested.start > SECOND:
                self._left[:1] = halves(requested)
                self._again = max(self._again, requested.end)
                return
            self._prove_end(requested)
        self._left.pop(0)
        if requested.end > self._reached:  # what is done again after a fresh start is no progress
            self._reached = requested.end
            self._attempts.progressed()

    def _prove_end(self, requested: Window) -> None:
        """Even the last second alone has a round count: look at it from the other end."""
        with closing(self._response(requested, "desc")) as answer:
            if not all(map(self._verifier.knows, answer)):
                raise Np6ResponseError(
                    f"NP6 gives no more than {self._verifier.in_response} events at a time,"
                    " and there are more within one second",
                    hint="NP6's support can tell what limits the answer.",
                )

    def _recover(self, error: Np6Error, requested: Window, *, new: bool) -> None:
        """Make ready for the next try of ``requested``, or raise ``error``."""
        if not self._ordered and self._verifier.in_response:
            self._restart(error)
            return
        if new:
            self._attempts.progressed()
        rest = self._rest(requested) if self._ordered else requested
        if rest.end - rest.start > SECOND and self._may_be_too_much(error):
            self._left[:1] = halves(rest)
            log.warning("%s Asking for less at a time: %s and %s.", error, *self._left[:2])
            return
        self._attempts.wait_or_raise(error)
        self._left[0] = rest

    def _rest(self, requested: Window) -> Window:
        """What is left of ``requested``: from the last second that something came of."""
        return Window(max(requested.start, self._verifier.last // SECOND * SECOND), requested.end)

    def _may_be_too_much(self, error: Np6Error) -> bool:
        """Whether NP6 may be able to answer for a smaller window."""
        if error.status in (413, 504) or (
            isinstance(error, Np6TimeoutError) and not self._verifier.in_response
        ):
            return True
        broke = isinstance(error, Np6TruncatedError | Np6TimeoutError)
        return broke and self._attempts.failed + 1 >= _SPLIT_AFTER

    def _bounded(self, invalid: Invalid) -> None:
        if self._verifier.invalid >= MAX_INVALID:
            raise Np6ResponseError(
                f"more than {MAX_INVALID} events are invalid, the last one {invalid.reason}"
            )
        self._set_aside(invalid)

    def _check_share_of_invalid(self) -> None:
        invalid, events = self._verifier.invalid, self._verifier.events
        if invalid * 100 > invalid + events:
            raise Np6ResponseError(
                f"{invalid} of {invalid + events} events are invalid, more than 1 %",
                hint="So many are not set aside: look at what NP6 sends for this window.",
                context=self._query.description,
            )


@contextmanager
def _facts_added(response: Response) -> Iterator[None]:
    """Add status and request id to an error about a response."""
    try:
        yield
    except Np6Error as error:
        known = facts(response)
        error.status = error.status or known["status"]
        error.request_id = error.request_id or known["request_id"]
        raise
