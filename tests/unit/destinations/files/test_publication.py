"""What becomes of a day that was pulled, beside what is stored of it."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.event_writer import ShrinkRule
from airflow_provider_np6.destinations.files import publication
from airflow_provider_np6.destinations.files.day import DayFiles
from airflow_provider_np6.destinations.files.decision import Candidate, decide
from airflow_provider_np6.destinations.files.manifest import Slice
from airflow_provider_np6.destinations.files.spool import SpooledFile, SpooledSlice
from airflow_provider_np6.destinations.files.storage import Entry
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    Np6PullAgainError,
    Np6ShrunkError,
)
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.files import (
    age,
    all_lines,
    all_manifests,
    all_slices,
    change_manifest,
    data_paths,
    make_manifest,
    make_slice,
    manifest_paths,
    named_paths,
    snapshot,
    verify,
)
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core

PULLED = MIDNIGHT + 9 * DAY
"""When the pulls of these tests began."""

TOMORROW = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
BOTH = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
HOURS = [Window(MIDNIGHT + hour * HOUR, MIDNIGHT + (hour + 1) * HOUR) for hour in range(24)]
FOLDER = "type=bounces/action=000PE4/date=2024-10-04"


# One decision


@dataclass
class Stored:
    """A day as it is stored, and as it was pulled again."""

    slices: list[Slice]
    lost: bool = False

    def decide(
        self,
        window: Window = TODAY,
        *,
        events: int = 3,
        sha256: str = "0" * 64,
        pulled_at: int = PULLED,
        format_: str = "jsonl.gz",
        received: int | None = None,
        on_shrink: str = "fail",
        is_confirmed: bool = True,
    ) -> tuple[str, int, bool]:
        data = SpooledFile(Path("spooled"), 120, sha256) if events else None
        spooled = SpooledSlice(window, format_, data, events=events)
        rule = ShrinkRule(on_shrink, is_confirmed, "bounces")
        candidate = Candidate(spooled, pulled_at, events if received is None else received, rule, "bounces")
        names = [] if self.lost else [slice_.data for slice_ in self.slices if slice_.data]
        files = DayFiles({name: Entry(name, 120, 0.0, "") for name in names})
        decision = decide(make_manifest(*self.slices), files, candidate)
        return decision.outcome, decision.previous_events, decision.kept is not None


def hourly(*events: int, **changes: Any) -> Stored:
    """Hours from midnight on."""
    return Stored(
        [
            make_slice(hour, data=f"{at:x}", events=count, **{"pulled_at": iso(PULLED), **changes})
            for at, (hour, count) in enumerate(zip(HOURS, events, strict=False))
        ]
    )


def daily(**changes: Any) -> Stored:
    return Stored([make_slice(**{"pulled_at": iso(PULLED), **changes})])


def test_nothing_stored_is_created() -> None:
    assert Stored([]).decide() == ("created", 0, False)


@pytest.mark.parametrize("later", [0, 1_000])
def test_equal_bytes_are_unchanged(later: int) -> None:
    assert daily().decide(pulled_at=PULLED + later) == ("unchanged", 3, True)


def test_other_bytes_another_format_or_a_lost_file_are_published() -> None:
    assert daily().decide(sha256="1" * 64) == ("changed", 3, False)
    assert daily().decide(format_="parquet") == ("changed", 3, False)
    lost = daily()
    lost.lost = True
    assert lost.decide() == ("changed", 3, False)
    assert daily(bytes=121).decide() == ("changed", 3, False)  # the file has another size


def test_an_empty_day_in_any_format_is_unchanged() -> None:
    empty = Stored([make_slice(data=None, events=0, sha256=None, bytes=0, pulled_at=iso(PULLED))])
    assert empty.decide(events=0, format_="parquet") == ("unchanged", 0, True)
    assert empty.decide() == ("changed", 0, False)


def test_what_a_newer_pull_covers_is_superseded_before_all_else() -> None:
    assert daily(pulled_at=iso(PULLED + 1)).decide(events=0) == ("superseded", 3, False)
    in_pieces = hourly(*[1] * 24, pulled_at=iso(PULLED + 1))
    assert in_pieces.decide(events=0) == ("superseded", 24, False)
    wider = hourly(1, pulled_at=iso(PULLED + 1))
    assert wider.decide(Window(MIDNIGHT + 5, MIDNIGHT + 10)) == ("superseded", 1, False)


def test_a_newer_pull_of_a_part_needs_another_pull() -> None:
    for stored in (hourly(1, pulled_at=iso(PULLED + 1)), hourly(*[1] * 23, pulled_at=iso(PULLED + 1))):
        with pytest.raises(Np6PullAgainError, match="newer pull of a part of this window") as caught:
            stored.decide()
        assert not caught.value.is_short


def test_a_slice_that_says_it_is_from_the_future_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    now = time.time_ns() // 1_000_000
    with caplog.at_level(logging.WARNING):
        assert daily(pulled_at=iso(now + DAY + HOUR)).decide(sha256="1" * 64)[0] == "changed"
    assert "pulled in the future" in caplog.text
    assert daily(pulled_at=iso(now + DAY - HOUR)).decide()[0] == "superseded"


def test_a_slice_that_reaches_beyond_is_refused_with_the_smallest_window_that_is_taken() -> None:
    for stored, window in (
        (daily(), HOURS[3]),
        (hourly(1, 1), Window(HOURS[1].start + 1, TODAY.end)),
    ):
        with pytest.raises(Np6ConflictError, match="partly overlaps") as caught:
            stored.decide(window)
        taken = window.union(stored.slices[-1].window)
        assert f"Pull {taken} or a larger window." in str(caught.value)


def test_fewer_events_than_stored_are_not_published_unasked() -> None:
    stored = hourly(2, 3)
    with pytest.raises(Np6PullAgainError) as caught:
        stored.decide(events=4, is_confirmed=False)
    assert caught.value.is_short
    with pytest.raises(Np6ShrunkError):
        stored.decide(events=4)
    assert stored.decide(events=4, on_shrink="keep") == ("shrunk", 5, False)
    assert stored.decide(events=4, on_shrink="replace") == ("changed", 5, False)
    assert stored.decide(events=0, received=5) == ("changed", 5, False)  # duplicates and invalid events count


def test_what_has_no_events_or_is_expired_never_shrinks() -> None:
    assert hourly(0, 0).decide(events=0) == ("changed", 0, False)
    expired = daily(data=None, events=0, sha256=None, bytes=0, expired=True)
    assert expired.decide(events=0) == ("created", 0, False)
    assert expired.decide() == ("created", 0, False)


# Publications


def test_an_unchanged_day_keeps_its_file_and_has_a_new_pulled_at(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    destination, query = FileDestination(str(root)), query_of(sandbox)
    land(client, destination, query, pulled_at=PULLED)
    (path,) = data_paths(root)
    (first,), status = all_slices(root), path.stat()
    report = land(client, destination, query, pulled_at=PULLED + HOUR)
    assert (report["outcome"], report["changed"], report["bytes_written"]) == ("unchanged", [], 0)
    assert report["events"] == report["previous_events"] == len(held(sandbox, query))
    (second,), (again,) = all_slices(root), data_paths(root)
    assert (second.data, second.sha256, second.pulled_at) == (first.data, first.sha256, iso(PULLED + HOUR))
    assert (again, again.stat().st_ino, again.stat().st_mtime_ns) == (path, status.st_ino, status.st_mtime_ns)
    # An older pull that ends later does not win by what it saw.
    sandbox.plan.add(Fault(change=faults.without(3)))
    report = land(client, destination, query, pulled_at=PULLED + HOUR - 1)
    assert (report["outcome"], report["slices"], report["changed"]) == ("superseded", {"superseded": 1}, [])
    assert (report["events"], report["previous_events"]) == (0, len(held(sandbox, query)))
    assert all_slices(root) == [second]
    assert data_paths(root) == [path]


@pytest.mark.parametrize("how", ["lost", "cut"])
def test_a_file_that_is_damaged_is_published_again(
    client: Np6Client, sandbox: Sandbox, root: Path, how: str
) -> None:
    destination, query = FileDestination(str(root)), query_of(sandbox)
    land(client, destination, query)
    (path,) = data_paths(root)
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    assert not destination.verify(read_files=False).is_ok
    assert land(client, destination, query)["outcome"] == "changed"
    assert data_paths(root) == named_paths(root) != [path]
    assert destination.verify().is_ok


def test_a_lost_quarantine_file_is_published_again(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    destination, query = FileDestination(str(root)), query_of(sandbox)
    outcomes = []
    for lost in (False, False, True):
        sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"x"}')))
        for path in root.rglob("*.bad"):
            if lost:
                path.unlink()
        outcomes.append(land(client, destination, query, quarantine=True)["outcome"])
    assert outcomes == ["created", "unchanged", "changed"]
    assert destination.verify().is_ok


def test_a_newer_pull_replaces_and_an_equal_time_counts_as_newer(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    destination, query = FileDestination(str(root)), query_of(sandbox)
    sandbox.account = FakeAccount(events_per_day=96, withheld=0.3)
    land(client, destination, query, pulled_at=PULLED)
    before = len(held(sandbox, query))
    sandbox.account = FakeAccount(events_per_day=96)
    report = land(client, destination, query, pulled_at=PULLED)
    assert (report["outcome"], report["previous_events"]) == ("changed", before)
    assert report["events"] == len(held(sandbox, query)) > before
    assert all_lines(root) == held(sandbox, query)


def test_hours_are_replaced_by_their_day_which_has_the_same_events(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    for hour in HOURS:
        land(client, FileDestination(str(root), "jsonl"), query_of(sandbox, hour))
    assert [slice_.window for slice_ in all_slices(root)] == HOURS
    by_the_hour = all_lines(root)
    report = land(client, FileDestination(str(root), "jsonl.gz"), query_of(sandbox))
    assert (report["outcome"], report["events"]) == ("changed", report["previous_events"])
    assert all_lines(root) == by_the_hour == held(sandbox, query_of(sandbox))
    assert data_paths(root) == named_paths(root)
    assert len(snapshot(root)) == 3


def test_replaced_files_are_listed_as_removed_until_they_are_gone(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    removed = []
    for format_ in ("jsonl", "jsonl.gz", "jsonl", "jsonl"):
        (before,) = [slice_.data for slice_ in all_slices(root)] or [None]
        land(client, FileDestination(str(root), format_), query_of(sandbox))
        (manifest,) = all_manifests(root)
        removed.append((before, list(manifest.removed)))
        assert data_paths(root) == named_paths(root)
    assert removed[:3] == [(before, [before] if before else []) for before, _ in removed[:3]]
    assert removed[3][1] == []  # unchanged: what was listed is gone


def test_a_refused_removal_does_not_fail_a_pull_and_is_tried_again_by_the_next(
    client: Np6Client,
    sandbox: Sandbox,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    land(client, FileDestination(str(root), "jsonl"), query_of(sandbox))
    (old,) = data_paths(root)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(LocalStore, "delete", refused(errno.EACCES))
        assert land(client, FileDestination(str(root)), query_of(sandbox))["outcome"] == "changed"
    assert "could not be removed; the next pull of its day tries again: PermissionError" in caplog.text
    assert old.exists()
    assert land(client, FileDestination(str(root)), query_of(sandbox))["outcome"] == "unchanged"
    assert not old.exists()
    assert [list(manifest.removed) for manifest in all_manifests(root)] == [[str(old.relative_to(root))]]
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert [list(manifest.removed) for manifest in all_manifests(root)] == [[]]


def refused(code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def test_files_that_no_manifest_names_are_removed_when_they_are_an_hour_old(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    folder, others = root / FOLDER, root / FOLDER.replace("date=2024-10-04", "date=2024-10-05")
    for needed in (folder, others, root / "_quarantine" / FOLDER):
        needed.mkdir(parents=True)
    stem = "20241004T000000Z_20241004T010000Z-e0"
    old = [
        folder / f"{stem}-0000000000000000.jsonl",
        folder / f".{stem}-0000000000000001.jsonl.gz.tmp",
        root / "_quarantine" / FOLDER / f"{stem}-0000000000000000.bad",
    ]
    young = [folder / f"{stem}-0000000000000002.jsonl"]
    elsewhere = [others / f"{stem}-0000000000000003.jsonl"]  # left to pulls of that day
    foreign = [folder / "README.md", folder / "20241004T000000Z_20241004T010000Z.jsonl"]
    for path in (*old, *young, *elsewhere, *foreign):
        path.write_bytes(b"{}\n")
    age([*old, *elsewhere, *foreign], publication.SLOW_WRITER + 60)
    age(young, publication.SLOW_WRITER - 60)
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert [path for path in old if path.exists()] == []
    assert sorted(data_paths(root)) == sorted([*young, *elsewhere, *foreign, *named_paths(root)])
    (manifest,) = all_manifests(root)
    assert list(manifest.removed) == sorted(str(path.relative_to(root)) for path in old)


def test_an_unreadable_manifest_is_an_error_and_stays(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    (path,) = manifest_paths(root)
    path.write_bytes(b"")
    before = snapshot(root)
    with pytest.raises(Np6DestinationError, match=r"2024-10-04\.json cannot be read") as caught:
        land(client, FileDestination(str(root)), query_of(sandbox))
    assert "remove it and pull its day again" in str(caught.value)
    assert snapshot(root) == before
    path.unlink()
    land(client, FileDestination(str(root)), query_of(sandbox))
    assert all_lines(root) == held(sandbox, query_of(sandbox))


# Several days


def test_no_day_is_switched_unless_every_day_may_be(
    client: Np6Client, sandbox: Sandbox, root: Path, spools: Path
) -> None:
    """The second day has fewer events than are stored."""
    destination = FileDestination(str(root))
    land(client, destination, query_of(sandbox, BOTH))
    before = snapshot(root)
    first_day = len(held(sandbox, query_of(sandbox)))
    more = [b'{"id":"%06d","timestamp":%d}' % (n, MIDNIGHT + n) for n in range(first_day + 1)]
    less = held(sandbox, query_of(sandbox, TOMORROW))[1:]
    for times, on_shrink, error in (
        (1, None, Np6PullAgainError),
        (2, "fail", Np6ShrunkError),
    ):
        sandbox.plan.add(Fault(body=b"[" + b",".join([*more, *less]) + b"]"), times=times)
        with pytest.raises(error, match=f"has {len(less)} events of 2024-10-05, and {len(less) + 1} are"):
            land(client, destination, query_of(sandbox, BOTH), on_shrink=on_shrink)
        assert snapshot(root) == before
    sandbox.plan.add(Fault(body=b"[" + b",".join([*more, *less]) + b"]"), times=2)
    report = land(client, destination, query_of(sandbox, BOTH), on_shrink="keep")
    assert (report["outcome"], report["slices"]) == ("shrunk", {"changed": 1, "shrunk": 1})
    assert report["changed"] == [[iso(TODAY.start), iso(TODAY.end)]]
    assert report["events"] == len(more)
    assert all_lines(root) == [*more, *held(sandbox, query_of(sandbox, TOMORROW))]


def test_no_day_is_switched_if_one_became_a_part_of_a_larger_slice(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    destination = FileDestination(str(root))
    query = query_of(sandbox, Window(MIDNIGHT, TOMORROW.start + HOUR))
    with destination.open(query, "test") as writer:
        verified = pull(client, query, writer)
        land(client, destination, query_of(sandbox, TOMORROW), pulled_at=PULLED)
        with pytest.raises(Np6ConflictError, match="partly overlaps"):
            writer.publish(verified)
    assert [slice_.window for slice_ in all_slices(root)] == [TOMORROW]
    assert data_paths(root) == named_paths(root)


def test_a_day_that_a_newer_pull_has_is_left_and_the_others_are_published(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    destination = FileDestination(str(root))
    land(client, destination, query_of(sandbox, TOMORROW), pulled_at=PULLED + 1)
    before = all_slices(root)
    window = Window(MIDNIGHT, MIDNIGHT + 3 * DAY)
    report = land(client, destination, query_of(sandbox, window), pulled_at=PULLED)
    assert report["slices"] == {"created": 2, "superseded": 1}
    assert report["outcome"] == "superseded"
    assert report["changed"] == [
        [iso(TODAY.start), iso(TODAY.end)],
        [iso(TOMORROW.end), iso(TOMORROW.end + DAY)],
    ]
    first, second, third = all_slices(root)
    assert [second] == before
    assert first.pulled_at == third.pulled_at == iso(PULLED)
    assert data_paths(root) == named_paths(root)


def fail_at(monkeypatch: pytest.MonkeyPatch, date: str, *, applied: bool = False) -> None:
    """Let the switch of a day fail once, before or after it was done."""
    put_if = LocalStore.put_if
    left = [1]

    def faulty(self: LocalStore, name: str, data: bytes, version: str | None) -> str:
        if not (version and name.endswith(f"{date}.json") and left):
            return put_if(self, name, data, version)
        left.clear()
        if applied:
            put_if(self, name, data, version)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(LocalStore, "put_if", faulty)


def test_days_that_were_published_before_a_failure_are_named_and_a_rerun_publishes_the_rest(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = FileDestination(str(root), "jsonl")
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 4 * DAY))
    fail_at(monkeypatch, "2024-10-06")
    with pytest.raises(Np6DestinationError, match="could not be written: Input/output error") as caught:
        land(client, destination, query)
    assert "after 2 days from 2024-10-04 to 2024-10-05 had been published" in str(caught.value)
    assert [slice_.window for slice_ in all_slices(root)] == list(BOTH.days())
    assert destination.verify().is_ok
    report = land(client, destination, query)
    assert report["slices"] == {"created": 2, "unchanged": 2}
    assert all_lines(root) == held(sandbox, query)


def test_one_day_that_was_published_before_a_failure_is_named(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "2024-10-05")
    with pytest.raises(Np6DestinationError, match="after 2024-10-04 had been published"):
        land(client, FileDestination(str(root)), query_of(sandbox, BOTH))


def test_a_switch_whose_response_was_lost_is_found(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "2024-10-04", applied=True)
    report = land(client, FileDestination(str(root)), query_of(sandbox))
    assert report["outcome"] == "created"
    assert data_paths(root) == named_paths(root)
    assert all_lines(root) == held(sandbox, query_of(sandbox))


def test_a_switch_that_failed_leaves_its_data_for_a_put_that_may_still_arrive(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "2024-10-04")
    destination = FileDestination(str(root))
    with pytest.raises(Np6DestinationError, match="Input/output error"):
        land(client, destination, query_of(sandbox))
    (orphan,) = data_paths(root)
    verification = destination.verify()
    assert (verification.is_ok, verification.orphans) == (True, [str(orphan)])
    land(client, destination, query_of(sandbox))
    assert len(data_paths(root)) == 2  # it is too young to be removed
    assert destination.verify(remove_orphans=True).orphans == [str(orphan)]
    assert data_paths(root) == named_paths(root)


# Beside others


def test_another_pull_between_data_and_switch_is_seen(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other pull is older, equal, or newer; it has more events."""
    destination, query = FileDestination(str(root), "jsonl"), query_of(sandbox)
    put = LocalStore.put
    for pulled_at, outcome in ((PULLED - 1, "changed"), (PULLED, "changed"), (PULLED + 1, "superseded")):
        other_pulled_at = [pulled_at]

        def meddled(self: LocalStore, name: str, source: Path, at: list[int] = other_pulled_at) -> None:
            put(self, name, source)
            if at:
                land(client, destination, query, pulled_at=at.pop())

        monkeypatch.setattr(LocalStore, "put", meddled)
        with destination.open(query, "test", on_shrink="replace") as writer:
            sandbox.plan.add(Fault(change=faults.capped(9)))  # so few that they are not checked
            verified = pull(client, query, writer)
            report = writer.publish(replace(verified, pulled_at=PULLED), is_confirmed=True).to_dict()
        assert other_pulled_at == []
        assert (report["outcome"], report["previous_events"]) == (outcome, len(held(sandbox, query)))
        expected = held(sandbox, query)[: 8 if outcome == "changed" else None]
        assert all_lines(root) == expected
        assert data_paths(root) == named_paths(root)
        for slice_ in all_slices(root):
            verify(str(root), slice_)
        for path in manifest_paths(root):
            path.unlink()
        for path in data_paths(root):
            path.unlink()


