"""Processes that are killed before each of their operations, one after the other.

``python -m tests.support.kill_points CASE FOLDER`` forks a process for each number of an operation on files.
It is killed before that operation: no ``finally`` is run. What it leaves is looked at, repaired by a rerun,
and looked at again. What is wrong is printed, one line each, and at the end how many processes were killed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_provider_np6.destinations.files import formats, layout
from airflow_provider_np6.destinations.files.erase import FileErasure
from airflow_provider_np6.destinations.files.header import Requirements
from airflow_provider_np6.destinations.files.read import read_slices
from airflow_provider_np6.destinations.files.storage import Store
from airflow_provider_np6.destinations.files.storage.local import LOCK, LocalStore
from airflow_provider_np6.destinations.files.verify import verification
from airflow_provider_np6.destinations.files.writer import file_writer
from airflow_provider_np6.np6.caps import ResponseSize, VerifiedSize
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from tests.support.schedules import HOUR, MIDNIGHT, FakeEvent

OLD, NEW = 1_000, 2_000
EVENTS = [
    *(FakeEvent(f"e{hour}", hour + 0.5) for hour in range(0, 72, 2)),
    *(FakeEvent(f"new{hour}", hour + 0.7, since=NEW) for hour in range(0, 72, 6)),
    FakeEvent("erased", 6.2, person="erased"),
]
_KILLED = 9
_AUDITED = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock", "os.scandir"}


def span(start: int, end: int) -> Window:
    return Window(MIDNIGHT + start * HOUR, MIDNIGHT + end * HOUR)


DAY = span(0, 24)


@dataclass(frozen=True)
class Pull:
    """One pull into a store.

    :param when: what NP6 has then.
    :param invalid: whether an invalid event comes too.
    :param verified: events of a larger response than any that was verified before; 0 if there was none.
    """

    window: Window
    when: int
    format: str = "jsonl"
    invalid: bool = False
    verified: int = 0

    def __call__(self, store: Store) -> None:
        query = EventQuery("bounces", "A", self.window)
        with file_writer(store, Requirements(query, "ours", "keep"), self.format, "replace") as writer:
            events = sorted(
                (event for event in EVENTS if event.since <= self.when), key=lambda event: event.timestamp
            )
            inside = [event for event in events if self.window.start <= event.timestamp < self.window.end]
            writer.restart(self.when)
            writer.write(
                Events([event.line.rstrip() for event in inside], [event.timestamp for event in inside])
            )
            if self.invalid:
                writer.set_aside(Invalid(b"{}", "has no id", 0, self.window.start, f"{self.when:x}"))
            size = VerifiedSize(ResponseSize(self.verified, 100 * self.verified), self.when)
            pull = VerifiedPull(
                *(self.when, {}, {}, int(self.invalid), 0, 1, "all"), size if self.verified else None
            )
            writer.publish(pull, is_confirmed=True)


def erase(store: Store) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pseudonyms = Pseudonyms("a key of forty characters, and not secret")
        FileErasure(store, "ours", ["erased@example.com"], pseudonyms, Path(folder)).run()


@dataclass(frozen=True)
class Case:
    """What is stored, and what is done to it.

    :param before: pulls.
    :param act: what is killed.
    :param span: where the old and the new content are compared.
    """

    before: Sequence[Pull]
    act: Callable[[Store], None]
    span: Window = DAY


CASES = {
    "first pull": Case([], Pull(DAY, NEW)),
    "replacement": Case([Pull(DAY, OLD)], Pull(DAY, NEW)),
    "hours by their day": Case([Pull(span(hour, hour + 1), OLD) for hour in range(24)], Pull(DAY, NEW)),
    "three days": Case([Pull(span(0, 72), OLD)], Pull(span(0, 72), NEW), span(0, 72)),
    "quarantine": Case([Pull(DAY, OLD, invalid=True)], Pull(DAY, NEW, invalid=True)),
    "a larger response": Case([Pull(DAY, OLD, verified=10)], Pull(DAY, NEW, verified=20)),
    "another format": Case([Pull(DAY, OLD)], Pull(DAY, NEW, "jsonl.gz")),
    "erasure": Case([Pull(DAY, OLD, invalid=True), Pull(span(24, 48), OLD)], erase, span(0, 48)),
}


def contents(store: Store, window: Window) -> tuple[bytes, ...]:
    """What a reader through manifests finds of each day."""
    found = []
    for day in window.days():
        lines = []
        for slice_ in read_slices(store, EventQuery("bounces", "A", day)):
            if slice_.data:
                with store.open(slice_.data) as file:
                    lines += [line for batch in formats.events(file, slice_.format) for line in batch]
        found.append(b"\n".join(lines))
    return tuple(found)


def expected(case: Case, new_store: Callable[[], Store]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The old content and the new one."""
    store = new_store()
    for pull in case.before:
        pull(store)
    old = contents(store, case.span)
    case.act(store)
    return old, contents(store, case.span)


