"""The benchmark runs, notices lost events, and its page says what was measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, OURS
from benchmarks.outputs import find_fault
from benchmarks.report import draw_chart, update_page
from tests.support import ROOT

DOCS = ROOT / "docs"


def test_the_page_and_its_chart_are_those_of_the_stored_figures() -> None:
    results = json.loads((DOCS / "performance.json").read_text())
    page = (DOCS / "performance.md").read_text()
    assert page == update_page(page, results)
    assert (DOCS / "performance.svg").read_text() == draw_chart(results)
    assert not [row for row in results["ways"] if "void" in row]


def test_a_small_run_measures_all_that_is_installed(tmp_path: Path) -> None:
    """Every contender of some outputs ends with all events, and figures, page and chart are written."""
    shutil.copy(DOCS / "performance.md", tmp_path)
    outputs_run = ["jsonl.zst", "postgres", "promises"]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "--events", "2000", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--largest", "0", "--docs", str(tmp_path), "--only", *outputs_run],
        cwd=ROOT,
        env={**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "performance.json").read_text())
    ran = {(row["output"], row["way"]) for row in results["ways"]}
    expected = [one for one in CONTENDERS if one.output in outputs_run and not one.missing]
    assert ran == {(contender.output, contender.way) for contender in expected}
    assert ("jsonl.zst", OURS) in ran
    assert ("postgres", "by hand (insert_rows)") in ran
    page = (tmp_path / "performance.md").read_text()
    assert len(re.findall(r"^\| (?:jsonl\.zst|PostgreSQL) \|", page, re.MULTILINE)) == len(
        [contender for contender in expected if contender.output != "promises"]
    )
    assert (tmp_path / "performance.svg").read_text() == draw_chart(results)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"id":"a"}\n{"id":"b"}\n', ""),
        ('[{"id":"a"},{"id":"b"}]', ""),
        ('{"type":"LOG"}\n{"record":{"data":{"id":"b"}}}\n{"record":{"data":{"id":"a"}}}\n', ""),
        ('{"id":"a"}\n', "1 events instead of 2"),
        ('{"id":"a"}\n{"id":"a"}\n{"id":"b"}\n', "3 events instead of 2"),
        ('{"id":"a"}\n{"id":"a"}\n', "other events than those that were sent"),
    ],
    ids=["lines", "array", "messages", "lost", "doubled", "exchanged"],
)
def test_figures_are_void_unless_every_event_came_once(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "made.jsonl").write_text(text)
    assert find_fault("*.jsonl", tmp_path, {"a", "b"}) == fault
