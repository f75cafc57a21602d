"""The publication of one pull: what may be replaced, and the replacement slice by slice."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.read import check_manifest_format
from airflow_provider_np6.destinations.files.storage import to_asset_uri
from airflow_provider_np6.destinations.inventory import Outcome, SliceOutcome
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError
from airflow_provider_np6.np6.query import ALL_ACTIONS
from airflow_provider_np6.np6.window import Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.header import Header
    from airflow_provider_np6.destinations.files.spool import SliceSpool
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.stream import VerifiedPull

log = logging.getLogger(__name__)


@dataclass
class Publication:
    """Replaces the stored slices of one query, which are known by the names of their files.

    :param header: of the destination root.
    :param query: what is pulled.
    :param format: the data files' format.
    """

    header: Header
    query: EventQuery
    format: str
    published: list[str] = field(default_factory=list)
    """URIs of the data files, as assets."""
    bytes_written: int = 0

    def __post_init__(self) -> None:
        self._store = self.header.store

    def check_requirements(self) -> None:
        """Refuse what would leave two slices of one time, or replace what is not understood.

        :raises Np6ConflictError: if the root is another account's or holds personal data in another form;
            if a stored slice crosses or contains one of the window's, or belongs to a pull of all actions
            where this is one of a single action, or the other way round; or if a manifest to be replaced is
            of a later format.
        """
        self.header.check(self.query.description)
        for window in self.query.window.days():
            stored = self.stored_slices(window)
            for name, slice_ in stored.items():
                if slice_.overlaps(window):
                    check_manifest_format(self._store, layout.partition(self.query, window), name)
            if _is_claimed(window, stored.values()):
                self._refuse_crossed()
            partition = self._conflicting_partition(window)
            if partition is not None:
                raise Np6ConflictError(
                    f"the destination has events of this time pulled for {layout.action_key(partition)}",
                    hint="Pull all actions at once or each by itself, or use two destinations.",
                    context=self.query.description,
                )

    def stored_slices(self, window: Window, action: str | None = None) -> dict[str, Window]:
        """The slices of ``window``'s day that have a manifest, by the manifest's name.

        :param action: of which action; None means the query's own.
        """
        query = self.query if action is None else replace(self.query, action_id=action)
        names = self._store.names(f"{layout.MANIFESTS}/{layout.partition(query, window)}")
        return layout.parse_windows(name for name in names if name.endswith(".json"))

    def publish(self, spool: SliceSpool, pull: VerifiedPull) -> SliceOutcome:
        """Put data and manifest, then remove what the slice replaces.

        :param spool: one slice, closed.
        :param pull: the pull that it belongs to.
        :return: what became of the slice: ``superseded`` if a later pull of it is stored.
        :raises Np6DestinationError: if another pull published at the same time; this slice is withdrawn then.
        """
        manifests, name = f"{layout.MANIFESTS}/{spool.folder}", f"{spool.window.stem}.json"
        replaced = self._replaced(spool.window)
        if any(
            window == spool.window and pulled_at > iso(pull.pulled_at) for window, _, pulled_at in replaced
        ):
            return SliceOutcome(spool.window, "superseded", sum(events for _, events, _ in replaced))
        manifest = self.header.spooled(manifests, name, self._manifest(spool, pull).encode())
        if spool.data is not None and spool.data_name:
            self._store.put(spool.data.path, spool.folder, spool.data_name)
        if spool.aside is not None and spool.aside_name:
            self._store.put(spool.aside, f"{layout.QUARANTINE}/{spool.folder}", spool.aside_name)
        self._store.put(manifest, manifests, name)
        self._remove_replaced(spool.window, {name, spool.data_name, spool.aside_name})
        self._confirm(spool, name)
        if spool.data is not None and spool.data_name:
            self.published.append(to_asset_uri(self._store.path(spool.folder, spool.data_name)))
            self.bytes_written += spool.data.size
        outcome: Outcome = "changed" if replaced else "created"
        return SliceOutcome(spool.window, outcome, sum(events for _, events, _ in replaced))

    def _replaced(self, window: Window) -> list[tuple[Window, int, str]]:
        """Window, number of events and ``pulled_at`` of each stored slice inside of ``window``; those whose
        manifest cannot be read are replaced without being counted."""
        folder = f"{layout.MANIFESTS}/{layout.partition(self.query, window)}"
        replaced = []
        for name, slice_ in self.stored_slices(window).items():
            if not window.contains(slice_):
                continue
            try:
                manifest = Manifest.decode(self._store.read(folder, name))
            except Np6ConflictError:
                raise
            except Np6DestinationError:
                log.warning("The manifest %s cannot be read: replacing it.", self._store.path(folder, name))
            except FileNotFoundError:
                continue  # removed just now, by a pull that replaces it too
            else:
                replaced.append((slice_, manifest.events, manifest.pulled_at))
        return replaced

    def _refuse_crossed(self) -> None:
        """Name the smallest window that would be taken: it covers every slice that it touches."""
        wanted = self.query.window
        while True:
            stored = [
                slice_
                for day in wanted.days()
                for slice_ in self.stored_slices(day).values()
                if slice_.overlaps(wanted)
            ]
            grown = reduce(Window.union, stored, wanted)
            if grown == wanted:
                break
            wanted = grown
        raise Np6ConflictError(
            "this window partly overlaps a stored one",
            hint=f"Pull {wanted} or a larger window.",
            context=self.query.description,
        )

    def _conflicting_partition(self, window: Window) -> str | None:
        """A partition that may hold the same events of ``window``, which lies in one day: that of all actions
        for a pull of one, each single one for a pull of all."""
        actions = [ALL_ACTIONS]
        if self.query.action_id == ALL_ACTIONS:
            names = self._store.names(f"{layout.MANIFESTS}/{layout.type_key(self.query)}")
            keys = [name.removeprefix("action=") for name in names if name.startswith("action=")]
            actions = [key for key in keys if key != layout.ALL_ACTIONS_KEY]
        for action in actions:
            if any(slice_.overlaps(window) for slice_ in self.stored_slices(window, action).values()):
                return action
        return None

    def _remove_replaced(self, window: Window, kept: Collection[str | None]) -> None:
        """Remove what ``window`` contains, but ``kept`` names: manifests first, then what they vouched for.

        Data files that overlap it and have no manifest are orphans of a pull that failed; so are uploads that
        never ended.
        """
        store, folder = self._store, layout.partition(self.query, window)
        for name, abort in store.unfinished(folder):
            if any(window.contains(begun) for begun in layout.parse_windows([name]).values()):
                abort()
        for name, stored in self.stored_slices(window).items():
            if window.contains(stored) and name not in kept:
                store.remove(f"{layout.MANIFESTS}/{folder}", name)
        quarantined = f"{layout.QUARANTINE}/{folder}"
        for name, stored in layout.parse_windows(store.names(quarantined)).items():
            if window.contains(stored) and name not in kept:
                store.remove(quarantined, name)
        recorded = set(self.stored_slices(window).values())
        for name, stored in layout.parse_windows(store.names(folder)).items():
            is_orphan = stored not in recorded and stored.overlaps(window)
            if (is_orphan or window.contains(stored)) and name not in kept:
                store.remove(folder, name)

    def _confirm(self, spool: SliceSpool, name: str) -> None:
        """See that no other pull came in between, and withdraw the slice if one did: a store that cannot
        lock lets two pulls publish at once.

        Each writes its manifest and then reads, so that at least one of the two sees the other. Two pulls of
        one window with different events differ in the size of their file.
        """
        size = spool.data.size if spool.data is not None and spool.data_name else None
        stored = self.stored_slices(spool.window).values()
        claimed = _is_claimed(spool.window, stored) or self._conflicting_partition(spool.window) is not None
        if not claimed and (size is None or self._store.size(spool.folder, str(spool.data_name)) == size):
            try:
                self.header.check(self.query.description)
                self.header.check_erasure_list(self.query.description)
            except Np6DestinationError:
                self._withdraw(spool, name)
                raise
            return
        self._withdraw(spool, name)
        raise Np6DestinationError(
            "another pull published events of this window at the same time",
            hint="What this one had published is withdrawn; the next try pulls it again.",
            context=self.query.description,
        )

    def _withdraw(self, spool: SliceSpool, name: str) -> None:
        self._store.remove(f"{layout.MANIFESTS}/{spool.folder}", name)
        if spool.data_name:
            self._store.remove(spool.folder, spool.data_name)

    def _manifest(self, spool: SliceSpool, pull: VerifiedPull) -> Manifest:
        query = self.query
        return Manifest(
            event_type=query.event_type,
            action_id=query.action_id,
            classification=query.classification,
            window_start=iso(spool.window.start),
            window_end=iso(spool.window.end),
            format=self.format,
            data=f"{spool.folder}/{spool.data_name}" if spool.data_name else None,
            events=spool.events,
            invalid=spool.invalid,
            first_timestamp=None if spool.first is None else iso(spool.first),
            last_timestamp=None if spool.last is None else iso(spool.last),
            bytes=spool.data.size if spool.data else 0,
            sha256=spool.data.sha256 if spool.data and spool.data_name else None,
            requests=pull.requests,
            pulled_at=iso(pull.pulled_at),
            account=self.header.account,
            personal_data=self.header.personal_data,
        )


def _is_claimed(window: Window, stored: Iterable[Window]) -> bool:
    """Whether a stored slice crosses or contains ``window``, one slice's own, without being it."""
    return any(slice_.overlaps(window) and not window.contains(slice_) for slice_ in stored)
