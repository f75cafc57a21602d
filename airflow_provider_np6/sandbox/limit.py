"""A limit on the rate of requests, for all clients together.

Documented: 429, and headers that may come. The sandbox's own choice: a number of requests in each second,
``Reset`` in whole seconds from now.
"""

from __future__ import annotations

import time
from threading import Lock


class Limit:
    """So many requests in each second.

    :param per_second: how many.
    """

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self.granted: list[float] = []
        """When requests were let through, in seconds of a clock of no particular beginning."""
        self.refused = 0
        """How many were answered by 429."""
        self._lock = Lock()
        self._second = -1
        self._left = 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether a request that comes now is let through, and the headers that tell of the limit."""
        with self._lock:
            now = time.monotonic()
            if int(now) != self._second:
                self._second, self._left = int(now), self.per_second
            granted = self._left > 0
            if granted:
                self._left -= 1
                self.granted.append(now)
            else:
                self.refused += 1
            told = {"Limit": self.per_second, "Remaining": self._left, "Reset": 1}
        return granted, {f"X-RateLimit-{name}": str(value) for name, value in told.items()}

    @property
    def seconds(self) -> float:
        """From the first request that was let through to the last one."""
        return self.granted[-1] - self.granted[0] if self.granted else 0.0
