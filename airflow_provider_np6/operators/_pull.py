"""One window between NP6 and a destination, once an operator's arguments are checked."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.lineage import hook_lineage
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination, Landing
    from airflow_provider_np6.hooks.np6 import Np6Hook
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.privacy.policy import Policy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EventPull:
    """What is to be pulled, from where, into what, and how.

    :param policy: what becomes of personal data; None keeps it.
    :param grace_period: how long the window must have ended by NP6's own clock.
    :param quarantine: whether invalid events are set aside.
    """

    hook: Np6Hook
    query: EventQuery
    destination: Destination
    policy: Policy | None
    grace_period: timedelta
    quarantine: bool

    def open(self) -> AbstractContextManager[Landing]:
        """Check all that can be checked before a request, and open the destination."""
        recorded = "keep" if self.policy is None else self.policy.recorded
        return self.destination.open(self.query, self.hook.config.account, recorded)

    def pull(self) -> dict[str, Any]:
        """Replace what is stored of the window.

        :return: the report.
        """
        from airflow_provider_np6.np6.pull import pull
        from airflow_provider_np6.privacy.erasure_filter import ErasureFilter
        from airflow_provider_np6.privacy.redacting_spool import RedactingSpool

        begun = time.monotonic()
        with self.open() as landing:
            spool = landing.spool if self.policy is None else RedactingSpool(landing.spool, self.policy)
            erasure = ErasureFilter(spool, landing.erased, self.hook.config, self.hook.np6_conn_id)
            verified = pull(
                self.hook.client,
                self.query,
                erasure,
                grace_period=self.grace_period // timedelta(milliseconds=1),
                quarantine=self.quarantine,
            )
            verified = replace(verified, events=verified.events - erasure.dropped)
            published = landing.publish(verified)
        hook_lineage(self.hook, self.query, landing.published)
        report = {
            **self._counts(verified, erased=erasure.dropped),
            "seconds": round(time.monotonic() - begun, 3),
            "destination": self.destination.uri,
            "ids_compared": "all" if "table" in published else verified.ids_compared,
            **published,
        }
        log.info("%s", self._summary(report))
        return report

    def _counts(self, verified: VerifiedPull, *, erased: int) -> dict[str, Any]:
        query = self.query
        return {
            "event_type": query.event_type,
            "action_id": query.action_id,
            "classification": query.classification,
            "window_start": iso(query.window.start),
            "window_end": iso(query.window.end),
            "pulled_at": iso(verified.pulled_at),
            "events": verified.events,
            "duplicates": verified.duplicates,
            "invalid": verified.invalid,
            "erased": erased,
            "bytes_read": verified.bytes_read,
            "requests": verified.requests,
        }

    def _summary(self, report: Mapping[str, Any]) -> str:
        """One sentence for the log; counts of zero are left out."""
        counts = {
            "duplicate": report["duplicates"],
            "invalid, in quarantine": report["invalid"],
            "of erased persons": report["erased"],
        }
        details = [f"{count:,} {what}" for what, count in counts.items() if count]
        requests = f"{report['requests']:,} request{'' if report['requests'] == 1 else 's'}"
        costs = [f"{report['bytes_read'] / 1e3:,.1f} kB", requests, f"{report['seconds']:.1f} s"]
        return (
            f"Pulled {report['events']:,} {self.query.description}, into {report['destination']}"
            f" ({', '.join([report['outcome'], *details, *costs])})"
        )
