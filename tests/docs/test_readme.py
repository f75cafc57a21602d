"""What the README says is so."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.np6.config import _EXTRAS
from airflow_provider_np6.sandbox import Sandbox
from tests.support import ROOT
from tests.support.airflow_runs import AIRFLOW_3, DAGS_FOLDER, load, run_dag
from tests.support.command_line import airflow
from tests.support.pages import Page, without_tokens

PAGE = Page("README.md")
README = PAGE.text
PYTHON = [block.text for block in PAGE.blocks if block.language == "python"]
COMMANDS = [line for block in PAGE.blocks if block.language == "bash" for line in block.lines]


def test_it_goes_from_installing_to_contributing() -> None:
    headings = re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert headings == ["Install", "The connection", "One DAG", "Try it", "Contributing"]


def test_its_make_targets_and_extras_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert (
        set(re.findall(r"`?make (\w+)`?", " ".join([*COMMANDS, *re.findall(r"`(make \w+)`", README)])))
        <= targets
    )
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    assert set(re.findall(r"`(?:airflow-provider-np6)?\[(\w+)\]`", README)) <= extras


def test_it_lists_every_extra_of_the_connection() -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE) == list(_EXTRAS)


def test_its_connection_is_taken(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_np6.hooks.np6 import Np6Hook

    (exported,) = (line for line in COMMANDS if line.startswith("export "))
    name, _, value = shlex.split(exported)[1].partition("=")
    monkeypatch.setenv(name, value)
    assert Np6Hook().config.api_key == "KEY"


def test_its_connection_can_be_added(airflow_db: None) -> None:
    (command,) = (line for line in COMMANDS if line.startswith("airflow connections add"))
    arguments = shlex.split(command)[1:]
    assert "Successfully added" in airflow(*arguments)
    assert "Successfully deleted" in airflow("connections", "delete", "np6_default")


@pytest.mark.usefixtures("airflow_db", "np6_connection")
def test_its_dag_writes_where_it_says_and_is_found_there(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datetime import UTC, datetime

    path = DAGS_FOLDER / "readme_dag.py"
    path.write_text(PYTHON[0].replace('"/tmp/np6"', repr(str(tmp_path))).replace("\n):", "\n) as dag:"))
    run = run_dag(load(path).dag, datetime(2026, 11, 23, tzinfo=UTC))
    path.unlink()
    assert run.state == "success"
    capsys.readouterr()
    names: dict[str, Any] = {}
    exec(PYTHON[1].replace('"/tmp/np6"', repr(str(tmp_path))), names)  # noqa: S102 - the README's own words
    (report,) = run.reports()
    before = "[2026-11-01T00:00:00.000Z, 2026-11-22T00:00:00.000Z)"
    after = "[2026-11-23T00:00:00.000Z, 2026-12-01T00:00:00.000Z)"
    assert capsys.readouterr().out == f"{report['events']} {before} {after}\n"
    assert [window["window_end"] for window in names["coverage"].missing_windows()] == [
        "2026-11-22T00:00:00.000Z",
        "2026-12-01T00:00:00.000Z",
    ]
    assert names["coverage"].invalid == []
    assert names["lake"].verify().is_ok
    shown = without_tokens(re.findall(r"^/tmp/np6/(\S+)$", README, re.MULTILINE))
    written = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("2026*") if file.is_file()]
    assert without_tokens(written) == shown


@pytest.mark.usefixtures("airflow_db", "np6_connection")
def test_its_fan_out_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    head, _, _ = PYTHON[0].replace('"np6_bounces"', '"np6_fan_out"').partition("    Np6EventsOperator(")
    fan_out = PYTHON[2].replace('"/tmp/np6"', repr(str(tmp_path)))
    path = DAGS_FOLDER / "readme_fan_out.py"
    path.write_text(
        head.replace("\n):", "\n) as dag:") + "".join(f"    {line}\n" for line in fan_out.splitlines())
    )
    run = run_dag(load(path).dag, datetime(2026, 11, 23, tzinfo=UTC))
    path.unlink()
    assert (run.state, len(run.reports())) == ("success", 6)


def test_its_warning_about_schedules_holds() -> None:
    """A plain "@daily" is an interval of nothing on Airflow 3."""
    if not AIRFLOW_3:
        pytest.skip("Airflow 2 gives cron strings an interval")
    from airflow.sdk import DAG

    assert type(DAG("d", schedule="@daily").timetable).__name__ == "CronTriggerTimetable"
