"""What the manifests of a destination root record."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_np6.destinations.coverage import CountedWindow
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
from airflow_provider_np6.destinations.inventory import Scope, StoredWindow
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, check_event_type
from airflow_provider_np6.np6.window import DAY, Window, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Entry, Store
    from airflow_provider_np6.np6.query import EventQuery

_CACHED = 8_192
"""Manifests that a process keeps, of all destinations."""

_AT_ONCE = 16
"""Requests to a store at a time."""

_TRIES = 10
"""Times that a day is read whose files are being replaced."""

T = TypeVar("T")
R = TypeVar("R")


class _Cache:
    """The manifests that were read last, each with the version that it was listed with."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._manifests: OrderedDict[str, tuple[str, Manifest]] = OrderedDict()

    def get(self, path: str, version: str) -> Manifest | None:
        with self._lock:
            stored = self._manifests.get(path)
            if stored is None or stored[0] != version:
                return None
            self._manifests.move_to_end(path)
            return stored[1]

    def put(self, path: str, version: str, manifest: Manifest) -> None:
        with self._lock:
            self._manifests[path] = (version, manifest)
            while len(self._manifests) > _CACHED:
                self._manifests.popitem(last=False)


_cache = _Cache()


def map_at_once(store: Store, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``work`` done for each item, in order; several at a time where each takes a request."""
    if not store.is_remote:
        yield from map(work, items)
        return
    left = iter(items)
    with ThreadPoolExecutor(_AT_ONCE, "np6-reading") as threads:
        while batch := list(islice(left, 8 * _AT_ONCE)):
            yield from threads.map(work, batch)


def read_manifest(store: Store, name: str) -> Manifest | None:
    """A manifest as it is stored now; None if it does not exist.

    :raises Np6DestinationError: if it cannot be read.
    """
    stored = store.read(name)
    return None if stored is None else Manifest.decode(stored.data, store.path(name))


def read_listed(store: Store, entry: Entry) -> Manifest | None:
    """A manifest that a listing has; read only if its version is not the one that was read before."""
    path = store.path(entry.name)
    manifest = _cache.get(path, entry.version)
    if manifest is None:
        manifest = read_manifest(store, entry.name)
        if manifest is not None:
            _cache.put(path, entry.version, manifest)
    return manifest


def list_manifests(store: Store, folder: str, span: Window | None = None) -> Iterator[Entry]:
    """The manifests of a series folder, or of all if it is "", in order.

    :param span: those of its days; None for all days, without which the folder may be any.
    """
    place = f"{layout.MANIFESTS}/{folder}".rstrip("/")
    limits = ("", "")
    if span is not None:
        last = Window(span.end - 1, span.end)
        limits = (
            layout.manifest_name(folder, span.date),
            f"{layout.manifest_name(folder, last.date)}\0",
        )
    for entry in store.list_files(place, *limits):
        if layout.parse_manifest(entry.name) is not None:
            yield entry


def list_data_files(store: Store) -> Iterator[Entry]:
    """All data and quarantine files, and temporaries of these."""
    for folder in ("", layout.QUARANTINE):
        for key in store.list_folders(folder):
            if key.startswith("type="):
                place = f"{folder}/{key}".lstrip("/")
                yield from (
                    entry for entry in store.list_files(place) if layout.parse_data(entry.name) is not None
                )


def read_manifests(store: Store, query: EventQuery) -> Iterator[Manifest]:
    """The manifests of the days that a query's window touches, in order of time."""
    entries = list_manifests(store, layout.series_folder(query), query.window)
    for manifest in map_at_once(store, partial(read_listed, store), entries):
        if manifest is not None:
            yield manifest


def read_slices(store: Store, query: EventQuery) -> Iterator[Slice]:
    """The stored slices that a query's window touches, in order of time."""
    for manifest in read_manifests(store, query):
        yield from manifest.overlapping(query.window)


def read_counted_windows(store: Store, query: EventQuery) -> list[CountedWindow]:
    """The slices that a query's window touches and whose data exists, expired ones too."""
    return [
        CountedWindow(slice_.window, slice_.events, slice_.invalid, is_expired=slice_.expired)
        for slice_ in _existing_slices(store, layout.series_folder(query), query.window)
    ]


def _existing_slices(store: Store, folder: str, span: Window, *, at_once: bool = True) -> Iterator[Slice]:
    """The slices that ``span`` touches and whose data file exists.

    :param at_once: whether to read several manifests at a time.
    :raises Np6DestinationError: if pulls replace a day time and again meanwhile.
    """
    entries = list(list_manifests(store, folder, span))
    read = partial(read_listed, store)
    manifests = list(map_at_once(store, read, entries) if at_once else map(read, entries))
    # Data after manifests: a file that is missing then is lost, or its manifest was replaced before that.
    existing = (
        _list_data(store, folder, span) if any(manifest and manifest.names for manifest in manifests) else {}
    )
    for entry, listed in zip(entries, manifests, strict=True):
        manifest = listed
        for _ in range(_TRIES):
            if manifest is None or _lost(manifest, existing) == []:
                break
            again = read_manifest(store, entry.name)
            if again is None or again.token == manifest.token:
                break
            manifest = again
            existing.update(_list_data(store, folder, _day(manifest)))
        else:
            raise Np6DestinationError(
                f"the manifest {store.path(entry.name)} is replaced each time that it is read",
                hint="Try again when fewer pulls of that day run.",
            )
        if manifest is not None:
            lost = {id(slice_) for slice_ in _lost(manifest, existing)}
            yield from (slice_ for slice_ in manifest.overlapping(span) if id(slice_) not in lost)


def _lost(manifest: Manifest, existing: dict[str, int]) -> list[Slice]:
    return [slice_ for slice_ in manifest.slices if slice_.data and slice_.data not in existing]


def _list_data(store: Store, folder: str, span: Window) -> dict[str, int]:
    last = Window(span.end - 1, span.end)
    limits = (
        layout.day_folder(folder, span.date),
        f"{layout.day_folder(folder, last.date)}0",
    )  # "0" follows "/"
    return {entry.name: entry.size for entry in store.list_files(folder, *limits)}


def _day(manifest: Manifest) -> Window:
    start = parse_time("date", manifest.date)
    return Window(start, start + DAY)


def read_action_ids(store: Store, event_type: str) -> list[str]:
    """Ids of the actions that have manifests, in order; ``"*"`` among them if all were pulled at once."""
    key = layout.type_key(check_event_type(event_type))
    series = [
        layout.parse_series(f"{key}/{name}") for name in store.list_folders(f"{layout.MANIFESTS}/{key}")
    ]
    ids = {found.action_id for found in series if found is not None}
    return sorted(ids, key=lambda action_id: (action_id != ALL_ACTIONS, action_id))


def type_keys(store: Store) -> list[str]:
    """The partitions of event types that have manifests, in order.

    :raises Np6InputError: if there are none.
    """
    keys = [name for name in store.list_folders(layout.MANIFESTS) if name.startswith("type=")]
    if not keys:
        raise Np6InputError(
            f"there are no manifests below {store.path()}",
            hint="Check the path: nothing was ever pulled into it.",
        )
    return keys


def series_folders(store: Store, keys: Sequence[str]) -> Iterator[str]:
    """The series folders of some event types, in order."""
    for key in keys:
        for name in store.list_folders(f"{layout.MANIFESTS}/{key}"):
            if layout.parse_series(f"{key}/{name}") is not None:
                yield f"{key}/{name}"


def read_stored_windows(store: Store, scope: Scope) -> Iterator[StoredWindow]:
    """The slices of a scope whose data exists, expired ones too.

    :raises Np6InputError: if there are no manifests at all.
    :raises Np6DestinationError: if one of those cannot be read.
    """
    folders = [
        folder
        for folder in series_folders(store, type_keys(store))
        if (series := layout.parse_series(folder)) is not None and scope.holds(series)
    ]
    # Each folder takes few requests, and there may be many folders.
    for windows in map_at_once(store, lambda folder: _stored_windows(store, folder, scope.span), folders):
        yield from windows


def _stored_windows(store: Store, folder: str, span: Window) -> list[StoredWindow]:
    series = layout.parse_series(folder)
    assert series is not None  # noqa: S101 - others are not listed
    return [
        StoredWindow(
            series,
            slice_.window,
            empty=not slice_.events,
            invalid=bool(slice_.invalid),
            expired=slice_.expired,
        )
        for slice_ in _existing_slices(store, folder, span, at_once=False)
    ]
