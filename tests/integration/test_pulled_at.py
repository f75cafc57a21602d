"""When a pull was made: by NP6's clock if that is plausible, because workers' clocks may be wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.window import iso, parse_time
from airflow_provider_np6.sandbox import Fault, Sandbox, ServerBehavior, faults
from tests.support.databases import ask
from tests.support.files import all_slices
from tests.support.operator_pulls import pull
from tests.support.pulls import TODAY, whole

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db", "np6_connection")]

HOUR = 3_600
MONTH = 30 * 24 * HOUR


def recorded(destination: Destination) -> list[str]:
    """What is recorded of each stored window."""
    if isinstance(destination, FileDestination):
        return [slice_.pulled_at for slice_ in all_slices(Path(destination.path))]
    assert isinstance(destination, SqlDestination)
    database = destination._database()
    return [iso(database.ms(at)) for (at,) in ask("SELECT pulled_at FROM np6_events_windows")]


def set_worker_clock(monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    """The clock of workers, and not of the sandbox.

    :param ahead: seconds.
    """
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + int(ahead * 1e9))


def since(text: str) -> float:
    """Seconds from a time until now."""
    return time.time() - parse_time("pulled_at", text) / 1_000


@pytest.mark.parametrize("ahead", [0, 12 * HOUR, -12 * HOUR])
def test_it_is_np6s_date(
    sandbox: Sandbox, destination: Destination, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    set_worker_clock(monkeypatch, ahead)
    sandbox.plan.add(Fault(clock=-HOUR))
    pulled_at = pull(destination, "keep")["pulled_at"]
    assert HOUR <= since(pulled_at) < HOUR + 30
    assert pulled_at.endswith(".000Z")  # a Date has whole seconds
    assert recorded(destination) == [pulled_at]


@pytest.mark.parametrize(
    "fault",
    [Fault(clock=MONTH), Fault(clock=-MONTH), Fault(headers={"Date": "yesterday"})],
    ids=["ahead", "behind", "unreadable"],
)
def test_an_implausible_date_is_ignored(sandbox: Sandbox, destination: Destination, fault: Fault) -> None:
    sandbox.plan.add(fault)
    pulled_at = pull(destination, "keep")["pulled_at"]
    assert 0 <= since(pulled_at) < 30
    assert recorded(destination) == [pulled_at]


def test_without_a_date_it_is_the_workers_clock(sandbox: Sandbox, destination: Destination) -> None:
    sandbox.behavior = ServerBehavior(dated=False)
    assert 0 <= since(pull(destination, "keep")["pulled_at"]) < 30


def test_a_worker_whose_clock_is_ahead_blocks_nobody(
    sandbox: Sandbox,
    destination: Destination,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its pull replaces and is replaced, as if its clock were right."""
    pull(destination, "keep")
    with monkeypatch.context() as patched:
        set_worker_clock(patched, MONTH)
        sandbox.plan.add(Fault(path=whole(TODAY), change=faults.without(9)), times=2)
        monkeypatch.setattr("airflow_provider_np6.operators._pull.CONFIRM_AFTER", 0)
        report = pull(destination, "keep", on_shrink="replace")
    assert report["outcome"] == "changed"
    assert since(report["pulled_at"]) < 30 - MONTH  # its Date was implausible to the worker
    report = pull(destination, "keep")
    assert (report["outcome"], report["events"]) == ("changed", report["previous_events"] + 1)
    assert "pulled in the future" in caplog.text
    assert recorded(destination) == [report["pulled_at"]]


def test_a_worker_whose_clock_is_behind_replaces_nothing_newer(
    sandbox: Sandbox, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled_at = pull(destination, "keep")["pulled_at"]
    set_worker_clock(monkeypatch, -MONTH)
    assert pull(destination, "keep")["outcome"] == "superseded"
    assert recorded(destination) == [pulled_at]


def test_it_is_the_date_of_the_first_response_that_counts(sandbox: Sandbox, destination: Destination) -> None:
    """The very first one was not in order, so that the window was pulled again; those that check the next one
    do not count either."""
    sandbox.plan.add(Fault(clock=-2 * HOUR, change=faults.shuffled(1)))
    sandbox.plan.add(Fault(clock=-HOUR))
    report = pull(destination, "keep")
    assert HOUR <= since(report["pulled_at"]) < HOUR + 30
    assert (report["requests"], report["ids_compared"]) == (4, "all")
