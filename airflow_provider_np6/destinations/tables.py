"""The SQL that is sent: two tables, made, asked and changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.columns import COLUMNS, INDEX, KEY, Column

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.dialects import Dialect

WINDOW_COLUMNS = (
    Column("event_type", "key"),
    Column("classification", "key"),
    Column("action_id", "key"),
    Column("window_start", "moment"),
    Column("window_end", "moment"),
    Column("events", "count"),
    Column("invalid", "count"),
    Column("pulled_at", "moment"),
    Column("account", "key"),
    Column("personal_data", "key"),
    Column("version", "count"),
)
WINDOW_KEY = ("event_type", "classification", "action_id", "window_start", "window_end")

QUARANTINE_COLUMNS = (
    Column("event_type", "key"),
    Column("classification", "key"),
    Column("action_id", "key"),
    Column("near", "moment"),
    Column("position", "count"),
    Column("reason", "text"),
    Column("sha256", "key"),
    Column("event", "text"),
    Column("pulled_at", "moment"),
)
QUARANTINE_KEY = ("event_type", "classification", "action_id", "near", "sha256")

Condition = Mapping[str, Any]
"""``{"column operator": value}``, joined by AND; moments in ms since the epoch."""


@dataclass(frozen=True)
class Table:
    """One table in one database, as a maker of statements for a cursor.

    :param name: the table's name as users write it, with its schema if given.
    :param placeholder: the driver's mark for a parameter.
    """

    schema: str | None
    table: str
    columns: Sequence[Column]
    key: Sequence[str]
    index: Sequence[str]
    dialect: Dialect
    placeholder: str

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}" if self.schema else self.table

    @property
    def _quoted(self) -> str:
        return ".".join(self.dialect.quote(part) for part in (self.schema, self.table) if part)

    def create(self, cursor: Any) -> None:
        """Create the table unless it is there."""
        lines = [
            f"{self.dialect.quote(column.name)} {self.dialect.types[column.kind]}"
            f"{' NOT NULL' if column.name in (*self.key, 'occurred_at') else ''}"
            for column in self.columns
        ]
        lines.append(f"PRIMARY KEY ({', '.join(map(self.dialect.quote, self.key))})")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {self._quoted} (\n  " + ",\n  ".join(lines) + "\n)")
        if self.index and self.dialect.index_if_not_exists:
            cursor.execute(
                f"CREATE INDEX IF NOT EXISTS {self.dialect.quote(f'{self.table}_time')} ON {self._quoted}"
                f" ({', '.join(map(self.dialect.quote, self.index))})"
            )

    def select(self, cursor: Any, columns: Sequence[str], where: Condition) -> list[tuple[Any, ...]]:
        """Rows of ``columns``, which may be expressions; moments come as the driver gives them."""
        clause, values = self._where(where)
        cursor.execute(f"SELECT {', '.join(columns)} FROM {self._quoted}{clause}", values)
        return [tuple(row) for row in cursor.fetchall()]

    def count(self, cursor: Any, where: Condition) -> int:
        return int(self.select(cursor, ["COUNT(*)"], where)[0][0])

    def delete(self, cursor: Any, where: Condition) -> None:
        clause, values = self._where(where)
        cursor.execute(f"DELETE FROM {self._quoted}{clause}", values)

    def insert(self, cursor: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        names = ", ".join(self.dialect.quote(column.name) for column in self.columns)
        marks = ", ".join(self.placeholder for _ in self.columns)
        cursor.executemany(
            f"INSERT INTO {self._quoted} ({names}) VALUES ({marks})",
            [[self.dialect.value(column.kind, row[column.name]) for column in self.columns] for row in rows],
        )

    def _where(self, where: Condition) -> tuple[str, list[Any]]:
        kinds = {column.name: column.kind for column in self.columns}
        terms, values = [], []
        for term, value in where.items():
            name, operator = term.split(" ", 1)
            given = list(value) if operator == "IN" else [value]
            marks = ", ".join(self.placeholder for _ in given)
            terms.append(
                f"{self.dialect.quote(name)} {operator} {f'({marks})' if operator == 'IN' else marks}"
            )
            values += [self.dialect.value(kinds[name], one) for one in given]
        return (f" WHERE {' AND '.join(terms)}" if terms else ""), values


def events_table(schema: str | None, table: str, dialect: Dialect, placeholder: str) -> Table:
    return Table(schema, table, COLUMNS, KEY, INDEX, dialect, placeholder)


def quarantine_table(schema: str | None, table: str, dialect: Dialect, placeholder: str) -> Table:
    return Table(schema, f"{table}_quarantine", QUARANTINE_COLUMNS, QUARANTINE_KEY, (), dialect, placeholder)


def windows_table(schema: str | None, table: str, dialect: Dialect, placeholder: str) -> Table:
    return Table(schema, f"{table}_windows", WINDOW_COLUMNS, WINDOW_KEY, (), dialect, placeholder)
