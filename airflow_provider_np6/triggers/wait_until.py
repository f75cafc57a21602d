"""Wait until a time without taking a worker slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class WaitUntilTrigger(BaseTrigger):
    """Fires at a time.

    :param until: ms since the epoch, UTC.
    """

    def __init__(self, until: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "airflow_provider_np6.triggers.wait_until.WaitUntilTrigger", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while (left := self.until / 1_000 - time.time()) > 0:
            await asyncio.sleep(min(left, 60))  # in steps, because the clock may be set meanwhile
        yield TriggerEvent(self.until)
