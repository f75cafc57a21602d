"""Log lines that show how far a pull is; never an event."""

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
    """The progress of one pull.

    :param query: what is pulled.
    """

    def __init__(self, query: EventQuery) -> None:
        self._query = query
        self._begun = self._logged = time.monotonic()

    def show(self, events: int, bytes_read: int, reached: int) -> None:
        """Log a line, if the last one is long enough ago.

        :param events: so far.
        :param bytes_read: of decompressed JSON, so far.
        :param reached: largest timestamp so far, in ms.
        """
        now = time.monotonic()
        if now - self._logged < INTERVAL:
            return
        self._logged = now
        window = self._query.window
        share = (reached - window.start) / (window.end - window.start)
        log.info(
            "Pulling %s: %d events, %.1f MB, %.0f events/s, at %s (%.0f %%)",
            *(self._query.description, events, bytes_read / 1e6, events / (now - self._begun), iso(reached)),
            100 * max(0.0, min(share, 1.0)),
        )
