"""Where the code of the documentation's pages runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Folders and a database for the names that the pages use.

    :param root: the folder that takes the place of ``/data``, with a tree ``np6`` in it.
    :param lake: the URI that takes the place of ``s3://aws_default@lake``, where a tree ``np6`` is too.
    :param database: the file that the connections ``my_database`` and ``np6_sql`` lead to.
    """

    root: Path
    lake: str
    database: Path

    def here(self, text: str) -> str:
        """``text`` with the paths of this place."""
        return text.replace("/data/", f"{self.root}/").replace("s3://aws_default@lake", self.lake)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """The database's rows for a query."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(text).fetchall()
