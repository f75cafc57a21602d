"""Files: one data file and one manifest for each UTC day of a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations import layout
from airflow_provider_np6.destinations.base import Destination, Landing, text_field
from airflow_provider_np6.destinations.formats import FORMATS, LinesFile
from airflow_provider_np6.destinations.manifest import Manifest
from airflow_provider_np6.destinations.store import store_at
from airflow_provider_np6.destinations.tree import Tree
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6InputError,
)
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window, iso

if TYPE_CHECKING:
    from airflow_provider_np6.np6.pull import Proof
    from airflow_provider_np6.np6.verification import Events


@dataclass
class FileDestination(Destination):
    """A tree of files on a local disk or any object store that Airflow's ``ObjectStoragePath`` knows.

    :param path: absolute path or URI of the tree's root, such as ``s3://aws_default@lake/np6``. (templated)
    :param format: ``jsonl`` or ``jsonl.gz``: one raw event a line. (templated)
    :param conn_id: connection with the object store's credentials, unless the URI names it. (templated)
    """

    template_fields: ClassVar[Sequence[str]] = ("path", "format", "conn_id")

    path: str
    format: str = "jsonl.gz"
    conn_id: str | None = None

    @property
    def uri(self) -> str:
        return self.path

    @contextmanager
    def open(self, query: EventQuery, account: str) -> Iterator[Landing]:
        path = text_field(self, "path")
        if self.format not in FORMATS:
            raise Np6InputError(f"unknown format {self.format!r}", cure=f"Known are {', '.join(FORMATS)}.")
        conn_id = None if self.conn_id in (None, "", "None") else self.conn_id
        with _failures_of(path, Np6InputError, "cannot be used"):
            tree = Tree(store_at(path, conn_id), query, account)
            tree.check_account()
            tree.check_slices()
        landing = _FileLanding(tree, self.format)
        try:
            with _failures_of(path, Np6InputError, "cannot be written to"):
                landing.try_writing()
            yield landing
        finally:
            landing.restart()


@contextmanager
def _failures_of(path: str, kind: type[Np6InputError | Np6DestinationError], what: str) -> Iterator[None]:
    """Tell a disk's or an object store's own error as one of ours; its text may hold a signed URL."""
    try:
        yield
    except (Np6ConflictError, Np6DestinationError, Np6InputError):
        raise
    except Exception as error:  # every fsspec package has a tree of errors of its own
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise kind(
            f"the destination {path} {what}: {reason}",
            cure="Check the path, its connection and the rights of the worker's user.",
        ) from None


class _Slice:
    """One UTC day's part of the window, in the spool."""

    def __init__(self, window: Window, temporary: Path, format_: str) -> None:
        self.window = window
        self.temporary = temporary
        self.file = LinesFile(temporary, format_)
        self.events = 0
        self.first: int | None = None
        self.last: int | None = None

    def write(self, events: Events) -> None:
        first, last = min(events.timestamps), max(events.timestamps)
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)
        self.events += len(events.items)
        self.file.write(events)


