"""Between a pull and the place where its events go: a writer, and what it did."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_np6.np6.errors import Np6PullAgainError, Np6ShrunkError
from airflow_provider_np6.np6.window import Window, iso, join_windows

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.inventory import Outcome, SliceOutcome
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.verified_pull import VerifiedPull
    from airflow_provider_np6.privacy.erasure_filter import ErasureList

log = logging.getLogger(__name__)

MAX_CHANGED = 50
"""Parts of a window that a report lists; more are reported as one."""

_OUTCOMES: Sequence[Outcome] = ("unchanged", "created", "changed", "shrunk", "superseded")
"""From the least to the most remarkable."""

NOBODY: Mapping[int, int] = MappingProxyType({})
"""No event of an erased person was left out."""

ON_SHRINK = ("fail", "keep", "replace")


@dataclass(frozen=True)
class ShrinkRule:
    """What to do about a day of which more events are stored than NP6 has.

    :param on_shrink: ``fail``, ``keep`` or ``replace``.
    :param is_confirmed: whether NP6 brought the same twice.
    :param context: the query's description, for errors.
    :param erased_by_day: events of erased persons that were left out and may still be stored, by UTC day
        since the epoch.
    """

    on_shrink: str
    is_confirmed: bool
    context: str
    erased_by_day: Mapping[int, int] = field(default_factory=lambda: NOBODY)

    def is_kept(self, date: str, received: int, stored: int) -> bool:
        """Whether the stored events of a day are kept.

        :param date: the UTC day, ``2026-11-22``.
        :param received: kept, duplicate and invalid events of the day.
        :param stored: events that would be replaced.
        :raises Np6PullAgainError: if the day is short, and that is not confirmed.
        :raises Np6ShrunkError: if the day is short, and ``on_shrink`` is ``fail``.
        """
        if received >= stored:
            return False
        what = f"NP6 has {received:,} events of {date}, and {stored:,} are stored"
        if not self.is_confirmed:
            raise Np6PullAgainError(
                what, hint="The window is pulled again.", context=self.context, is_short=True
            )
        if self.on_shrink == "fail":
            raise Np6ShrunkError(
                what,
                hint='What is stored is unchanged. Set on_shrink="keep" to keep such days, or "replace" if'
                " NP6 is right.",
                context=self.context,
            )
        if self.on_shrink == "keep":
            log.warning("%s: what is stored is kept (%s).", what, self.context)
        return self.on_shrink == "keep"


class EventWriter(Protocol):
    """Takes one pull's events, and replaces what is stored of its window with all of them at once.

    What was not published when its context ends is discarded.
    """

    @property
    def erased(self) -> ErasureList | None:
        """Persons whose events must not be written; it may change when :meth:`publish` fails."""

    @property
    def verified_size(self) -> VerifiedSize | None:
        """The largest response of the series that earlier pulls have verified; None if that is not known."""

    def forget_verified_size(self) -> None:
        """Take note that a smaller response of the series was not whole: what was verified no longer
        counts."""

    def restart(self, pulled_at: int) -> None:
        """Forget all that was taken; comes once before all else, and whenever the window is pulled again.

        :param pulled_at: time of NP6's first response, ms since the epoch.
        """

    def write(self, events: Events) -> None:
        """Take some events, in order of time and id.

        :raises Np6DestinationError: if the worker's disk cannot take them.
        """

    def set_aside(self, invalid: Invalid) -> None:
        """Take an invalid event.

        :raises Np6DestinationError: if the worker's disk cannot take it.
        """

    def publish(
        self,
        pull: VerifiedPull,
        *,
        is_confirmed: bool = False,
        erased_by_day: Mapping[int, int] = NOBODY,
    ) -> Publication:
        """Replace what is stored of the window.

        :param is_confirmed: whether NP6 brought the same twice, so that ``on_shrink`` decides about days
            with fewer events than are stored.
        :param erased_by_day: events of erased persons that were left out and may still be stored, by UTC day
            since the epoch. They count as received until the erasure has removed the stored ones.
        :raises Np6PullAgainError: if the window must be pulled again first.
        :raises Np6ShrunkError: if NP6 has fewer events of a day than are stored, and ``on_shrink`` is
            ``fail``.
        :raises Np6DestinationError: if it failed. A day keeps what was stored, or has all of the new pull.
        """


@dataclass(frozen=True)
class Publication:
    """What a pull did to a destination.

    :param slices: at least one, in order of time.
    :param location: the destination's own entry of the report: ``manifests`` (folder) or ``table``.
    :param assets: URIs of what was written: data files, or the table; for lineage.
    :param bytes_written: size of the data files, in bytes; 0 in SQL.
    :param duplicates: events that were dropped because their id was stored already; 0 for files.
    """

    slices: Sequence[SliceOutcome]
    location: Mapping[str, str]
    assets: Sequence[str]
    bytes_written: int = 0
    duplicates: int = 0

    @property
    def events(self) -> int:
        """Events of this pull that are stored."""
        return sum(slice_.events for slice_ in self.slices if slice_.is_published)

    def to_dict(self) -> dict[str, Any]:
        """Its entries of a report: ``outcome`` (the most remarkable one that occurred), ``events``,
        ``previous_events`` (events that were stored before), ``slices`` (outcome to number), ``changed``
        (``[[start, end], …]`` of what was created or changed, joined where it touches; beyond
        :data:`MAX_CHANGED` parts, one that spans them all), ``bytes_written`` and :attr:`location`."""
        counts = Counter(slice_.outcome for slice_ in self.slices)
        return {
            "outcome": next(outcome for outcome in reversed(_OUTCOMES) if counts[outcome]),
            "events": self.events,
            "previous_events": sum(slice_.previous_events for slice_ in self.slices),
            "slices": dict(counts),
            "changed": [[iso(window.start), iso(window.end)] for window in self._changed()],
            "bytes_written": self.bytes_written,
            **self.location,
        }

    def _changed(self) -> list[Window]:
        changed = join_windows(slice_.window for slice_ in self.slices if slice_.is_changed)
        return [changed[0].union(changed[-1])] if len(changed) > MAX_CHANGED else changed
