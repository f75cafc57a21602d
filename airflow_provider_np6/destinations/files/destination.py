"""Files: one data file and one manifest for each UTC day of a window."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations.base import Destination, Landing, given, text_field
from airflow_provider_np6.destinations.files import layout, manifest
from airflow_provider_np6.destinations.files.formats import check_format
from airflow_provider_np6.destinations.files.header import Tree
from airflow_provider_np6.destinations.files.manifest import Manifest
from airflow_provider_np6.destinations.files.spool import Slice, Slices
from airflow_provider_np6.destinations.files.storage import asset_uri, store_at
from airflow_provider_np6.destinations.inventory import Verification
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6Error,
    Np6InputError,
)
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import Held
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.destinations.inventory import Checked, Record, Scope
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.np6.verify import Events, Invalid
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
    from airflow_provider_np6.privacy.subjects import Erased

log = logging.getLogger(__name__)


@dataclass
class FileDestination(Destination):
    """A tree of files on a local disk or any object store that Airflow's ``ObjectStoragePath`` knows.

    :param path: absolute path or URI of the tree's root, such as ``s3://aws_default@lake/np6``. (templated)
    :param format: ``jsonl``, ``jsonl.gz``, ``jsonl.zst``: one raw event a line; ``parquet``: one row each.
        The last two need the extra ``parquet``. (templated)
    :param conn_id: connection with the object store's credentials, unless the URI names it. (templated)
    """

    template_fields: ClassVar[Sequence[str]] = ("path", "format", "conn_id")

    path: str
    format: str = "jsonl.gz"
    conn_id: str | None = None

    @property
    def uri(self) -> str:
        return self.path

    @property
    def asset_uri(self) -> str:
        """``s3://bucket/key`` of ``s3://conn_id@bucket/key``, ``file:///data/np6`` of ``/data/np6``; for DAG
        files too, if the path is no template: ``Asset(FileDestination("/data/np6").asset_uri)``."""
        return asset_uri(self.path)

    @contextmanager
    def open(self, query: EventQuery, account: str, personal_data: str = "keep") -> Iterator[Landing]:
        check_format(self.format)
        with self._store() as store:
            tree = Tree(store, query, account, personal_data)
            tree.check_account()
            tree.check_slices()
        landing = _FileLanding(tree, self.format)
        try:
            landing.try_writing()
            yield landing
        finally:
            landing.restart()

    def held(self, query: EventQuery) -> list[Held]:
        with self._store() as store:
            return list(manifest.held(store, query))

    def records(self, scope: Scope) -> list[Record]:
        from airflow_provider_np6.destinations.files.read import records

        with self._store() as store:
            return list(records(store, scope))

    def verification(self) -> Verification:
        from airflow_provider_np6.destinations.files.verify import verification

        with self._store() as store:
            begun = verification(store)
        return Verification(begun.total, self._told(begun.checks))

    def _told(self, checks: Iterator[Checked]) -> Iterator[Checked]:
        with _store_errors(self.path, "cannot be read"):
            yield from checks

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        from airflow_provider_np6.destinations.files.erase import FileErasure

        with self._store() as store, _store_errors(self.path, "could not be written"):
            anything = EventQuery("", ALL_ACTIONS, Window(0, 1))
            tree = Tree(store, anything, account, "keep")
            return FileErasure(tree, persons, pseudonyms).run()

    @contextmanager
    def _store(self) -> Iterator[Store]:
        path = text_field(self, "path")
        with _store_errors(path, "cannot be used", Np6InputError):
            yield store_at(path, given(self.conn_id))


_FOR_GOOD = {
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENAMETOOLONG)
}


@contextmanager
def _store_errors(path: str, what: str, for_good: type[Np6Error] = Np6DestinationError) -> Iterator[None]:
    """Tell a disk's or an object store's own error as one of ours; its text may hold a signed URL.

    :param for_good: the class for what another try cannot hint.
    """
    try:
        yield
    except Np6Error:
        raise
    except Exception as error:  # every fsspec package has a tree of errors of its own
        number = error.errno if isinstance(error, OSError) else None
        final = number in _FOR_GOOD or isinstance(error, ValueError | ImportError | PermissionError)
        reason = os.strerror(number) if number else type(error).__name__
        raise (for_good if final else Np6DestinationError)(
            f"the destination {path} {what}: {reason}",
            hint="Check the path, its connection and the rights of the worker's user."
            if final
            else "What it held is there still. Check that there is room, and that it can be reached.",
        ) from None


class _FileLanding:
    """Spools each slice into a file of the destination's format, then publishes slice by slice."""

    def __init__(self, tree: Tree, format_: str) -> None:
        self._tree = tree
        self._format = format_
        self._root = tree.store.path("").rstrip("/")
        self._slices = Slices(tree.store, tree.query, format_)
        self._bytes = 0
        self.published: list[str] = []

    @property
    def spool(self) -> _FileLanding:
        return self

    @property
    def erased(self) -> Erased | None:
        return self._tree.erased

    def try_writing(self) -> None:
        """Make the first slice's temporary, to fail before any request where that cannot be."""
        with _store_errors(self._root, "cannot be written to", Np6InputError):
            self._slices.first().open()

    def write(self, events: Events) -> None:
        with _store_errors(self._root, "cannot be written to"):
            self._slices.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        with _store_errors(self._root, "cannot be written to"):
            self._slices.set_aside(invalid)

    def begin(self, pulled_at: int) -> None:
        """Files hold no trace of it but in their manifest."""

    def restart(self) -> None:
        self._slices.discard()
        self._slices = Slices(self._tree.store, self._tree.query, self._format)

    def publish(self, proof: VerifiedPull) -> dict[str, Any]:
        tree = self._tree
        with _store_errors(self._root, "could not be written"):
            slices = self._slices.all()
            with tree.store.publication():
                tree.check_account()
                tree.check_erased()
                tree.check_slices()
                tree.record_account()
                superseded = [self._publish(slice_, proof) for slice_ in slices].count(False)
        report = {**self._where(), "bytes_written": self._bytes}
        return {**report, **({"superseded": superseded} if superseded else {})}

    def _publish(self, slice_: Slice, proof: VerifiedPull) -> bool:
        """Data, manifest, then removal of what the slice replaces; False if a later pull stands there."""
        tree, store = self._tree, self._tree.store
        manifests, name = f"{layout.MANIFESTS}/{slice_.folder}", f"{slice_.window.stem}.json"
        if self._is_superseded(manifests, name, proof):
            return False
        proven = tree.written(manifests, name, self._manifest(slice_, proof).encode())
        if slice_.data is not None and slice_.data_name:
            store.put(slice_.data.path, slice_.folder, slice_.data_name)
        if slice_.aside is not None and slice_.aside_name:
            store.put(slice_.aside, f"{layout.QUARANTINE}/{slice_.folder}", slice_.aside_name)
        store.put(proven, manifests, name)
        tree.remove_replaced(slice_.window, {name, slice_.data_name, slice_.aside_name})
        self._confirm(slice_, name)
        if slice_.data is not None and slice_.data_name:
            self.published.append(asset_uri(store.path(slice_.folder, slice_.data_name)))
            self._bytes += slice_.data.size
        return True

    def _confirm(self, slice_: Slice, name: str) -> None:
        """See that no other pull came in between, and withdraw the slice if one did: a store that cannot
        lock lets two pulls publish at once.

        Each writes its manifest and looks then, so that at least one of the two sees the other. Two pulls
        of one window that hold other events are told apart by the size of their file.

        :raises Np6DestinationError: then; another try pulls what holds.
        """
        tree, store = self._tree, self._tree.store
        size = slice_.data.size if slice_.data is not None and slice_.data_name else None
        claimed = tree.is_claimed(slice_.window)
        if not claimed and (size is None or store.size(slice_.folder, str(slice_.data_name)) == size):
            try:
                tree.check_account()
                tree.check_erased()
            except Np6DestinationError:
                self._withdraw(slice_, name)
                raise
            return
        self._withdraw(slice_, name)
        raise Np6DestinationError(
            "another pull published events of this window at the same time",
            hint="What this one had published is withdrawn; the next try pulls it again.",
            context=tree.query.description,
        )

    def _withdraw(self, slice_: Slice, name: str) -> None:
        store = self._tree.store
        store.remove(f"{layout.MANIFESTS}/{slice_.folder}", name)
        if slice_.data_name:
            store.remove(slice_.folder, slice_.data_name)

    def _is_superseded(self, manifests: str, name: str, proof: VerifiedPull) -> bool:
        if name not in self._tree.store.names(manifests):
            return False
        try:
            stored = Manifest.decode(self._tree.store.read(manifests, name))
        except Np6ConflictError:
            raise
        except Np6DestinationError:
            log.warning(
                "The manifest %s cannot be read: replacing it.", self._tree.store.path(manifests, name)
            )
            return False
        return stored.pulled_at > iso(proof.pulled_at)

    def _manifest(self, slice_: Slice, proof: VerifiedPull) -> Manifest:
        query = self._tree.query
        return Manifest(
            event_type=query.event_type,
            action_id=query.action_id,
            classification=query.classification,
            window_start=iso(slice_.window.start),
            window_end=iso(slice_.window.end),
            format=self._format,
            data=f"{slice_.folder}/{slice_.data_name}" if slice_.data_name else None,
            events=slice_.events,
            invalid=slice_.invalid,
            first_timestamp=None if slice_.first is None else iso(slice_.first),
            last_timestamp=None if slice_.last is None else iso(slice_.last),
            bytes=slice_.data.size if slice_.data else 0,
            sha256=slice_.data.sha256 if slice_.data and slice_.data_name else None,
            requests=proof.requests,
            pulled_at=iso(proof.pulled_at),
            account=self._tree.account,
            personal_data=self._tree.personal_data,
        )

    def _where(self) -> dict[str, Any]:
        """The manifest's path, or the folder of them where the window has several slices."""
        tree, count = self._tree, len(self._slices)
        folder = f"{layout.MANIFESTS}/{layout.partition(tree.query, tree.query.window)}"
        if count == 1:
            return {"manifest": tree.store.path(folder, f"{tree.query.window.stem}.json"), "slices": 1}
        return {"manifest": tree.store.path(folder.rsplit("/", 1)[0]), "slices": count}
