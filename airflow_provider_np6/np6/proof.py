"""What a pull gives: events, one batch after the other, and in the end the proof that they are all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verify import Events, Invalid


class Spool(Protocol):
    """Where the events of a window wait until all of them are proven."""

    def begin(self, pulled_at: int) -> None:
        """Make ready; comes once, before all else.

        :param pulled_at: the proof's.
        """

    def write(self, events: Events) -> None:
        """Take some events."""

    def set_aside(self, invalid: Invalid) -> None:
        """Take something that is no event of the window."""

    def restart(self) -> None:
        """Forget all that was taken so far: the window is pulled afresh."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was read and proven.

    :param pulled_at: when the first request was sent, ms since the epoch, by this machine's clock.
    :param events: events handed on.
    :param duplicates: events dropped because their id had come already.
    :param invalid: events set aside.
    :param bytes_read: bytes of unpacked JSON, over all tries.
    :param requests: requests sent, over all tries.
    """

    pulled_at: int
    events: int
    duplicates: int
    invalid: int
    bytes_read: int
    requests: int
