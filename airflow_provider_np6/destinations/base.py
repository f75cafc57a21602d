"""The small protocol between a pull and the place where its events go."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_provider_np6.destinations.coverage import to_coverage
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6InputError,
    Np6PullAgainError,
    Np6ShrunkError,
)
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import CountedWindow, Coverage
    from airflow_provider_np6.destinations.inventory import (
        Outcome,
        PendingVerification,
        Scope,
        SliceOutcome,
        StoredWindow,
        Verification,
    )
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.np6.verify import Events, Invalid
    from airflow_provider_np6.privacy.erasure_filter import ErasureList
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms


log = logging.getLogger(__name__)

MAX_CHANGED = 50
"""Parts of a window that a report lists; more are reported as one."""

_OUTCOMES: Sequence[Outcome] = ("unchanged", "created", "changed", "shrunk", "superseded")
"""From the least to the most remarkable."""

ON_SHRINK = ("fail", "keep", "replace")


@dataclass(frozen=True)
class ShrinkRule:
    """What to do about a day of which more events are stored than NP6 has.

    :param on_shrink: ``fail``, ``keep`` or ``replace``.
    :param is_confirmed: whether NP6 brought the same twice.
    :param context: the query's description, for errors.
    """

    on_shrink: str
    is_confirmed: bool
    context: str

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

    def publish(self, pull: VerifiedPull, *, is_confirmed: bool = False) -> Publication:
        """Replace what is stored of the window.

        :param is_confirmed: whether NP6 brought the same twice, so that ``on_shrink`` decides about days
            with fewer events than are stored.
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
    """

    slices: Sequence[SliceOutcome]
    location: Mapping[str, str]
    assets: Sequence[str]
    bytes_written: int = 0

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
        changed: list[Window] = []
        for slice_ in self.slices:
            if slice_.outcome not in ("created", "changed"):
                continue
            if changed and changed[-1].end == slice_.window.start:
                changed[-1] = changed[-1].union(slice_.window)
            else:
                changed.append(slice_.window)
        return [changed[0].union(changed[-1])] if len(changed) > MAX_CHANGED else changed


@dataclass
class Destination:
    """Base of the destinations: a plain value, rendered as a copy for each execution."""

    template_fields: ClassVar[Sequence[str]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if hasattr(value, "iter_references"):
                raise Np6InputError(
                    f"{field.name} of {type(self).__name__} is another task's output",
                    hint="Airflow sees no dependency inside an object: write it as a template,"
                    " {{ ti.xcom_pull(task_ids='…') }}, or give the operator a URI as destination.",
                )

    @property
    def uri(self) -> str:
        """Where it is, in one line for reports, without secrets."""
        raise NotImplementedError

    @property
    def asset_uri(self) -> str | None:
        """Its URI as an Airflow asset: without a connection's id, so that tasks with other credentials name
        the same asset; None where Airflow has no convention for it."""
        raise NotImplementedError

    def open(
        self, query: EventQuery, account: str, personal_data: str = "keep", on_shrink: str = "fail"
    ) -> AbstractContextManager[EventWriter]:
        """Check all that can be checked before a request is sent, and prepare to write.

        :param personal_data: what is done with personal data, as it is recorded with the events: a mode,
            and for tokens a colon and the fingerprint of their key.
        :param on_shrink: what to do if a day has fewer events than are stored: ``fail``, ``keep`` or
            ``replace``.
        :raises Np6InputError: if the destination cannot be used.
        :raises Np6ConflictError: if data is stored that this pull must not replace.
        """
        raise NotImplementedError

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        """See :func:`airflow_provider_np6.erasure.erase`."""
        raise NotImplementedError

    def coverage(
        self,
        event_type: str,
        action_id: str,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> Coverage:
        """What is stored of one event type and action over ``[start, end)``, and what is missing; no event is
        read.

        :param event_type: path of the event type, such as ``bounces``.
        :param action_id: the action's id; ``"*"`` for what was pulled for all actions at once.
        :param start: aware datetime, ISO string with an offset, or date (midnight UTC).
        :param end: likewise (exclusive).
        :param classification: classes of robots, for hits only.
        :raises Np6InputError: for arguments that cannot be used.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        query = EventQuery.between(event_type, action_id, start, end, classification)
        return to_coverage(query, self.counted_windows(query))

    def action_ids(self, event_type: str) -> list[str]:
        """Ids of the actions of which an event type was ever pulled, in order; ``"*"`` is one of them if all
        actions were pulled at once.

        :param event_type: path of the event type, such as ``bounces``.
        :raises Np6InputError: for an unknown event type.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        raise NotImplementedError

    def verify(self, read_files: bool = True, remove_orphans: bool = False) -> Verification:
        """Compare everything that is stored with what is recorded of it.

        :param read_files: whether to read the data files; otherwise only their sizes are compared. SQL counts
            rows in both cases.
        :param remove_orphans: whether to remove the files that no manifest names; otherwise nothing is
            changed. SQL has none.
        :raises Np6InputError: if nothing was ever pulled into the destination, or it cannot be used.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        return self.pending_verification(read_files=read_files, remove_orphans=remove_orphans).run()

    def counted_windows(self, query: EventQuery) -> list[CountedWindow]:
        """What is stored of a query's window, in order of time; windows may reach beyond it.

        :raises Np6DestinationError: if the destination cannot be read.
        """
        raise NotImplementedError

    def stored_windows(self, scope: Scope) -> list[StoredWindow]:
        """The stored windows of all event types and actions of a scope, by few listings; no event is read.

        :raises Np6InputError: if nothing was ever pulled into the destination, or it cannot be used.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        raise NotImplementedError

    def pending_verification(
        self, *, read_files: bool = True, remove_orphans: bool = False
    ) -> PendingVerification:
        """:meth:`verify`, check by check; raises the same."""
        raise NotImplementedError


def text_field(destination: Destination, name: str) -> str:
    """A rendered field that must say something.

    :raises Np6InputError: for None, "" and "None", which failed templates render to.
    """
    value = getattr(destination, name)
    if not isinstance(value, str) or value.strip() in ("", "None"):
        raise Np6InputError(f"{name} of {type(destination).__name__} is {value!r}", hint=f"Give {name}.")
    return value


def optional_field(value: str | None) -> str | None:
    """A rendered field that may be left out; failed templates render to "" and "None"."""
    return None if value in (None, "", "None") else value


def check_personal_data(what: str, stored: str, wanted: str, where: str) -> None:
    """Refuse to mix events whose personal data is stored in different forms.

    :param stored: mode and key as they are recorded with the data.
    :param wanted: the pull's own.
    :raises Np6ConflictError: if they differ.
    """
    if stored == wanted:
        return
    mode, _, key = wanted.partition(":")
    if key and mode == stored.partition(":")[0]:
        raise Np6ConflictError(
            f"{what} has tokens of another pseudonym_key: {stored!r}, not {wanted!r}",
            hint="Give the connection the key of the first pull, or use another destination.",
            context=where,
        )
    raise Np6ConflictError(
        f"{what} was written with personal_data {stored!r}, and this pull's is {wanted!r}",
        hint="Pull with the same personal_data, or into another destination.",
        context=where,
    )
