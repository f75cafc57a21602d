"""``verify``, of real trees and tables that somebody meddled with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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
from tests.support.pulls import MIDNIGHT, TODAY, land

pytestmark = pytest.mark.core

TOMORROW = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
STEM = "20241004T000000Z_20241005T000000Z"
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
def test_a_tree_that_holds(
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


def _cut(root: Path) -> None:
    data = root / PLACE / f"{STEM}.jsonl"
    data.write_bytes(data.read_bytes()[:-10])


def _change(root: Path) -> None:
    data = root / PLACE / f"{STEM}.jsonl"
    data.write_bytes(data.read_bytes().replace(b"bounce", b"bOunce", 1))


def _miscount(root: Path) -> None:
    manifest = root / "_manifests" / PLACE / f"{STEM}.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "events": 1}))


def _move(root: Path) -> None:
    manifest = root / "_manifests" / PLACE / f"{STEM}.json"
    manifest.write_text(manifest.read_text().replace('"000PE4"', '"000PEI"'))


def _name_another(root: Path) -> None:
    manifest = root / "_manifests" / PLACE / f"{STEM}.json"
    other = next(root.glob("type=bounces/action=000PEB/*/*")).relative_to(root)
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "data": str(other)}))


def _add_data(root: Path) -> None:
    (root / PLACE / f"{STEM}.jsonl.gz").write_bytes(b"")


def _leave_beside_an_empty_slice(root: Path) -> None:
    _leave(root, NEXT)


def _leave_of_a_new_type(root: Path) -> None:
    _leave(root, NEW)


def _leave(root: Path, file: str) -> None:
    data = Path(f"{root}{file}")
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_bytes(b"")


def _overlap(root: Path) -> None:
    manifest = root / "_manifests" / PLACE / f"{STEM}.json"
    hour = "20241004T010000Z_20241004T020000Z"
    told = json.loads(manifest.read_text())
    told |= {"window_start": "2024-10-04T01:00:00.000Z", "window_end": "2024-10-04T02:00:00.000Z"}
    told |= {"data": None, "events": 0, "bytes": 0, "sha256": None}
    manifest.with_name(f"{hour}.json").write_text(json.dumps(told))


MANIFEST = f"/_manifests/{PLACE}/{STEM}.json"
NEXT = "/type=bounces/action=000PE4/date=2024-10-05/20241005T000000Z_20241006T000000Z.jsonl"
NEW = f"/{PLACE.replace('bounces', 'hits')}/{STEM}.jsonl"


@pytest.mark.parametrize(
    ("meddle", "name", "problem"),
    [
        (_cut, MANIFEST, "has 2"),
        (_change, MANIFEST, "a sha256, other than its manifest says"),
        (_miscount, MANIFEST, "and its manifest says 1"),
        (_move, MANIFEST, "it is of bounces of action 000PEI"),
        (_name_another, MANIFEST, "and not its own"),
        (_add_data, f"/{PLACE}/{STEM}.jsonl.gz", "no manifest vouches for it"),
        (_leave_beside_an_empty_slice, NEXT, "no manifest vouches for it"),
        (_leave_of_a_new_type, NEW, "no manifest vouches for it"),
        (_overlap, "bounces of action 000PE4, window [2024-10-04T01:", "overlaps [2024-10-04T00:"),
        (lambda root: (root / PLACE / f"{STEM}.jsonl").unlink(), MANIFEST, "is gone"),
        (lambda root: Path(f"{root}{MANIFEST}").write_bytes(b"{"), MANIFEST, "a manifest cannot be read"),
        (
            lambda root: next(root.glob("_quarantine/*/*/*/*")).unlink(),
            "/_manifests/type=bounces/action=000PEB/",
            "1 events set aside, and there are 0",
        ),
    ],
    ids=[
        "cut",
        "changed",
        "miscounted",
        "moved",
        "misnamed",
        "added",
        "left beside an empty slice",
        "left of a new type",
        "overlapping",
        "gone",
        "unreadable",
        "quarantine",
    ],
)
def test_a_tree_that_does_not(
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
    found = {one["name"].removeprefix(str(tmp_path)): one["problem"] for one in ended.json["problems"]}
    mine = [text for key, text in found.items() if key.startswith(name) and problem in text]
    assert mine, found
    # Data of a manifest that cannot be read has none that vouches for it.
    assert len(found) == (2 if meddle is not _add_data and "cannot be read" in problem else 1)
    assert problem in np6("verify", tmp_path).out


@pytest.mark.usefixtures("airflow_db")
def test_a_table_that_holds_while_a_pull_has_its_lock(
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
        },
    )
    assert ask("SELECT * FROM np6_events_windows ORDER BY 1, 2, 3, 4") == rows


@pytest.mark.usefixtures("airflow_db")
def test_a_table_that_does_not(np6: Run, client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
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
    assert problems() == {"bounces": f"{outside} events lie in no window that was pulled"}
    ask("DELETE FROM np6_events WHERE action_id = '000PEB' AND event_type = 'bounces'")
    assert np6("verify", "--sql", "test_sql").code == 0
    ask("UPDATE np6_events_windows SET invalid = 2 WHERE action_id = '*'")
    assert problems() == {
        "hits/open by gsr of all actions": "2 events set aside are recorded, and there are 0"
    }
    ask("DELETE FROM np6_events_windows WHERE action_id = '*'")
    assert list(problems()) == ["hits/open by gsr"]
