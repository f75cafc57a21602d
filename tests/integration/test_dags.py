"""The example DAGs, run as they stand."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window, iso, to_ms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES, EVENT_TYPES
from tests.support import ROOT
from tests.support.airflow_runs import DAGS_FOLDER, asset_events, load, run_dag
from tests.support.files import all_manifests, data_files, lines
from tests.support.postgres import Postgres
from tests.support.pulls import HOUR as HOUR_MS
from tests.support.pulls import land

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db", "np6_connection", "sqlite_connection")]

EXAMPLES = ROOT / "dags"
DAY = datetime(2026, 11, 1, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """An example DAG as a module, in the DAGs folder, without retries: failures show at once."""
    path = DAGS_FOLDER / f"{request.param}.py"
    shutil.copy(EXAMPLES / path.name, path)
    module = load(path)
    for task in module.dag.tasks:
        if hasattr(task, "partial_kwargs"):
            task.partial_kwargs["retries"] = 0
    yield module
    path.unlink()


def ids(
    sandbox: Sandbox, event_type: str, action: str | None, start: datetime = DAY, end: datetime = NEXT_DAY
) -> set[str]:
    first, beyond = (round(moment.timestamp() * 1_000) for moment in (start, end))
    return {event.id for event in sandbox.account.events(event_type, action, first, beyond)}


def stored_ids(database: Path, event_type: str, action: str) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        statement = "SELECT event_id FROM np6_events WHERE event_type = ? AND action_id = ?"
        return {row[0] for row in connection.execute(statement, (event_type, action))}


PULLING = [path for path in sorted(EXAMPLES.glob("*.py")) if "provider_np6.operators" in path.read_text()]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_each_example_describes_itself_in_airflow(path: Path) -> None:
    module = load(path)
    assert module.dag.doc_md == module.__doc__


@pytest.mark.parametrize("path", PULLING, ids=lambda path: path.stem)
def test_each_example_tells_how_to_create_its_pool_first(path: Path) -> None:
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert 'airflow pools set np6_api 4 "Requests to NP6"' in comments[0]


@pytest.mark.parametrize("path", PULLING, ids=lambda path: path.stem)
def test_each_example_bounds_its_pulls(path: Path) -> None:
    (pull,) = (task for task in load(path).dag.tasks if task.task_id == "pull")
    given = pull.partial_kwargs
    assert given["pool"] == "np6_api"
    assert given["max_active_tis_per_dagrun"] == 4
    assert given["retries"] > 0
    assert given["execution_timeout"] > timedelta(0)


@pytest.mark.parametrize("example", ["np6_events_daily"], indirect=True)
def test_daily_into_files_twice(example: ModuleType, sandbox: Sandbox, tmp_path: Path) -> None:
    def pulled() -> dict[str, bytes]:
        assert run_dag(example.dag, NEXT_DAY, {"files": str(tmp_path / "np6")}).state == "success"
        files = (tmp_path / "np6").rglob("*.jsonl.gz")
        return {str(path): path.read_bytes() for path in files}

    first = pulled()
    stored = {
        (manifest.event_type, manifest.action_id): {
            json.loads(line)["id"] for line in lines(tmp_path / "np6" / str(slice_.data))
        }
        for manifest in all_manifests(tmp_path / "np6")
        for slice_ in manifest.slices
    }
    pairs = product(EVENT_TYPES, sandbox.account.action_ids)
    assert stored == {(event_type, action): ids(sandbox, event_type, action) for event_type, action in pairs}
    assert pulled() == first


@pytest.mark.parametrize("example", ["np6_events_daily"], indirect=True)
def test_one_failing_action_costs_no_other_and_is_named(
    example: ModuleType,
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sandbox.plan.add(Fault(path="/000PEB/", status=404, framing="length"), times=3)
    run = run_dag(example.dag, NEXT_DAY, {"files": str(tmp_path / "np6")})
    assert run.state == "failed"
    pulls = {name: state for name, state in run.states.items() if name.startswith("pull")}
    assert sorted(pulls.values()) == ["failed"] * 3 + ["success"] * 9
    assert {report["action_id"] for report in run.reports()} == {"000PE4", "000PEI", "000PEP"}
    assert run.states["close"] == "failed"
    named = "3 of 12 pulls failed: bounces · 000PEB, cancellations · 000PEB, responses/stop · 000PEB."
    assert named in caplog.text + capfd.readouterr().out


@pytest.mark.parametrize("example", ["np6_events_daily"], indirect=True)
def test_without_a_list_of_actions_the_run_fails(
    example: ModuleType, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.plan.add(Fault(status=404, framing="length"))
    run = run_dag(example.dag, NEXT_DAY, {"files": str(tmp_path / "np6")})
    assert (run.state, run.states["close"]) == ("failed", "failed")


@pytest.mark.parametrize("example", ["np6_events_daily"], indirect=True)
def test_the_closing_tasks_event_tells_the_sum(example: ModuleType, sandbox: Sandbox, tmp_path: Path) -> None:
    before = asset_events(example.EVENTS.uri)
    run = run_dag(example.dag, NEXT_DAY, {"files": str(tmp_path / "np6")})
    (told,) = asset_events(example.EVENTS.uri)[len(before) :]
    reports = run.reports()
    assert told == run.returned["close"]
    assert told == {
        "event_types": sorted(EVENT_TYPES),
        "actions": len(sandbox.account.action_ids),
        "window_start": "2026-11-01T00:00:00.000Z",
        "window_end": "2026-11-02T00:00:00.000Z",
        "pulled_at": min(report["pulled_at"] for report in reports),
        "events": sum(
            len(ids(sandbox, event_type, action))
            for event_type, action in product(EVENT_TYPES, sandbox.account.action_ids)
        ),
        "duplicates": 0,
        "invalid": 0,
        "erased": 0,
        "bytes_read": sum(report["bytes_read"] for report in reports),
        "bytes_written": sum(path.stat().st_size for path in (tmp_path / "np6").rglob("*.jsonl.gz")),
        "requests": sum(report["requests"] for report in reports),
        "slices": {"created": 12},
        "previous_events": 0,
        "destination": str(tmp_path / "np6"),
        "manifests": str(tmp_path / "np6/_manifests"),
    }


@pytest.mark.parametrize("example", ["np6_events_daily"], indirect=True)
def test_a_failed_pull_leaves_the_asset_as_it_was(
    example: ModuleType, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.plan.add(Fault(path="/000PEB/", status=404, framing="length"))
    before = asset_events(example.EVENTS.uri)
    run_dag(example.dag, NEXT_DAY, {"files": str(tmp_path / "np6")})
    assert asset_events(example.EVENTS.uri) == before


@pytest.mark.parametrize("example", ["np6_bounces_summary"], indirect=True)
def test_bounces_are_summed_up_by_what_the_event_tells(
    example: ModuleType, client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Its run by an asset's event is shown under a real scheduler: tests/end_to_end/test_standalone.py."""
    root, summaries = tmp_path / "np6", tmp_path / "summaries"
    window = Window(to_ms(DAY), to_ms(NEXT_DAY))
    for action in sandbox.account.action_ids:
        land(client, FileDestination(str(root)), EventQuery.checked("bounces", action, window))
    (data,) = (root / "type=bounces/action=000PE4/date=2026-11-01").iterdir()
    orphan = data.with_name("20261101T000000Z_20261101T010000Z-e0-0123456789abcdef.jsonl.gz")
    orphan.write_bytes(data.read_bytes())

    def summed_up(start: datetime) -> list[list[str]]:
        window = {"window_start": iso(to_ms(start)), "window_end": iso(to_ms(start + timedelta(days=1)))}
        event = SimpleNamespace(extra={"destination": str(root), **window})
        (path,) = example.dag.get_task("sum_up").python_callable(
            params={"summaries": str(summaries)}, triggering_asset_events={example.EVENTS.uri: [event]}
        )
        return [line.split(",") for line in Path(path).read_text().splitlines()]

    head, *rows = summed_up(DAY)
    assert head == ["action", "verdict", "bounces"]
    for action in sandbox.account.action_ids:
        counts = {verdict: int(count) for id_, verdict, count in rows if id_ == action}
        assert set(counts) == {"hard", "soft"}
        assert sum(counts.values()) == len(ids(sandbox, "bounces", action))
    assert summed_up(NEXT_DAY) == [head]
    assert {path.name for path in summaries.iterdir()} == {
        "bounces_2026-11-01_2026-11-02.csv",
        "bounces_2026-11-02_2026-11-03.csv",
    }


