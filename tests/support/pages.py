"""The README and the pages below docs/, cut into their blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from tests.support import ROOT

_BLOCK = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of code.

    :param place: page and line where it stands, for messages.
    """

    place: str
    language: str
    title: str
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.strip().splitlines()

    def __str__(self) -> str:
        return f"{self.place} {self.language}"


@dataclass(frozen=True)
class Page:
    """One page, by its path below the root: ``README.md``, ``docs/start.md``."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(
                f"{self.path}:{self.text.count(chr(10), 0, found.start()) + 1}",
                found["language"],
                found["title"] or "",
                found["text"],
            )
            for found in _BLOCK.finditer(self.text)
        ]

    def block(self, language: str, *marks: str) -> str:
        """The one block in a language that holds all the marks."""
        (found,) = (
            one.text
            for one in self.blocks
            if one.language == language and all(mark in one.text for mark in marks)
        )
        return found

    def section(self, heading: str) -> str:
        """What stands below a heading, up to the next one of its rank or above."""
        rank = heading.index(" ")
        found = re.search(
            rf"^{re.escape(heading)}(?: {{[^\n]*)?\n(.*?)(?=^#{{1,{rank}}} |\Z)",
            self.text,
            re.DOTALL | re.MULTILINE,
        )
        assert found is not None, f"{self.path} has no {heading!r}"
        return found[1]

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the tables in a section, without their heads."""
        rows = [[cell.strip() for cell in row.split("|")] for row in _ROW.findall(self.section(heading))]
        heads = {at - 1 for at, row in enumerate(rows) if set(row[0]) == {"-"}}
        return [row for at, row in enumerate(rows) if at not in heads and set(row[0]) != {"-"}]


def without_tokens(names: Iterable[str]) -> set[str]:
    """Names of data files without what is random in them."""
    return {re.sub(r"-[0-9a-f]{16}\.", "-TOKEN.", name) for name in names}


def code(cell: str) -> list[str]:
    """What a cell shows as code."""
    return re.findall(r"`([^`]+)`", cell)


PAGES = [Page("README.md"), *(Page(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.md")))]
