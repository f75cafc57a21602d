from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.np6.errors import (
    Np6InputError,
    Np6RateLimitError,
    Np6ResponseError,
    Np6TruncatedError,
)
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from airflow_provider_np6.triggers.wait_until import WaitUntilTrigger
from airflow_provider_np6.version_compat import get_task_terminated
from tests.support.airflow_runs import AIRFLOW_3, AIRFLOW_3_3, asset_events, run_source

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db", "np6_connection")]

HEAD = """
from datetime import datetime, timedelta, timezone
import pendulum
from airflow.providers.common.compat.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.operators.events import Np6EventsOperator

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAILY = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")
"""
DAY_AFTER = datetime(2024, 10, 5, tzinfo=UTC)


def one_task(arguments: str, schedule: str = "DAILY") -> str:
    return f"""{HEAD}
with DAG(DAG_ID, schedule={schedule}, start_date=START, catchup=False) as dag:
    Np6EventsOperator(task_id="pull", {arguments})
"""


def counted(sandbox: Sandbox, event_type: str = "bounces", action: str = "000PE4", hours: int = 24) -> int:
    start = int(DAY_AFTER.timestamp() * 1_000) - 86_400_000
    return sum(1 for _ in sandbox.account.events(event_type, action, start, start + hours * 3_600_000))


def test_a_run_pulls_its_interval_and_reports(sandbox: Sandbox, tmp_path: Path) -> None:
    source = one_task(
        f'event_type="bounces", action_id="000PE4", destination="{tmp_path}/{{{{ ds_nodash }}}}"'
    )
    run = run_source(source, DAY_AFTER)
    assert run.state == "success"
    (report,) = run.reports()
    root = f"{tmp_path}/20241005"
    folder = f"{root}/_manifests/type=bounces/action=000PE4"
    assert report == {
        "event_type": "bounces",
        "action_id": "000PE4",
        "classification": "",
        "window_start": "2024-10-04T00:00:00.000Z",
        "window_end": "2024-10-05T00:00:00.000Z",
        "pulled_at": report["pulled_at"],
        "events": counted(sandbox),
        "duplicates": 0,
        "invalid": 0,
        "erased": 0,
        "bytes_read": report["bytes_read"],
        "requests": 1,
        "seconds": report["seconds"],
        "destination": root,
        "manifests": folder,
        "outcome": "created",
        "previous_events": 0,
        "ids_compared": "all",
        "slices": {"created": 1},
        "changed": [["2024-10-04T00:00:00.000Z", "2024-10-05T00:00:00.000Z"]],
        "bytes_written": sum(path.stat().st_size for path in Path(root).rglob("*.jsonl.gz")),
    }
    (slice_,) = json.loads(Path(folder, "2024-10-04.json").read_text())["slices"]
    assert slice_["pulled_at"] == report["pulled_at"]


def test_a_run_into_sql(sandbox: Sandbox, sqlite_connection: Path) -> None:
    source = one_task('event_type="cancellations", action_id="*", destination=SqlDestination("np6_sql")')
    run = run_source(source, DAY_AFTER)
    (report,) = run.reports()
    assert (report["table"], report["destination"]) == ("np6_events", "np6_sql: np6_events")
    assert report["events"] == sum(
        counted(sandbox, "cancellations", action) for action in sandbox.account.action_ids
    )


def test_classes_of_hits_are_datasets_of_their_own(sandbox: Sandbox, tmp_path: Path) -> None:
    task = f'event_type="hits/open", action_id="*", destination="{tmp_path}"'
    source = one_task(task + ", classification=\"{{ dag_run.conf['classes'] }}\"")
    reports = []
    for classes in ("mpp, gsr", "None", ""):
        run = run_source(source, DAY_AFTER, {"classes": classes})
        assert run.state == "success"
        reports += run.reports()
    assert [report["classification"] for report in reports] == ["gsr,mpp", "", ""]
    assert [request.parameters.get("classification") for request in sandbox.received] == [
        "gsr,mpp",
        None,
        None,
    ]
    assert 0 < reports[0]["events"] < reports[1]["events"] == reports[2]["events"]
    assert {path.name for path in tmp_path.glob("type=*")} == {"type=hits%2Fopen~gsr~mpp", "type=hits%2Fopen"}