@pytest.mark.parametrize("example", ["np6_bounces_summary"], indirect=True)
def test_a_summary_by_hand_has_nothing_to_sum_up(example: ModuleType, tmp_path: Path) -> None:
    run = run_dag(example.dag, DAY, {"summaries": str(tmp_path / "summaries")})
    assert (run.state, run.returned) == ("success", {"sum_up": []})


def test_the_summary_is_scheduled_on_what_the_daily_pulls_update() -> None:
    daily, summary = (load(EXAMPLES / f"{name}.py") for name in ("np6_events_daily", "np6_bounces_summary"))
    assert daily.EVENTS == summary.EVENTS
    assert daily.dag.get_task("close").outlets == [daily.EVENTS]
    assert daily.EVENTS.uri == "file:///tmp/np6"


@pytest.mark.parametrize("example", ["np6_account_daily"], indirect=True)
def test_a_whole_account_takes_one_request_a_type(
    example: ModuleType, sandbox: Sandbox, tmp_path: Path
) -> None:
    run = run_dag(example.dag, NEXT_DAY, {"files": str(tmp_path)})
    assert run.state == "success"
    assert sorted(request.path for request in sandbox.received) == sorted(
        f"/actions/events/{event_type}" for event_type in example.TYPES
    )
    assert len(example.TYPES) == 8
    for event_type in example.TYPES:
        (path,) = data_files(str(tmp_path), event_type, "*", DAY, NEXT_DAY)
        assert {json.loads(line)["id"] for line in lines(Path(path))} == ids(sandbox, event_type, None)
    assert set(run.names.values()) == {f"{event_type} · *" for event_type in example.TYPES}


