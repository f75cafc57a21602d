"""The tables of one destination, and the SQL that creates, reads and changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.schema import COLUMNS, INDEX, KEY, Column
from airflow_provider_np6.destinations.sql.dialects import TableDialect, TableName, plain_row

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery

WINDOW_COLUMNS = (
    Column("event_type", "key"),
    Column("classification", "key"),
    Column("action_id", "key"),
    Column("window_start", "timestamp"),
    Column("window_end", "timestamp"),
    Column("events", "count"),
    Column("invalid", "count"),
    Column("pulled_at", "timestamp"),
    Column("account", "key"),
    Column("personal_data", "key"),
    Column("version", "count"),
)
WINDOW_KEY = ("event_type", "classification", "action_id", "window_start", "window_end")

QUARANTINE_COLUMNS = (
    Column("event_type", "key"),
    Column("classification", "key"),
    Column("action_id", "key"),
    Column("near", "timestamp"),
    Column("position", "count"),
    Column("reason", "text"),
    Column("sha256", "key"),
    Column("event", "text"),
    Column("pulled_at", "timestamp"),
)
QUARANTINE_KEY = ("event_type", "classification", "action_id", "near", "sha256")

ERASED_COLUMNS = (Column("person", "key"), Column("fingerprint", "key"), Column("erased_at", "timestamp"))

Condition = Mapping[str, Any]
"""``{"column operator": value}``, joined by AND; moments in ms since the epoch, and for IN a list of values
or a query."""


@dataclass(frozen=True)
class Table:
    """One table in one database, as a maker of statements for a cursor.

    :param placeholder: the driver's mark for a parameter.
    """

    name: TableName
    columns: Sequence[Column]
    key: Sequence[str]
    index: Sequence[str]
    dialect: TableDialect
    placeholder: str

    @property
    def quoted(self) -> str:
        """The name in a statement."""
        return self.dialect.quote_name(self.name)

    @property
    def column_list(self) -> str:
        """All columns in a statement."""
        return ", ".join(self.dialect.quote(column.name) for column in self.columns)

    @property
    def creation(self) -> list[str]:
        """The statements that create the table and its index."""
        lines = [self._definition(column) for column in self.columns]
        lines.append(f"PRIMARY KEY ({', '.join(map(self.dialect.quote, self.key))})")
        body = ",\n  ".join(lines)
        statements = [f"CREATE TABLE {self.quoted} (\n  {body}\n){self.dialect.table_options}"]
        if self.index:
            columns = ", ".join(map(self.dialect.quote, self.index))
            name = self.dialect.quote(f"{self.name.table}_time")
            statements.append(f"CREATE INDEX {name} ON {self.quoted} ({columns})")
        return statements

    def addition(self, column: Column) -> str:
        """The statement that adds a column."""
        return f"ALTER TABLE {self.quoted} ADD COLUMN {self._definition(column)}"

    def retyping(self, column: Column) -> list[str]:
        """The statements that give a column its right type, or begin a new table beside the old one."""
        statement = self.dialect.retype(self.name, column, required=self.is_required(column))
        if statement is not None:
            return [statement]
        old = self.dialect.quote(f"{self.name.table}_old")
        return [f"ALTER TABLE {self.quoted} RENAME TO {old}", *self.creation]

    def is_required(self, column: Column) -> bool:
        """Whether a row cannot be without it."""
        return column.name in (*self.key, "occurred_at")

    def _definition(self, column: Column) -> str:
        null = " NOT NULL" if self.is_required(column) else ""
        return f"{self.dialect.quote(column.name)} {self.dialect.types[column.kind]}{null}"

    def series(self, query: EventQuery) -> Condition:
        """Rows of the same event type and classification."""
        return {"event_type =": query.event_type, "classification =": query.classification}

    def select(
        self,
        cursor: Any,
        columns: Sequence[str],
        where: Condition,
        *,
        matching: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> list[tuple[Any, ...]]:
        """Rows of ``columns``, which may be expressions; moments come as the driver gives them.

        :param matching: columns or expressions, and patterns of LIKE in lower case; one of these must fit
            one of those.
        """
        clause, values = self._where(where)
        if matching is not None:
            texts, patterns = matching
            like = " OR ".join(f"LOWER({text}) LIKE {self.placeholder}" for text in texts for _ in patterns)
            clause += f" {'AND' if clause else 'WHERE'} ({like})"
            values += [pattern for _ in texts for pattern in patterns]
        cursor.execute(f"SELECT {', '.join(columns)} FROM {self.quoted}{clause}", values)
        return [plain_row(row) for row in cursor.fetchall()]

    def count(self, cursor: Any, where: Condition) -> int:
        return int(self.select(cursor, ["COUNT(*)"], where)[0][0])

    def delete(self, cursor: Any, where: Condition) -> None:
        clause, values = self._where(where)
        cursor.execute(f"DELETE FROM {self.quoted}{clause}", values)

    def update(self, cursor: Any, column: str, value: Any, where: Condition) -> None:
        clause, values = self._where(where)
        kind = next(found.kind for found in self.columns if found.name == column)
        cursor.execute(
            f"UPDATE {self.quoted} SET {self.dialect.quote(column)} = {self.placeholder}{clause}",
            [self.dialect.value(kind, value), *values],
        )

    def insert(self, cursor: Any, values: Sequence[Sequence[Any]]) -> None:
        """Insert rows.

        :param values: for each column its values, as :meth:`TableDialect.value` takes them.
        """
        marks = ", ".join(self.placeholder for _ in self.columns)
        fit = [
            [self.dialect.value(column.kind, value) for value in given]
            for column, given in zip(self.columns, values, strict=True)
        ]
        cursor.executemany(
            f"INSERT INTO {self.quoted} ({self.column_list}) VALUES ({marks})", list(zip(*fit, strict=True))
        )

    def insert_rows(self, cursor: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert some rows that name their columns."""
        if rows:
            self.insert(cursor, [[row[column.name] for row in rows] for column in self.columns])

    def _where(self, where: Condition) -> tuple[str, list[Any]]:
        kinds = {column.name: column.kind for column in self.columns}
        terms, values = [], []
        for term, value in where.items():
            name, operator = term.split(" ", 1)
            if operator == "IN" and isinstance(value, str):
                terms.append(f"{self.dialect.quote(name)} IN ({value})")
                continue
            given = list(value) if operator == "IN" else [value]
            marks = ", ".join(self.placeholder for _ in given)
            terms.append(
                f"{self.dialect.quote(name)} {operator} {f'({marks})' if operator == 'IN' else marks}"
            )
            values += [self.dialect.value(kinds[name], one) for one in given]
        return (f" WHERE {' AND '.join(terms)}" if terms else ""), values


def events_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """One row per event."""
    return Table(name, COLUMNS, KEY, INDEX, dialect, placeholder)


def windows_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_windows``: one row per window that was pulled."""
    return Table(_beside(name, "windows"), WINDOW_COLUMNS, WINDOW_KEY, (), dialect, placeholder)


def quarantine_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_quarantine``: one row per invalid event that was set aside."""
    return Table(_beside(name, "quarantine"), QUARANTINE_COLUMNS, QUARANTINE_KEY, (), dialect, placeholder)


def erased_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_erased``: the erasure list, one row per token."""
    return Table(_beside(name, "erased"), ERASED_COLUMNS, ("person",), (), dialect, placeholder)


def _beside(name: TableName, suffix: str) -> TableName:
    return TableName(name.schema, f"{name.table}_{suffix}")
