"""When to try again what may pass, and when to give up."""

from __future__ import annotations

import logging
import random
import time

from airflow_provider_np6.np6.errors import Np6Error, Np6TransientError
from airflow_provider_np6.np6.settings import Np6Settings

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0


class Attempts:
    """Counts tries of one request and sleeps between them: exponential backoff with full jitter, as the
    vendor advises for 429, or the delay that the server asked for."""

    def __init__(self, settings: Np6Settings) -> None:
        self._settings = settings
        self._failed = 0

    def wait_or_raise(self, error: Np6Error) -> None:
        """Sleep before the next try, or raise ``error`` where there is none."""
        self._failed += 1
        if not isinstance(error, Np6TransientError) or self._failed >= self._settings.max_attempts:
            raise error
        wait = error.delay
        if wait is None:
            wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**self._failed))  # noqa: S311 - jitter
        if wait > self._settings.max_wait:
            raise error
        log.warning("%s Try %d follows in %.1f s.", error, self._failed + 1, wait)
        time.sleep(wait)
