"""Whether a pulled day may be published over what is stored of it, and what becomes of both."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6ConflictError, Np6PullAgainError
from airflow_provider_np6.np6.window import DAY, Window, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.event_writer import ShrinkRule
    from airflow_provider_np6.destinations.files.day import DayFiles
    from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
    from airflow_provider_np6.destinations.files.spool import SpooledSlice
    from airflow_provider_np6.destinations.inventory import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One day as it was pulled, before it is decided whether it may be published.

    :param spooled: its slice.
    :param pulled_at: of the pull, ms.
    :param received: kept, duplicate and invalid events of the day.
    :param rule: what to do if more events are stored.
    :param context: the query's description, for errors.
    """

    spooled: SpooledSlice
    pulled_at: int
    received: int
    rule: ShrinkRule
    context: str


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
    newer = [slice_.window for slice_ in stored if _is_newer(slice_, candidate)]
    if newer and _covers(newer, window):
        return Decision("superseded", previous)
    if newer:
        raise Np6PullAgainError(
            "a newer pull of a part of this window was published meanwhile",
            hint="The next try pulls it again.",
            context=candidate.context,
        )
    check_crossing(manifest, window, candidate.context)
    if candidate.rule.is_kept(window.date, candidate.received, previous):
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


def _is_newer(slice_: Slice, candidate: Candidate) -> bool:
    """Whether a stored slice was pulled later; equal times count for the candidate."""
    pulled_at = parse_time("pulled_at", slice_.pulled_at)
    if pulled_at <= candidate.pulled_at:
        return False
    if pulled_at > time.time() * 1_000 + DAY:
        log.warning("A stored slice says that it was pulled in the future, at %s.", slice_.pulled_at)
        return False
    return True


def _covers(parts: Iterable[Window], window: Window) -> bool:
    covered = window.start
    for part in sorted(parts):
        if part.start > covered:
            return False
        covered = max(covered, part.end)
    return covered >= window.end


def _is_same(slice_: Slice, spooled: SpooledSlice) -> bool:
    return (slice_.window, slice_.sha256, slice_.quarantine_sha256, slice_.invalid) == (
        spooled.window,
        spooled.data and spooled.data.sha256,
        spooled.quarantine and spooled.quarantine.sha256,
        spooled.invalid,
    ) and (slice_.format == spooled.format or not spooled.events)
