"""What a destination root has on record: by listing its manifests, and by reading those of one series."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_np6.destinations.coverage import CountedWindow
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.inventory import Scope, Series, StoredWindow
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery, check_event_type
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store

_LOOKS = 10
"""Times that a day is read whose slices are being replaced."""


def read_counted_windows(store: Store, query: EventQuery) -> list[CountedWindow]:
    """The slices of a query's series and action that its window touches and whose data exists."""
    manifests = read_manifests(store, query, with_data=True)
    return [CountedWindow(manifest.window, manifest.events, manifest.invalid) for manifest in manifests]


def check_manifest_format(store: Store, folder: str, name: str) -> None:
    """Refuse to replace what a later version of the provider wrote.

    :param store: the destination root's.
    :param folder: partition of the slice.
    :param name: of its manifest.
    :raises Np6ConflictError: if the manifest is of a later format.
    """
    folder = f"{layout.MANIFESTS}/{folder}"
    try:
        Manifest.decode(store.read(folder, name))
    except Np6ConflictError as error:
        raise error.at(store.path(folder, name)) from None
    except (Np6DestinationError, FileNotFoundError):
        return  # one that cannot be read is replaced; one that is gone was replaced just now


def read_action_ids(store: Store, event_type: str) -> list[str]:
    """Ids of the actions that have manifests, ``"*"`` among them if all were pulled at once."""
    key = layout.type_key(EventQuery(check_event_type(event_type), ALL_ACTIONS, Window(0, 1)))
    names = store.names(f"{layout.MANIFESTS}/{key}")
    keys = sorted(name.removeprefix("action=") for name in names if name.startswith("action="))
    return [ALL_ACTIONS if key == layout.ALL_ACTIONS_KEY else key for key in keys]


def read_manifests(store: Store, query: EventQuery, *, with_data: bool = False) -> Iterator[Manifest]:
    """The manifests of slices that a query's window touches, in order of time.

    :param with_data: whether to leave out those whose data is gone.
    :raises Np6DestinationError: if pulls replace a day's slices time and again meanwhile.
    """
    for day in query.window.days():
        looks = (_stored_now(store, query, day, with_data=with_data) for _ in range(_LOOKS))
        found = next((manifests for manifests in looks if manifests is not None), None)
        if found is None:
            raise Np6DestinationError(
                f"the slices of {day.date} change while they are looked at",
                hint="Ask again once fewer pulls of that day are under way.",
                context=query.description,
            )
        yield from found


def _stored_now(store: Store, query: EventQuery, day: Window, *, with_data: bool) -> list[Manifest] | None:
    """Those of one day; None if a pull has replaced slices meanwhile: what came instead was not looked at."""
    folder = f"{layout.MANIFESTS}/{layout.partition(query, day)}"
    stored = _manifest_windows(store, folder)
    found = []
    for name, window in sorted(stored.items(), key=lambda found: found[1]):
        if not window.overlaps(query.window) or _is_replaced(window, stored.values()):
            continue
        try:
            data = store.read(folder, name)
        except FileNotFoundError:
            return None
        found.append(decode_manifest(store, (folder, name), data))
    if not with_data:
        return found
    there = [manifest for manifest in found if manifest.data is None or _is_there(store, manifest.data)]
    return there if there == found or _manifest_windows(store, folder) == stored else None


def _manifest_windows(store: Store, folder: str) -> dict[str, Window]:
    return layout.parse_windows(name for name in store.names(folder) if name.endswith(".json"))


def decode_manifest(store: Store, file: tuple[str, str], data: bytes) -> Manifest:
    """The manifest in the bytes of a file, which an error names.

    :param file: folder and name.
    :raises Np6DestinationError: if it is none.
    :raises Np6ConflictError: if it is of a later format.
    """
    try:
        return Manifest.decode(data)
    except Np6ConflictError as error:
        raise error.at(store.path(*file)) from None
    except Np6DestinationError:
        raise Np6DestinationError(
            f"the manifest {store.path(*file)} cannot be read", hint="Pull its window again."
        ) from None


