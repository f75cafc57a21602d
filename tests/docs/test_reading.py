"""What docs/reading.md says about reading files back, run as it stands there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Sandbox
from airflow_provider_np6.sandbox.account import EVENT_TYPES
from tests.support.pages import Page
from tests.support.pulls import MIDNIGHT, land

pytestmark = pytest.mark.core

PAGE = Page("docs/reading.md")
DAYS = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
ACTIONS = ("000PE4", "000PEB")


@pytest.fixture
def trees(client: Np6Client, tmp_path: Path) -> Path:
    """``np6`` and ``np6_lines``, with all that no reader should see beside the data."""
    for name, format_ in (("np6", "parquet"), ("np6_lines", "jsonl.gz")):
        root = tmp_path / name
        for event_type in EVENT_TYPES:
            for action in ACTIONS:
                query = EventQuery.checked(event_type, action, DAYS)
                land(client, FileDestination(str(root), format_), query)
        data = next(root.glob("type=bounces/action=000PE4/date=2024-10-04/*"))
        data.with_name(f".{data.name}.tmp").write_bytes(data.read_bytes()[:100])
        aside = root / "_quarantine" / data.parent.relative_to(root)
        aside.mkdir(parents=True)
        (aside / f"{data.name.partition('.')[0]}.bad").write_bytes(b"{}\n")
    return tmp_path


def in_place(text: str, trees: Path) -> str:
    return text.replace("/data/np6", str(trees / "np6"))


def query(trees: Path, *marks: str) -> list[tuple[Any, ...]]:
    return duckdb.execute(in_place(PAGE.block("sql", *marks), trees)).fetchall()


def run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - the page's own words
    return names


def count(sandbox: Sandbox, event_type: str, action: str, window: Window = DAYS) -> int:
    return sum(1 for _ in sandbox.account.events(event_type, action, window.start, window.end))


def test_every_block_is_run_here_but_sparks() -> None:
    languages = [block.language for block in PAGE.blocks]
    assert languages.count("sql") == 6
    assert languages.count("python") == 4
    assert [language for language in languages if language not in ("sql", "python")] == ["pyspark"]
    assert "*Not run by the tests.*" in PAGE.section("## Spark")


def test_the_whole_tree_with_keys_as_text(sandbox: Sandbox, trees: Path) -> None:
    rows = query(trees, "count(DISTINCT event_id)")
    expected = {
        (event_type, action, day.date): count(sandbox, event_type, action, day)
        for event_type in EVENT_TYPES
        for action in ACTIONS
        for day in DAYS.days()
    }
    assert {tuple(keys): events for *keys, events, _ in rows} == expected
    assert all(events == ids for *_, events, ids in rows)


def test_only_the_partition_asked_for_is_read(sandbox: Sandbox, trees: Path) -> None:
    ((_, plan),) = query(trees, "EXPLAIN ANALYZE")
    assert "Scanning Files: 1/12" in plan, plan


def test_payload_has_what_columns_lack(sandbox: Sandbox, trees: Path) -> None:
    rows = query(trees, "subject.type")
    assert all(subject for _, subject, _ in rows)
    assert sum(bounces for *_, bounces in rows) == sum(
        count(sandbox, "bounces", action) for action in ACTIONS
    )


def orphan(trees: Path) -> None:
    """Leave a file that no manifest names beside one that a manifest names."""
    data = next((trees / "np6").glob("type=bounces/action=000PE4/date=2024-10-04/2*.parquet"))
    data.with_name("20241004T000000Z_20241005T000000Z-e0-0123456789abcdef.parquet").write_bytes(
        data.read_bytes()
    )


def check_verdicts(rows: list[tuple[Any, ...]], sandbox: Sandbox) -> None:
    assert {verdict for _, verdict, _ in rows} == {"hard", "soft"}
    for action in ACTIONS:
        assert sum(row[2] for row in rows if row[0] == action) == count(sandbox, "bounces", action)


def test_manifests_in_sql(sandbox: Sandbox, trees: Path) -> None:
    orphan(trees)
    check_verdicts(query(trees, "getvariable"), sandbox)


def test_manifests_in_python(sandbox: Sandbox, trees: Path) -> None:
    orphan(trees)
    check_verdicts(run(in_place(PAGE.block("python", "verdicts ="), trees))["verdicts"], sandbox)


def test_after_a_file_was_replaced_manifests_are_read_again(sandbox: Sandbox, trees: Path) -> None:
    names = run(in_place(PAGE.block("python", "verdicts ="), trees))
    named, stale = names["named_files"], [[str(trees / "replaced.parquet")]]
    names["named_files"] = lambda: stale.pop() if stale else named()
    statement = "SELECT action_id, bounce_verdict, count(*) FROM read_parquet($files) GROUP BY ALL"
    check_verdicts(names["query"](statement), sandbox)
    assert not stale


def test_what_manifests_record(sandbox: Sandbox, trees: Path) -> None:
    rows = query(trees, "slice.pulled_at")
    assert {(row[0], row[2], str(row[3])): row[4] for row in rows} == {
        (event_type, action, day.date): count(sandbox, event_type, action, day)
        for event_type in EVENT_TYPES
        for action in ACTIONS
        for day in DAYS.days()
    }
    assert all(row[5] is not None for row in rows)


def test_an_object_store_by_airflows_connection(
    client: Np6Client, sandbox: Sandbox, s3: str, tmp_path: Path
) -> None:
    lake = f"{s3}/{tmp_path.name}"
    land(client, FileDestination(lake, "parquet"), EventQuery.checked("bounces", "000PE4", DAYS))
    text = PAGE.block("python", "register_filesystem").replace("s3://aws_default@lake/np6", lake)
    assert run(text)["counted"] == count(sandbox, "bounces", "000PE4")


def test_pyarrow_reads_the_partitions_asked_for(sandbox: Sandbox, trees: Path) -> None:
    found = run(in_place(PAGE.block("python", "pyarrow.dataset"), trees))
    assert len(found["events"].files) == 12
    assert len(found["fragments"]) == len(ACTIONS)
    assert all("type=responses%2Fstop" in path and "date=2024-10-05" in path for path in found["fragments"])
    day = Window(DAYS.start + DAY, DAYS.end)
    expected = sum(count(sandbox, "responses/stop", action, day) for action in ACTIONS)
    assert found["stops"].num_rows == expected > 0
    assert set(found["stops"]["action"].to_pylist()) == set(ACTIONS)


def test_lines_by_declared_fields(sandbox: Sandbox, trees: Path) -> None:
    rows = query(trees, "newline_delimited")
    assert len(rows) == sum(count(sandbox, "bounces", action) for action in ACTIONS)
    assert {row[0] for row in rows} == {"bounces"}
    assert {row[3] for row in rows} == {"hard", "soft"}
    assert rows == sorted(rows, key=lambda row: row[2])


def test_lines_without_a_library(sandbox: Sandbox, trees: Path) -> None:
    ids = run(in_place(PAGE.block("python", "import gzip"), trees))["ids"]
    held = sandbox.account.events("bounces", "000PE4", DAYS.start, DAYS.end)
    assert sorted(ids) == sorted(json.loads(event.json)["id"] for event in held)
