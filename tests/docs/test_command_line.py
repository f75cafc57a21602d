"""What docs/command-line.md shows is what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from airflow_provider_np6.cli import main
from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support import ROOT
from tests.support.command_line import Run
from tests.support.pulls import MIDNIGHT, land

pytestmark = pytest.mark.core

PAGE = (ROOT / "docs/command-line.md").read_text()
BLOCK = re.compile(r"(?<=```console\n)\$ python -m airflow_provider_np6 (.*)\n((?:(?!```).*\n)*)")


def pull(client: Np6Client, destination: Destination, event_type: str, action: str, *days: int) -> None:
    for day in days:
        window = Window(MIDNIGHT + day * DAY, MIDNIGHT + (day + 1) * DAY)
        land(client, destination, EventQuery.checked(event_type, action, window))


@pytest.fixture
def tree(client: Np6Client, sandbox: Sandbox, tmp_path: Path, sqlite_connection: Path) -> Path:
    """The page's ``/data/np6``, and a table at its connection ``np6_sql``."""
    root = tmp_path / "np6"
    files = FileDestination(str(root))
    pull(client, files, "bounces", "000PE4", 0, 1, 3)
    sandbox.plan.add(Fault(body=b"[]"))
    pull(client, files, "bounces", "000PE4", 2)
    pull(client, files, "bounces", "000PEB", 0, 2, 3)
    pull(client, files, "responses/stop", "*", 0, 1, 2, 3)
    pull(client, SqlDestination("np6_sql"), "bounces", "000PE4", 0, 1)
    return root


def even(text: str) -> str:
    """Without what differs between versions of zlib and of libraries that print."""
    text = re.sub(r"[\d,]+ bytes", "N bytes", text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE).strip()


@pytest.mark.usefixtures("airflow_db", "np6_connection")
def test_each_block_is_what_its_command_prints(
    np6: Run, sandbox: Sandbox, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    blocks = BLOCK.findall(PAGE)
    shown = {tuple(shlex.split(command)): text for command, text in blocks}
    assert {("--help",), *((name, "--help") for name in main.commands)} <= set(shown)
    for arguments, text in shown.items():
        out = np6(*(one.replace("/data/np6", str(tree)) for one in arguments)).out
        out = out.replace(str(tree), "/data/np6").replace(sandbox.url, "https://api-cm.np6.com")
        assert even(text) == even(out), " ".join(arguments)


def test_its_states_and_fields(np6: Run, tree: Path) -> None:
    span = ("--start", "2024-10-04", "--end", "2024-10-06")
    page = tree.parent / "coverage.html"
    report = np6("coverage", tree, *span, "--json", "--html", page).json
    assert set(report) == {"ok", "destination", "start", "end", "counts", "rows"}
    assert re.findall(r"^\| (\w+) \| `.` \|", PAGE, re.MULTILINE) == list(report["counts"])
    for field in ("ok", "connection", "action_id", "types"):
        assert f"| `{field}` |" in PAGE
    assert page.read_text().startswith("<!doctype html>")