class _FileLanding:
    """Spools each slice into a file of the destination's format, then publishes slice by slice."""

    def __init__(self, tree: Tree, format_: str) -> None:
        self._tree = tree
        self._format = format_
        self._windows = {window.start // DAY: window for window in tree.query.window.days()}
        self._slices: dict[int, _Slice] = {}

    @property
    def spool(self) -> _FileLanding:
        return self

    def try_writing(self) -> None:
        """Open the first slice's file, to fail before any request where that cannot be."""
        self._slice(next(iter(self._windows)))

    def write(self, events: Events) -> None:
        if not events.items:
            return
        days = [timestamp // DAY for timestamp in (min(events.timestamps), max(events.timestamps))]
        if days[0] == days[1]:
            self._slice(days[0]).write(events)
            return
        for day, part in _by_day(events).items():
            self._slice(day).write(part)

    def restart(self) -> None:
        for slice_ in self._slices.values():
            slice_.file.close()
        self._tree.store.close()
        self._slices.clear()

    def publish(self, proof: Proof) -> dict[str, Any]:
        tree = self._tree
        with _failures_of(tree.store.path("").rstrip("/"), Np6DestinationError, "could not be written"):
            for day in self._windows:
                self._slice(day).file.close()
            tree.check_account()
            tree.check_slices()
            tree.record_account()
            superseded = [self._publish(slice_, proof) for _, slice_ in sorted(self._slices.items())].count(
                False
            )
        return {**self._where(), **({"superseded": superseded} if superseded else {})}

    def _slice(self, day: int) -> _Slice:
        if day not in self._slices:
            window = self._windows[day]
            folder = layout.partition(self._tree.query, window)
            temporary = self._tree.store.temporary(folder, f"{window.stem}.{self._format}")
            self._slices[day] = _Slice(window, temporary, self._format)
        return self._slices[day]

    def _publish(self, slice_: _Slice, proof: Proof) -> bool:
        """Data, manifest, then removal of what the slice replaces; False if a later pull stands there."""
        tree, store = self._tree, self._tree.store
        folder = layout.partition(tree.query, slice_.window)
        manifests = f"{layout.MANIFESTS}/{folder}"
        manifest_name = f"{slice_.window.stem}.json"
        if manifest_name in tree.manifests(slice_.window):
            stored = Manifest.decode(store.read(manifests, manifest_name))
            if stored.pulled_at > iso(proof.pulled_at):
                return False
        data_name = f"{slice_.window.stem}.{self._format}" if slice_.events else None
        manifest = self._manifest(slice_, proof, f"{folder}/{data_name}" if data_name else None)
        if data_name:
            store.put(slice_.temporary, folder, data_name)
        tree.put(manifests, manifest_name, manifest.encode())
        for name, window in tree.manifests(slice_.window).items():
            if slice_.window.contains(window) and name != manifest_name:
                store.remove(manifests, name)
        proven = set(tree.manifests(slice_.window).values())
        for name, window in layout.windows_of(store.names(folder)).items():
            debris = window not in proven and window.overlaps(slice_.window)
            if (debris or slice_.window.contains(window)) and name != data_name:
                store.remove(folder, name)
        return True

    def _manifest(self, slice_: _Slice, proof: Proof, data: str | None) -> Manifest:
        query = self._tree.query
        return Manifest(
            event_type=query.event_type,
            action_id=query.action_id,
            classification=query.classification,
            window_start=iso(slice_.window.start),
            window_end=iso(slice_.window.end),
            format=self._format,
            data=data,
            events=slice_.events,
            invalid=0,
            first_timestamp=None if slice_.first is None else iso(slice_.first),
            last_timestamp=None if slice_.last is None else iso(slice_.last),
            bytes=slice_.file.size if data else 0,
            sha256=slice_.file.sha256 if data else None,
            requests=proof.requests,
            pulled_at=iso(proof.pulled_at),
            account=self._tree.account,
            personal_data="keep",
        )

    def _where(self) -> dict[str, Any]:
        """The manifest's path, or the folder of them where the window has several slices."""
        tree = self._tree
        folder = f"{layout.MANIFESTS}/{layout.partition(tree.query, tree.query.window)}"
        if len(self._windows) == 1:
            return {"manifest": tree.store.path(folder, f"{tree.query.window.stem}.json"), "slices": 1}
        return {"manifest": tree.store.path(folder.rsplit("/", 1)[0]), "slices": len(self._windows)}


def _by_day(events: Events) -> dict[int, Events]:
    parts: dict[int, tuple[list[Any], list[int]]] = {}
    for item, timestamp in zip(events.items, events.timestamps, strict=True):
        items, timestamps = parts.setdefault(timestamp // DAY, ([], []))
        items.append(item)
        timestamps.append(timestamp)
    return {day: type(events)(items, timestamps) for day, (items, timestamps) in parts.items()}
