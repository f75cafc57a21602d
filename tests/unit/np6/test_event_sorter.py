"""Events come in the order of time and id."""

from __future__ import annotations

import errno
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.np6 import event_sorter
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.event_sorter import EventSorter, TieSorter
from airflow_provider_np6.np6.events import Events
from airflow_provider_np6.np6.plan import StartOverError

pytestmark = pytest.mark.core

events = st.lists(
    st.tuples(st.integers(0, 5), st.text("abc", min_size=1, max_size=3), st.binary(max_size=9)), max_size=30
)
Event = tuple[int, str, bytes]
"""The time in ms, the id and the bytes of an event."""


def take(sorter: TieSorter, *batch: tuple[int, str]) -> list[str]:
    """The ids of the events that are returned for a batch of times and ids."""
    returned = sorter.add(
        [id_.encode() for _, id_ in batch], [id_ for _, id_ in batch], [time for time, _ in batch]
    )
    assert list(returned.timestamps) == sorted(returned.timestamps)
    assert len(returned.timestamps) == len(returned.items)
    return [bytes(item).decode() for item in returned.items]


def rest(sorter: TieSorter) -> list[str]:
    return [bytes(item).decode() for item in sorter.rest().items]


def test_events_of_the_last_time_are_held_back() -> None:
    sorter = TieSorter()
    assert take(sorter, (1, "b"), (2, "d")) == ["b"]
    assert take(sorter, (2, "a")) == []
    assert take(sorter) == []
    assert take(sorter, (2, "c"), (3, "z"), (3, "y")) == ["a", "c", "d"]
    assert take(sorter, (4, "x"), (5, "w")) == ["y", "z", "x"]
    assert rest(sorter) == ["w"]
    assert rest(sorter) == []
    assert take(sorter, (1, "a"), (2, "b")) == ["a"]


def test_events_that_were_held_back_have_their_times() -> None:
    sorter = TieSorter()
    sorter.add([b"b", b"a"], ["b", "a"], [7, 7])
    assert sorter.rest() == Events([b"a", b"b"], [7, 7])
    sorter.add([b"b", b"a"], ["b", "a"], [7, 7])
    assert sorter.add([b"c"], ["c"], [8]) == Events([b"a", b"b"], [7, 7])


def test_events_without_equal_times_are_passed_on_unsorted() -> None:
    sorter = TieSorter()
    assert sorter.add([b"1", b"2", b"3"], ["z", "y", "x"], [1, 2, 3]) == Events([b"1", b"2"], [1, 2])
    assert sorter.rest() == Events([b"3"], [3])


def test_an_event_between_those_that_were_returned_has_no_place() -> None:
    sorter = TieSorter()
    take(sorter, (1, "a"), (3, "b"))
    for time in (1, 2):
        with pytest.raises(StartOverError, match=r"^a new event came after later ones"):
            take(sorter, (time, "c"))
    assert take(sorter, (3, "a")) == []
    assert rest(sorter) == ["a", "b"]


@given(events, st.lists(st.integers(0, 30), max_size=4))
def test_ties_are_sorted_whatever_the_batches(batch: list[Event], cuts: list[int]) -> None:
    batch.sort(key=itemgetter(0))
    sorter = TieSorter()
    sorted_: list[tuple[int, object]] = []
    bounds = [0, *sorted(cut % (len(batch) + 1) for cut in cuts), len(batch)]
    for left, right in pairwise(bounds):
        part = batch[left:right]
        returned = sorter.add(
            [item for *_, item in part], [id_ for _, id_, _ in part], [time for time, *_ in part]
        )
        sorted_ += zip(returned.timestamps, returned.items, strict=True)
    held = sorter.rest()
    sorted_ += zip(held.timestamps, held.items, strict=True)
    assert sorted_ == [(time, item) for time, _, item in sorted(batch, key=itemgetter(0, 1))]


def first_times(batch: list[Event]) -> dict[str, int]:
    times: dict[str, int] = {}
    for time, id_, _ in batch:
        times[id_] = min(time, times.get(id_, time))
    return times


@given(st.lists(events, max_size=4))
def test_events_come_back_by_time_and_id(batches: list[list[Event]]) -> None:
    sorter = EventSorter()
    for batch in batches:
        sorter.add([item for *_, item in batch], [id_ for _, id_, _ in batch], [time for time, *_ in batch])
    everything = [event for batch in batches for event in batch]
    times = first_times(everything)
    found = [
        pair for events in sorter.sorted(times) for pair in zip(events.timestamps, events.items, strict=True)
    ]
    sorter.close()
    # Events of one time and id, which a pull has once, stay in the order in which they came.
    firsts = [event for event in everything if event[0] == times[event[1]]]
    assert found == [(time, item) for time, _, item in sorted(firsts, key=itemgetter(0, 1))]


def test_of_equal_ids_only_the_first_in_time_comes_back() -> None:
    sorter = EventSorter()
    sorter.add([b"later", b"other"], ["a", "b"], [3, 2])
    sorter.add([b"first"], ["a"], [1])
    assert list(sorter.sorted({"a": 1, "b": 2})) == [Events([b"first", b"other"], [1, 2])]
    sorter.close()


def test_events_come_back_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sorter, "_BATCH", 10)
    sorter = EventSorter()
    names = [str(n) for n in range(25)]
    sorter.add([name.encode() for name in names], names, list(range(25, 0, -1)))
    times = {name: 25 - n for n, name in enumerate(names)}
    assert [len(events.items) for events in sorter.sorted(times)] == [10, 10, 5]
    sorter.close()


def test_nothing_comes_back_of_events_that_came_earlier_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sorter, "_BATCH", 2)
    sorter = EventSorter()
    sorter.add([b"a", b"later", b"later"], ["a", "a", "a"], [1, 3, 4])
    assert list(sorter.sorted({"a": 1})) == [Events([b"a"], [1])]
    assert list(sorter.sorted({"a": 0})) == []
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
            list(sorter.sorted({str(n): n for n in range(100)}))
        finally:
            sorter.close()

    with (
        small_files(),
        pytest.raises(Np6DestinationError, match="the worker's disk cannot take the events") as caught,
    ):
        fill()
    assert caught.value.retryable
    assert str(caught.value) == (
        "the worker's disk cannot take the events: File too large. Make room below TMPDIR, or set TMPDIR to a"
        " folder with room."
    )


class BrokenDisk:
    """A file that no longer takes or gives anything."""

    def fail(self, *_: object) -> Any:
        raise OSError(errno.EIO, "in another language")

    write = flush = close = fail


def test_a_disk_that_breaks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: BrokenDisk())
    sorter = EventSorter()
    broken = r"^the worker's disk cannot take the events: Input/output error\."
    with pytest.raises(Np6DestinationError, match=broken):
        sorter.add([b"a"], ["a"], [1])
    with pytest.raises(Np6DestinationError, match=broken):
        list(sorter.sorted({}))
    sorter.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "in another language"), "No such file or directory"),
        (FileNotFoundError("no usable folder"), "FileNotFoundError"),
    ],
)
def test_a_disk_without_a_folder_for_temporary_files_is_an_error(
    monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    def missing(**_: Any) -> Any:
        raise error

    monkeypatch.setattr(tempfile, "TemporaryFile", missing)
    with pytest.raises(Np6DestinationError, match=rf"^the worker's disk cannot take the events: {reason}\."):
        EventSorter()
