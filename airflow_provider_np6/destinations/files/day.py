"""One stored day: its manifest, its files, and the conditional put that changes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.header import Patience
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice, make_token
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError, StoreError, find_file
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Entry, Store

log = logging.getLogger(__name__)

_ANY_TIME = Window(0, 1)  # no name depends on it


@dataclass(frozen=True)
class DayFiles:
    """The data and quarantine files of a day, and temporaries of these, as they were listed.

    :param entries: by name below the root.
    """

    entries: Mapping[str, Entry]

    def has(self, slice_: Slice) -> bool:
        """Whether a slice's files exist, the data file with its size."""
        sizes = {name: entry.size for name, entry in self.entries.items()}
        data = slice_.data is None or sizes.get(slice_.data) == slice_.bytes
        return data and (slice_.quarantine is None or slice_.quarantine in sizes)


class StoredDay:
    """A day as it was last read.

    :param store: of the destination root.
    :param query: event type, classification and action.
    :param date: the UTC day.
    """

    def __init__(self, store: Store, query: EventQuery, date: str) -> None:
        series = layout.series_folder(query)
        self._store = store
        self.query = query
        self._date = date
        self.name = layout.manifest_name(series, date)
        self.folder = layout.day_folder(series, date)
        self.manifest: Manifest | None = None
        self.version: str | None = None
        self.files = DayFiles({})
        self.gone: frozenset[str] = frozenset()
        """Files that were listed as removed and then did not exist."""

    @classmethod
    def named(cls, store: Store, manifest_name: str) -> StoredDay | None:
        """The day of a manifest; None if the name is not one of a manifest."""
        place = layout.parse_manifest(manifest_name)
        series = None if place is None else layout.parse_series(place[0])
        if place is None or series is None:
            return None
        query = EventQuery(series.event_type, series.action_id, _ANY_TIME, series.classification)
        return cls(store, query, place[1])

    @property
    def slices(self) -> list[Slice]:
        return [] if self.manifest is None else list(self.manifest.slices)

    @property
    def names(self) -> set[str]:
        """The files that the manifest names as current."""
        return set() if self.manifest is None else self.manifest.names

    @property
    def removed(self) -> set[str]:
        return set() if self.manifest is None else set(self.manifest.removed)

    @property
    def manifest_or_empty(self) -> Manifest:
        return self.manifest or self._empty(0)

    def read(self) -> None:
        """Read manifest and version.

        :raises Np6DestinationError: if the manifest cannot be read.
        """
        stored = self._store.read(self.name)
        self.manifest = None if stored is None else Manifest.decode(stored.data, self._store.path(self.name))
        self.version = None if stored is None else stored.version

    def list_files(self) -> None:
        """List the files. An entry of ``removed`` is forgotten only if it was read before the listing, and
        the listing lacks the file: a file that is still being removed must not be named again."""
        entries = [
            entry
            for folder in (self.folder, f"{layout.QUARANTINE}/{self.folder}")
            for entry in self._store.list_files(folder)
            if layout.parse_data(entry.name) is not None
        ]
        self.files = DayFiles({entry.name: entry for entry in entries})
        self.gone = frozenset(self.removed - self.files.entries.keys())

    def create(self, erasures: int) -> None:
        """Create an empty manifest, if the day has no manifest yet."""
        patience = Patience(self.query.description)
        while self.version is None:
            empty = self._empty(erasures)
            try:
                self.version = self._store.put_if(self.name, empty.encode(), None)
            except ConditionRefusedError:
                patience.wait()
                self.read()
            else:
                self.manifest = empty

    def put(self, manifest: Manifest) -> None:
        """Replace the manifest, if it is still the one that was read.

        :raises ConditionRefusedError: otherwise.
        """
        self.version = self._store.put_if(self.name, manifest.encode(), self.version)
        self.manifest = manifest

    def change(self, change: Callable[[Manifest], Manifest | None]) -> None:
        """Replace the manifest until nobody comes in between, then remove what it lists as removed.

        :param change: the new manifest for a stored one; None to leave it as it is.
        """
        patience = Patience(f"{self._store.path(self.name)}")
        while True:
            self.read()
            try:
                new = None if self.manifest is None else change(self.manifest)
            except FileNotFoundError:
                if not self._is_replaced():
                    raise
                continue
            if new is not None:
                try:
                    self.put(new)
                except ConditionRefusedError:
                    patience.wait()
                    continue
            break
        delete_removed(self._store, self.manifest)

    def exists(self, name: str) -> bool:
        """Whether a file of this day exists now."""
        return find_file(self._store, name) is not None

    def unreferenced(self, before: float) -> list[str]:
        """Files that the manifest does not name.

        :param before: those that were last modified before; seconds since the epoch.
        """
        return [
            entry.name
            for entry in self.files.entries.values()
            if entry.name not in self.names and entry.modified < before
        ]

    def _is_replaced(self) -> bool:
        """Whether the manifest is another one by now: then a file that it named may be gone."""
        version = self.version
        self.read()
        return self.version != version

    def _empty(self, erasures: int) -> Manifest:
        return Manifest(
            event_type=self.query.event_type,
            action_id=self.query.action_id,
            classification=self.query.classification,
            date=self._date,
            slices=(),
            removed=(),
            erasures=erasures,
            token=make_token(),
        )


def delete_removed(store: Store, manifest: Manifest | None) -> None:
    """Remove the files that a stored manifest lists as removed. They stay listed until the next publication
    sees that they no longer exist; so what a store refuses to remove now is removed then."""
    for name in () if manifest is None else manifest.removed:
        try:
            store.delete(name)
        except Exception as error:  # what is current is switched already
            reason = error if isinstance(error, StoreError) else type(error).__name__
            log.warning(
                "A replaced file could not be removed; the next pull of its day tries again: %s", reason
            )
            return
