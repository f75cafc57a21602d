"""The manifest of a slice, the proof of what its data file holds; and what a tree's manifests cover.

``manifest.schema.json`` beside this module describes a manifest to other programs. From a task::

    found = coverage("s3://aws_default@lake/np6", "bounces", "000PE4", "2026-11-01", "2026-12-01")
    if found.missing:
        ...
"""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from airflow_provider_np6 import __version__
from airflow_provider_np6.destinations.coverage import Coverage, Held, to_coverage
from airflow_provider_np6.destinations.files import formats, layout
from airflow_provider_np6.destinations.files.storage import Store, store_at
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, check_version
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import Window, parse_time

VERSION = 1

_BLOCK = 1024 * 1024
_LOOKS = 10
"""Times that a day is looked at whose slices are just replaced."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What one slice holds. Times are ISO UTC with ms.

    :param data: path of the data file below the root; None for an empty slice.
    :param first_timestamp: smallest timestamp among the events, None if there are none.
    :param last_timestamp: largest timestamp.
    :param bytes: size of the data file.
    :param sha256: of the data file, in hexadecimal.
    :param requests: requests that the whole pull took.
    :param pulled_at: when the pull began.
    """

    event_type: str
    action_id: str
    classification: str
    window_start: str
    window_end: str
    format: str
    data: str | None
    events: int
    invalid: int
    first_timestamp: str | None
    last_timestamp: str | None
    bytes: int
    sha256: str | None
    requests: int
    pulled_at: str
    account: str
    personal_data: str
    provider_version: str = __version__
    version: int = VERSION

    @property
    def window(self) -> Window:
        """The slice's window."""
        return Window(
            parse_time("window_start", self.window_start), parse_time("window_end", self.window_end)
        )

    def encode(self) -> builtins.bytes:
        """As JSON, a field a line."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: builtins.bytes) -> Manifest:
        """Read one; fields that later releases added are passed over.

        :raises Np6DestinationError: if it is none.
        :raises Np6ConflictError: if it is of a later format.
        """
        try:
            fields = json.loads(data)
            check_version("a manifest", fields["version"], VERSION)
            return cls(**{name: fields[name] for name in cls.__dataclass_fields__})
        except (ValueError, TypeError, KeyError):
            raise Np6DestinationError("a manifest cannot be read", hint="Pull its window again.") from None


def coverage(
    path: str,
    event_type: str,
    action_id: str,
    start: object,
    end: object,
    *,
    classification: str | None = None,
    conn_id: str | None = None,
) -> Coverage:
    """What a tree of files holds of ``[start, end)``, by its manifests; no data file is opened.

    :param path: root of the tree, as in :class:`FileDestination`.
    :param action_id: an action's id, or ``"*"`` for what was pulled for all of them.
    :param start: an aware datetime, a date, or a text with an offset; a date alone means midnight UTC.
    :param end: likewise; not in the span any more.
    :param classification: the classes of robots whose hits were pulled.
    :raises Np6InputError: for arguments that cannot be used.
    :raises Np6DestinationError: if the tree or one of its manifests cannot be read.
    :raises Np6ConflictError: if one of them is of a later format.
    """
    query = EventQuery.between(event_type, action_id, start, end, classification)
    return to_coverage(query.window, held(store_at(path, conn_id), query))


def held(store: Store, query: EventQuery) -> Iterator[Held]:
    """The slices of a query's dataset and action that its window touches and whose data is there."""
    for found in _found(store, query, with_data=True):
        yield Held(found.window, found.events, found.invalid)


def manifests(
    path: str,
    event_type: str,
    action_id: str,
    start: object,
    end: object,
    *,
    classification: str | None = None,
    conn_id: str | None = None,
) -> list[Manifest]:
    """The manifests of slices that ``[start, end)`` touches, in order of time; see :func:`coverage`."""
    return list(
        _found(store_at(path, conn_id), EventQuery.between(event_type, action_id, start, end, classification))
    )


def data_files(
    path: str,
    event_type: str,
    action_id: str,
    start: object,
    end: object,
    *,
    classification: str | None = None,
    conn_id: str | None = None,
) -> list[str]:
    """Paths of the data files that manifests vouch for, in order of time; empty slices have none."""
    store = store_at(path, conn_id)
    found = _found(store, EventQuery.between(event_type, action_id, start, end, classification))
    return [store.path("", manifest.data) for manifest in found if manifest.data]


def actions(path: str, event_type: str, *, conn_id: str | None = None) -> list[str]:
    """Ids of the actions that a tree has manifests of, ``"*"`` among them if all were pulled at once."""
    query = EventQuery.checked(event_type, ALL_ACTIONS, Window(0, 1))
    names = store_at(path, conn_id).names(f"{layout.MANIFESTS}/{layout.type_key(query)}")
    keys = sorted(name.removeprefix("action=") for name in names if name.startswith("action="))
    return [ALL_ACTIONS if key == layout.ALL_ACTIONS_KEY else key for key in keys]


def verify(path: str, manifest: Manifest, *, conn_id: str | None = None) -> None:
    """Read a slice's data file and compare it with its manifest: size, sha256 and number of events.

    :raises Np6DestinationError: if they differ, or there is no such file.
    """
    verify_in(store_at(path, conn_id), manifest)


def verify_in(store: Store, manifest: Manifest) -> None:
    """The same, in a tree that is open."""
    if manifest.data is None:
        return
    folder, name = manifest.data.rsplit("/", 1)
    try:
        with store.open(folder, name) as file:
            sha256, size = hashlib.sha256(), 0
            while block := file.read(_BLOCK):
                sha256.update(block)
                size += len(block)
            if (size, sha256.hexdigest()) != (manifest.bytes, manifest.sha256):
                raise _differs(manifest, f"has {size} bytes, or a sha256, other than its manifest says")
            file.seek(0)
            events = formats.count(file, manifest.format)
    except FileNotFoundError:
        raise _differs(manifest, "is gone") from None
    if events != manifest.events:
        raise _differs(manifest, f"holds {events} events, and its manifest says {manifest.events}")


def _differs(manifest: Manifest, what: str) -> Np6DestinationError:
    return Np6DestinationError(f"the data file {manifest.data} {what}", hint="Pull its window again.")


def _found(store: Store, query: EventQuery, *, with_data: bool = False) -> Iterator[Manifest]:
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
    stored = _windows(store, folder)
    found = []
    for name, window in sorted(stored.items(), key=lambda found: found[1]):
        if not window.overlaps(query.window) or is_replaced(window, stored.values()):
            continue
        try:
            data = store.read(folder, name)
        except FileNotFoundError:
            return None
        found.append(decoded(store, (folder, name), data))
    if not with_data:
        return found
    there = [manifest for manifest in found if manifest.data is None or _is_there(store, manifest.data)]
    return there if there == found or _windows(store, folder) == stored else None


def _windows(store: Store, folder: str) -> dict[str, Window]:
    return layout.parse_windows(name for name in store.names(folder) if name.endswith(".json"))


def decoded(store: Store, file: tuple[str, str], data: builtins.bytes) -> Manifest:
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


def is_replaced(window: Window, stored: Collection[Window]) -> bool:
    """Whether a larger slice stands there too: it came later, for a smaller one inside of it is refused,
    and its pull is about to remove this one, or was killed before it could."""
    return any(other != window and other.contains(window) for other in stored)


def _is_there(store: Store, data: str) -> bool:
    folder, name = data.rsplit("/", 1)
    return name in store.names(folder)
