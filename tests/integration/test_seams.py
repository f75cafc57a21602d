"""A stream that keeps breaking costs little more than one that does not."""

from __future__ import annotations

import hashlib

from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from tests.support.pulls import query_of


class Digest:
    """A spool that remembers only what identifies all that it took."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.restarts = 0

    def write(self, events: Events) -> None:
        for item in events.items:
            self.sha256.update(item)

    def set_aside(self, invalid: Invalid) -> None:
        raise AssertionError(invalid.reason)

    def restart(self, pulled_at: int) -> None:
        self.restarts += 1


def test_a_million_events_cut_every_twentieth(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=1_000_000)
    query = query_of(sandbox, event_type="responses/stop")
    whole, parts = Digest(), Digest()
    uncut = pull(client, query, whole)
    sandbox.plan.add(Fault(cut=uncut.bytes_read // 20), times=19)
    cut = pull(client, query, parts)
    assert (whole.restarts, parts.restarts) == (1, 1)
    assert parts.sha256.digest() == whole.sha256.digest()
    assert (cut.events, cut.duplicates) == (uncut.events, 0)
    assert cut.requests >= uncut.requests + 19
    print(f"{cut.bytes_read / uncut.bytes_read - 1:.2%} more bytes")
    assert cut.bytes_read < 1.1 * uncut.bytes_read
