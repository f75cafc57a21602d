"""The product's own publication on a store, with its operations in an order that a test chooses."""

from __future__ import annotations

import atexit
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import greenlet

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.header import Requirements, read_header
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
from airflow_provider_np6.destinations.files.spool import SpooledFile, SpooledSlice
from airflow_provider_np6.destinations.files.storage import (
    ConditionRefusedError,
    Entry,
    Store,
    StoredFile,
    StoreError,
)
from airflow_provider_np6.destinations.files.storage.base import is_between
from airflow_provider_np6.destinations.files.writer import FileWriter
from airflow_provider_np6.np6.errors import Np6Error, Np6PullAgainError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY, Window, iso, parse_time

HOUR = 3_600_000
MIDNIGHT = 20_000 * DAY
FOREVER = 10**15

SPOOL = Path(tempfile.mkdtemp(prefix="np6-schedules-"))
atexit.register(shutil.rmtree, SPOOL, ignore_errors=True)


class KilledError(BaseException):
    """The process of an actor is gone: not even its ``finally`` has an effect."""


@dataclass
class Faults:
    """What goes wrong for one actor, by the number of its operation, or of its conditional put.

    :param kill_at: its process is killed before this operation.
    :param stop_at: a signal ends it before this operation, and ``finally`` is run.
    :param lost_put: this conditional put is applied, its response is lost, and the client repeats it.
    :param failed_put: this conditional put is applied, and the client reports an error.
    :param late_put: this conditional put arrives after the client has reported an error.
    :param conflict_put: this conditional put gets a 409, although its condition held.
    """

    kill_at: int | None = None
    stop_at: int | None = None
    lost_put: int | None = None
    failed_put: int | None = None
    late_put: int | None = None
    conflict_put: int | None = None


class StoppedError(Exception):
    """A signal ended the actor."""


class MemoryStore:
    """Files in memory. A version is a hash of the content, as an ETag of S3 is.

    :param honors_conditions: False for a store that accepts conditions and ignores them.
    """

    is_remote = False
    is_conditional = True

    def __init__(self, *, honors_conditions: bool = True) -> None:
        self.honors_conditions = honors_conditions
        self.files: dict[str, tuple[bytes, float]] = {}

    def read(self, name: str) -> StoredFile | None:
        stored = self.files.get(name)
        return None if stored is None else StoredFile(stored[0], _version(stored[0]))

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        stored = self.files.get(name)
        if self.honors_conditions and (stored and _version(stored[0])) != version:
            raise ConditionRefusedError(name)
        self.files[name] = (data, time.time())
        return _version(data)

    def put(self, name: str, source: Path) -> None:
        assert name not in self.files
        self.files[name] = (source.read_bytes(), time.time())

    def delete(self, name: str) -> None:
        self.files.pop(name, None)

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        prefix = f"{folder}/" if folder else ""
        for name, (data, modified) in sorted(self.files.items()):
            if name.startswith(prefix) and is_between(name, start, end):
                yield Entry(name, len(data), modified, _version(data))

    def list_folders(self, folder: str) -> list[str]:
        prefix = f"{folder}/" if folder else ""
        below = [name[len(prefix) :] for name in self.files if name.startswith(prefix)]
        return sorted({name.split("/")[0] for name in below if "/" in name})

    def open(self, name: str) -> BinaryIO:
        if name not in self.files:
            raise FileNotFoundError(name)
        return io.BytesIO(self.files[name][0])

    def path(self, name: str = "") -> str:
        return f"memory://{name}"

    def check_writable(self) -> None:
        pass

    def abort_uploads(self, folder: str, *, before: float) -> None:
        pass


def _version(data: bytes) -> str:
    return sha256(data).hexdigest()


