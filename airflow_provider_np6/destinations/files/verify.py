"""A tree of files compared with its manifests: every data file is read, and nothing is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files import formats, layout
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.read import Slot, slots, type_keys
from airflow_provider_np6.destinations.inventory import Checked, PendingVerification, Series, overlapping
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.window import iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store


_BLOCK = 1024 * 1024


def verification(store: Store, *, read_files: bool = True) -> PendingVerification:
    """Size, sha256 and number of events of each data file, what was set aside, windows that overlap, and data
    that no manifest vouches for.

    :raises Np6InputError: if there are no manifests.
    """
    # Data first: what has no manifest yet when it is listed may have one afterwards.
    filled = layout.type_keys_in(store.names(""))
    keys = sorted({*type_keys(store), *filled})  # a first pull may have been killed before its manifest
    data = {
        (folder, name)
        for key in keys
        for folder, names in store.names_below(key).items()
        for name in layout.parse_windows(names)
    }
    found = {slot.manifest: slot for key in keys for slot in slots(store, key)}
    return PendingVerification(len(found), _checks(store, found, data, read_files=read_files))


def _checks(
    store: Store, found: Mapping[tuple[str, str], Slot], data: set[tuple[str, str]], *, read_files: bool
) -> Iterator[Checked]:
    yield from overlapping((slot.series, slot.window) for slot in found.values())
    for file, text in store.read_each(found):
        name, slot = store.path(*file), found[file]
        try:
            manifest = Manifest.decode(text)
            if manifest.events:  # an empty slice has no file: what stands there was left behind
                data.discard((slot.folder, f"{slot.window.stem}.{manifest.format}"))
            _check_slice(store, slot, manifest, read_files=read_files)
        except Np6DestinationError as error:
            yield Checked(name, error.what, window=True)
        else:
            yield Checked(name, window=True, events=manifest.events, bytes=manifest.bytes)
    for folder, file_name in sorted(data):
        if store.size(folder, file_name) is not None:  # no pull has removed it since
            yield Checked(store.path(folder, file_name), "no manifest vouches for it")


def _check_slice(store: Store, slot: Slot, manifest: Manifest, *, read_files: bool) -> None:
    says = Series(manifest.event_type, manifest.classification, manifest.action_id)
    window = (manifest.window_start, manifest.window_end)
    if (says, window) != (slot.series, (iso(slot.window.start), iso(slot.window.end))):
        raise Np6DestinationError(f"it stands in the place of another: it is of {says}, from {window[0]}")
    own = f"{slot.folder}/{slot.window.stem}.{manifest.format}" if manifest.events else None
    if manifest.data != own:
        raise Np6DestinationError(f"it names the data file {manifest.data}, and not its own")
    verify_slice(store, manifest, read_files=read_files)
    aside = f"{layout.QUARANTINE}/{slot.folder}"
    try:
        invalid = store.read(aside, f"{slot.window.stem}.bad").count(b"\n")
    except FileNotFoundError:
        invalid = 0
    if invalid != manifest.invalid:
        raise Np6DestinationError(f"it tells of {manifest.invalid} events set aside, and there are {invalid}")


def verify_slice(store: Store, manifest: Manifest, *, read_files: bool = True) -> None:
    """Compare a slice's data file with its manifest: size, sha256 and number of events.

    :param store: the destination root's.
    :param manifest: the slice's.
    :param read_files: whether to read the file; otherwise only its size is compared.
    :raises Np6DestinationError: if they differ, or the file does not exist.
    """
    if manifest.data is None:
        return
    folder, name = manifest.data.rsplit("/", 1)
    if not read_files:
        size_only = store.size(folder, name)
        if size_only != manifest.bytes:
            raise _differs(manifest, "is gone" if size_only is None else f"has {size_only} bytes")
        return
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