def test_a_report_stays_small_whatever_was_pulled(sandbox: Sandbox, tmp_path: Path) -> None:
    bounds = 'window_start="2024-01-01", window_end="2025-01-01"'
    run = run_source(
        one_task(f'event_type="bounces", action_id="000PE4", destination="{tmp_path}", {bounds}'), DAY_AFTER
    )
    (report,) = run.reports()
    assert report["slices"] == {"created": 366}
    assert len(json.dumps(report)) < 4_096


FAILING = [
    ('schedule="0 0 * * *"', "CronTriggerTimetable('0 0 * * *', timezone='UTC')", DAY_AFTER),
    ("schedule=None", "None", DAY_AFTER),
]


@pytest.mark.parametrize(("_kind", "schedule", "date"), FAILING)
def test_a_run_with_an_empty_interval_fails_or_takes_the_period(
    sandbox: Sandbox, tmp_path: Path, _kind: str, schedule: str, date: datetime
) -> None:
    arguments = f'event_type="bounces", action_id="000PE4", destination="{tmp_path}"'
    assert run_source(one_task(arguments, schedule), date).state == "failed"
    assert sandbox.received == []
    run = run_source(one_task(f"{arguments}, window_length=timedelta(days=1)", schedule), date)
    (report,) = run.reports()
    assert (report["window_start"], report["events"]) == ("2024-10-04T00:00:00.000Z", counted(sandbox))


@pytest.mark.skipif(not AIRFLOW_3, reason="every run has a logical date on Airflow 2")
def test_a_run_without_a_logical_date_fails_or_takes_its_bounds(sandbox: Sandbox, tmp_path: Path) -> None:
    arguments = f'event_type="bounces", action_id="000PE4", destination="{tmp_path}"'
    for extra in ("", ", window_length=timedelta(days=1)"):
        assert run_source(one_task(arguments + extra, "None"), None).state == "failed"
    assert sandbox.received == []
    bounds = ', window_start="{{ dag_run.conf.start }}", window_end="{{ dag_run.conf.end }}"'
    conf = {"start": "2024-10-04T00:00:00+00:00", "end": "2024-10-05"}
    (report,) = run_source(one_task(arguments + bounds, "None"), None, conf).reports()
    assert report["events"] == counted(sandbox)


@pytest.mark.parametrize(
    "arguments",
    [
        'event_type="clicks", action_id="000PE4", destination="PLACE"',
        'event_type="{{ none }}", action_id="000PE4", destination="PLACE"',
        'event_type="bounces", action_id="a/b", destination="PLACE"',
        'event_type="bounces", action_id=None, destination="PLACE"',
        'event_type="bounces", action_id="None", destination="PLACE"',
        'event_type="bounces", action_id="{{ none }}", destination="PLACE"',
        'event_type="bounces", action_id="", destination="PLACE"',
        (
            'event_type="bounces", action_id="000PE4", destination="PLACE",'
            " window_start=datetime(2024, 10, 4), window_end=datetime(2024, 10, 5)"
        ),
        (
            'event_type="bounces", action_id="000PE4", destination="PLACE", window_start="2024-10-05",'
            ' window_end="2024-10-04"'
        ),
        'event_type="bounces", action_id="000PE4", destination="/dev/null/x"',
        'event_type="bounces", action_id="000PE4", destination=5',
        'event_type="bounces", action_id="000PE4", destination=None',
        'event_type="bounces", action_id="000PE4", destination="PLACE", np6_conn_id="nowhere"',
        'event_type="bounces", action_id="000PE4", destination="PLACE", classification="gsr"',
        'event_type="hits", action_id="000PE4", destination="PLACE", classification="gsr;mpp"',
        'event_type="bounces", action_id="000PE4", destination="PLACE", on_invalid="skip"',
        'event_type="bounces", action_id="000PE4", destination="PLACE", on_shrink="skip"',
        'event_type="bounces", action_id="000PE4", destination="PLACE", personal_data="hide"',
        'event_type="bounces", action_id="000PE4", destination="PLACE", grace_period=60',
    ],
)
def test_bad_input_fails_before_any_request(sandbox: Sandbox, tmp_path: Path, arguments: str) -> None:
    run = run_source(one_task(arguments.replace("PLACE", str(tmp_path / "out"))), DAY_AFTER)
    assert run.state == "failed"
    assert sandbox.received == []
    assert not (tmp_path / "out").exists()


