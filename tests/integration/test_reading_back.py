"""Reading back, the same on files and on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.databases import ask
from tests.support.pulls import HOUR, MIDNIGHT, held, land, query_of

pytestmark = pytest.mark.core

RANGE = ("2024-10-03", "2024-10-06")


def test_what_is_missing_is_found_pulled_and_found_no_more(
    destination: Destination, client: Np6Client, sandbox: Sandbox, np6_connection: None
) -> None:
    query = query_of(sandbox, Window(MIDNIGHT, MIDNIGHT + 6 * HOUR))
    land(client, destination, query, account="np6_default")
    coverage = destination.coverage("bounces", "000PE4", *RANGE)
    assert not coverage.is_complete
    assert coverage.events == len(held(sandbox, query))
    assert [window.start for window in coverage.missing] == [
        datetime(2024, 10, 3, tzinfo=UTC),
        datetime(2024, 10, 4, 6, tzinfo=UTC),
    ]
    for window in coverage.missing_windows():
        Np6EventsOperator(task_id="pull", destination=destination, **window).execute({})  # type: ignore[arg-type]
    coverage = destination.coverage("bounces", "000PE4", *RANGE)
    assert (coverage.is_complete, coverage.missing_windows()) == (True, [])
    whole = query_of(sandbox, Window(MIDNIGHT - DAY, MIDNIGHT + 2 * DAY))
    assert coverage.events == len(held(sandbox, whole))


def test_late_events_show_in_the_report(
    destination: Destination, client: Np6Client, sandbox: Sandbox
) -> None:
    sandbox.account = FakeAccount(events_per_day=96, withheld=0.3)
    first = land(client, destination, query_of(sandbox))
    before = len(held(sandbox, query_of(sandbox)))
    assert (first["outcome"], first["previous_events"]) == ("created", 0)
    sandbox.account = FakeAccount(events_per_day=96)
    second = land(client, destination, query_of(sandbox))
    assert (second["outcome"], second["previous_events"]) == ("changed", before)
    assert second["changed"] == [["2024-10-04T00:00:00.000Z", "2024-10-05T00:00:00.000Z"]]
    assert destination.coverage("bounces", "000PE4", *RANGE).events > before


def test_the_same_events_again_are_newer(
    destination: Destination, client: Np6Client, sandbox: Sandbox
) -> None:
    query, pulled_at = query_of(sandbox), MIDNIGHT + 9 * DAY
    land(client, destination, query, pulled_at=pulled_at)
    report = land(client, destination, query, pulled_at=pulled_at + HOUR)
    stored = len(held(sandbox, query))
    if isinstance(destination, FileDestination):  # SQL loads them again
        assert (report["outcome"], report["changed"]) == ("unchanged", [])
    assert (report["events"], report["previous_events"]) == (stored, stored)
    # An older pull that ends later gives way, whatever it saw.
    sandbox.account = FakeAccount(events_per_day=480)
    report = land(client, destination, query, pulled_at=pulled_at + HOUR - 1)
    assert (report["outcome"], report["changed"]) == ("superseded", [])
    assert destination.coverage("bounces", "000PE4", *RANGE).events == stored


def test_a_part_of_what_is_stored_is_counted_as_its_part(
    destination: Destination, client: Np6Client, sandbox: Sandbox
) -> None:
    """Smaller windows inside: files replace the day as a whole, SQL cuts the hour out of it."""
    hours = [Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in range(24)]
    for hour in hours:
        land(client, destination, query_of(sandbox, hour))
    report = land(client, destination, query_of(sandbox))
    assert (report["outcome"], report["previous_events"]) == (
        "changed",
        len(held(sandbox, query_of(sandbox))),
    )
    if isinstance(destination, FileDestination):
        return
    report = land(client, destination, query_of(sandbox, hours[3]))
    assert report["previous_events"] == len(held(sandbox, query_of(sandbox, hours[3])))


def test_actions_are_listed(destination: Destination, client: Np6Client, sandbox: Sandbox) -> None:
    for action in ("000PEB", "000PE4"):
        land(client, destination, query_of(sandbox, action=action))
    land(client, destination, query_of(sandbox, event_type="cancellations", action="*"))
    assert destination.action_ids("bounces") == ["000PE4", "000PEB"]
    assert destination.action_ids("cancellations") == ["*"]
    assert destination.action_ids("executions") == []
    with pytest.raises(Np6InputError, match="unknown event type"):
        destination.action_ids("bounce")


def test_verification_finds_what_is_gone(
    destination: Destination, client: Np6Client, sandbox: Sandbox
) -> None:
    land(client, destination, query_of(sandbox))
    verification = destination.verify()
    assert (verification.is_ok, verification.problems, verification.windows) == (True, [], 1)
    assert verification.events == len(held(sandbox, query_of(sandbox)))
    assert destination.verify(read_files=False).is_ok
    if isinstance(destination, FileDestination):
        (data,) = Path(destination.path).glob("type=*/*/*/*")
        content = data.read_bytes()
        data.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        assert destination.verify(read_files=False).is_ok  # of the same size
        assert "sha256" in destination.verify().problems[0]
        data.write_bytes(content[:-1])
        assert not destination.verify(read_files=False).is_ok
        data.unlink()
    else:
        ask("DELETE FROM np6_events")
    for read_files in (True, False):
        verification = destination.verify(read_files=read_files)
        assert not verification.is_ok
        assert len(verification.problems) == 1
    if isinstance(destination, FileDestination):
        assert len(destination.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").missing) == 1
