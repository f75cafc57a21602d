"""A line in the log now and then, so that a long pull can be told from a hung one."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery

log = logging.getLogger(__name__)

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
            *(self._query.where, events, bytes_read / 1e6, events / (now - self._begun), iso(reached)),
            100 * max(0.0, min(share, 1.0)),
        )