def test_an_unusable_extra_fails_before_any_request(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "np6", "host": sandbox.url, "password": "k", "extra": {"max_wait": "long"}}
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(connection))
    source = one_task(f'event_type="bounces", action_id="000PE4", destination="{tmp_path / "out"}"')
    assert run_source(source, DAY_AFTER).state == "failed"
    assert sandbox.received == []


def operator(tmp_path: Path, **arguments: object) -> Np6EventsOperator:
    return Np6EventsOperator(
        **{
            "task_id": "pull",
            "event_type": "bounces",
            "action_id": "000PE4",
            "destination": str(tmp_path),
            **arguments,
        }  # type: ignore[arg-type]
    )


BOUNDS = {"window_start": "2024-10-04", "window_end": "2024-10-05"}


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_cannot_help_is_not_tried_again(sandbox: Sandbox, tmp_path: Path, status: int) -> None:
    sandbox.plan.add(Fault(status=status, framing="length", headers={"x-request-id": "r-1"}))
    with pytest.raises(AirflowFailException, match=r"bounces of action 000PE4, window \[2024-10-04.*r-1"):
        operator(tmp_path, **BOUNDS).execute({})
    assert len(sandbox.received) == 1


def test_what_may_pass_is_left_to_airflows_retries(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.plan.add(Fault(cut=1), times=99)
    with pytest.raises(Np6TruncatedError):
        operator(tmp_path, **BOUNDS).execute({})
    assert len(sandbox.received) < 40


def test_a_young_window_waits_in_the_triggerer_and_then_is_pulled(sandbox: Sandbox, tmp_path: Path) -> None:
    end = datetime.now(UTC).replace(microsecond=0)
    young = {"window_start": end - timedelta(hours=1), "window_end": end}
    deferred = operator(tmp_path, **young, grace_period=timedelta(seconds=30), deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        deferred.execute({})
    assert isinstance(caught.value.trigger, WaitUntilTrigger)
    assert caught.value.trigger.until == round(end.timestamp() * 1_000) + 30_000
    assert caught.value.method_name == "execute_complete"
    assert sandbox.received == []
    deferred.grace_period = timedelta(0)
    deferred.window_start = deferred.window_end = "by now something else"
    assert deferred.execute_complete({}, None, **(caught.value.kwargs or {}))["events"] > 0


def test_a_young_window_waits_on_the_worker(sandbox: Sandbox, tmp_path: Path) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    bounds = {"window_start": end - timedelta(hours=1), "window_end": end}
    operator(tmp_path, **bounds, grace_period=timedelta(seconds=1)).execute({})
    assert datetime.now(UTC) >= end + timedelta(seconds=1)


def test_a_deferred_run_ends_with_the_events(sandbox: Sandbox, tmp_path: Path) -> None:
    bounds = 'window_start="{{ dag_run.conf.start }}", window_end="{{ dag_run.conf.end }}"'
    source = one_task(
        f'event_type="bounces", action_id="000PE4", destination="{tmp_path}", {bounds},'
        " grace_period=timedelta(seconds=2), deferrable=True"
    )
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    conf = {"start": (end - timedelta(hours=1)).isoformat(), "end": end.isoformat()}
    run = run_source(source, DAY_AFTER, conf)
    (report,) = run.reports()
    assert report["pulled_at"] >= (end + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


SHARED = (
    HEAD
    + """
SHARED = FileDestination(
    "{root}/{{{{ dag_run.conf.day }}}}/{{{{ task.task_id }}}}/{{{{ ti.map_index }}}}", "jsonl"
)

with DAG(DAG_ID, schedule=DAILY, start_date=START, catchup=False) as dag:
    for name in ("left", "right"):
        Np6EventsOperator(task_id=name, event_type="bounces", action_id="000PE4", destination=SHARED)
    Np6EventsOperator.partial(task_id="mapped", event_type="bounces", destination=SHARED).expand(
        action_id=["000PE4", "000PEB", "000PEI"]
    )
"""
)


def test_one_destination_shared_by_tasks_and_mapped_instances_and_runs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    from tests.support.airflow_runs import DAGS_FOLDER, load, run_dag

    path = DAGS_FOLDER / "shared_destination.py"
    path.write_text(SHARED.format(root=tmp_path).replace("DAG_ID", "'shared_destination'"))
    module = load(path)
    for day, date in (("first", DAY_AFTER), ("second", DAY_AFTER + timedelta(days=1))):
        run = run_dag(module.dag, date, {"day": day})
        assert run.state == "success"
        places = {name: report["destination"] for name, report in run.returned.items()}
        assert places == {
            "left": f"{tmp_path}/{day}/left/-1",
            "right": f"{tmp_path}/{day}/right/-1",
            **{f"mapped[{index}]": f"{tmp_path}/{day}/mapped/{index}" for index in range(3)},
        }
        assert all(Path(report["manifests"]).exists() for report in run.returned.values())
        assert run.names == {
            f"mapped[{index}]": f"bounces · {action}"
            for index, action in enumerate(("000PE4", "000PEB", "000PEI"))
        }
    assert (
        FileDestination(
            f"{tmp_path}/{{{{ dag_run.conf.day }}}}/{{{{ task.task_id }}}}/{{{{ ti.map_index }}}}", "jsonl"
        )
        == module.SHARED
    )


def test_a_uri_from_another_task(sandbox: Sandbox, tmp_path: Path) -> None:
    source = f"""{HEAD}
with DAG(DAG_ID, schedule=DAILY, start_date=START, catchup=False) as dag:
    @task
    def place():
        return "{tmp_path}/there"

    Np6EventsOperator(task_id="pull", event_type="bounces", action_id="000PE4", destination=place())
"""
    (report,) = run_source(source, DAY_AFTER).reports()
    assert report["destination"] == f"{tmp_path}/there"


@pytest.mark.parametrize("kind", ["FileDestination(place())", "SqlDestination('x', table=place())"])
def test_another_tasks_output_inside_a_destination_names_the_cure(kind: str) -> None:
    source = f"""{HEAD}
with DAG(DAG_ID, schedule=None, start_date=START) as dag:
    @task
    def place():
        return "/x"

    {kind}
"""
    with pytest.raises(Np6InputError, match="write it as a template"):
        run_source(source)


def test_destinations_are_plain_values() -> None:
    assert repr(FileDestination("/x")) == "FileDestination(path='/x', format='jsonl.gz', conn_id=None)"
    assert SqlDestination("a") == SqlDestination("a", table="np6_events")


def test_arguments_are_kept_as_given(tmp_path: Path) -> None:
    given = {"event_type": "x y", "action_id": None, "destination": 7, "window_start": "z", "window_end": "y"}
    made = operator(tmp_path, **given)
    assert {name: getattr(made, name) for name in given} == given


LONG_LIMIT = Fault(status=429, headers={"Retry-After": "3600"}, framing="length")


def test_a_long_limit_frees_the_slot_by_deferral_before_anything_was_pulled(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.plan.add(LONG_LIMIT)
    asked_at = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as caught:
        operator(tmp_path, **BOUNDS, deferrable=True).execute({})
    assert isinstance(caught.value.trigger, WaitUntilTrigger)
    delay = caught.value.trigger.until / 1_000 - asked_at.timestamp()
    assert 3_600 <= delay < 3_602


def test_a_long_limit_that_comes_later_ends_the_try_with_the_delay(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.plan.add(Fault(cut=20_000))
    sandbox.plan.add(LONG_LIMIT)
    with pytest.raises(Np6RateLimitError) as caught:
        operator(tmp_path, **BOUNDS, deferrable=True).execute({})
    assert caught.value.delay == 3_600
    assert [path.name for path in tmp_path.rglob("*")] == [".lock"]


@pytest.mark.skipif(not AIRFLOW_3_3, reason="retry policies came with Airflow 3.3")
def test_the_retry_policy_waits_as_long_as_np6_asked_for(tmp_path: Path) -> None:
    from airflow.sdk.definitions.retry_policy import RetryAction

    policy = operator(tmp_path).retry_policy
    assert policy is not None
    limited = policy.evaluate(Np6RateLimitError("x", delay=3_600.0), 1, 3)
    assert (limited.action, limited.retry_delay) == (RetryAction.RETRY, timedelta(seconds=3_601))
    assert policy.evaluate(Np6RateLimitError("x"), 1, 3).action is RetryAction.DEFAULT
    assert policy.evaluate(ValueError("x"), 1, 3).action is RetryAction.DEFAULT
    assert policy.evaluate(Np6InputError("x"), 1, 3).action is RetryAction.FAIL
    mine = type(policy)()
    assert operator(tmp_path, retry_policy=mine).retry_policy is mine


def test_invalid_events_are_set_aside_on_request(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.plan.add(Fault(change=faults.broken(3, b'{"id": "x"}')))
    sandbox.account = FakeAccount(events_per_day=240)
    with pytest.raises(Np6ResponseError, match="event 3 has no timestamp"):
        operator(tmp_path, **BOUNDS).execute({})
    sandbox.plan.add(Fault(change=faults.broken(3, b'{"id": "x"}')))
    report = operator(tmp_path, **BOUNDS, on_invalid="quarantine").execute({})
    assert (report["events"], report["invalid"]) == (counted(sandbox), 1)


@pytest.mark.parametrize("kind", ["files", "sql"])
@pytest.mark.parametrize("told", ["on_kill", "time-out"])
def test_a_task_that_is_told_to_stop_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, sqlite_connection: Path, kind: str, told: str
) -> None:
    class TimeOutError(BaseException):
        """As Airflow's own, raised in the midst of whatever runs."""

    destination = str(tmp_path / "lake") if kind == "files" else SqlDestination("np6_sql")
    stalled = operator(tmp_path, **{**BOUNDS, "destination": destination})

    def handle(*_: object) -> None:
        if told == "time-out":
            raise TimeOutError
        stalled.on_kill()  # as Airflow 3's handler of SIGTERM does, and nothing more

    def told_soon(events: list[FakeEvent]) -> list[FakeEvent]:
        """Half a second after the request came, however late it came."""
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGALRM)).start()
        return events

    sandbox.plan.add(Fault(change=told_soon, cut=30_000, ending="stall", stall=60))
    previous = signal.signal(signal.SIGALRM, handle)
    begun = time.monotonic()
    try:
        with pytest.raises(get_task_terminated() if told == "on_kill" else TimeOutError):
            stalled.execute({})
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert time.monotonic() - begun < 50
    assert len(sandbox.received) == 1
    if kind == "files":
        assert [path.name for path in tmp_path.joinpath("lake").rglob("*")] == [".lock"]
    else:
        with closing(sqlite3.connect(sqlite_connection)) as database:
            assert database.execute("SELECT COUNT(*) FROM np6_events_windows").fetchone() == (0,)
    stalled.on_kill()  # after the end there is nothing to stop


def test_an_assets_events_carry_the_reports_of_each_mapped_instance(sandbox: Sandbox, tmp_path: Path) -> None:
    uri = f"s3://lake/{tmp_path.parent.name}/{tmp_path.name}"
    source = f"""{HEAD}
from airflow.providers.common.compat.sdk import Asset

with DAG(DAG_ID, schedule=DAILY, start_date=START, catchup=False) as dag:
    Np6EventsOperator.partial(
        task_id="pull", destination="{tmp_path}", event_type="bounces", outlets=[Asset("{uri}")]
    ).expand(action_id=["000PE4", "000PEB"])
"""
    before = asset_events(uri)
    run = run_source(source, DAY_AFTER)
    assert run.state == "success"
    extras = asset_events(uri)[len(before) :]
    assert sorted(extras, key=str) == sorted(run.reports(), key=str)
    assert {extra["action_id"] for extra in extras} == {"000PE4", "000PEB"}
