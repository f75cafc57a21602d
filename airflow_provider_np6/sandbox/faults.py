"""What the sandbox does wrong on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One request answered otherwise.

    :param path: only requests whose path holds this.
    :param status: HTTP status; any other than 200 goes without events.
    :param headers: sent besides the usual ones.
    :param body: sent instead of the events.
    :param cut: close the connection after this many bytes of the body.
    :param framing: how the body's length is told; ``close`` means by nothing but the connection's end.
    :param stall: seconds to wait before the answer.
    """

    path: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    framing: Literal["chunked", "length", "close"] = "chunked"
    stall: float = 0.0


class Plan:
    """Faults to come; each answers one request, the first that fits."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()

    def add(self, fault: Fault, times: int = 1) -> None:
        """Let the next ``times`` fitting requests meet ``fault``."""
        with self._lock:
            self._faults += [fault] * times

    def take(self, path: str) -> Fault | None:
        """The fault that a request for ``path`` meets; it is used up."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.path in path:
                    return self._faults.pop(index)
        return None

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()
