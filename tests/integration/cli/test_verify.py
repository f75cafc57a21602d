"""``verify``, of real files and tables that somebody changed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.files.formats import FORMATS
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.command_line import Run
from tests.support.databases import ask
from tests.support.files import all_manifests, change_manifest, data_paths, manifest_paths
from tests.support.pulls import MIDNIGHT, TODAY, land

pytestmark = pytest.mark.core

TOMORROW = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
PLACE = "type=bounces/action=000PE4/date=2024-10-04"


@pytest.fixture
def account() -> FakeAccount:
    """Enough events to set one aside."""
    return FakeAccount(events_per_day=300)


def fill(client: Np6Client, sandbox: Sandbox, destination: Destination) -> int:
    """A full day, an empty one, one with something set aside, and one of all actions; the events."""
    queries = [
        EventQuery.checked("bounces", "000PE4", TODAY),
        EventQuery.checked("bounces", "000PE4", TOMORROW),
        EventQuery.checked("bounces", "000PEB", TODAY),
        EventQuery.checked("hits/open", "*", TODAY, "gsr"),
    ]
    plans = [Fault(), Fault(body=b"[]"), Fault(change=faults.broken(3, b'{"id": 1}')), Fault()]
    for query, fault in zip(queries, plans, strict=True):
        sandbox.plan.clear()
        sandbox.plan.add(fault)
        land(client, destination, query, quarantine=True)
    bounces = [
        len([*sandbox.account.events("bounces", action, *_bounds())]) for action in ("000PE4", "000PEB")
    ]
    hits = sandbox.account.events("hits/open", None, *_bounds(), classification=frozenset({"gsr"}))
    return sum(bounces) + len([*hits])


def _bounds() -> tuple[int, int]:
    return TODAY.start, TODAY.end


def snapshot(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in root.rglob("*")
    }


@pytest.mark.parametrize("format_", FORMATS)
def test_files_that_match(
    np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    events = fill(client, sandbox, FileDestination(str(tmp_path), format_))
    before = snapshot(tmp_path)
    ended = np6("verify", tmp_path, "--json")
    size = sum(path.stat().st_size for path in tmp_path.glob("type=*/*/*/*"))
    assert (ended.code, ended.json) == (
        0,
        {
            "ok": True,
            "destination": str(tmp_path),
            "windows": 4,
            "events": events,
            "bytes": size,
            "problems": [],
            "orphans": [],
        },
    )
    assert snapshot(tmp_path) == before
    assert np6("verify", tmp_path).out == f"4 windows with {events:,} events, {size:,} bytes: no problems\n"


def test_progress_is_for_a_terminal(
    np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, sandbox, FileDestination(str(tmp_path)))
    assert "Verifying" not in np6("verify", tmp_path, "--json").err
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it were one
    monkeypatch.delenv("TERM", raising=False)
    ended = np6("verify", tmp_path, "--json")
    assert "Verifying" in ended.err
    assert ended.json["windows"] == 4


def _manifest(root: Path, action: str = "000PE4", date: str = "2024-10-04") -> Path:
    return root / f"_manifests/type=bounces/action={action}/{date}.json"


def _data(root: Path) -> Path:
    (data,) = (root / PLACE).iterdir()
    return data


def _change_slice(**fields: Any) -> Callable[[Path], None]:
    return lambda root: change_manifest(_manifest(root), lambda day: day["slices"][0].update(fields))


def _cut(root: Path) -> None:
    data = _data(root)
    data.write_bytes(data.read_bytes()[:-10])


def _change(root: Path) -> None:
    data = _data(root)
    data.write_bytes(data.read_bytes().replace(b"bounce", b"bOunce", 1))


def _move(root: Path) -> None:
    manifest = _manifest(root)
    manifest.write_text(manifest.read_text().replace('"000PE4"', '"000PEI"'))


def _name_another(root: Path) -> None:
    other = next(root.glob("type=bounces/action=000PEB/*/*")).relative_to(root)
    _data(root).unlink()
    _change_slice(data=str(other))(root)


def _move_to_another_day(root: Path) -> None:
    _manifest(root).replace(_manifest(root, date="2024-10-05"))


def _overlap(root: Path) -> None:
    hour = {"window_start": "2024-10-04T01:00:00.000Z", "window_end": "2024-10-04T02:00:00.000Z"}
    empty = {"data": None, "events": 0, "bytes": 0, "sha256": None}
    change_manifest(_manifest(root), lambda day: day["slices"].append({**day["slices"][0], **hour, **empty}))


def _leave_an_erasure_unfinished(root: Path) -> None:
    change_manifest(root / "_header.json", lambda header: header.update(erasures=1))
    for path in manifest_paths(root):
        change_manifest(path, lambda day: day.update(erasures=1))
    change_manifest(_manifest(root), lambda day: day.update(erasures=0))


MANIFEST = "/_manifests/type=bounces/action=000PE4/2024-10-04.json"


@pytest.mark.parametrize(
    ("meddle", "name", "problem"),
    [
        (_cut, MANIFEST, "differs in size or sha256 from its manifest"),
        (_change, MANIFEST, "differs in size or sha256 from its manifest"),
        (_change_slice(events=1), MANIFEST, "and its manifest records 1"),
        (_move, MANIFEST, "it is the manifest of bounces of 000PEI"),
        (_name_another, MANIFEST, "differs in size or sha256 from its manifest"),
        (_change_slice(data=None), MANIFEST, "is not named"),
        (_move_to_another_day, "/_manifests/type=bounces/action=000PE4/2024-10-05", "of another day than"),
        (_overlap, "bounces of action 000PE4, window [2024-10-04T01:", "overlaps [2024-10-04T00:"),
        (lambda root: _data(root).unlink(), MANIFEST, "does not exist"),
        (lambda root: _manifest(root).write_bytes(b"{"), MANIFEST, "cannot be read"),
        (
            lambda root: next(root.glob("_quarantine/*/*/*/*")).unlink(),
            "/_manifests/type=bounces/action=000PEB/",
            "1 invalid events, and its quarantine file has 0",
        ),
        (_leave_an_erasure_unfinished, MANIFEST, "an erasure is not finished"),
    ],
    ids=[
        "cut",
        "changed",
        "miscounted",
        "moved",
        "misnamed",
        "unnamed",
        "of another day",
        "overlapping",
        "gone",
        "unreadable",
        "quarantine",
        "erasure",
    ],
)
def test_files_that_differ(
    np6: Run,
    client: Np6Client,
    sandbox: Sandbox,
    tmp_path: Path,
    *,
    meddle: Callable[[Path], object],
    name: str,
    problem: str,
) -> None:
    fill(client, sandbox, FileDestination(str(tmp_path), "jsonl"))
    meddle(tmp_path)
    ended = np6("verify", tmp_path, "--json")
    assert (ended.code, ended.json["ok"]) == (1, False)
    ((key, text),) = [(check["name"], check["problem"]) for check in ended.json["problems"]]
    assert key.removeprefix(str(tmp_path)).startswith(name)
    assert problem in text
    listed = np6("verify", tmp_path)
    assert listed.code == 1
    assert listed.out.splitlines()[0] == f"{key}: {text}"
    assert ": 1 problem" in listed.out.splitlines()[-1]


def _leave(root: Path) -> list[str]:
    """Files as killed pulls leave them: of a day that is stored, of an empty one, of a type that was never
    published, and in quarantine."""
    stem = "20241004T000000Z_20241005T000000Z-e0-0123456789abcdef"
    names = [
        f"_quarantine/{PLACE}/{stem}.bad",
        f"{PLACE}/.{stem}.jsonl",
        f"{PLACE}/{stem}.jsonl.gz",
        f"type=bounces/action=000PE4/date=2024-10-05/{stem}.jsonl",
        f"{PLACE.replace('bounces', 'hits')}/{stem}.jsonl",
    ]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return sorted(str(root / name) for name in names)


def test_orphans_are_listed_and_are_no_problem(
    np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(client, sandbox, FileDestination(str(tmp_path)))
    orphans = _leave(tmp_path)
    (tmp_path / PLACE / "notes.txt").write_text("not a file of ours")
    before = snapshot(tmp_path)
    ended = np6("verify", tmp_path, "--json")
    assert (ended.code, ended.json["ok"], ended.json["problems"]) == (0, True, [])
    assert sorted(ended.json["orphans"]) == orphans
    listed = np6("verify", tmp_path)
    assert listed.code == 0
    *names, summary = listed.out.splitlines()
    assert sorted(names) == [f"{name}: orphan" for name in orphans]
    assert summary.endswith(": no problems, 5 orphans")
    assert snapshot(tmp_path) == before


def test_orphans_are_removed_on_request(
    np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(client, sandbox, FileDestination(str(tmp_path)))
    (tmp_path / PLACE / "notes.txt").write_text("not a file of ours")
    kept = set(data_paths(tmp_path))
    orphans = _leave(tmp_path)
    ended = np6("verify", tmp_path, "--remove-orphans")
    assert ended.code == 0
    *names, summary = ended.out.splitlines()
    assert sorted(names) == [f"{name}: orphan removed" for name in orphans]
    assert summary.endswith(": no problems, 5 orphans removed")
    assert set(data_paths(tmp_path)) == kept
    # No manifest may ever name them again.
    removed = {str(tmp_path / name) for day in all_manifests(tmp_path) for name in day.removed}
    assert removed == set(orphans)
    ended = np6("verify", tmp_path, "--remove-orphans", "--json")
    assert (ended.code, ended.json["ok"], ended.json["orphans"]) == (0, True, [])
    land(client, FileDestination(str(tmp_path)), EventQuery.checked("bounces", "000PE4", TODAY))
    assert np6("verify", tmp_path).code == 0


def test_problems_come_before_orphans_and_decide_the_exit_code(
    np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    fill(client, sandbox, FileDestination(str(tmp_path)))
    _data(tmp_path).unlink()
    orphans = _leave(tmp_path)
    for arguments, state in (((), "orphan"), (("--remove-orphans",), "orphan removed")):
        ended = np6("verify", tmp_path, *arguments)
        assert ended.code == 1
        problem, *names, summary = ended.out.splitlines()
        assert problem.endswith("does not exist")
        assert sorted(names) == [f"{name}: {state}" for name in orphans]
        assert f": 1 problem, 5 {state.replace('orphan', 'orphans')}" in summary


@pytest.mark.usefixtures("airflow_db")
def test_a_table_that_matches_while_a_pull_has_its_lock(
    np6: Run, client: Np6Client, sandbox: Sandbox, sql: SqlDestination
) -> None:
    events = fill(client, sandbox, sql)
    rows = ask("SELECT * FROM np6_events_windows ORDER BY 1, 2, 3, 4")
    with sql._database().transaction():
        ended = np6("verify", "--sql", "test_sql", "--json")
    assert (ended.code, ended.json) == (
        0,
        {
            "ok": True,
            "destination": "test_sql: np6_events",
            "windows": 4,
            "events": events,
            "bytes": 0,
            "problems": [],
            "orphans": [],
        },
    )
    assert ask("SELECT * FROM np6_events_windows ORDER BY 1, 2, 3, 4") == rows


@pytest.mark.usefixtures("airflow_db")
def test_a_table_that_differs(np6: Run, client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    fill(client, sandbox, sql)

    def problems() -> dict[str, str]:
        ended = np6("verify", "--sql", "test_sql", "--json")
        assert ended.code == 1
        return {one["name"].partition(", window")[0]: one["problem"] for one in ended.json["problems"]}

    ((lost,),) = ask("SELECT MIN(event_id) FROM np6_events WHERE action_id = '000PEB'")
    ask("DELETE FROM np6_events WHERE event_id = ?", lost)
    assert list(problems()) == ["bounces of action 000PEB"]
    ask("DELETE FROM np6_events_windows WHERE action_id = '000PEB'")
    ((outside,),) = ask(
        "SELECT COUNT(*) FROM np6_events WHERE action_id = '000PEB' AND event_type = 'bounces'"
    )
    assert problems() == {"bounces of action 000PEB": f"{outside} events lie in no window that was pulled"}
    ask("DELETE FROM np6_events WHERE action_id = '000PEB' AND event_type = 'bounces'")
    assert np6("verify", "--sql", "test_sql").code == 0
    ask("UPDATE np6_events_windows SET invalid = 2 WHERE action_id = '*'")
    assert problems() == {"hits/open by gsr of all actions": "2 invalid events are recorded, and there are 0"}
    ask("DELETE FROM np6_events_windows WHERE action_id = '*'")
    assert list(problems()) == ["hits/open by gsr of all actions"]
