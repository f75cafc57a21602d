"""What a pull has read and verified, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_np6.np6.caps import VerifiedSize


@dataclass(frozen=True, slots=True)
class VerifiedPull:
    """What was read and verified.

    :param pulled_at: when the first response that its events come from was sent, ms since the epoch: by the
        server's ``Date`` if that is plausible, else by this machine's clock.
    :param events_by_day: events handed on, by UTC day since the epoch.
    :param duplicates_by_day: events dropped because their id had come already, by UTC day since the epoch.
    :param invalid: events set aside.
    :param bytes_read: bytes of decompressed JSON, over all tries.
    :param requests: requests sent, over all tries.
    :param ids_compared: ``all`` if each id was compared with all others of its day, else ``per_second``.
    :param verified_size: the largest response that this pull has verified, for later pulls; None if it has
        verified no larger one than was known.
    :param is_believed: whether a response may have been believed because a larger one was verified before.
    """

    pulled_at: int
    events_by_day: Mapping[int, int]
    duplicates_by_day: Mapping[int, int]
    invalid: int
    bytes_read: int
    requests: int
    ids_compared: str
    verified_size: VerifiedSize | None = None
    is_believed: bool = False

    @property
    def events(self) -> int:
        """Events handed on."""
        return sum(self.events_by_day.values())

    @property
    def counts(self) -> tuple[Mapping[int, int], Mapping[int, int], int]:
        """What two pulls of one window agree about if NP6 has the same: events and duplicates by day, and
        invalid events."""
        return self.events_by_day, self.duplicates_by_day, self.invalid

    @property
    def duplicates(self) -> int:
        """Events dropped because their id had come already."""
        return sum(self.duplicates_by_day.values())
