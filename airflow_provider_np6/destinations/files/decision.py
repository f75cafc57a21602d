"""Whether a pulled day may be published over what is stored of it, and what becomes of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.supersession import is_superseded
from airflow_provider_np6.np6.errors import Np6ConflictError
from airflow_provider_np6.np6.window import DAY, Window, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.event_writer import ShrinkRule
    from airflow_provider_np6.destinations.files.day import DayFiles
    from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
    from airflow_provider_np6.destinations.files.spool import SpooledSlice
    from airflow_provider_np6.destinations.inventory import Outcome


@dataclass(frozen=True)
class Candidate:
    """One day as it was pulled, before it is decided whether it may be published.

    :param spooled: its slice.
    :param pulled_at: of the pull, ms.
    :param received: kept, duplicate and invalid events of the day.
    :param rule: what to do if more events are stored.
    :param context: the query's description, for errors.
    :param erasures: version of the erasure list that the day's events were filtered with.
    """

    spooled: SpooledSlice
    pulled_at: int
    received: int
    rule: ShrinkRule
    context: str
    erasures: int = 0


@dataclass(frozen=True)
class Decision:
    """What becomes of a candidate.

    :param previous_events: events that are stored of its window.
    :param kept: the stored slice whose files stay, if they hold the same bytes.
    """

    outcome: Outcome
    previous_events: int
    kept: Slice | None = None


def decide(manifest: Manifest, files: DayFiles, candidate: Candidate) -> Decision:
    """Whether a day may be published over what is stored, in the order in which that must be decided.

    :param manifest: of the day.
    :param files: of the day.
    :raises Np6PullAgainError: if a newer pull of a part of the window is stored, or the day is short and that
        is not confirmed.
    :raises Np6ConflictError: if a stored slice reaches beyond the window.
    :raises Np6ShrunkError: if the day is short, and ``on_shrink`` is ``fail``.
    """
    window = candidate.spooled.window
    stored = manifest.overlapping(window)
    previous = sum(slice_.events for slice_ in stored)
    times = [(slice_.window, parse_time("pulled_at", slice_.pulled_at)) for slice_ in stored]
    if is_superseded(times, window, candidate.pulled_at, candidate.context):
        return Decision("superseded", previous)
    check_crossing(manifest, window, candidate.context)
    received = candidate.received
    if manifest.erasures < candidate.erasures:  # an erasure has yet to remove these
        received += candidate.rule.erased_by_day.get(window.start // DAY, 0)
    if candidate.rule.is_kept(window.date, received, previous):
        return Decision("shrunk", previous)
    if all(slice_.expired for slice_ in stored):
        return Decision("created", previous)
    if len(stored) == 1 and _is_same(stored[0], candidate.spooled) and files.has(stored[0]):
        return Decision("unchanged", previous, stored[0])
    return Decision("changed", previous)


def check_crossing(manifest: Manifest, window: Window, context: str) -> None:
    """Refuse a window that a stored slice crosses or contains, naming the smallest one that is taken.

    :raises Np6ConflictError: then.
    """
    stored = [slice_.window for slice_ in manifest.overlapping(window)]
    grown = reduce(Window.union, stored, window)
    if grown != window:
        raise Np6ConflictError(
            "this window partly overlaps a stored one",
            hint=f"Pull {grown} or a larger window.",
            context=context,
        )


def _is_same(slice_: Slice, spooled: SpooledSlice) -> bool:
    return (slice_.window, slice_.sha256, slice_.quarantine_sha256, slice_.invalid) == (
        spooled.window,
        spooled.data and spooled.data.sha256,
        spooled.quarantine and spooled.quarantine.sha256,
        spooled.invalid,
    ) and (slice_.format == spooled.format or not spooled.events)
