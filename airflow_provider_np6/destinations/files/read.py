"""What a tree of files has on record, by listing it: of 200 actions over a year, there are 73,000 slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import decoded, is_replaced
from airflow_provider_np6.destinations.inventory import Record, Scope, Series
from airflow_provider_np6.np6.errors import Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.np6.window import Window


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


def records(store: Store, scope: Scope) -> Iterator[Record]:
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


def _recorded(store: Store, key: str, found: list[Slot]) -> Iterator[Record]:
    filled = _windows(store.names_below(key))
    aside = _windows(store.names_below(f"{layout.QUARANTINE}/{key}"))
    without = {slot.manifest: slot for slot in found if slot.window not in filled.get(slot.folder, ())}
    empty = {
        without[file] for file, data in store.read_each(without) if decoded(store, file, data).data is None
    }
    for slot in found:
        if slot in empty or slot.window in filled.get(slot.folder, ()):
            invalid = slot.window in aside.get(f"{layout.QUARANTINE}/{slot.folder}", ())
            yield Record(slot.series, slot.window, empty=slot in empty, invalid=invalid)


def _windows(names: dict[str, list[str]]) -> dict[str, list[Window]]:
    return {folder: list(layout.parse_windows(each).values()) for folder, each in names.items()}


def _standing(found: Iterable[Slot]) -> Iterator[Slot]:
    """Those that no larger slice has replaced."""
    days: dict[str, list[Window]] = {}
    for slot in found:
        days.setdefault(slot.folder, []).append(slot.window)
    return (slot for slot in found if not is_replaced(slot.window, days[slot.folder]))
