from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook, TaskDeferred

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.errors import Np6RateLimitError, Np6TruncatedError
from airflow_provider_np6.np6.window import DAY
from airflow_provider_np6.operators.events import Np6EventsOperator, _task_terminated
from airflow_provider_np6.operators.reconcile import Np6ReconcileOperator, _number
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.integration.test_events_operator import DAY_AFTER, HEAD
from tests.support.airflow_runs import run_source
from tests.support.pulls import MIDNIGHT

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db", "np6_connection")]

STATISTICS = "/statistics"
ARGUMENTS = {
    "event_type": "bounces",
    "action_id": "000PE4",
    "window_start": "2024-10-04",
    "window_end": "2024-10-05",
}


@pytest.fixture(params=["files", "sqlite", "postgres"])
def destination(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    """An empty place of each kind."""
    if request.param == "files":
        return FileDestination(str(tmp_path / "lake"))
    connection: dict[str, object] = {"conn_type": "sqlite", "host": str(tmp_path / "np6.db")}
    if request.param == "postgres":
        connection = request.getfixturevalue("postgres").database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    return SqlDestination("test_sql")


@pytest.fixture
def files(tmp_path: Path) -> FileDestination:
    return FileDestination(str(tmp_path / "lake"))


def pull(destination: Destination, **arguments: Any) -> dict[str, Any]:
    given = {**ARGUMENTS, "destination": destination, **arguments}
    return Np6EventsOperator(task_id="pull", **given).execute({})


def reconcile(destination: Destination, **arguments: Any) -> dict[str, Any]:
    given = {**ARGUMENTS, "destination": destination, **arguments}
    return Np6ReconcileOperator(task_id="reconcile", **given).execute({})


def stored(destination: Destination) -> list[str]:
    """Ids that a destination holds."""
    if isinstance(destination, FileDestination):
        lines = [
            line
            for path in Path(destination.path).rglob("*.jsonl.gz")
            for line in gzip.decompress(path.read_bytes()).splitlines()
        ]
        return sorted(json.loads(line)["id"] for line in lines)
    rows = BaseHook.get_hook("test_sql").get_records("SELECT event_id FROM np6_events")
    return sorted(str(next(iter(row))) for row in rows)


def there(sandbox: Sandbox, event_type: str = "bounces") -> list[str]:
    """Ids that the sandbox holds of the window."""
    return sorted(e.id for e in sandbox.world.events(event_type, "000PE4", MIDNIGHT, MIDNIGHT + DAY))


def asked(sandbox: Sandbox, path: str = "/events/") -> int:
    return sum(path in one.path for one in sandbox.asked)


def publish_all(sandbox: Sandbox) -> tuple[int, int]:
    """Let late events appear; returns how many there were before, and how many there are."""
    late = len(there(sandbox))
    sandbox.world = FakeAccount(events_per_day=96)
    return late, len(there(sandbox))


def test_equal_is_counted_and_left(sandbox: Sandbox, destination: Destination) -> None:
    pulled = pull(destination)
    before = stored(destination)
    report = reconcile(destination)
    count = len(there(sandbox))
    assert report == {
        **{name: pulled[name] for name in ("event_type", "action_id", "classification", "destination")},
        **{name: pulled[name] for name in ("window_start", "window_end", "bytes_read")},
        "counted_at": report["counted_at"],
        "seconds": report["seconds"],
        "duplicates": 0,
        "invalid": 0,
        "erased": 0,
        "requests": 1,
        "held": count,
        "fresh": count,
        "outcome": "equal",
        "statistics": report["statistics"],
    }
    assert report["counted_at"] > pulled["pulled_at"]
    assert stored(destination) == before
    assert asked(sandbox) == 2


@pytest.mark.parametrize("world", [FakeAccount(events_per_day=96, withheld=0.1)], ids=["late"])
def test_grown_is_pulled_again(sandbox: Sandbox, destination: Destination) -> None:
    pull(destination)
    before, now = publish_all(sandbox)
    assert before < now
    report = reconcile(destination)
    assert (report["outcome"], report["held"], report["fresh"]) == ("grown", before, now)
    assert (report["events"], "pulled_at" in report, "counted_at" in report) == (now, True, False)
    assert ("manifest" in report) != ("table" in report)
    assert stored(destination) == there(sandbox)
    assert reconcile(destination)["outcome"] == "equal"


def test_shrunk_is_told_and_left(sandbox: Sandbox, destination: Destination) -> None:
    pull(destination)
    held = there(sandbox)
    before = len(held)
    sandbox.world = FakeAccount(events_per_day=96, withheld=0.1)
    report = reconcile(destination)
    now = len(there(sandbox))
    assert before > now
    assert (report["outcome"], report["held"], report["fresh"]) == ("shrunk", before, now)
    assert "counted_at" in report
    assert stored(destination) == held


def test_missing_is_pulled_by_one_request(sandbox: Sandbox, destination: Destination) -> None:
    pull(destination, window_end="2024-10-04T12:00:00Z")
    morning = len(stored(destination))
    report = reconcile(destination)
    assert (report["outcome"], report["held"], report["fresh"]) == (
        "missing",
        morning,
        len(there(sandbox)),
    )
    assert report["events"] == report["fresh"]
    assert stored(destination) == there(sandbox)
    assert asked(sandbox) == 2


def test_an_empty_window_that_was_never_pulled_is_missing_still(
    destination: Destination, sandbox: Sandbox
) -> None:
    sandbox.world = FakeAccount(events_per_day=0)
    assert reconcile(destination)["outcome"] == "missing"
    assert reconcile(destination)["outcome"] == "equal"


@pytest.mark.parametrize("world", [FakeAccount(events_per_day=96, withheld=0.1)], ids=["late"])
@pytest.mark.parametrize("lost", ["nothing", "all"])
def test_report_changes_nothing(sandbox: Sandbox, destination: Destination, lost: str) -> None:
    if lost == "nothing":
        pull(destination)
    held = stored(destination) if lost == "nothing" else []
    _, now = publish_all(sandbox)
    report = reconcile(destination, on_difference="report")
    outcome = "grown" if lost == "nothing" else "missing"
    assert (report["outcome"], report["held"], report["fresh"]) == (outcome, len(held), now)
    assert not {"events", "pulled_at", "manifest", "table"} & set(report)
    assert (stored(destination) if held else []) == held
    assert reconcile(destination, on_difference="report")["outcome"] == outcome


@pytest.mark.parametrize("world", [FakeAccount(events_per_day=96, withheld=0.1)], ids=["late"])
def test_fail_tells_the_numbers(sandbox: Sandbox, destination: Destination) -> None:
    pull(destination)
    held = stored(destination)
    before, now = publish_all(sandbox)
    told = rf"holds {before} events, and NP6 has {now} \(bounces of action 000PE4, window \[2024-10-04"
    with pytest.raises(AirflowFailException, match=told):
        reconcile(destination, on_difference="fail")
    assert stored(destination) == held
    sandbox.world = FakeAccount(events_per_day=96, withheld=0.1)
    assert reconcile(destination, on_difference="fail")["outcome"] == "equal"


def test_fail_tells_what_is_missing_in_few_words(files: FileDestination) -> None:
    for day in ("2024-10-02", "2024-10-04"):
        pull(files, window_start=day, window_end=f"{day[:-1]}{int(day[-1]) + 1}")
    told = r"; \[2024-10-01T00:00:00.000Z, 2024-10-02T00:00:00.000Z\) and 2 other parts never came"
    with pytest.raises(AirflowFailException, match=told):
        reconcile(files, on_difference="fail", window_start="2024-10-01", window_end="2024-10-31")


def test_lost_data_of_a_slice_is_missing(sandbox: Sandbox, files: FileDestination) -> None:
    pull(files)
    (data,) = Path(files.path).rglob("*.jsonl.gz")
    data.unlink()
    assert reconcile(files)["outcome"] == "missing"
    assert stored(files) == there(sandbox)


@pytest.mark.parametrize("on_difference", ["pull", "report", "fail"])
def test_a_slice_beyond_the_window_is_refused_before_any_request(
    sandbox: Sandbox, files: FileDestination, on_difference: str
) -> None:
    pull(files)
    sandbox.asked.clear()
    with pytest.raises(AirflowFailException, match=r"Pull \[2024-10-04T00:00:00.000Z, 2024-10-05T00"):
        reconcile(files, window_end="2024-10-04T12:00:00Z", on_difference=on_difference)
    assert sandbox.asked == []


def test_rows_beyond_the_window_are_not_counted(
    sandbox: Sandbox, tmp_path: Path, sqlite_connection: Path
) -> None:
    destination = SqlDestination("np6_sql")
    pull(destination)
    report = reconcile(destination, window_end="2024-10-04T12:00:00Z")
    assert report["outcome"] == "equal"
    assert 0 < report["held"] < len(there(sandbox))


@pytest.mark.parametrize(
    "arguments",
    [{"on_difference": "ignore"}, {"on_difference": None}, {"event_type": "clicks"}, {"action_id": ""}],
)
def test_bad_input_fails_before_any_request(
    sandbox: Sandbox, files: FileDestination, arguments: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException):
        reconcile(files, **arguments)
    assert sandbox.asked == []
    assert not Path(files.path).exists()


def test_all_actions_at_once(sandbox: Sandbox, destination: Destination) -> None:
    pull(destination, action_id="*")
    report = reconcile(destination, action_id="*")
    assert report["outcome"] == "equal"
    assert report["held"] > len(there(sandbox))
    assert asked(sandbox, STATISTICS) == 0


def test_a_report_stays_small(files: FileDestination) -> None:
    year = {"window_start": "2024-01-01", "window_end": "2025-01-01"}
    for mode in ("report", "pull"):
        assert len(json.dumps(reconcile(files, **year, on_difference=mode))) < 4_096


@pytest.mark.parametrize(
    ("event_type", "path"),
    [
        ("bounces", "bounce"),
        ("hits/open", "opening"),
        ("hits/redirection", "click"),
        ("hits/unsubscribe", "redlist"),
        ("cancellations", None),
        ("hits", None),
        ("/bounces", None),
    ],
)
def test_the_counter_of_the_type_is_told_and_nothing_done_about_it(
    sandbox: Sandbox, files: FileDestination, event_type: str, path: str | None
) -> None:
    feedback = {
        "opening": {"total": 1_001, "unique": 7},
        "click": {"total": 1_002},
        "bounce": {"soft": 1_000, "hard": 3, "spam": 0},
        "redlist": {"unsubscribe": {"total": 1_004}, "complaint": {"total": 9}},
    }
    expected = {"opening": 1_001, "click": 1_002, "bounce": 1_003, "redlist": 1_004}
    pull(files, event_type=event_type)
    sandbox.plan.add(Fault(path=STATISTICS, body=json.dumps({"feedback": feedback}).encode()))
    report = reconcile(files, event_type=event_type)
    assert report["outcome"] == "equal"
    assert report.get("statistics") == (expected[path] if path else None)
    assert asked(sandbox, STATISTICS) == (1 if path else 0)
    assert asked(sandbox) == 2


def test_robots_hits_have_no_counter(sandbox: Sandbox, files: FileDestination) -> None:
    assert "statistics" not in reconcile(files, event_type="hits/open", classification="mpp")
    assert asked(sandbox, STATISTICS) == 0


BROKEN = {
    "gone": Fault(status=404, path=STATISTICS),
    "gone for good": Fault(status=410, path=STATISTICS),
    "forbidden": Fault(status=403, path=STATISTICS),
    "failing": Fault(status=500, path=STATISTICS),
    "limited": Fault(status=429, path=STATISTICS, headers={"Retry-After": "200"}),
    "cut": Fault(cut=20, path=STATISTICS),
    "no JSON": Fault(body=b"<html>", path=STATISTICS),
    "a list": Fault(body=b"[1]", path=STATISTICS),
    "without feedback": Fault(body=b'{"feedback": 3}', path=STATISTICS),
    "no numbers": Fault(body=b'{"feedback": {"bounce": {"hard": "3"}}}', path=STATISTICS),
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_statistics_that_do_not_come_fail_nothing_and_are_not_asked_for_again(
    sandbox: Sandbox,
    files: FileDestination,
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pull(files)
    sandbox.plan.add(fault)
    report = reconcile(files)
    assert report["outcome"] == "equal"
    assert "statistics" not in report
    assert asked(sandbox, STATISTICS) == 1
    failed = fault.status in (403, 429, 500) or fault.cut is not None or fault.body in (b"<html>", b"[1]")
    assert ("No statistics to compare with" in caplog.text + capfd.readouterr().out) == failed


def test_numbers_that_are_none_are_not_taken() -> None:
    assert [_number(x) for x in (3, {"total": 4}, {"a": 1, "b": 2})] == [3, 4, 3]
    assert [_number(x) for x in (None, True, "3", {}, {"total": None}, {"a": 1, "b": {}})] == [None] * 6


def test_a_count_that_breaks_for_good_is_left_to_airflows_retries(
    sandbox: Sandbox, files: FileDestination
) -> None:
    pull(files)
    sandbox.plan.add(Fault(cut=1), times=99)
    with pytest.raises(Np6TruncatedError):
        reconcile(files)


def test_a_long_limit_before_the_count_defers_and_later_ends_the_try(
    sandbox: Sandbox, files: FileDestination
) -> None:
    sandbox.world = FakeAccount(events_per_day=96, withheld=0.1)
    pull(files)
    limit = Fault(status=429, headers={"Retry-After": "3600"}, framing="length")
    sandbox.plan.add(limit)
    with pytest.raises(TaskDeferred) as caught:
        reconcile(files, deferrable=True)
    assert caught.value.method_name == "execute_complete"
    publish_all(sandbox)
    sandbox.plan.add(Fault(path="/events/"))
    sandbox.plan.add(limit, times=2)
    with pytest.raises(Np6RateLimitError):
        reconcile(files, deferrable=True)


def test_a_count_that_is_told_to_stop_ends(sandbox: Sandbox, files: FileDestination) -> None:
    pull(files)
    sandbox.plan.add(Fault(cut=30_000, ending="stall", stall=10))
    stalled = Np6ReconcileOperator(task_id="reconcile", **ARGUMENTS, destination=files)
    previous = signal.signal(signal.SIGALRM, lambda *_: stalled.on_kill())
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(_task_terminated()):
            stalled.execute({})
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert asked(sandbox) == 2


def test_invalid_events_count_as_in_pulls(sandbox: Sandbox, files: FileDestination) -> None:
    sandbox.world = FakeAccount(events_per_day=240)
    for _ in range(2):
        sandbox.plan.add(Fault(path="/events/", change=faults.broken(3, b'{"id": "x"}')))
    pull(files, on_invalid="quarantine")
    report = reconcile(files, on_invalid="quarantine")
    assert (report["outcome"], report["invalid"], report["held"]) == ("equal", 1, len(there(sandbox)))


def test_personal_data_is_pulled_again_in_the_form_that_it_has(
    sandbox: Sandbox, files: FileDestination
) -> None:
    sandbox.world = FakeAccount(events_per_day=96, withheld=0.1)
    pull(files, event_type="activations", personal_data="drop")
    sandbox.world = FakeAccount(events_per_day=96)
    with pytest.raises(AirflowFailException, match="personal_data"):
        reconcile(files, event_type="activations")
    report = reconcile(files, event_type="activations", personal_data="drop")
    assert report["outcome"] == "grown"
    (data,) = Path(files.path).rglob("*.jsonl.gz")
    assert b"@" not in gzip.decompress(data.read_bytes())
    assert stored(files) == there(sandbox, "activations")


def test_runs_are_mapped_and_named(sandbox: Sandbox, tmp_path: Path) -> None:
    source = f"""{HEAD}
from airflow_provider_np6.operators.reconcile import Np6ReconcileOperator

with DAG(DAG_ID, schedule=DAILY, start_date=START, catchup=False) as dag:
    Np6ReconcileOperator.partial(
        task_id="reconcile", destination="{tmp_path}/{{{{ ds_nodash }}}}", event_type="bounces"
    ).expand(action_id=["000PE4", "000PEB"])
"""
    run = run_source(source, DAY_AFTER)
    assert run.state == "success"
    assert run.names == {"reconcile[0]": "bounces · 000PE4", "reconcile[1]": "bounces · 000PEB"}
    reports = run.reports("reconcile")
    assert [report["outcome"] for report in reports] == ["missing"] * 2
    assert {report["window_start"] for report in reports} == {"2024-10-04T00:00:00.000Z"}
    assert {report["destination"] for report in reports} == {f"{tmp_path}/20241005"}
