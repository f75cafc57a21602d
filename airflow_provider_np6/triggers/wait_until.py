"""Waiting for a moment without holding a worker's slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class WaitUntilTrigger(BaseTrigger):
    """Fires once a moment has come.

    :param moment: ms since the epoch, UTC.
    """

    def __init__(self, moment: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moment = moment

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "airflow_provider_np6.triggers.wait_until.WaitUntilTrigger", {"timestamp": self.moment}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while (left := self.moment / 1_000 - time.time()) > 0:
            await asyncio.sleep(min(left, 60))  # in steps, for the clock may be set meanwhile
        yield TriggerEvent(self.moment)
