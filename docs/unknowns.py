"""The table of unknowns.md, made from the questions: ``python docs/unknowns.py`` writes it again."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_np6.conformance import QUESTIONS

PAGE = Path(__file__).with_name("unknowns.md")

_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end -->)", re.DOTALL)
_HEAD = ("what", "known", "assumed here", "and if it is otherwise")


def with_table(page: str) -> str:
    """``page`` with its table as the questions have it now."""
    rows = [_HEAD, ("---",) * len(_HEAD)]
    rows += [(question.name, question.mark, question.assumed, question.otherwise) for question in QUESTIONS]
    return _TABLE.sub(lambda _: "".join(f"| {' | '.join(row)} |\n" for row in rows), page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