def _is_replaced(window: Window, stored: Collection[Window]) -> bool:
    """Whether a larger slice stands there too: it came later, for a smaller one inside of it is refused,
    and its pull is about to remove this one, or was killed before it could."""
    return any(other != window and other.contains(window) for other in stored)


def _is_there(store: Store, data: str) -> bool:
    folder, name = data.rsplit("/", 1)
    return name in store.names(folder)


class Slot(NamedTuple):
    """The place of one slice.

    :param folder: of its data below the root, of its manifest below :data:`layout.MANIFESTS`, and of what was
        set aside below :data:`layout.QUARANTINE`.
    """

    folder: str
    window: Window
    series: Series

    @property
    def manifest(self) -> tuple[str, str]:
        """Folder and name of its manifest."""
        return f"{layout.MANIFESTS}/{self.folder}", f"{self.window.stem}.json"


def type_keys(store: Store) -> list[str]:
    """The partitions of event types that there are manifests of.

    :raises Np6InputError: if there are none.
    """
    keys = layout.type_keys_in(store.names(layout.MANIFESTS))
    if not keys:
        raise Np6InputError(
            f"there are no manifests below {store.path('')}",
            hint="Check the path: nothing was ever pulled into it.",
        )
    return keys


def slots(store: Store, key: str) -> list[Slot]:
    """The slices of one event type that have a manifest, by one listing, in order of action and time."""
    found = []
    for path, names in sorted(store.names_below(f"{layout.MANIFESTS}/{key}").items()):
        folder = path.removeprefix(f"{layout.MANIFESTS}/")
        series = layout.parse_series(folder)
        if series is not None:
            windows = layout.parse_windows(name for name in names if name.endswith(".json"))
            found += [Slot(folder, window, series) for window in sorted(windows.values())]
    return found


def read_stored_windows(store: Store, scope: Scope) -> Iterator[StoredWindow]:
    """The slices that manifests record and whose data is there, by three listings an event type.

    Only the manifests without a data file are opened: an empty slice has none, and data may be gone.

    :raises Np6InputError: if there are no manifests at all.
    :raises Np6DestinationError: if one of those cannot be read.
    :raises Np6ConflictError: if one of those is of a later format.
    """
    for key in type_keys(store):
        found = [slot for slot in _standing(slots(store, key)) if slot.window.overlaps(scope.span)]
        found = [slot for slot in found if scope.holds(slot.series)]
        if found:
            yield from _recorded(store, key, found)


def _recorded(store: Store, key: str, found: list[Slot]) -> Iterator[StoredWindow]:
    filled = _windows(store.names_below(key))
    aside = _windows(store.names_below(f"{layout.QUARANTINE}/{key}"))
    without = {slot.manifest: slot for slot in found if slot.window not in filled.get(slot.folder, ())}
    empty = {
        without[file]
        for file, data in store.read_each(without)
        if decode_manifest(store, file, data).data is None
    }
    for slot in found:
        if slot in empty or slot.window in filled.get(slot.folder, ()):
            invalid = slot.window in aside.get(f"{layout.QUARANTINE}/{slot.folder}", ())
            yield StoredWindow(slot.series, slot.window, empty=slot in empty, invalid=invalid)


def _windows(names: dict[str, list[str]]) -> dict[str, list[Window]]:
    return {folder: list(layout.parse_windows(each).values()) for folder, each in names.items()}


def _standing(found: Iterable[Slot]) -> Iterator[Slot]:
    """Those that no larger slice has replaced."""
    days: dict[str, list[Window]] = {}
    for slot in found:
        days.setdefault(slot.folder, []).append(slot.window)
    return (slot for slot in found if not _is_replaced(slot.window, days[slot.folder]))
