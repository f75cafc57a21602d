"""Processes killed before each operation, and pulls, readers and a verification at once."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations.files import formats
from airflow_provider_np6.destinations.files.header import Requirements
from airflow_provider_np6.destinations.files.read import read_slices
from airflow_provider_np6.destinations.files.storage import Store
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.destinations.files.storage.s3 import S3Store
from airflow_provider_np6.destinations.files.verify import verification
from airflow_provider_np6.destinations.files.writer import file_writer
from airflow_provider_np6.np6.events import Events
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from tests.support.kill_points import CASES, DAY, expected, problems_after_kill, unreferenced
from tests.support.schedules import Faults, KilledError, MemoryStore, Run
from tests.support.stores import s3_store

KILLS = int(os.environ.get("NP6_KILLS", "30"))

SECONDS = float(os.environ.get("NP6_STORM", "6"))
"""For how long pulls, readers and a verification run at once."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES)
def test_a_local_disk_after_a_kill_before_each_operation(case: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.kill_points", case, str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    *problems, last = finished.stdout.splitlines()
    assert problems == []
    killed, number = last.split()
    assert killed == "killed"
    assert int(number) > 30


def copy_memory(store: MemoryStore) -> MemoryStore:
    new = MemoryStore()
    new.files = dict(store.files)
    return new


def copy_s3(store: S3Store) -> S3Store:
    prefix, new = store.path().removeprefix("s3://lake/"), f"killed/{secrets.token_hex(4)}"
    client = store._client
    for item in client.list_objects_v2(Bucket="lake", Prefix=f"{prefix}/").get("Contents", []):
        key = item["Key"].replace(prefix, new, 1)
        client.copy_object(Bucket="lake", Key=key, CopySource={"Bucket": "lake", "Key": item["Key"]})
    return S3Store(client, f"s3://lake/{new}", "lake", new)


@pytest.mark.parametrize("kind", ["memory", "s3"])
@pytest.mark.parametrize("name", CASES)
def test_an_object_store_after_a_kill_before_each_operation(name: str, kind: str, s3_server: str) -> None:
    """All of them in memory; with a server, each fifth, or all with ``NP6_KILLS`` of 100."""
    case = CASES[name]
    is_memory = kind == "memory"

    def new_store() -> Any:
        return MemoryStore() if is_memory else s3_store(s3_server, f"killed/{secrets.token_hex(4)}")

    old, new = expected(case, new_store)
    before = new_store()
    for pull in case.before:
        pull(before)
    for number in itertools.count(0, 1 if is_memory or KILLS >= 100 else 5):
        store = copy_memory(before) if is_memory else copy_s3(before)
        run = Run(store, [case.act], {0: Faults(kill_at=number)})
        run.finish(0)
        if not run.errors:
            break
        assert isinstance(run.errors[0], KilledError)
        assert problems_after_kill(case, store, old, new) == []
        verification(store, read_files=False, remove_orphans=True).run()
        assert unreferenced(store) == []
    assert number > 5


class Storm:
    """Pulls of one day, each a generation of its own events, beside readers and a verification.

    :param store: an empty root.
    """

    QUERY = EventQuery("bounces", "A", DAY)
    EVENTS = 200

    def __init__(self, store: Store) -> None:
        self._store = store
        self._generations = itertools.count(1)
        self._until = time.monotonic() + SECONDS
        self.problems: list[str] = []
        self.counts = {"pulls": 0, "reads": 0, "verifications": 0}

    def run(self) -> None:
        self._pull()
        threads = [
            threading.Thread(target=self._repeat, args=(work,))
            for work in (*[self._pull] * 4, *[self._read] * 2, self._verify)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _repeat(self, work: Callable[[], None]) -> None:
        while time.monotonic() < self._until:
            try:
                work()
            except Exception as error:
                self.problems.append(f"{work.__name__}: {error!r}")
                return

    def _pull(self) -> None:
        number = next(self._generations)
        step = (DAY.end - DAY.start) // self.EVENTS
        times = [DAY.start + at * step for at in range(self.EVENTS)]
        items = [json.dumps({"id": f"{number}-{at}", "timestamp": at}).encode() for at in times]
        requirements = Requirements(self.QUERY, "ours", "keep")
        with file_writer(self._store, requirements, "jsonl.gz", "replace") as writer:
            writer.restart(number * 1_000)
            writer.write(Events(items, times))
            pull = VerifiedPull(number * 1_000, {}, {}, 0, 0, 1, "per_second")
            writer.publish(pull, is_confirmed=True)
        self.counts["pulls"] += 1

    def _read(self) -> None:
        """One snapshot; if a file is gone, the manifest is read again, as the documentation says."""
        for _ in range(50):
            try:
                generations = [self._generation(slice_) for slice_ in read_slices(self._store, self.QUERY)]
            except FileNotFoundError:
                continue
            break
        else:
            raise AssertionError("a named file does not exist, fifty times in a row")
        if len(generations) != 1:
            self.problems.append(f"a reader found {generations}")
        self.counts["reads"] += 1

    def _generation(self, slice_: Any) -> str:
        with self._store.open(slice_.data) as file:
            lines = [line for batch in formats.events(file, slice_.format) for line in batch]
        generations = {json.loads(line)["id"].split("-")[0] for line in lines}
        if len(generations) != 1 or len(lines) != self.EVENTS:
            self.problems.append(f"a snapshot has {len(lines)} events of {len(generations)} generations")
        return str(generations.pop())

    def _verify(self) -> None:
        verified = verification(self._store, read_files=True, remove_orphans=False).run()
        self.problems += verified.problems
        self.counts["verifications"] += 1


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_readers_and_a_verification_beside_pulls(kind: str, tmp_path: Path, s3_server: str) -> None:
    store: Store = LocalStore(tmp_path / "lake")
    if kind == "s3":
        store = s3_store(s3_server, f"storm/{secrets.token_hex(4)}")
    storm = Storm(store)
    storm.run()
    print(storm.counts)
    assert storm.problems == []
    assert min(storm.counts.values()) > 1
    verified = verification(store, read_files=True, remove_orphans=False).run()
    assert (verified.problems, verified.orphans) == ([], [])
