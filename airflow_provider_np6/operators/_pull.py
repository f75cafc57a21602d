"""One window between NP6 and a destination, once an operator's arguments are checked."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.lineage import hook_lineage
from airflow_provider_np6.np6.errors import Np6PullAgainError, Np6ResponseError
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination
    from airflow_provider_np6.destinations.event_writer import EventWriter, Publication
    from airflow_provider_np6.hooks.np6 import Np6Hook
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verified_pull import VerifiedPull
    from airflow_provider_np6.privacy.erasure_filter import ErasureFilter
    from airflow_provider_np6.privacy.policy import Policy

log = logging.getLogger(__name__)

CONFIRM_AFTER = 5.0
"""Seconds after which a window is pulled again that has fewer events than are stored."""

_MAX_PULLS = 4
"""Times that a window is pulled because what is stored of it changes meanwhile."""


@dataclass(frozen=True)
class PullReport:
    """What a pull did, as numbers and names.

    :param query: what was pulled.
    :param destination: where to, without secrets.
    :param pull: what was read.
    :param publication: what was stored.
    :param erased: events of erased persons that were left out.
    :param requests: requests sent in all, those of earlier pulls of the window too.
    :param seconds: that it took.
    """

    query: EventQuery
    destination: str
    pull: VerifiedPull
    publication: Publication
    erased: int
    requests: int
    seconds: float

    @property
    def duplicates(self) -> int:
        """Events that were dropped because their id had come already; a table compares all ids by its key."""
        return self.pull.duplicates + self.publication.duplicates

    def to_dict(self) -> dict[str, Any]:
        """The report that the operator returns."""
        query, pull = self.query, self.pull
        publication = self.publication.to_dict()
        return {
            "event_type": query.event_type,
            "action_id": query.action_id,
            "classification": query.classification,
            "window_start": iso(query.window.start),
            "window_end": iso(query.window.end),
            "pulled_at": iso(pull.pulled_at),
            "duplicates": self.duplicates,
            "invalid": pull.invalid,
            "erased": self.erased,
            "bytes_read": pull.bytes_read,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "destination": self.destination,
            "ids_compared": "all" if "table" in publication else pull.ids_compared,
            **publication,
        }

    def __str__(self) -> str:
        """One sentence for the log; counts of zero are left out."""
        counts = {
            "duplicate": self.duplicates,
            "invalid, in quarantine": self.pull.invalid,
            "of erased persons": self.erased,
        }
        details = [f"{count:,} {what}" for what, count in counts.items() if count]
        requests = f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        costs = [f"{self.pull.bytes_read / 1e3:,.1f} kB", requests, f"{self.seconds:.1f} s"]
        outcome = self.publication.to_dict()["outcome"]
        return (
            f"Pulled {self.pull.events - self.erased:,} {self.query.description}, into {self.destination}"
            f" ({', '.join([outcome, *details, *costs])})"
        )


@dataclass(frozen=True)
class EventPull:
    """What is to be pulled, from where, into what, and how.

    :param policy: what becomes of personal data; None keeps it.
    :param grace_period: how long the window must have ended by NP6's own clock.
    :param quarantine: whether invalid events are set aside.
    :param on_shrink: what to do if NP6 has fewer events of a day than are stored.
    """

    hook: Np6Hook
    query: EventQuery
    destination: Destination
    policy: Policy | None
    grace_period: timedelta
    quarantine: bool
    on_shrink: str

    def open(self) -> AbstractContextManager[EventWriter]:
        """Check all that can be checked before a request, and open the destination."""
        recorded = "keep" if self.policy is None else self.policy.recorded
        return self.destination.open(self.query, self.hook.config.account, recorded, self.on_shrink)

    def pull(self) -> PullReport:
        """Replace what is stored of the window."""
        begun, requests = time.monotonic(), self.hook.client.requests
        with self.open() as writer:
            verified, erased, publication = self._publish(writer)
        hook_lineage(self.hook, self.query, publication.assets)
        report = PullReport(
            query=self.query,
            destination=self.destination.uri,
            pull=verified,
            publication=publication,
            erased=erased,
            requests=self.hook.client.requests - requests,
            seconds=time.monotonic() - begun,
        )
        log.info("%s", report)
        return report

    def _publish(self, writer: EventWriter) -> tuple[VerifiedPull, int, Publication]:
        """Pull and publish; pull again if what is stored changed meanwhile, or is more than NP6 has."""
        short: VerifiedPull | None = None
        for left in reversed(range(_MAX_PULLS)):
            spool = self._filters(writer)
            size = writer.verified_size if short is None else None  # a second pull believes nothing
            verified = self._pull_once(spool, size, uncached=short is not None)
            if short is not None and short.is_believed and verified.events > short.events:
                writer.forget_verified_size()
                short = None
            if short is not None and verified.counts != short.counts:
                raise Np6ResponseError(
                    f"NP6 has first {short.events:,} and then {verified.events:,} events for the same window,"
                    " and more are stored",
                    hint="What is stored is unchanged. The next try pulls the window again.",
                    context=self.query.description,
                )
            try:
                publication = writer.publish(
                    verified, is_confirmed=short is not None, erased_by_day=spool.pending_by_day
                )
            except Np6PullAgainError as error:
                if not left:
                    raise
                log.warning("%s", error)
                if error.is_short:
                    short = verified
                    time.sleep(CONFIRM_AFTER)
            else:
                return verified, spool.dropped, publication
        raise AssertionError("the last pull returns or raises")

    def _filters(self, writer: EventWriter) -> ErasureFilter:
        """What events go through on their way to the writer: first those of erased persons are dropped, for
        the list knows them as NP6 writes them; then personal data is replaced."""
        from airflow_provider_np6.privacy.erasure_filter import ErasureFilter
        from airflow_provider_np6.privacy.redacting_spool import RedactingSpool

        spool: Spool = writer if self.policy is None else RedactingSpool(writer, self.policy)
        return ErasureFilter(spool, writer.erased, self.hook.config, self.hook.np6_conn_id)

    def _pull_once(self, spool: Spool, verified_size: VerifiedSize | None, *, uncached: bool) -> VerifiedPull:
        from airflow_provider_np6.np6.pull import pull

        return pull(
            self.hook.client,
            self.query,
            spool,
            grace_period=self.grace_period // timedelta(milliseconds=1),
            quarantine=self.quarantine,
            verified_size=verified_size,
            uncached=uncached,
        )
