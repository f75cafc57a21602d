from __future__ import annotations

import pytest

from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.privacy.redacting_spool import RedactingSpool
from airflow_provider_np6.privacy.redaction import redact_event
from airflow_provider_np6.sandbox import FakeAccount
from tests.support.personal_events import policy

pytestmark = pytest.mark.core


class MemorySpool:
    """A spool in memory."""

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.timestamps: list[int] = []
        self.invalid: list[Invalid] = []

    def write(self, events: Events) -> None:
        self.items += map(bytes, events.items)
        self.timestamps += events.timestamps

    def set_aside(self, invalid: Invalid) -> None:
        self.invalid.append(invalid)

    def restart(self, pulled_at: int) -> None:
        self.pulled_at = pulled_at
        self.items.clear()
        self.timestamps.clear()


def test_events_are_redacted_also_after_a_restart() -> None:
    events = list(FakeAccount().events("bounces", "000PE4", 0, 86_400_000))
    batch = Events([event.json for event in events], [event.timestamp for event in events])
    assert len(events) > 10
    memory = MemorySpool()
    spool = RedactingSpool(memory, policy("pseudonymize"))
    spool.restart(4)
    spool.write(batch)
    spool.restart(5)
    assert memory.items == []
    spool.write(batch)
    assert memory.items == [
        redact_event(event.json.decode(), policy("pseudonymize")).encode() for event in events
    ]
    assert memory.timestamps == batch.timestamps
    assert memory.pulled_at == 5


def test_of_an_invalid_event_only_its_reason_position_and_sha256_are_kept() -> None:
    memory = MemorySpool()
    invalid = Invalid(b"anna@example.com", "is not valid JSON", 3, 5, "abc")
    RedactingSpool(memory, policy("drop")).set_aside(invalid)
    assert memory.invalid == [Invalid(None, "is not valid JSON", 3, 5, "abc")]
