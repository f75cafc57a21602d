"""The sensor against the sandbox: what it sees, what it costs, and what it takes for a failure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_np6.np6.errors import Np6ServerError, Np6TruncatedError
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from airflow_provider_np6.sensors.events import Np6EventsSensor
from tests.support.airflow_runs import run_source

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("np6_connection")]

DAY = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime.now(UTC).replace(microsecond=0)


def look(since: Any = None, **arguments: Any) -> bool:
    given = {"event_type": "bounces", "action_id": "000PE4", "since": since, **arguments}
    sensor = Np6EventsSensor(task_id="wait", **given)
    context: Any = {"data_interval_start": DAY}
    return sensor.poke(context)


def test_it_sees_events_and_their_absence(sandbox: Sandbox) -> None:
    assert look()
    sandbox.plan.add(Fault(body=b" [ \n ] "))
    assert not look()
    sandbox.plan.add(Fault(body=b"\n[ \t" + b'{"id"'))
    assert look()
    received = [request.parameters for request in sandbox.received]
    assert [one["start"] for one in received] == ["2026-11-01T00:00:00Z"] * 3
    assert all("sort" not in one for one in received)


def test_the_rest_of_the_answer_is_not_read(sandbox: Sandbox) -> None:
    sandbox.account = FakeAccount(events_per_day=100_000)
    sandbox.plan.add(Fault(drip=0.05))  # the whole would take an hour
    assert look(NOW - timedelta(days=2))


def test_any_action_and_a_time_to_come(sandbox: Sandbox) -> None:
    assert look("2026-11-01T12:00:00+01:00", action_id="*")
    assert sandbox.received[0].path == "/actions/events/bounces"
    assert not look(NOW + timedelta(hours=1))
    assert len(sandbox.received) == 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"event_type": "bounce"}, "unknown event type"),
        ({"action_id": "None"}, "action_id is 'None'"),
        ({"since": "yesterday"}, "not a time"),
        ({"classification": "gsr"}, "no classification"),
        ({"since": NOW + timedelta(hours=1), "action_id": ""}, "action_id is ''"),
    ],
)
def test_bad_arguments_fail_for_good_before_a_request(
    sandbox: Sandbox, arguments: dict[str, Any], match: str
) -> None:
    with pytest.raises(AirflowFailException, match=match):
        look(**arguments)
    assert sandbox.received == []


def test_without_a_data_interval_it_wants_a_time() -> None:
    sensor = Np6EventsSensor(task_id="wait", event_type="bounces", action_id="000PE4", since="None")
    with pytest.raises(AirflowFailException, match="Give the sensor since"):
        sensor.poke({})


def test_failures(sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=401, framing="length"))
    with pytest.raises(AirflowFailException, match="does not accept the API key"):
        look()
    sandbox.plan.add(Fault(body=b'{"error": 1}'))
    with pytest.raises(Exception, match="not the array"):
        look()
    # What may pass is tried again, twice by this connection.
    sandbox.plan.add(Fault(status=500, framing="length"))
    assert look()
    sandbox.plan.add(Fault(status=500, framing="length"), times=2)
    with pytest.raises(Np6ServerError, match="bounces of action 000PE4"):
        look()
    sandbox.plan.add(Fault(body=b"["), times=2)
    with pytest.raises(Np6TruncatedError):
        look()
    # A long limit is waited for by the next look.
    headers = {"Retry-After": "3600"}
    sandbox.plan.add(Fault(status=429, headers=headers, framing="length"))
    assert not look()
    assert look()


def test_it_holds_no_slot_and_renders_its_fields() -> None:
    sensor = Np6EventsSensor(task_id="wait", event_type="{{ x }}", action_id="*")
    context: Any = {"x": "bounces"}
    assert sensor.mode == "reschedule"
    sensor.render_template_fields(context)
    assert sensor.event_type == "bounces"


SOURCE = """
from datetime import datetime, timezone
from airflow.providers.common.compat.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow_provider_np6.sensors.events import Np6EventsSensor

with DAG(
    DAG_ID,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
) as dag:
    Np6EventsSensor(
        task_id="wait",
        event_type="{{ dag_run.conf['event_type'] }}",
        action_id="*",
        classification="{{ dag_run.conf.get('classification') }}",
        poke_interval=0.1,
        timeout=60,
    )
"""


@pytest.mark.usefixtures("airflow_db")
def test_a_run_waits_from_its_interval_on_and_tells_nothing(sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(body=b"[]"), times=2)
    run = run_source(SOURCE, DAY + timedelta(days=1), {"event_type": "hits/open"})
    assert (run.state, run.returned) == ("success", {})
    assert [request.path for request in sandbox.received] == ["/actions/events/hits/open"] * 3
    assert {request.parameters["start"] for request in sandbox.received} == {"2026-11-01T00:00:00Z"}
    assert all("classification" not in request.parameters for request in sandbox.received)


@pytest.mark.usefixtures("airflow_db")
def test_a_run_with_bad_arguments_fails_at_once(sandbox: Sandbox) -> None:
    conf = {"event_type": "bounces", "classification": "gsr"}
    assert run_source(SOURCE, DAY + timedelta(days=1), conf).state == "failed"
    assert sandbox.received == []