class TurnStore:
    """A store as one actor sees it: before each operation it is another one's turn.

    :param inner: the store.
    :param faults: of this actor.
    :param changed: called after each change.
    """

    def __init__(self, inner: Store, faults: Faults, changed: Callable[[], None]) -> None:
        self.inner = inner
        self.faults = faults
        self.changed = changed
        self.is_conditional = inner.is_conditional
        self.is_remote = False  # one operation at a time
        self.operations = 0
        self.puts = 0
        self.log: list[str] = []
        self.late: list[Callable[[], object]] = []
        self.is_killed = False

    def _turn(self, operation: str, name: str) -> None:
        if self.is_killed:
            raise KilledError
        parent = greenlet.getcurrent().parent
        assert parent is not None
        parent.switch()
        if self.is_killed or self.operations == self.faults.kill_at:
            self.is_killed = True
            raise KilledError
        self.operations += 1
        self.log.append(f"{operation} {name}")
        if self.operations - 1 == self.faults.stop_at:
            raise StoppedError

    def read(self, name: str) -> StoredFile | None:
        self._turn("read", name)
        return self.inner.read(name)

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        self._turn("put_if", name)
        faults, number = self.faults, self.puts
        self.puts += 1
        if number == faults.conflict_put:
            raise ConditionRefusedError(name)
        if number == faults.late_put:
            self.late.append(lambda: self.inner.put_if(name, data, version))
            raise StoreError("Timeout", "PutObject", name, is_permanent=False)
        new = self.inner.put_if(name, data, version)
        self.changed()
        if number == faults.lost_put:
            new = self.inner.put_if(name, data, version)
        if number == faults.failed_put:
            raise StoreError("Timeout", "PutObject", name, is_permanent=False)
        return new

    def put(self, name: str, source: Path) -> None:
        self._turn("put", name)
        self.inner.put(name, source)

    def delete(self, name: str) -> None:
        self._turn("delete", name)
        self.inner.delete(name)
        self.changed()

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        self._turn("list", folder)
        return iter(list(self.inner.list_files(folder, start, end)))

    def list_folders(self, folder: str) -> list[str]:
        self._turn("list", folder)
        return self.inner.list_folders(folder)

    def open(self, name: str) -> BinaryIO:
        self._turn("open", name)
        return self.inner.open(name)

    def path(self, name: str = "") -> str:
        return self.inner.path(name)

    def check_writable(self) -> None:
        pass

    def abort_uploads(self, folder: str, *, before: float) -> None:
        pass


@dataclass(frozen=True)
class FakeEvent:
    """An event of the account: NP6 has it from a time on, and possibly up to another.

    :param at: hour of the day.
    """

    id: str
    at: float
    since: int = 0
    until: int = FOREVER
    person: str = "somebody"

    @property
    def timestamp(self) -> int:
        return MIDNIGHT + int(self.at * HOUR)

    @property
    def line(self) -> bytes:
        event = {"id": self.id, "timestamp": self.timestamp, "source": {"detail": {"activation": {}}}}
        event["source"]["detail"]["activation"]["recipient"] = f"{self.person}@example.com"  # type: ignore[index]
        return json.dumps(event).encode() + b"\n"


@lru_cache(100_000)
def spooled(events: tuple[FakeEvent, ...], window: Window) -> SpooledSlice:
    """What a pull of a window spools of events."""
    if not events:
        return SpooledSlice(window, "jsonl")
    data = b"".join(event.line for event in events)
    path = SPOOL / f"{sha256(data).hexdigest()}-{window.stem}"
    path.write_bytes(data)
    file = SpooledFile(path, len(data), sha256(data).hexdigest())
    first, last = events[0].timestamp, events[-1].timestamp
    return SpooledSlice(window, "jsonl", file, None, len(events), 0, first, last)


def visible(
    events: Sequence[FakeEvent], window: Window, when: int, *, without: frozenset[str] = frozenset()
) -> tuple[FakeEvent, ...]:
    """What NP6 has of a window at a time, without some persons."""
    return tuple(
        event
        for event in sorted(events, key=lambda event: (event.timestamp, event.id))
        if window.start <= event.timestamp < window.end
        and event.since <= when < event.until
        and event.person not in without
    )


