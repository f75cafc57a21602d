"""The files of a destination root compared with its manifests."""

from __future__ import annotations

import hashlib
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files import formats, layout
from airflow_provider_np6.destinations.files.day import StoredDay
from airflow_provider_np6.destinations.files.header import read_header
from airflow_provider_np6.destinations.files.publication import SLOW_WRITER
from airflow_provider_np6.destinations.files.read import (
    list_data_files,
    list_manifests,
    map_at_once,
    read_listed,
    read_manifest,
    type_keys,
)
from airflow_provider_np6.destinations.files.storage import find_file
from airflow_provider_np6.destinations.files.storage.local import TEMPORARY
from airflow_provider_np6.destinations.inventory import Checked, PendingVerification, overlapping
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.window import DAY, Window, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
    from airflow_provider_np6.destinations.files.storage import Entry, Store

_BLOCK = 1024 * 1024
_TRIES = 10


def verification(store: Store, *, read_files: bool, remove_orphans: bool) -> PendingVerification:
    """Size, sha256 and number of events of each data file, what was set aside, windows that overlap, erasures
    that are not finished, and files that no manifest names.

    :raises Np6InputError: if there are no manifests.
    """
    type_keys(store)
    # Data first: what has no manifest yet when it is listed may have one afterwards.
    files = list(list_data_files(store))
    entries = list(list_manifests(store, ""))
    header = read_header(store)
    erasures = 0 if header is None else header[0].erasures
    checks = _Verifier(store, files, erasures, read_files=read_files)
    return PendingVerification(len(entries), checks.run(entries, remove_orphans=remove_orphans))


class _Verifier:
    """Checks manifest by manifest.

    :param files: all data and quarantine files, listed before the manifests.
    :param erasures: version of the erasure list.
    """

    def __init__(self, store: Store, files: Iterable[Entry], erasures: int, *, read_files: bool) -> None:
        self._store = store
        self._sizes = {entry.name: entry.size for entry in files}
        self._erasures = erasures
        self._read_files = read_files
        self._named: set[str] = set()

    def run(self, entries: Iterable[Entry], *, remove_orphans: bool) -> Iterator[Checked]:
        for entry, manifest in map_at_once(self._store, self._read, entries):
            if isinstance(manifest, Np6DestinationError):
                yield Checked(self._store.path(entry.name), manifest.what)
            elif manifest is not None:
                yield from self._check(entry.name, manifest)
        yield from self._orphans(remove=remove_orphans)
        yield from self._temporaries(remove=remove_orphans)
        if remove_orphans:
            self._store.abort_uploads("", before=time.time() - SLOW_WRITER)

    def _read(self, entry: Entry) -> tuple[Entry, Manifest | Np6DestinationError | None]:
        try:
            return entry, read_listed(self._store, entry)
        except Np6DestinationError as error:
            return entry, error

    def _check(self, name: str, manifest: Manifest) -> Iterator[Checked]:
        """One manifest; if it was replaced while its files were read, the new one."""
        checks: list[Checked] = []
        for _ in range(_TRIES):
            checks = list(self._check_once(name, manifest))
            if not any(check.problem for check in checks):
                break
            again = read_manifest(self._store, name)
            if again is None or again.token == manifest.token:
                break
            manifest = again
        self._named |= manifest.names
        yield from checks

    def _check_once(self, name: str, manifest: Manifest) -> Iterator[Checked]:
        path = self._store.path(name)
        place = layout.parse_manifest(name)
        series = None if place is None else layout.parse_series(place[0])
        stated = (manifest.event_type, manifest.classification, manifest.action_id)
        if (
            series is None
            or place is None
            or stated
            != (
                series.event_type,
                series.classification,
                series.action_id,
            )
        ):
            yield Checked(path, f"it is the manifest of {manifest.event_type} of {manifest.action_id}")
            return
        day = Window(start := parse_time("date", place[1]), start + DAY)
        if manifest.date != place[1] or not all(day.contains(part.window) for part in manifest.slices):
            yield Checked(path, f"it has slices of another day than {place[1]}")
        if manifest.erasures < self._erasures and manifest.slices:
            yield Checked(path, "an erasure is not finished: call erase() again")
        yield from overlapping((series, slice_.window) for slice_ in manifest.slices)
        for slice_ in manifest.slices:
            try:
                self._check_slice(slice_)
            except Np6DestinationError as error:
                yield Checked(f"{path}, window {slice_.window}", error.what, window=True)
            else:
                yield Checked(path, window=True, events=slice_.events, bytes=slice_.bytes)

    def _check_slice(self, slice_: Slice) -> None:
        if self._read_files or slice_.data is None:
            verify_slice(self._store, slice_)
        elif self._sizes.get(slice_.data) != slice_.bytes:
            _check_size(self._store, slice_)  # it may be newer than the listing
        if slice_.quarantine is not None and self._read_files:
            stored = self._store.read(slice_.quarantine)
            invalid = 0 if stored is None else stored.data.count(b"\n")
            if invalid != slice_.invalid:
                raise Np6DestinationError(
                    f"the manifest records {slice_.invalid} invalid events, and its quarantine file has"
                    f" {invalid}"
                )

    def _temporaries(self, *, remove: bool) -> Iterator[Checked]:
        """What killed processes left right below the root: probes, and files that were being put."""
        for start, end in ((layout.PROBE, layout.PROBES_END), (TEMPORARY, f"{TEMPORARY}~")):
            for entry in self._store.list_files("", start, end):
                if remove:
                    self._store.delete(entry.name)
                yield Checked(self._store.path(entry.name), orphan=True)

    def _orphans(self, *, remove: bool) -> Iterator[Checked]:
        by_day: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._sizes.keys() - self._named):
            by_day[layout.manifest_of(name)].append(name)
        for manifest_name, names in by_day.items():
            day = StoredDay.named(self._store, manifest_name)
            if day is None:  # in the folder of no day: it is left to users
                yield from (Checked(self._store.path(name), orphan=True) for name in names)
                continue
            day.list_files()  # a pull may have replaced and removed some
            try:
                day.read()
            except Np6DestinationError:
                continue  # it is a problem already, and nobody knows what it names
            orphans = [name for name in names if name in day.files.entries and name not in day.names]
            if remove and orphans:
                remove_orphans(day, math.inf)
            for name in orphans:
                yield Checked(self._store.path(name), orphan=True)