def problems_after_kill(
    case: Case, store: Store, old: tuple[bytes, ...], new: tuple[bytes, ...]
) -> list[str]:
    """What is wrong before a rerun, and after it."""
    found = []
    now = contents(store, case.span)
    if any(day not in possible for day, *possible in zip(now, old, new, strict=True)):
        found.append("a reader finds neither old nor new")
    found += _damage(store, "before the rerun")
    case.act(store)
    if contents(store, case.span) != new:
        found.append("after the rerun the content is not the new one")
    return found + _damage(store, "after the rerun")


def _damage(store: Store, when: str) -> list[str]:
    try:
        verified = verification(store, read_files=True, remove_orphans=False).run()
    except Exception as error:
        return [] if "no manifests" in str(error) else [f"{when}: {error}"]
    # An erasure that was killed is unfinished, and verify says so; its rerun finishes it.
    return [
        f"{when}: {problem}"
        for problem in verified.problems
        if when == "after the rerun" or "an erasure is not finished" not in problem
    ]


def unreferenced(store: Store) -> list[str]:
    """Orphans by their names, and files that only a killed process can have left."""
    verified = verification(store, read_files=False, remove_orphans=False).run()
    return [name.removeprefix(f"{store.path()}/") for name in verified.orphans]


def named(store: Store) -> list[str]:
    """The files that belong to a destination root."""
    manifests = [entry.name for entry in store.list_files(layout.MANIFESTS)]
    data = [
        name
        for slice_ in read_slices(store, EventQuery("bounces", "A", span(-24, 96)))
        for name in slice_.names
    ]
    lists = [entry.name for entry in store.list_files(layout.ERASURES)]
    return [layout.HEADER, LOCK, *manifests, *data, *lists]


def kill_local(case: Case, folder: Path, number: int) -> bool:
    """Run a case in a forked process, which is killed before an operation; False if it ended before."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _KILLED
    left = [number]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _AUDITED and (event == "fcntl.flock" or str(folder) in str(arguments[:2])):
            left[0] -= 1
            if left[0] < 0:
                os._exit(_KILLED)

    def sync(fd: Any) -> None:
        hook("fcntl.flock", ())
        whole(fd)

    whole, os.fsync = os.fsync, sync
    sys.addaudithook(hook)
    status = 1
    try:
        case.act(LocalStore(folder / "lake"))
        status = 0
    finally:
        os._exit(status)


def main(name: str, folder: Path) -> None:
    case = CASES[name]
    root, before, spool = folder / "lake", folder / "before", folder / "tmp"
    spool.mkdir()
    tempfile.tempdir = str(spool)
    old, new = expected(case, lambda: LocalStore(folder / "expected"))
    for pull in case.before:
        pull(LocalStore(before))
    before.mkdir(exist_ok=True)
    number = 0
    while True:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(before, root)
        if not kill_local(case, folder, number):
            break
        store = LocalStore(root)
        for problem in problems_after_kill(case, store, old, new):
            print(f"operation {number}: {problem}")
        for problem in _left_behind(case, store, spool):
            print(f"operation {number}: {problem}")
        number += 1
    print(f"killed {number}")


def _left_behind(case: Case, store: Store, spool: Path) -> list[str]:
    found = []
    if case.act is not erase and list(spool.glob("np6-*/*")):
        found.append("the worker's disk keeps what a killed pull left")
    orphans = unreferenced(store)
    young = time.time() - 3_600
    ages = {entry.name: entry.modified for entry in store.list_files("")}
    found += [f"{name} is not young" for name in orphans if ages[name] < young]
    known = set(orphans) | set(named(store))
    found += [f"verify does not list {name}" for name in ages.keys() - known]
    copy = Path(f"{store.path()}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store.path(), copy)
    verification(LocalStore(copy), read_files=False, remove_orphans=True).run()
    found += [f"--remove-orphans leaves {name}" for name in unreferenced(LocalStore(copy))]
    if isinstance(case.act, Pull):
        root = Path(store.path())
        for path in root.rglob("*"):
            if path.is_file():
                os.utime(path, (young - 3_600, young - 3_600))
        replace(case.act, when=case.act.when + 1)(store)
        found += [f"the next pull an hour later leaves {name}" for name in unreferenced(store)]
    return found


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
