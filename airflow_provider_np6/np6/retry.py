"""Waits between tries of a request, and the end of trying."""

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
"""Half of the longest wait after the first failed try, in s; each further failure doubles it."""
LONGEST_WAIT = 60.0
"""Longest wait between two tries for which NP6 requested no delay, in s."""
LONGEST_YIELD = 4.0
"""Most that is added to a delay that NP6 requested, in s: other clients wait until the same time."""
_MAX_DOUBLINGS = 100  # a queue may have thousands of turns, but 2 to their number is too large for a float


class Attempts:
    """Counts successive tries that bring nothing new, and sleeps between them.

    The sleep is exponential backoff with full jitter, as the vendor advises for 429, or the delay that the
    server requested. A 429 that names a delay is a queue and not a failed try: many clients of one account
    share its limit, and chance decides which of them the next second lets through. So ``max_wait`` limits
    the time in that queue, and nothing limits the number of its turns.

    :param config: the numbers of tries and seconds that are allowed.
    """

    def __init__(self, config: Np6Config) -> None:
        self._config = config
        self.failed = 0
        """Successive tries that brought nothing new."""
        self._turns = 0
        self._queued = 0.0  # s

    def progressed(self) -> None:
        """Start counting again, because something new has come."""
        self.failed = self._turns = 0
        self._queued = 0.0

    def wait_or_raise(self, error: Np6Error) -> None:
        """Sleep before the next try.

        :param error: why the last try failed.
        :raises Np6Error: ``error``, if no further try is allowed or can help.
        """
        may_retry = self._config.max_attempts > 1
        if may_retry and isinstance(error, Np6RateLimitError) and error.delay is not None:
            self._queue(error, error.delay)
            return
        self.failed += 1
        if not isinstance(error, Np6TransientError) or self.failed >= self._config.max_attempts:
            raise error
        seconds = error.delay
        if seconds is None:
            longest = min(LONGEST_WAIT, FIRST_WAIT * 2**self.failed)
            seconds = random.uniform(0, longest)  # noqa: S311 - jitter
        sleep(seconds, self._config.max_wait, error)

    def _queue(self, error: Np6RateLimitError, delay: float) -> None:
        """Sleep until NP6 lets requests through again, and a little longer the more often others won."""
        self._turns += 1
        left = self._config.max_wait - self._queued
        if left <= 0:  # a delay of 0 s, again and again
            raise error
        longest = min(LONGEST_YIELD, FIRST_WAIT * 2 ** min(self._turns, _MAX_DOUBLINGS))
        jitter = random.uniform(0, longest)  # noqa: S311 - jitter
        seconds = max(delay, min(delay + jitter, left))
        sleep(seconds, left, error)
        self._queued += seconds


def sleep(seconds: float, max_wait: float, reason: Np6TransientError) -> None:
    """Sleep, and log why and until when.

    :param seconds: how long, in s.
    :param max_wait: longest sleep that is allowed, in s.
    :param reason: the error after which the next try follows.
    :raises Np6TransientError: ``reason`` with ``seconds`` as its delay, if that is longer than ``max_wait``.
    """
    if seconds > max_wait:
        reason.delay = seconds
        raise reason
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    log.warning("%s The next try follows in %.1f s, at %s.", reason, seconds, end.strftime("%H:%M:%S UTC"))
    time.sleep(seconds)


def wait_for_limit(seconds: float, max_wait: float) -> None:
    """Sleep until NP6's limit is reset, before a request.

    :param seconds: how long, in s; 0 if the limit is not used up.
    :param max_wait: longest sleep that is allowed, in s.
    :raises Np6RateLimitError: with ``seconds`` as its delay, if that is longer than ``max_wait``.
    """
    if seconds > 0:
        reason = Np6RateLimitError("no request remains within NP6's rate limit", delay=seconds)
        sleep(seconds, max_wait, reason)
