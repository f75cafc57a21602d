"""The map in CONTRIBUTING.md is that of the tree."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT
from tests.support.pages import Page, code

PAGE = Page("CONTRIBUTING.md")
PACKAGE = ROOT / "airflow_provider_np6"
ROWS = PAGE.rows("## Where is …?")


def tree() -> list[str]:
    """The paths that the page draws, folders with a slash at the end."""
    paths: list[str] = []
    above: list[str] = []
    for indent, name, word in re.findall(r"^( *)(\S+)(.*)$", PAGE.block("text", "hooks/"), re.MULTILINE):
        above[len(indent) // 4 :] = [name]
        assert word.strip() or name in ("airflow_provider_np6/", "tests/"), name
        paths.append("".join(above))
    return paths


def test_each_folder_of_the_package_is_in_the_tree_and_no_other() -> None:
    drawn = tree()
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    folders = {f"{path.parent.relative_to(ROOT)}/" for path in PACKAGE.rglob("*.py")}
    modules = {str(path.relative_to(ROOT)) for path in PACKAGE.glob("*.py") if "__" not in path.name}
    assert {path for path in drawn if path.startswith("airflow_provider_np6/")} == folders | modules


def test_at_least_twenty_behaviors_have_a_file_of_their_own() -> None:
    assert len(ROWS) >= 20
    assert len({row[0] for row in ROWS}) == len({row[1] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_the_file_of_a_behavior_exists(row: list[str]) -> None:
    (name,) = code(row[1])
    assert (PACKAGE / name).is_file()


def test_its_commands_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {line.removeprefix("make ") for line in PAGE.block("bash", "make").split("\n") if line}
    assert {"test", "unit", "lint", "services"} <= commands
    assert commands | set(re.findall(r"`make (\w+)`", PAGE.text)) <= targets


def test_the_files_that_it_names_exist() -> None:
    named = [word for word in code(PAGE.section("## Words")) if "/" in word]
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
