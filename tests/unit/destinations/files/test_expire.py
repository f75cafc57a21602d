"""Old slices without their events."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.coverage import states_by_day
from airflow_provider_np6.destinations.inventory import Scope, Series
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.files import (
    all_lines,
    all_manifests,
    all_slices,
    coverage,
    data_paths,
    named_paths,
    snapshot,
)
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, held, land, query_of

pytestmark = pytest.mark.core

SPAN = ("bounces", "000PE4", "2024-10-04", "2024-10-07")
DAYS = [Window(MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in range(3)]
THREE = Window(DAYS[0].start, DAYS[2].end)


@pytest.fixture
def destination(client: Np6Client, sandbox: Sandbox, root: Path) -> FileDestination:
    """Three days, of which the first has an invalid event."""
    sandbox.account = FakeAccount(events_per_day=240)
    sandbox.plan.add(Fault(change=faults.broken(7, b'{"id":"x"}')))
    destination = FileDestination(str(root), "jsonl")
    land(client, destination, query_of(sandbox, THREE), quarantine=True)
    return destination


def test_the_events_of_old_slices_are_removed_and_not_missing(
    destination: FileDestination, sandbox: Sandbox, root: Path
) -> None:
    before = all_slices(root)
    removed = destination.expire("2024-10-06")
    assert removed == {
        "slices": 2,
        "events": sum(slice_.events for slice_ in before[:2]),
        "files": 3,
        "bytes": sum(slice_.bytes for slice_ in before[:2]),
    }
    assert [slice_.expired for slice_ in all_slices(root)] == [True, True, False]
    assert all_slices(root)[2] == before[2]
    assert all_lines(root) == held(sandbox, query_of(sandbox, DAYS[2]))
    assert data_paths(root) == named_paths(root)
    found = coverage(str(root), *SPAN)
    assert (found.missing, found.invalid, found.expired) == ([], [], DAYS[:2])
    assert found.events == before[2].events
    assert destination.verify().is_ok
    states = states_by_day(THREE, destination.stored_windows(Scope(THREE)))
    assert states == {Series("bounces", "", "000PE4"): ["expired", "expired", "complete"]}
    assert destination.data_files(*SPAN) == [str(root / str(before[2].data))]


def test_what_is_expired_is_so_once(destination: FileDestination, root: Path) -> None:
    destination.expire("2024-10-06")
    before = snapshot(root)
    assert destination.expire("2024-10-06") == {"slices": 0, "events": 0, "files": 0, "bytes": 0}
    assert snapshot(root) == before


@pytest.mark.parametrize("on_shrink", [None, "fail", "keep"])
def test_a_later_pull_stores_it_again_and_never_shrinks_it(
    destination: FileDestination, client: Np6Client, sandbox: Sandbox, root: Path, on_shrink: str | None
) -> None:
    destination.expire("2024-10-07")
    sandbox.plan.add(Fault(change=faults.capped(6)))  # one of them lies before the window
    report = land(client, destination, query_of(sandbox, THREE), on_shrink=on_shrink)
    assert (report["slices"], report["events"], report["previous_events"]) == ({"created": 3}, 5, 0)
    found = coverage(str(root), *SPAN)
    assert (found.events, found.missing, found.expired) == (5, [], [])
    assert all_lines(root) == held(sandbox, query_of(sandbox, THREE))[:5]
    assert destination.verify().is_ok


def test_a_pull_without_events_stores_that_there_are_none(
    destination: FileDestination, client: Np6Client, sandbox: Sandbox, root: Path
) -> None:
    destination.expire("2024-10-05")
    sandbox.plan.add(Fault(body=b"[]"))
    assert land(client, destination, query_of(sandbox, TODAY))["outcome"] == "created"
    assert coverage(str(root), *SPAN).expired == []


def test_slices_that_end_later_stay(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    destination = FileDestination(str(root))
    hours = [Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in range(4)]
    for hour in hours:
        land(client, destination, query_of(sandbox, hour))
    assert destination.expire("2024-10-04T02:59:59.999Z")["slices"] == 2
    (manifest,) = all_manifests(root)
    assert [slice_.expired for slice_ in manifest.slices] == [True, True, False, False]
    # The whole day replaces hours of both kinds.
    assert land(client, destination, query_of(sandbox))["outcome"] == "changed"
    assert all_lines(root) == held(sandbox, query_of(sandbox))


def test_every_series_expires(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    destination = FileDestination(str(root))
    for event_type, action in (("bounces", "000PEB"), ("cancellations", "*"), ("responses/stop", "000PE4")):
        land(client, destination, query_of(sandbox, event_type=event_type, action=action))
    assert destination.expire("2024-10-05")["slices"] == 3
    assert data_paths(root) == []


def test_what_cannot_be_expired_is_an_error(root: Path) -> None:
    with pytest.raises(Np6InputError, match="there are no manifests below"):
        FileDestination(str(root)).expire("2024-10-05")
    with pytest.raises(Np6InputError, match="before"):
        FileDestination(str(root)).expire("yesterday")
    assert not root.exists()