@pytest.mark.parametrize("example", ["np6_coverage"], indirect=True)
def test_coverage_fails_with_the_windows_that_are_missing(
    example: ModuleType,
    client: Np6Client,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    days = [Window(to_ms(DAY) + n * 24 * HOUR_MS, to_ms(DAY) + (n + 1) * 24 * HOUR_MS) for n in range(3)]
    destination = FileDestination(str(tmp_path), "parquet")

    def checked() -> str:
        conf = {"files": str(tmp_path), "actions": ["000PE4"], "event_types": ["bounces"], "days": 3}
        return run_dag(example.dag, DAY + timedelta(days=3, hours=6), conf).state

    for day in (days[0], days[2]):
        land(client, destination, EventQuery.checked("bounces", "000PE4", day))
    assert checked() == "failed"
    assert "[2026-11-02T00:00:00.000Z, 2026-11-03T00:00:00.000Z)" in caplog.text + capfd.readouterr().out
    land(client, destination, EventQuery.checked("bounces", "000PE4", days[1]))
    assert checked() == "success"


DAYS = [Window(to_ms(DAY) + n * 24 * HOUR_MS, to_ms(DAY) + (n + 1) * 24 * HOUR_MS) for n in range(3)]
NIGHT = DAY + timedelta(days=3, hours=3)
CHOSEN = ["000PE4", "000PEB"]


def landed(root: Path) -> dict[tuple[str, str, str], list[str]]:
    """Ids that files hold, by event type, action and day."""
    return {
        (manifest.event_type, manifest.action_id, slice_.window_start): [
            json.loads(line)["id"] for line in lines(root / str(slice_.data))
        ]
        for manifest in all_manifests(root)
        for slice_ in manifest.slices
    }


def published(account: FakeAccount) -> dict[tuple[str, str, str], list[str]]:
    """What there is to be landed of the chosen actions."""
    return {
        (event_type, action, iso(day.start)): [
            event.id for event in account.events(event_type, action, day.start, day.end)
        ]
        for event_type, action, day in product(EVENT_TYPES, CHOSEN, DAYS)
    }


@pytest.mark.parametrize("example", ["np6_bounces_hourly"], indirect=True)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_hourly_into_sql_with_checks_and_summary(
    example: ModuleType,
    sandbox: Sandbox,
    kind: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("AIRFLOW_CONN_NP6_SQL", json.dumps(server.database()))
    for hour in (1, 2):
        run = run_dag(example.dag, DAY + hour * HOUR)
        assert (run.state, set(run.states.values())) == ("success", {"success"})

    from airflow.providers.common.compat.sdk import BaseHook

    rows = BaseHook.get_hook("np6_sql").get_records(
        "SELECT day, action_id, verdict, bounces FROM np6_bounces_by_day"
    )
    assert {next(iter(row)) for row in rows} == {"2026-11-01"}
    for action in ("000PE4", "000PEB"):
        total = sum(row[3] for row in rows if row[1] == action)
        assert total == len(ids(sandbox, "bounces", action, DAY, DAY + 2 * HOUR))
    assert {row[2] for row in rows} == {"soft", "hard"}


@pytest.mark.parametrize("example", ["np6_events_on_demand"], indirect=True)
def test_on_demand(example: ModuleType, sandbox: Sandbox, sqlite_connection: Path) -> None:
    conf = {
        "actions": ["000PEI", "000PEP"],
        "event_types": ["bounces", "responses/stop", "hits/open"],
        "start": "2026-11-01T06:00:00+01:00",
        "end": "2026-11-01T12:00:00Z",
    }
    assert run_dag(example.dag, NEXT_DAY, conf).state == "success"
    start, end = DAY + 5 * HOUR, DAY + 12 * HOUR
    for action, event_type in product(sandbox.account.action_ids, ALL_EVENT_TYPES):
        wanted = action in conf["actions"] and event_type in conf["event_types"]
        expected = ids(sandbox, event_type, action, start, end) if wanted else set()
        assert stored_ids(sqlite_connection, event_type, action) == expected


@pytest.mark.parametrize("example", ["np6_events_on_demand"], indirect=True)
def test_the_form_refuses_other_event_types(example: ModuleType, sandbox: Sandbox) -> None:
    from airflow.providers.common.compat.sdk import AirflowException

    with pytest.raises((AirflowException, ValueError), match="clicks"):
        run_dag(example.dag, NEXT_DAY, {"event_types": ["clicks"]})
    assert sandbox.received == []
