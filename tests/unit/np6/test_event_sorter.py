"""Events that come without order, sorted on the worker's disk."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import event_sorter
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.event_sorter import EventSorter

pytestmark = pytest.mark.core

events = st.lists(
    st.tuples(st.integers(0, 5), st.text("abc", min_size=1, max_size=3), st.binary(max_size=9)), max_size=30
)


@given(st.lists(events, max_size=4))
def test_events_come_back_by_time_and_id(batches: list[list[tuple[int, str, bytes]]]) -> None:
    sorter = EventSorter()
    for batch in batches:
        sorter.add([item for *_, item in batch], [id_ for _, id_, _ in batch], [time for time, *_ in batch])
    found = [pair for items, times in sorter.sorted() for pair in zip(times, items, strict=True)]
    sorter.close()
    # Events of one time and id, which a pull has once, stay in the order in which they came.
    everything = sorted((event for batch in batches for event in batch), key=lambda event: event[:2])
    assert found == [(time, item) for time, _, item in everything]


def test_events_come_back_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sorter, "_BATCH", 10)
    sorter = EventSorter()
    sorter.add([b"%d" % n for n in range(25)], [str(n) for n in range(25)], list(range(25, 0, -1)))
    assert [len(items) for items, _ in sorter.sorted()] == [10, 10, 5]
    sorter.close()


def test_the_file_has_no_name_and_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    sorter = EventSorter()
    sorter.add([b"an address"], ["a"], [1])
    assert list(tmp_path.iterdir()) == []
    sorter.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@contextmanager
def small_files() -> Iterator[None]:
    """Files that cannot have more than 100 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_an_error_that_says_so() -> None:
    def fill() -> None:
        sorter = EventSorter()
        try:
            for n in range(100):
                sorter.add([b"x" * 1_000], [str(n)], [n])
            list(sorter.sorted())
        finally:
            sorter.close()

    with (
        small_files(),
        pytest.raises(Np6DestinationError, match="the worker's disk cannot take the events") as caught,
    ):
        fill()
    assert caught.value.retryable
    assert "TMPDIR" in str(caught.value)


def test_a_disk_without_a_folder_for_temporary_files_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: Any) -> Any:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(tempfile, "TemporaryFile", missing)
    with pytest.raises(Np6DestinationError, match="No such file or directory"):
        EventSorter()