def test_data_that_another_removed_as_an_orphan_is_put_again(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cleaner takes the pull for a dead one, between its data and its switch."""
    destination, query = FileDestination(str(root)), query_of(sandbox)
    put = LocalStore.put
    names: list[str] = []

    def meddled(self: LocalStore, name: str, source: Path) -> None:
        put(self, name, source)
        names.append(name)
        if len(names) == 1:
            assert destination.verify(remove_orphans=True).orphans == [self.path(name)]
            assert not (root / name).exists()

    monkeypatch.setattr(LocalStore, "put", meddled)
    land(client, destination, query)
    assert len(names) == 2
    (manifest,) = all_manifests(root)
    assert manifest.names == {names[1]}
    assert list(manifest.removed) == [names[0]]
    assert all_lines(root) == held(sandbox, query)


def test_two_first_pulls_of_different_accounts_do_not_both_stay(
    client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    destination = FileDestination(str(root))
    query = query_of(sandbox)
    with destination.open(query, "theirs") as writer:
        verified = pull(client, query, writer)
        land(client, destination, query_of(sandbox, event_type="cancellations"), account="ours")
        before = snapshot(root)
        with pytest.raises(Np6ConflictError, match="account 'ours'"):
            writer.publish(verified)
    assert snapshot(root) == before


def test_of_single_actions_and_all_at_once_one_stays(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    destination = FileDestination(str(root))
    query = query_of(sandbox)
    with destination.open(query, "test") as writer:
        verified = pull(client, query, writer)
        land(client, destination, query_of(sandbox, action="*"))
        before = snapshot(root)
        with pytest.raises(Np6ConflictError, match="pulled for all actions at once"):
            writer.publish(verified)
    assert snapshot(root) == before


def test_a_day_that_others_change_all_the_time_is_given_back_to_airflow(
    client: Np6Client, sandbox: Sandbox, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    before = all_lines(root)
    monkeypatch.setattr("airflow_provider_np6.destinations.files.header.Patience.LIMIT", 0.3)
    put_if = LocalStore.put_if

    def overtaken(self: LocalStore, name: str, data: bytes, version: str | None) -> str:
        if version and name.startswith("_manifests/"):
            change_manifest(root / name, lambda record: record.update(token=os.urandom(8).hex()))
        return put_if(self, name, data, version)

    monkeypatch.setattr(LocalStore, "put_if", overtaken)
    destination = FileDestination(str(root), "jsonl")
    with pytest.raises(Np6DestinationError, match="others changed the same day") as caught:
        land(client, destination, query_of(sandbox))
    assert caught.value.retryable
    assert all_lines(root) == before
    verification = destination.verify()
    assert (verification.is_ok, len(verification.orphans)) == (True, 1)


def test_pulls_of_one_day_at_once_end_with_one_of_them_whole(
    sandbox: Sandbox, settings: Np6Config, root: Path
) -> None:
    sandbox.account = FakeAccount(events_per_day=2_400)
    large = Window(HOURS[6].start, HOURS[8].end)
    windows = [large, large, *HOURS[6:9]]
    failures: list[Exception] = []

    def pull_often(window: Window) -> None:
        with closing(Np6Client(settings)) as own:
            for _ in range(5):
                try:
                    land(own, FileDestination(str(root)), query_of(sandbox, window))
                except Np6ConflictError:
                    continue  # the larger window is stored
                except Np6PullAgainError:
                    continue  # a part of it is newer
                except Exception as error:
                    failures.append(error)

    threads = [threading.Thread(target=pull_often, args=(window,)) for window in windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    land(Np6Client(settings), FileDestination(str(root)), query_of(sandbox, large))
    assert all_lines(root) == held(sandbox, query_of(sandbox, large))
    (slice_,) = all_slices(root)
    verify(str(root), slice_)
    assert data_paths(root) == named_paths(root)
