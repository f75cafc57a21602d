"""Persons removed from a destination root: the list first, then every manifest."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.extract import found_columns
from airflow_provider_np6.destinations.files import formats, layout
from airflow_provider_np6.destinations.files.day import StoredDay
from airflow_provider_np6.destinations.files.header import (
    Header,
    Patience,
    change_header,
    read_erasure_list,
    read_header,
)
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice, make_token
from airflow_provider_np6.destinations.files.read import list_data_files, list_manifests, read_listed
from airflow_provider_np6.destinations.files.spool import SliceSpool, SpooledSlice
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError
from airflow_provider_np6.destinations.requirements import check_owner
from airflow_provider_np6.destinations.spool_folder import spool_errors
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.events import Events
from airflow_provider_np6.np6.window import iso
from airflow_provider_np6.privacy.erasure_filter import ErasureList
from airflow_provider_np6.privacy.subjects import Subject, match_subjects

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms


class FileErasure:
    """Removes persons from everything below a destination root, whatever the event type and action.

    A pull that runs meanwhile either reads the new list, or its put is refused because its manifest was put
    again. An erasure that broke off is finished by calling it again.

    :param store: of the destination root.
    :param account: the connection's.
    :param persons: addresses, or other identities.
    :param pseudonyms: of the connection's key.
    :param folder: on the worker's disk.
    """

    def __init__(
        self, store: Store, account: str, persons: Collection[str], pseudonyms: Pseudonyms, folder: Path
    ) -> None:
        self._store = store
        self._account = account
        self._given = persons
        self._pseudonyms = pseudonyms
        self._folder = folder
        self._rewritten = 0

    def run(self) -> dict[str, int]:
        """Erase.

        :return: ``events`` removed, and ``files`` written again or removed.
        :raises Np6InputError: if nothing was ever pulled into the root.
        :raises Np6ConflictError: if it is another account's.
        """
        header = self._header()
        check_owner("the destination", header, self._account)
        self._persons = [Subject(person, header.personal_data, self._pseudonyms) for person in self._given]
        version = self._list_persons()
        self._store.abort_uploads("", before=time.time())
        names, events = self._all_days(), 0
        while names:
            events += sum(self._erase_day(name, version) for name in names)
            names = self._behind(version)
        return {"events": events, "files": self._rewritten}

    def _list_persons(self) -> int:
        """Put the persons on the erasure list, and its version into the header.

        :return: the version that has them all.
        """
        tokens = frozenset().union(*(person.tokens for person in self._persons))
        patience = Patience("the erasure list")
        while True:
            header = self._header()
            erased = read_erasure_list(self._store, header.erasures)
            known = frozenset() if erased is None else erased.require_key(self._pseudonyms).tokens
            if tokens <= known:
                return header.erasures
            version = header.erasures + 1
            data = ErasureList(self._pseudonyms.fingerprint, known | tokens).encode()
            try:
                self._store.put_if(layout.erasure_list_name(version), data, None)
            except ConditionRefusedError:
                # Another erasure's, which may have been killed before it was in the header.
                patience.wait()
            self._raise_version(version)

    def _raise_version(self, version: int) -> None:
        def change(header: Header | None) -> Header | None:
            header = header or self._header()
            return replace(header, erasures=version) if header.erasures < version else None

        change_header(self._store, change)

    def _header(self) -> Header:
        stored = read_header(self._store)
        if stored is None:
            raise Np6InputError(
                f"there is no destination at {self._store.path()}",
                hint="Check the path: nothing was ever pulled into it.",
            )
        return stored[0]

    def _behind(self, version: int) -> list[str]:
        """The manifests that were put by pulls with an older list."""
        behind = []
        for entry in list_manifests(self._store, ""):
            manifest = read_listed(self._store, entry)
            if manifest is not None and manifest.erasures < version:
                behind.append(entry.name)
        return behind

    def _all_days(self) -> list[str]:
        """The manifests of all days, those too whose first pull was killed before it put one."""
        names = {entry.name for entry in list_manifests(self._store, "")}
        names |= {layout.manifest_of(entry.name) for entry in list_data_files(self._store)}
        return sorted(names)

    def _erase_day(self, name: str, version: int) -> int:
        day = StoredDay.named(self._store, name)
        if day is None:
            return 0
        day.read()
        day.list_files()
        day.create(version)
        removed = 0

        def change(manifest: Manifest) -> Manifest:
            nonlocal removed
            slices = [self._erase_slice(day, slice_, version) for slice_ in manifest.slices]
            removed = sum(old.events - new.events for old, new in zip(manifest.slices, slices, strict=True))
            older = [orphan for orphan in day.unreferenced(float("inf")) if self._is_older(orphan, version)]
            return manifest.with_slices(
                slices, erasures=max(version, manifest.erasures), orphans=older, gone=day.gone
            )

        day.change(change)
        return removed

    @staticmethod
    def _is_older(name: str, version: int) -> bool:
        written = layout.parse_data(name)
        return written is not None and written < version

    def _erase_slice(self, day: StoredDay, slice_: Slice, version: int) -> Slice:
        """The slice, its files written again if they are about the persons."""
        return self._erase_quarantine(day, self._erase_data(day, slice_, version), version)

    def _erase_data(self, day: StoredDay, slice_: Slice, version: int) -> Slice:
        if slice_.data is None or not any(any(self._hits(items)) for items in self._batches(slice_)):
            return slice_
        spooled = self._spool_without(slice_, day)
        data = None
        if spooled.data is not None:
            data = f"{day.folder}/{layout.data_name(slice_.window, version, make_token(), slice_.format)}"
            self._store.put(data, spooled.data.path)
        self._rewritten += 1
        return replace(
            slice_,
            data=data,
            events=spooled.events,
            first_timestamp=None if spooled.first is None else iso(spooled.first),
            last_timestamp=None if spooled.last is None else iso(spooled.last),
            bytes=spooled.data.size if spooled.data else 0,
            sha256=spooled.data.sha256 if spooled.data else None,
        )

    def _spool_without(self, slice_: Slice, day: StoredDay) -> SpooledSlice:
        """The events of a slice that are not about the persons, on the worker's disk."""
        folder = self._folder / make_token()
        with spool_errors():
            folder.mkdir()
        query = replace(day.query, window=slice_.window)
        spool = SliceSpool(folder, query, slice_.window, slice_.format)
        try:
            for items in self._batches(slice_):
                hits = self._hits(items)
                kept = [item for item, is_hit in zip(items, hits, strict=True) if not is_hit]
                if kept:
                    times = found_columns(kept, query)["occurred_at"]
                    with spool_errors():
                        spool.write(Events(kept, times))
            with spool_errors():
                return spool.spooled()
        finally:
            spool.discard()

    def _erase_quarantine(self, day: StoredDay, slice_: Slice, version: int) -> Slice:
        """Leave of what may name the persons only its reason, position and sha256."""
        stored = None if slice_.quarantine is None else self._store.read(slice_.quarantine)
        if stored is None:
            return slice_
        lines = stored.data.splitlines()
        kept = [self._without(line) for line in lines]
        if kept == lines:
            return slice_
        data = b"".join(line + b"\n" for line in kept)
        path = self._folder / make_token()
        with spool_errors():
            path.write_bytes(data)
        file_name = layout.data_name(slice_.window, version, make_token(), "bad")
        name = f"{layout.QUARANTINE}/{day.folder}/{file_name}"
        self._store.put(name, path)
        self._rewritten += 1
        return replace(slice_, quarantine=name, quarantine_sha256=sha256(data).hexdigest())

    def _without(self, line: bytes) -> bytes:
        record = json.loads(line)
        event = record.get("event")
        if event is None or not any(person.is_maybe_in(event) for person in self._persons):
            return line
        del record["event"]
        return json.dumps(record).encode()

    def _hits(self, items: Sequence[bytes]) -> list[bool]:
        return match_subjects(items, self._persons)

    def _batches(self, slice_: Slice) -> Iterator[list[bytes]]:
        with self._store.open(str(slice_.data)) as file:
            yield from formats.events(file, slice_.format)