class _Spooled:
    """Stands for the spool of a window: its slices are ready."""

    def __init__(self, slices: list[SpooledSlice]) -> None:
        self._slices = slices

    def spooled(self) -> list[SpooledSlice]:
        return self._slices

    def discard(self) -> None:
        pass


@dataclass
class Pull:
    """One pull of a window by an actor, with the product's writer and publication.

    :param window: in ms.
    :param pulled_at: logical time of its first response, ms.
    :param on_shrink: the operator's.
    """

    events: Sequence[FakeEvent]
    window: Window
    pulled_at: int
    on_shrink: str = "replace"
    account: str = "ours"
    action: str = "A"
    outcomes: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    erased: frozenset[str] = frozenset()

    def __call__(self, store: Store) -> None:
        query = EventQuery("bounces", self.action, self.window)
        writer = FileWriter(store, Requirements(query, self.account, "keep"), "jsonl", self.on_shrink, SPOOL)
        is_confirmed = False
        for _ in range(5):
            self.erased = frozenset({"erased"} if writer.erased else ())
            slices = [
                spooled(visible(self.events, day, self.pulled_at, without=self.erased), day)
                for day in self.window.days()
            ]
            writer._spool = _Spooled(slices)  # type: ignore[assignment]
            counts = {slice_.window.start // DAY: slice_.events for slice_ in slices}
            pull = VerifiedPull(self.pulled_at, counts, {}, 0, 0, 1, "per_second")
            try:
                self.outcomes = list(writer.publish(pull, is_confirmed=is_confirmed).slices)
            except Np6PullAgainError as error:
                is_confirmed = error.is_short
                if not error.is_short:
                    self.pulled_at = next_time(self.pulled_at)
            else:
                return
        raise AssertionError("the window is pulled again and again")

    @property
    def is_published(self) -> bool:
        return bool(self.outcomes) and all(outcome.is_published for outcome in self.outcomes)

    @property
    def is_kept(self) -> bool:
        """Whether it left something as it was stored."""
        return any(outcome.outcome == "shrunk" for outcome in self.outcomes)

    @property
    def is_done(self) -> bool:
        """Whether it reported success, superseded ones too."""
        return self.error is None and bool(self.outcomes)


_clock = [0]


def next_time(after: int) -> int:
    """A later logical time than any before."""
    _clock[0] = max(_clock[0], after) + 1_000
    return _clock[0]


Actor = Callable[[Store], None]


@dataclass
class Run:
    """Actors on one store, in an order.

    :param store: with what is stored before.
    :param actors: what each does; a :class:`Pull` notes how it ended.
    :param faults: of each actor, by its number.
    :param changed: called after each change.
    """

    store: Store
    actors: Sequence[Actor]
    faults: dict[int, Faults] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None
    errors: dict[int, BaseException] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores = [
            TurnStore(self.store, self.faults.get(n, Faults()), self.changed) for n in range(len(self.actors))
        ]
        self._lets = [greenlet.greenlet(self._body(n)) for n in range(len(self.actors))]

    def _body(self, number: int) -> Callable[[], None]:
        def body() -> None:
            actor = self.actors[number]
            try:
                actor(self.stores[number])
            except (Np6Error, StoreError, OSError, StoppedError, KilledError) as error:
                self.errors[number] = error
                if isinstance(actor, Pull):
                    actor.error = error

        return body

    def step(self, number: int) -> bool:
        """Let an actor do one operation; False if it has ended."""
        if self._lets[number].dead:
            return False
        self._lets[number].switch()
        return not self._lets[number].dead

    def steps(self, number: int, count: int) -> None:
        """Let an actor do some operations."""
        for _ in range(count):
            if not self.step(number):
                return

    def finish(self, number: int) -> None:
        """Let an actor go on to its end."""
        while self.step(number):
            pass

    def has_ended(self, number: int) -> bool:
        return bool(self._lets[number].dead)

    def arrive(self) -> None:
        """Let puts arrive that are late."""
        for store in self.stores:
            late, store.late = store.late, []
            for put in late:
                with suppress(ConditionRefusedError):
                    put()
                    self.changed()


def manifests(store: Store) -> list[Manifest]:
    found = []
    for entry in store.list_files(layout.MANIFESTS):
        stored = store.read(entry.name)
        assert stored is not None
        found.append(Manifest.decode(stored.data, entry.name))
    return found


def read_data(store: Store, name: str | None) -> bytes | None:
    """A data file; None if it does not exist."""
    try:
        with store.open(str(name)) as file:
            return file.read()
    except FileNotFoundError:
        return None


def problems_of_manifests(store: Store) -> list[str]:
    """What readers through manifests would find wrong at this moment."""
    found = []
    for manifest in manifests(store):
        removed = set(manifest.removed)
        for slice_ in manifest.slices:
            if slice_.data is not None:
                data = read_data(store, slice_.data)
                if data is None:
                    found.append(f"a manifest names {slice_.data}, which does not exist")
                elif sha256(data).hexdigest() != slice_.sha256:
                    found.append(f"{slice_.data} does not fit its manifest")
            if slice_.data in removed:
                found.append(f"{slice_.data} is named and listed as removed")
        for before, after in zip(manifest.slices, manifest.slices[1:], strict=False):
            if before.window.overlaps(after.window):
                found.append(f"{before.window} and {after.window} overlap")
    return found


def stored_slices(store: Store, action: str = "A") -> list[Slice]:
    return [
        slice_ for manifest in manifests(store) if manifest.action_id == action for slice_ in manifest.slices
    ]


def stored_lines(store: Store, action: str = "A") -> list[bytes]:
    """The events that manifests name, in order."""
    slices = sorted(stored_slices(store, action), key=lambda slice_: slice_.window_start)
    return [
        line
        for slice_ in slices
        if slice_.data
        for line in (read_data(store, slice_.data) or b"").splitlines(keepends=True)
    ]


def problems(store: Store, pulls: Sequence[Pull], before: Sequence[Slice]) -> list[str]:
    """What is wrong when all actors have ended.

    :param before: what was stored when they began.
    """
    found = problems_of_manifests(store)
    for action in {pull.action for pull in pulls}:
        slices = stored_slices(store, action)
        mine = [pull for pull in pulls if pull.action == action]
        for hour in range(-24, 72):
            now = MIDNIGHT + hour * HOUR
            slice_ = next((part for part in slices if part.window.start <= now < part.window.end), None)
            had = any(old.window.start <= now < old.window.end for old in before)
            if had and slice_ is None and action == "A":
                found.append(f"what was stored of hour {hour} is lost")
            done = [pull for pull in mine if pull.is_done and pull.window.start <= now < pull.window.end]
            if done and slice_ is None:
                found.append(f"a pull of hour {hour} succeeded, and nothing is stored")
            elif done and slice_ is not None:
                stored = parse_time("t", slice_.pulled_at)
                # A pull that kept what was stored says nothing about its time.
                newest = max((pull.pulled_at for pull in done if not pull.is_kept), default=stored)
                if stored < newest:
                    found.append(f"hour {hour} is of {slice_.pulled_at}, older than {iso(newest)}")
        found += _problems_of_content(store, mine, slices)
    return found


def _problems_of_content(store: Store, pulls: Sequence[Pull], slices: Sequence[Slice]) -> list[str]:
    """Whether each slice holds what NP6 had at the time that it names."""
    if not pulls:
        return []
    found = []
    for slice_ in slices:
        when = parse_time("t", slice_.pulled_at)
        stored = b"" if slice_.data is None else read_data(store, slice_.data)
        possible = {
            b"".join(event.line for event in visible(pulls[0].events, slice_.window, when, without=without))
            for without in (frozenset[str](), frozenset({"erased"}))
        }
        if stored not in possible:
            found.append(f"{slice_.window} does not hold what NP6 had at {slice_.pulled_at}")
    return found


def header_of(store: Store) -> Any:
    stored = read_header(store)
    return None if stored is None else stored[0]
