"""Old slices removed from a destination root, and marked so that nobody takes them for missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files.day import StoredDay
from airflow_provider_np6.destinations.files.read import list_manifests, series_folders, type_keys
from airflow_provider_np6.np6.window import DAY, Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
    from airflow_provider_np6.destinations.files.storage import Store


def expire_slices(store: Store, before: int) -> dict[str, int]:
    """Remove the data and quarantine files of slices that end at or before a time.

    :param before: ms since the epoch.
    :return: ``slices``, ``events``, ``files`` and ``bytes`` that were removed.
    :raises Np6InputError: if nothing was ever pulled into the root.
    """
    counts: Counter[str] = Counter(slices=0, events=0, files=0, bytes=0)
    span = Window(-DAY, max(before, 1))
    for folder in series_folders(store, type_keys(store)):
        for entry in list_manifests(store, folder, span):
            day = StoredDay.named(store, entry.name)
            if day is not None:
                counts.update(_expire_day(day, before))
    return dict(counts)


def _expire_day(day: StoredDay, before: int) -> Counter[str]:
    removed: list[Slice] = []

    def change(manifest: Manifest) -> Manifest | None:
        removed[:] = [
            slice_ for slice_ in manifest.slices if slice_.window.end <= before and not slice_.expired
        ]
        if not removed:
            return None
        slices = [_expired(slice_) if slice_ in removed else slice_ for slice_ in manifest.slices]
        return manifest.with_slices(slices, erasures=manifest.erasures)

    day.change(change)
    return Counter(
        slices=len(removed),
        events=sum(slice_.events for slice_ in removed),
        files=sum(len(slice_.names) for slice_ in removed),
        bytes=sum(slice_.bytes for slice_ in removed),
    )


def _expired(slice_: Slice) -> Slice:
    """The slice without its events: it counts as empty, and a later pull stores it again."""
    return replace(
        slice_,
        data=None,
        events=0,
        invalid=0,
        quarantine=None,
        quarantine_sha256=None,
        first_timestamp=None,
        last_timestamp=None,
        bytes=0,
        sha256=None,
        expired=True,
    )
