"""Persons taken out of a tree of files: file by file, each with its manifest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_np6.destinations.files import formats, layout
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.read import check_manifest_format
from airflow_provider_np6.destinations.files.spool import SliceSpool
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verify import Events
from airflow_provider_np6.np6.window import iso
from airflow_provider_np6.privacy.erasure_filter import ErasureList
from airflow_provider_np6.privacy.subjects import Subject, match_subjects

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.header import Header
    from airflow_provider_np6.np6.window import Window
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms


class _Time(msgspec.Struct, gc=False):
    timestamp: int


_decode_times = msgspec.json.Decoder(list[_Time]).decode


class FileErasure:
    """Takes persons out of all that a tree holds, whatever the event type and action.

    They are put on the tree's list first, so that no pull brings them back; then each data file that tells
    of them is written anew without their events, and its manifest after it; and what killed pulls and
    erasures left, data without a manifest and temporaries, is removed whoever it tells of. What was begun and
    broke off is ended by doing it again.
    """

    def __init__(self, header: Header, given: Collection[str], pseudonyms: Pseudonyms) -> None:
        self._header = header
        self._store = header.store
        self._given = given
        self._pseudonyms = pseudonyms
        self._vouched: set[str] = set()

    def run(self) -> dict[str, int]:
        """``events`` taken out, and ``files`` written anew or removed."""
        recorded = self._header.recorded()
        if recorded is None:
            raise Np6InputError(
                "there is no tree of events", hint="Check the path: nothing was ever pulled into it."
            )
        self._header.check_owner(recorded["account"])
        self._persons = [Subject(given, recorded["personal_data"], self._pseudonyms) for given in self._given]
        try:
            with self._store.publication():
                for folder, name in self._manifests():
                    check_manifest_format(self._store, folder, name)
                self._again = self._list_persons()
                counts = [self._erase_slice(folder, name) for folder, name in self._manifests()]
                self._remove_orphans()
                for folder in self._folders(layout.QUARANTINE):
                    self._store.remove_abandoned(f"{layout.QUARANTINE}/{folder}")
                    for name in layout.parse_windows(self._store.names(f"{layout.QUARANTINE}/{folder}")):
                        self._erase_quarantine(f"{layout.QUARANTINE}/{folder}", name)
        finally:
            self._store.close()
        found = [count for count in counts if count]
        return {"events": sum(found), "files": len(found)}

    def _list_persons(self) -> bool:
        """Put the persons on the list; True if all of them were on it."""
        tokens = frozenset().union(*(person.tokens for person in self._persons))
        erased = self._header.read_erasure_list()
        known = frozenset() if erased is None else erased.require_key(self._pseudonyms).tokens
        if tokens <= known:
            return True
        data = ErasureList(self._pseudonyms.fingerprint, known | tokens).encode()
        self._store.put(self._header.spooled("", layout.ERASED, data), "", layout.ERASED)
        return False

    def _manifests(self) -> Iterator[tuple[str, str]]:
        for folder in self._folders(layout.MANIFESTS):
            names = self._store.names(f"{layout.MANIFESTS}/{folder}")
            for name in sorted(layout.parse_windows(name for name in names if name.endswith(".json"))):
                yield folder, name

    def _folders(self, root: str) -> Iterator[str]:
        """The partitions below a root."""
        folders = [""]
        for _ in range(layout.DEPTH):
            folders = [
                f"{folder}/{name}".lstrip("/")
                for folder in folders
                for name in sorted(self._store.names(f"{root}/{folder}".rstrip("/")))
            ]
        yield from folders

    def _erase_slice(self, folder: str, name: str) -> int:
        """Write one slice anew, if it tells of the persons; how many events it loses."""
        manifest = Manifest.decode(self._store.read(f"{layout.MANIFESTS}/{folder}", name))
        if manifest.data is None:
            return 0
        self._vouched.add(manifest.data)
        data = manifest.data.rsplit("/", 1)[1]
        # A file without its manifest's size is one whose manifest could not be written any more.
        unended = self._again and self._store.size(folder, data) != manifest.bytes
        if not unended and not any(any(self._hits(items)) for items in self._batches(folder, data, manifest)):
            return 0
        query = EventQuery(manifest.event_type, manifest.action_id, manifest.window, manifest.classification)
        slice_ = SliceSpool(self._store, query, manifest.window, manifest.format)
        for items in self._batches(folder, data, manifest):
            hits = self._hits(items)
            kept = [item for item, hit in zip(items, hits, strict=True) if not hit]
            if kept:
                times = _decode_times(b"".join((b"[", b",".join(kept), b"]")))
                slice_.write(Events(kept, [time.timestamp for time in times]))
        slice_.close()
        self._publish(slice_, manifest, name)
        return manifest.events - slice_.events

    def _publish(self, slice_: SliceSpool, old: Manifest, name: str) -> None:
        store, folder = self._store, slice_.folder
        new = replace(
            old,
            data=old.data if slice_.events else None,
            events=slice_.events,
            first_timestamp=None if slice_.first is None else iso(slice_.first),
            last_timestamp=None if slice_.last is None else iso(slice_.last),
            bytes=slice_.data.size if slice_.data else 0,
            sha256=slice_.data.sha256 if slice_.data else None,
        )
        manifest = self._header.spooled(f"{layout.MANIFESTS}/{folder}", name, new.encode())
        data = str(old.data).rsplit("/", 1)[1]
        if slice_.data is not None:
            store.put(slice_.data.path, folder, data)
        store.put(manifest, f"{layout.MANIFESTS}/{folder}", name)
        if slice_.data is None:
            self._vouched.discard(str(old.data))
            store.remove(folder, data)

    def _remove_orphans(self) -> None:
        for key in layout.type_keys_in(self._store.names("")):
            for folder, names in self._store.names_below(key).items():
                self._store.remove_abandoned(folder)
                for name, window in layout.parse_windows(names).items():
                    if not self._is_vouched_for(folder, name, window):
                        self._store.remove(folder, name)

    def _is_vouched_for(self, folder: str, name: str, window: Window) -> bool:
        data = f"{folder}/{name}"
        if data in self._vouched:
            return True
        try:  # a pull may have written it since, in a store that cannot lock
            manifest = self._store.read(f"{layout.MANIFESTS}/{folder}", f"{window.stem}.json")
        except FileNotFoundError:
            return False
        return Manifest.decode(manifest).data == data

    def _erase_quarantine(self, folder: str, name: str) -> None:
        """Leave of what may name the persons nothing but its reason, place and sha256."""
        lines = self._store.read(folder, name).splitlines()
        kept = [self._without(line) for line in lines]
        if kept != lines:
            data = b"".join(line + b"\n" for line in kept)
            self._store.put(self._header.spooled(folder, name, data), folder, name)

    def _without(self, line: bytes) -> bytes:
        record = json.loads(line)
        text = record.get("event")
        if text is None or not any(subject.is_maybe_in(text) for subject in self._persons):
            return line
        del record["event"]
        return json.dumps(record).encode()

    def _hits(self, items: Sequence[bytes]) -> list[bool]:
        return match_subjects(items, self._persons)

    def _batches(self, folder: str, data: str, manifest: Manifest) -> Iterator[list[bytes]]:
        with self._store.open(folder, data) as file:
            yield from formats.events(file, manifest.format)