def remove_orphans(day: StoredDay, before: float) -> None:
    """Remove the files of a day that its manifest does not name: they are listed as removed first, so that no
    slow writer can still name them.

    :param before: those that were last modified before; seconds since the epoch.
    """
    day.list_files()
    day.create(0)

    def condemn(manifest: Manifest) -> Manifest | None:
        orphans = day.unreferenced(before)
        if not orphans and not manifest.removed:
            return None
        return manifest.with_slices(manifest.slices, erasures=manifest.erasures, orphans=orphans)

    day.change(condemn)


def verify_slice(store: Store, slice_: Slice) -> None:
    """Compare a slice's data file with its manifest: size, sha256 and number of events.

    :param store: the destination root's.
    :param slice_: of a manifest.
    :raises Np6DestinationError: if they differ, or the file does not exist.
    """
    if slice_.data is None:
        if slice_.events:
            raise _differs(slice_, "is not named")
        return
    try:
        with store.open(slice_.data) as file:
            sha256, size = hashlib.sha256(), 0
            while block := file.read(_BLOCK):
                sha256.update(block)
                size += len(block)
            if (size, sha256.hexdigest()) != (slice_.bytes, slice_.sha256):
                raise _differs(slice_, "differs in size or sha256 from its manifest")
            file.seek(0)
            events = formats.count(file, slice_.format)
    except FileNotFoundError:
        raise _differs(slice_, "does not exist") from None
    if events != slice_.events:
        raise _differs(slice_, f"has {events} events, and its manifest records {slice_.events}")


def _check_size(store: Store, slice_: Slice) -> None:
    """Compare a data file's size alone."""
    entry = find_file(store, str(slice_.data))
    size = None if entry is None else entry.size
    if size != slice_.bytes:
        raise _differs(slice_, "does not exist" if size is None else f"has {size} bytes, not {slice_.bytes}")


def _differs(slice_: Slice, what: str) -> Np6DestinationError:
    return Np6DestinationError(f"the data file {slice_.data} {what}", hint="Pull its window again.")
