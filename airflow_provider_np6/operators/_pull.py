"""One window between NP6 and a destination, once an operator's arguments are checked."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.lineage import hook_lineage
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination, Landing
    from airflow_provider_np6.hooks.np6 import Np6Hook
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.np6.query import EventQuery
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
        """Check all that can be checked before a request, and make ready to land."""
        recorded = "keep" if self.policy is None else self.policy.recorded
        return self.destination.open(self.query, self.hook.config.account, recorded)

    def pull(self) -> dict[str, Any]:
        """Replace what the destination holds of the window; returns the report."""
        from airflow_provider_np6.privacy.spool import RedactingSpool

        begun = time.monotonic()
        with self.open() as landing:
            spool = landing.spool if self.policy is None else RedactingSpool(landing.spool, self.policy)
            proof, told = self._read_into(spool, landing)
            landed = landing.publish(proof)
        hook_lineage(self.hook, self.query, landing.published)
        report = {**told, "seconds": round(time.monotonic() - begun, 3), **landed}
        log.info(
            "Pulled %s: %d events (%d duplicates dropped, %d invalid set aside, %d of erased"
            " persons kept out), %d bytes, %d requests, %.1f s, into %s",
            *(self.query.description, proof.events, proof.duplicates, proof.invalid, told["erased"]),
            *(proof.bytes_read, proof.requests, report["seconds"], report["destination"]),
        )
        return report

    def count(self) -> dict[str, Any]:
        """What a pull would report now, with ``counted_at`` for ``pulled_at``; nothing is stored."""
        from airflow_provider_np6.np6.pull import Nowhere

        begun = time.monotonic()
        with self.open() as landing:
            _, told = self._read_into(Nowhere(), landing)
        told["counted_at"] = told.pop("pulled_at")
        return {**told, "seconds": round(time.monotonic() - begun, 3)}

    def _read_into(self, spool: Spool, landing: Landing) -> tuple[Any, dict[str, Any]]:
        """Pull into ``spool`` what ``landing`` does not keep out; the proof of it, and what reports say."""
        from airflow_provider_np6.np6.pull import pull
        from airflow_provider_np6.privacy.erasure_filter import ErasureFilter

        query = self.query
        keeping = ErasureFilter(spool, landing.erased, self.hook.config, self.hook.np6_conn_id)
        grace_period = self.grace_period // timedelta(milliseconds=1)
        proof = pull(self.hook.client, query, keeping, grace_period=grace_period, quarantine=self.quarantine)
        proof = replace(proof, events=proof.events - keeping.kept_out)
        return proof, {
            "event_type": query.event_type,
            "action_id": query.action_id,
            "classification": query.classification,
            "window_start": iso(query.window.start),
            "window_end": iso(query.window.end),
            "pulled_at": iso(proof.pulled_at),
            "events": proof.events,
            "duplicates": proof.duplicates,
            "invalid": proof.invalid,
            "erased": keeping.kept_out,
            "bytes_read": proof.bytes_read,
            "requests": proof.requests,
            "destination": self.destination.uri,
        }
