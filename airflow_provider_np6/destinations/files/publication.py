"""The publication of one pull: the data of all days first, then each day's manifest, if nobody changed it.

A day has one manifest, and whoever replaces it names the version that it read. So what is current is switched
at once, the newer pull wins, and no switch undoes another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.day import StoredDay, delete_removed
from airflow_provider_np6.destinations.files.decision import Candidate, Decision, decide
from airflow_provider_np6.destinations.files.header import Patience, Requirements, read_header
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice, make_token
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError, store_errors
from airflow_provider_np6.destinations.inventory import SliceOutcome, is_published
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6Error
from airflow_provider_np6.np6.window import DAY, iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.event_writer import ShrinkRule
    from airflow_provider_np6.destinations.files.spool import SpooledSlice
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.np6.verified_pull import VerifiedPull

log = logging.getLogger(__name__)

SLOW_WRITER = 3_600
"""Seconds for which a pull leaves data alone that no manifest names: its writer may be about to."""


@dataclass(frozen=True)
class Publisher:
    """Publishes the days of one pull.

    :param store: of the destination root.
    :param requirements: of the pull.
    :param erasures: version of the erasure list that its events were filtered with.
    :param is_conditional: whether the store was seen to honor conditions.
    """

    store: Store
    requirements: Requirements
    erasures: int
    is_conditional: bool

    def publish(
        self, slices: Sequence[SpooledSlice], pull: VerifiedPull, rule: ShrinkRule
    ) -> list[DayPublication]:
        """Publish all days, or none if one of them may not be.

        :param slices: the days of the window, in order of time.
        :param rule: what to do if a day has fewer events than are stored.
        :return: the days, each with its outcome.
        :raises Np6DestinationError: if it failed; if that was in the middle, the error names the published
            days.
        """
        days = [DayPublication(self, self._candidate(slice_, pull, rule), pull) for slice_ in slices]
        try:
            for day in days:
                day.examine()
            for day in days:
                day.put_data()
            if len(days) > 1:
                for day in days:
                    day.decide_again()
            self._switch(days)
        finally:
            for day in days:
                day.withdraw()
        return days

    def _candidate(self, slice_: SpooledSlice, pull: VerifiedPull, rule: ShrinkRule) -> Candidate:
        duplicates = pull.duplicates_by_day.get(slice_.window.start // DAY, 0)
        received = slice_.events + slice_.invalid + duplicates
        return Candidate(slice_, pull.pulled_at, received, rule, rule.context, self.erasures)

    def _switch(self, days: Sequence[DayPublication]) -> None:
        published: list[str] = []
        for day in days:
            try:
                with store_errors(self.store.path(), "could not be written"):
                    day.switch()
            except Np6Error as error:
                if published:
                    error.what = f"{error.what}, after {_in_words(published)} had been published"
                raise
            if day.outcome.is_published:
                published.append(day.outcome.window.date)


def _in_words(dates: Sequence[str]) -> str:
    return dates[0] if len(dates) == 1 else f"{len(dates)} days from {dates[0]} to {dates[-1]}"


class DayPublication:
    """One day of a pull: its data, and its switch.

    :param publisher: of the pull.
    :param candidate: the day.
    :param pull: what was pulled.
    """

    outcome: SliceOutcome

    def __init__(self, publisher: Publisher, candidate: Candidate, pull: VerifiedPull) -> None:
        query = publisher.requirements.query
        self._publisher = publisher
        self._store = publisher.store
        self._candidate = candidate
        self._requests = pull.requests
        self._token = make_token()
        self._stored = StoredDay(publisher.store, query, candidate.spooled.window.date)
        self._decision: Decision | None = None
        self._names: tuple[str | None, str | None] | None = None
        self._names_seen_at: str | None = None
        self._own: set[str] = set()
        self._begun_at: str | None = None

    @property
    def data(self) -> str | None:
        """The data file that the day's manifest names for this pull."""
        return next((slice_.data for slice_ in self._mine()), None)

    def examine(self) -> None:
        """Read manifest and names of files, and decide; nothing is written."""
        self._stored.read()
        self._stored.list_files()
        self._decision = self._decide()

    def put_data(self) -> None:
        """Put the data, if it is going to be needed, and an empty manifest if the day has none."""
        if self._decision is not None and is_published(self._decision.outcome):
            self._stored.create(self._publisher.erasures)
            self._decision = self._decide()
            if self._decision.kept is None:
                self._ensure_data()

    def decide_again(self) -> None:
        """Decide by what is stored now."""
        self._stored.read()
        self._decision = self._decide()

    def switch(self) -> None:
        """Replace the manifest, if it is still the one that was read; otherwise decide again.

        :raises Np6DestinationError: if the day may not be published, or others change it for five minutes.
        """
        patience = Patience(self._candidate.context)
        while not self._mine():
            self._decision = self._decide()
            if not is_published(self._decision.outcome):
                self._conclude()
                return
            if self._put_manifest(self._decision):
                break
            patience.wait()
            self._stored.read()
        self._conclude()
        if self._publisher.is_conditional:
            delete_removed(self._store, self._stored.manifest)

    def withdraw(self) -> None:
        """Remove this pull's files that no manifest names, unless a put that may still arrive names them."""
        if self._begun_at is not None and (
            self._begun_at == self._stored.version or not self._publisher.is_conditional
        ):
            return
        for name in self._own - self._stored.names:
            with suppress(Exception):  # it is found as an orphan later
                self._store.delete(name)
            self._own.discard(name)

    def _mine(self) -> list[Slice]:
        return [slice_ for slice_ in self._stored.slices if slice_.token == self._token]

    def _decide(self) -> Decision:
        decision = decide(self._stored.manifest_or_empty, self._stored.files, self._candidate)
        if not self._publisher.is_conditional:
            # Another pull's put may be on its way that replaces the file which would be kept.
            decision = replace(decision, kept=None)
        return decision

    def _conclude(self) -> None:
        assert self._decision is not None  # noqa: S101 - it was decided before it was put
        outcome, previous = self._decision.outcome, self._decision.previous_events
        events = self._candidate.spooled.events if is_published(outcome) else previous
        self.outcome = SliceOutcome(self._candidate.spooled.window, outcome, events, previous)

    def _put_manifest(self, decision: Decision) -> bool:
        """Put the day's manifest; False if that was refused."""
        if decision.kept is None:
            self._ensure_data()
        self._check_header()
        new = self._new_manifest(decision)
        self._begun_at = self._stored.version
        try:
            self._stored.put(new)
        except ConditionRefusedError:
            return False
        except Exception:
            # The response may be lost, and not the put.
            with suppress(Exception):
                self._stored.read()
            if not self._mine():
                raise
        if not self._publisher.is_conditional:
            self._stored.read()
        return bool(self._mine())

    def _check_header(self) -> None:
        stored = read_header(self._store)
        if stored is None:
            raise Np6DestinationError(
                "the destination's header was removed during this pull",
                hint="Restore _header.json, or use an empty folder.",
                context=self._candidate.context,
            )
        self._publisher.requirements.check(stored[0], self._publisher.erasures)

    def _ensure_data(self) -> None:
        """Put the files, if they were not put yet, or were removed meanwhile as orphans."""
        if self._names is not None and self._names_seen_at != self._stored.version:
            own = [name for name in self._names if name]
            if not self._stored.removed.isdisjoint(own) or not all(map(self._stored.exists, own)):
                self._names = None
        if self._names is None:
            self._names = self._put_files()
        self._names_seen_at = self._stored.version

    def _put_files(self) -> tuple[str | None, str | None]:
        spooled = self._candidate.spooled
        folder = self._stored.folder
        token, erasures = make_token(), self._publisher.erasures
        names = []
        for file, place, suffix in (
            (spooled.data, folder, spooled.format),
            (spooled.quarantine, f"{layout.QUARANTINE}/{folder}", "bad"),
        ):
            name = None
            if file is not None:
                name = f"{place}/{layout.data_name(spooled.window, erasures, token, suffix)}"
                self._own.add(name)
                self._store.put(name, file.path)
            names.append(name)
        return names[0], names[1]

    def _new_manifest(self, decision: Decision) -> Manifest:
        manifest, window = self._stored.manifest_or_empty, self._candidate.spooled.window
        others = [slice_ for slice_ in manifest.slices if not slice_.window.overlaps(window)]
        erasures = self._publisher.erasures
        return manifest.with_slices(
            [*others, self._new_slice(decision)],
            erasures=min(erasures, manifest.erasures) if others else erasures,
            orphans=self._orphans(),
            gone=self._stored.gone,
        )

    def _orphans(self) -> list[str]:
        """Files that no manifest names, and that are too old to be a slow writer's."""
        if not self._publisher.is_conditional:
            return []
        before = time.time() - SLOW_WRITER
        return [name for name in self._stored.unreferenced(before) if name not in self._own]

    def _new_slice(self, decision: Decision) -> Slice:
        spooled = self._candidate.spooled
        pulled_at = iso(self._candidate.pulled_at)
        if decision.kept is not None:
            return replace(decision.kept, pulled_at=pulled_at, requests=self._requests, token=self._token)
        data, quarantine = self._names or (None, None)
        return Slice(
            window_start=iso(spooled.window.start),
            window_end=iso(spooled.window.end),
            data=data,
            format=spooled.format,
            events=spooled.events,
            invalid=spooled.invalid,
            quarantine=quarantine,
            quarantine_sha256=spooled.quarantine.sha256 if spooled.quarantine else None,
            first_timestamp=None if spooled.first is None else iso(spooled.first),
            last_timestamp=None if spooled.last is None else iso(spooled.last),
            bytes=spooled.data.size if spooled.data else 0,
            sha256=spooled.data.sha256 if spooled.data else None,
            requests=self._requests,
            pulled_at=pulled_at,
            expired=False,
            token=self._token,
        )
