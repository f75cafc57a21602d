"""What a pull spools on the worker's disk, and what it checks before and after its requests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6PullAgainError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.privacy.erasure_filter import ErasureFilter
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.accounts import GivenAccount
from tests.support.files import all_lines, all_manifests, all_slices, data_paths, named_paths, snapshot
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core

KEY = "a-key-for-pseudonyms-of-40-characters---"


@contextmanager
def limited(kind: int, limit: int) -> Iterator[None]:
    """A lower limit of the operating system."""
    limits = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, limits)


def test_a_window_over_several_days_is_cut_at_midnight(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT + 12 * HOUR, MIDNIGHT + 2 * DAY + HOUR))
    report = land(client, FileDestination(str(root)), query)
    assert [manifest.date for manifest in all_manifests(root)] == ["2024-10-04", "2024-10-05", "2024-10-06"]
    assert [slice_.window for slice_ in all_slices(root)] == list(query.window.days())
    assert all_lines(root) == held(sandbox, query)
    assert report == {
        "manifests": f"{root}/_manifests/type=bounces/action=000PE4",
        "bytes_written": sum(slice_.bytes for slice_ in all_slices(root)),
        "outcome": "created",
        "events": len(held(sandbox, query)),
        "previous_events": 0,
        "slices": {"created": 3},
        "changed": [[iso(query.window.start), iso(query.window.end)]],
    }


@pytest.mark.parametrize("format_", ["jsonl", "jsonl.gz"])
def test_an_unordered_response_gives_the_bytes_of_the_ordered_one(
    client: Np6Client, sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 2 * DAY))
    for name, seed in (("ordered", None), ("shuffled", 1), ("shuffled otherwise", 2)):
        if seed is not None:
            sandbox.plan.add(Fault(change=faults.shuffled(seed)), times=2)
        land(client, FileDestination(str(tmp_path / name), format_), query)
    ordered, *others = (
        [(slice_.window, slice_.events, slice_.sha256) for slice_ in all_slices(tmp_path / name)]
        for name in ("ordered", "shuffled", "shuffled otherwise")
    )
    assert [events for _, events, _ in ordered] == [
        len(held(sandbox, query_of(sandbox, day))) for day in query.window.days()
    ]
    assert others == [ordered, ordered]


def test_ties_in_another_order_give_the_same_bytes(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    ties = [b'{"id":"t%02d","timestamp":%d}' % (n, MIDNIGHT + n // 7) for n in range(70)]
    outcomes = []
    for order in (ties, [tie for at in range(0, 70, 7) for tie in reversed(ties[at : at + 7])]):
        sandbox.account = GivenAccount(order)
        outcomes.append(land(client, FileDestination(str(root), "jsonl"), query_of(sandbox))["outcome"])
    assert outcomes == ["created", "unchanged"]
    assert all_lines(root) == ties


def test_an_empty_slice_has_a_manifest_only(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    outcomes = [land(client, FileDestination(str(root)), query_of(sandbox))["outcome"] for _ in range(2)]
    assert outcomes == ["created", "unchanged"]
    (slice_,) = all_slices(root)
    assert (slice_.events, slice_.data, slice_.sha256, slice_.bytes) == (0, None, None, 0)
    assert data_paths(root) == []


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_truncated_response_leaves_everything_as_it_was(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path, framing: Any
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = snapshot(root)
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 2 * DAY))
    sandbox.plan.add(Fault(cut=sum(map(len, held(sandbox, query))) * 6 // 10, framing=framing))
    sandbox.plan.add(Fault(cut=1, framing=framing), times=99)
    with pytest.raises(Np6TruncatedError):
        land(client, FileDestination(str(root)), query)
    assert snapshot(root) == before
    assert [path for path in spools.rglob("*") if path.is_file()] == []


def test_invalid_events_are_stored_beside_and_go_with_their_slice(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(120, b'{"id":"\xff","timestamp":1728043200000}')))
    land(client, FileDestination(str(root)), query_of(sandbox), quarantine=True)
    (slice_,) = all_slices(root)
    assert (slice_.events, slice_.invalid) == (240, 1)
    assert slice_.data is not None
    assert slice_.quarantine is not None
    data = Path(slice_.data)
    assert slice_.quarantine == f"_quarantine/{data.parent}/{data.name.removesuffix('.jsonl.gz')}.bad"
    text = (root / slice_.quarantine).read_text()
    assert hashlib.sha256(text.encode()).hexdigest() == slice_.quarantine_sha256
    record = json.loads(text)
    assert record["event"] == "base64:eyJpZCI6Iv8iLCJ0aW1lc3RhbXAiOjE3MjgwNDMyMDAwMDB9"
    assert (record["reason"], record["position"]) == ("is not UTF-8", 119)
    assert record["sha256"] == hashlib.sha256(b'{"id":"\xff","timestamp":1728043200000}').hexdigest()
    land(client, FileDestination(str(root)), query_of(sandbox), quarantine=True, on_shrink="replace")
    (slice_,) = all_slices(root)
    assert (slice_.invalid, slice_.quarantine, slice_.quarantine_sha256) == (0, None, None)
    assert data_paths(root) == named_paths(root)


def test_invalid_events_belong_to_the_day_of_the_event_before_them(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 3 * DAY))
    for at in (0, 240 + 120):
        sandbox.plan.add(Fault(change=faults.broken(at, b'{"id":"x"}')))
        land(client, FileDestination(str(root)), query, quarantine=True)
        assert [slice_.invalid for slice_ in all_slices(root)] == ([1, 0, 0] if at == 0 else [0, 1, 0])


def test_a_window_of_many_days_needs_few_open_files(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    sandbox.account = FakeAccount(events_per_day=2)
    query = query_of(sandbox, Window(MIDNIGHT - 1_000 * DAY, MIDNIGHT + 100 * DAY))
    with limited(resource.RLIMIT_NOFILE, 256):
        report = land(client, FileDestination(str(root), "jsonl"), query)
    assert report["slices"] == {"created": 1_100}
    assert all_lines(root) == held(sandbox, query)


@pytest.mark.parametrize("seed", [None, 1])
def test_one_data_file_is_open_at_a_time(
    client: Np6Client, sandbox: Sandbox, root: Path, seed: int | None
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 60 * DAY))
    if seed is not None:
        sandbox.plan.add(Fault(change=faults.shuffled(seed)), times=2)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    with FileDestination(str(root)).open(query, "test") as writer:
        verified = pull(client, query, writer)
        # The lock of the spool, the data file of the last day, and a connection.
        assert len(list(Path("/proc/self/fd").iterdir())) <= open_before + 4
        writer.publish(verified)
    assert all_lines(root) == held(sandbox, query)
    assert FileDestination(str(root)).verify().is_ok


def test_a_full_disk_of_the_worker_is_named_and_leaves_nothing(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = snapshot(root)
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 3 * DAY))
    with (
        limited(resource.RLIMIT_FSIZE, 3_000),
        pytest.raises(Np6DestinationError, match="the worker's disk is full") as caught,
    ):
        land(client, FileDestination(str(root)), query)
    assert caught.value.retryable
    assert str(spools) in str(caught.value)
    assert snapshot(root) == before
    assert [path for path in spools.rglob("*") if path.is_file()] == []


def test_a_full_disk_of_the_destination_is_named_and_leaves_nothing(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = snapshot(root)

    def elsewhere(*_: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def half(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", elsewhere)
    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(Np6DestinationError, match=f"{root} could not be written: No space left") as caught:
        land(client, FileDestination(str(root)), query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 3 * DAY)))
    assert caught.value.retryable
    after = snapshot(root)
    assert before.items() <= after.items()
    # Days that had no manifest have an empty one.
    assert [slice_.window for slice_ in all_slices(root)] == [TODAY]
    assert {path for path in after if not path.startswith("_manifests/")} <= set(before)
    assert FileDestination(str(root)).verify().is_ok


def test_manifests_without_their_header_are_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    (root / "_header.json").unlink()
    with pytest.raises(Np6ConflictError, match=r"has manifests and no _header\.json"):
        land(client, FileDestination(str(root)), query_of(sandbox))
    assert len(sandbox.received) == 1


def test_a_header_that_is_removed_during_a_pull_stops_it(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    query = query_of(sandbox, Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY))
    with FileDestination(str(root)).open(query, "test") as writer:
        verified = pull(client, query, writer)
        (root / "_header.json").unlink()
        with pytest.raises(Np6DestinationError, match="header was removed during this pull"):
            writer.publish(verified)
    assert [slice_.window for slice_ in all_slices(root)] == [TODAY]
    assert data_paths(root) == named_paths(root)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (TODAY, Window(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR)),
        (Window(MIDNIGHT, MIDNIGHT + 2 * HOUR), Window(MIDNIGHT + HOUR, MIDNIGHT + 3 * HOUR)),
        (Window(MIDNIGHT, MIDNIGHT + 2 * HOUR), Window(MIDNIGHT - DAY, MIDNIGHT + HOUR)),
    ],
)
def test_a_slice_that_crosses_or_lies_inside_another_is_refused_before_any_request(
    client: Np6Client, sandbox: Sandbox, root: Path, stored: Window, wanted: Window
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox, stored))
    before, received = snapshot(root), len(sandbox.received)
    with pytest.raises(Np6ConflictError, match="this window partly overlaps a stored one") as caught:
        land(client, FileDestination(str(root)), query_of(sandbox, wanted))
    taken = stored.union(Window(max(wanted.start, MIDNIGHT), wanted.end))  # of that day
    assert f"Pull {taken} or a larger window" in str(caught.value)
    assert (snapshot(root), len(sandbox.received)) == (before, received)
    whole = stored.union(wanted)
    land(client, FileDestination(str(root)), query_of(sandbox, whole))
    assert all_lines(root) == held(sandbox, query_of(sandbox, whole))


def test_a_slice_that_came_after_a_pull_was_opened_is_not_cut(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + HOUR))
    with FileDestination(str(root)).open(query, "test") as writer:
        land(client, FileDestination(str(root)), query_of(sandbox), pulled_at=MIDNIGHT + 2 * DAY)
        before = snapshot(root)
        verified = pull(client, query, writer)
        with pytest.raises(Np6ConflictError, match="partly overlaps"):
            writer.publish(verified)
    assert snapshot(root) == before


def test_who_is_erased_during_a_pull_is_left_out_of_the_next_one(
    client: Np6Client, sandbox: Sandbox, root: Path, settings: Np6Config
) -> None:
    destination, query = FileDestination(str(root)), query_of(sandbox)
    person = json.loads(held(sandbox, query)[0])["source"]["detail"]["activation"]["recipient"]
    land(client, destination, query)
    with destination.open(query, "test") as writer:
        assert writer.erased is None
        verified = pull(client, query, writer)
        assert destination.erase([person], Pseudonyms(KEY), "test")["events"] > 0
        before = snapshot(root)
        with pytest.raises(Np6PullAgainError, match="persons were erased") as caught:
            writer.publish(verified)
        assert not caught.value.is_short
        assert snapshot(root) == before
        spool = ErasureFilter(writer, writer.erased, replace(settings, pseudonym_key=KEY), "np6_default")
        report = writer.publish(pull(client, query, spool)).to_dict()
    assert spool.dropped > 0
    assert report["outcome"] == "unchanged"
    assert not any(person.encode() in line for line in all_lines(root))
    assert {manifest.erasures for manifest in all_manifests(root)} == {1}


def test_a_restart_forgets_what_was_spooled(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path
) -> None:
    query = query_of(sandbox)
    with FileDestination(str(root), "jsonl").open(query, "test") as writer:
        for _ in range(3):
            verified = pull(client, query, writer)
            assert len(list(spools.rglob("*.jsonl"))) == 1
        assert writer.publish(verified).events == len(held(sandbox, query))
    assert all_lines(root) == held(sandbox, query)
