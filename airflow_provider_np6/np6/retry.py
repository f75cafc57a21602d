"""When to try again what may pass, and when to give up."""

from __future__ import annotations

import logging
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import (
    Np6Error,
    Np6RateLimitError,
    Np6TransientError,
)

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
LONGEST_YIELD = 4.0
"""Most that is added to a delay that NP6 requested, in s: others wait for the same moment."""
_DOUBLED = 100
"""Times that a wait is doubled at most: a queue has room for thousands of turns, a float has not."""


class Attempts:
    """Counts tries in a row that brought nothing new, and sleeps between them: exponential backoff with
    full jitter, as the vendor advises for 429, or the delay that the server requested.

    A 429 that names a delay is no failed try but a queue: many clients of one account share its limit, and
    which of them the next second lets through is chance. So the time in that queue is bounded, by
    ``max_wait``, and not the number of turns."""

    def __init__(self, config: Np6Config) -> None:
        self._config = config
        self.failed = 0
        """Tries in a row that brought nothing new."""
        self._turns = 0
        self._queued = 0.0

    def progressed(self) -> None:
        """Something new came: count anew."""
        self.failed = self._turns = 0
        self._queued = 0.0

    def wait_or_raise(self, error: Np6Error) -> None:
        """Sleep before the next try, or raise ``error`` where there is none."""
        again = self._config.max_attempts > 1
        if again and isinstance(error, Np6RateLimitError) and error.delay is not None:
            self._queue(error, error.delay)
            return
        self.failed += 1
        if not isinstance(error, Np6TransientError) or self.failed >= self._config.max_attempts:
            raise error
        wait = error.delay
        if wait is None:
            wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**self.failed))  # noqa: S311 - jitter
        sleep(wait, self._config.max_wait, error)

    def _queue(self, error: Np6RateLimitError, delay: float) -> None:
        """Sleep until NP6 lets requests through again, and a little longer the more often others won."""
        self._turns += 1
        left = self._config.max_wait - self._queued
        if left <= 0:  # a delay of nothing, again and again
            raise error
        longest = min(LONGEST_YIELD, FIRST_WAIT * 2 ** min(self._turns, _DOUBLED))
        yielding = random.uniform(0, longest)  # noqa: S311 - jitter
        wait = max(delay, min(delay + yielding, left))
        sleep(wait, left, error)
        self._queued += wait


def sleep(seconds: float, max_wait: float, reason: Np6TransientError) -> None:
    """Sleep, and say once why and until when.

    :raises Np6TransientError: ``reason``, with the delay, if that would take longer than ``max_wait``.
    """
    if seconds > max_wait:
        reason.delay = seconds
        raise reason
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    log.warning("%s The next try follows in %.1f s, at %s.", reason, seconds, end.strftime("%H:%M:%S UTC"))
    time.sleep(seconds)


def wait_for_limit(seconds: float, max_wait: float) -> None:
    """Sleep until NP6's limit is reset, before a request.

    :raises Np6RateLimitError: with the delay, if that would take longer than ``max_wait``.
    """
    if seconds > 0:
        reason = Np6RateLimitError("no request remains within NP6's rate limit", delay=seconds)
        sleep(seconds, max_wait, reason)
