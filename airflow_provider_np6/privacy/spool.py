"""A spool that no personal data gets into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.verification import Events, Invalid, Item
from airflow_provider_np6.privacy.batches import Documented, NotAsDocumentedError
from airflow_provider_np6.privacy.events import redact

if TYPE_CHECKING:
    from airflow_provider_np6.np6.proof import Spool
    from airflow_provider_np6.privacy.policy import Policy


class RedactingSpool:
    """Takes personal data out of what goes into another spool; of invalid events nothing but their reason,
    place and sha256 goes in."""

    def __init__(self, spool: Spool, policy: Policy) -> None:
        self._spool = spool
        self._policy = policy
        self._documented = Documented(policy)

    def begin(self, pulled_at: int) -> None:
        self._spool.begin(pulled_at)

    def write(self, events: Events) -> None:
        self._spool.write(Events(self._redacted(events.items), events.timestamps))

    def set_aside(self, invalid: Invalid) -> None:
        self._spool.set_aside(replace(invalid, item=None))

    def restart(self) -> None:
        self._spool.restart()

    def _redacted(self, items: Sequence[Item]) -> list[bytes]:
        try:
            return self._documented.redacted(b"\n".join([*items, b""]))
        except NotAsDocumentedError:
            return [self._redacted_alone(bytes(item)) for item in items]

    def _redacted_alone(self, item: bytes) -> bytes:
        try:
            (redacted,) = self._documented.redacted(item + b"\n")
        except NotAsDocumentedError:
            return redact(item.decode(), self._policy).encode()
        return redacted
