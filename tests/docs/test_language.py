"""User-facing text and comments avoid the phrases of phrases.toml, apart from the files of not_yet.txt."""

from __future__ import annotations

import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

HERE = Path(__file__).parent
NOT_YET = set((HERE / "not_yet.txt").read_text().split())
"""Files that are not rewritten yet. One without a hit must leave the list; none may join it."""

FILES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("airflow_provider_np6/**/*.py", "dags/**/*.py", "demo/*.py", "docs/*.md", "*.md")
    for path in ROOT.glob(pattern)
)
_PROSE = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


@dataclass(frozen=True)
class Phrase:
    """A phrase, and what to write instead.

    :param search: finds it.
    :param right: finds the contexts in which it is right.
    """

    search: re.Pattern[str]
    instead: str
    right: re.Pattern[str]

    def hits(self, text: str) -> Iterator[re.Match[str]]:
        allowed = [found.span() for found in self.right.finditer(text)]
        for found in self.search.finditer(text):
            if not any(start <= found.start() < end for start, end in allowed):
                yield found


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE)


LIST = tomllib.loads((HERE / "phrases.toml").read_text())
PHRASES = [
    Phrase(_compiled(entry["search"]), entry["instead"], _compiled(entry.get("right", "(?!)")))
    for entry in LIST["phrase"]
]


def prose(source: str) -> str:
    """The comments and strings of a Python file, each in its place, with what separates strings; all else is
    white space, so that a phrase is found across the pieces of a message."""
    lines = [" " * (len(line) - 1) + "\n" for line in source.splitlines(keepends=True)]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _PROSE and token.string not in ("{", "}", ","):
            continue
        text = re.sub(r"[#\"']", " ", token.string)
        if re.match(r"[rb]*f", token.string, re.IGNORECASE):
            text = re.sub(r"(?<={)[^{}]*(?=})", lambda code: " " * len(code[0]), text)
        (row, column), _ = token.start, token.end
        for at, part in enumerate(text.split("\n")):
            left = column if at == 0 else 0
            line = lines[row - 1 + at]
            lines[row - 1 + at] = line[:left] + part + line[left + len(part) :]
    return "".join(lines)


def hits(name: str) -> list[str]:
    """``file:line: phrase → replacement`` for each hit."""
    text = (ROOT / name).read_text()
    if name.endswith(".py"):
        text = prose(text)
    return [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {' '.join(found[0].split())} → {phrase.instead}"
        for phrase in PHRASES
        for found in phrase.hits(text)
    ]


@pytest.mark.parametrize("sample", LIST["sample"], ids=lambda sample: sample["after"])
def test_the_list_finds_the_old_words_and_not_the_new_ones(sample: dict[str, str]) -> None:
    assert any(list(phrase.hits(sample["before"])) for phrase in PHRASES)
    assert [hit[0] for phrase in PHRASES for hit in phrase.hits(sample["after"])] == []


def test_comments_docstrings_and_messages_are_searched() -> None:
    source = '"""Told here,\nand gone on\nwith."""\ntold = f"a {told} text"  # debris\n'
    text = prose(source)
    assert len(text) == len(source)
    found = {" ".join(hit[0].split()) for phrase in PHRASES for hit in phrase.hits(text)}
    assert found == {"Told", "gone on with", "debris"}


@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_YET])
def test_a_rewritten_file_keeps_to_the_words(name: str) -> None:
    assert not hits(name), "\n" + "\n".join(hits(name))


def test_the_list_of_files_to_rewrite_shrinks() -> None:
    done = sorted(name for name in NOT_YET if name not in FILES or not hits(name))
    assert not done, f"take these off tests/docs/not_yet.txt: {', '.join(done)}"
