"""Files: one data file and one manifest for each UTC day of a window."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_np6.destinations import layout
from airflow_provider_np6.destinations.base import Destination, Landing, text_field
from airflow_provider_np6.destinations.formats import FORMATS, LinesFile
from airflow_provider_np6.destinations.manifest import Manifest
from airflow_provider_np6.destinations.store import Store, store_at
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
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
            tree = _Tree(store_at(path, conn_id), query, account)
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


class _Tree:
    """What is stored for one query: slices by their names, nothing more."""

    def __init__(self, store: Store, query: EventQuery, account: str) -> None:
        self.store = store
        self.query = query
        self.account = account

    def check_account(self) -> None:
        if layout.ACCOUNT not in self.store.names(""):
            return
        other = json.loads(self.store.read("", layout.ACCOUNT))["account"]
        if other != self.account:
            raise Np6ConflictError(
                f"the tree holds events of account {other!r}, this connection's is {self.account!r}",
                cure="Give each account a tree of its own, or both connections the same extra account.",
                where=self.query.where,
            )

    def record_account(self) -> None:
        if layout.ACCOUNT not in self.store.names(""):
            self.put("", layout.ACCOUNT, json.dumps({"account": self.account}).encode() + b"\n")

    def check_slices(self) -> None:
        """Refuse what would leave two slices that both claim a moment.

        :raises Np6ConflictError: if a stored slice crosses or contains one of the window's, or belongs to
            a pull of all actions where this is one of a single action, or the other way round.
        """
        for window in self.query.window.days():
            stored = self.manifests(window).values()
            if any(slice_.overlaps(window) and not window.contains(slice_) for slice_ in stored):
                self._refuse_crossed()
            for action in self._rivals():
                if any(slice_.overlaps(window) for slice_ in self.manifests(window, action).values()):
                    raise Np6ConflictError(
                        f"the tree holds events of this time pulled for {layout.action_key(action)}",
                        cure="Pull all actions at once or each by itself, or use two trees.",
                        where=self.query.where,
                    )

    def _refuse_crossed(self) -> None:
        """Name the smallest window that would be taken: it covers every slice that it touches."""
        wanted = self.query.window
        while True:
            stored = [
                slice_
                for day in wanted.days()
                for slice_ in self.manifests(day).values()
                if slice_.overlaps(wanted)
            ]
            grown = reduce(Window.union, stored, wanted)
            if grown == wanted:
                break
            wanted = grown
        raise Np6ConflictError(
            "the tree holds a slice that this window covers only in part",
            cure=f"Pull {wanted} or more.",
            where=self.query.where,
        )

    def _rivals(self) -> list[str]:
        """Partitions that may hold the same events: all actions' for one action, each one's for all."""
        if self.query.action_id != ALL_ACTIONS:
            return [ALL_ACTIONS]
        names = self.store.names(f"{layout.MANIFESTS}/{layout.type_key(self.query)}")
        actions = [name.removeprefix("action=") for name in names if name.startswith("action=")]
        return [action for action in actions if action != layout.ALL_ACTIONS_KEY]

    def manifests(self, window: Window, action: str | None = None) -> dict[str, Window]:
        query = (
            self.query
            if action is None
            else EventQuery(self.query.event_type, action, self.query.window, self.query.classification)
        )
        names = self.store.names(f"{layout.MANIFESTS}/{layout.partition(query, window)}")
        return layout.windows_of(name for name in names if name.endswith(".json"))

    def put(self, folder: str, name: str, data: bytes) -> None:
        temporary = self.store.temporary(folder, name)
        temporary.write_bytes(data)
        self.store.put(temporary, folder, name)


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

    def __init__(self, tree: _Tree, format_: str) -> None:
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
