"""One table of a database, and the SQL that creates, reads and changes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.sql.dialects import TableDialect, TableName, read_rows

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column
    from airflow_provider_np6.np6.query import EventQuery

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What reading, pulling and erasing need on a table."""

_FETCHED = 1_000
"""Rows fetched at a time where there may be many."""

Condition = Mapping[str, Any]
"""``{"column operator": value}``, joined by AND; times in ms since the epoch, None for IS NULL, and for IN a
list of values or a query."""

Patterns = tuple[Sequence[str], Sequence[str]]
"""Columns, and patterns of LIKE in lower case: one of these must fit one of those."""


@dataclass(frozen=True)
class Index:
    """An index of a table.

    :param suffix: what its name adds to the table's.
    :param columns: in order.
    """

    suffix: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table in one database, as a maker of statements for a cursor. All its statements quote all names.

    :param placeholder: the driver's mark for a parameter.
    """

    name: TableName
    columns: Sequence[Column]
    key: Sequence[str]
    indexes: Sequence[Index]
    dialect: TableDialect
    placeholder: str
    rights: Sequence[str] = RIGHTS
    """What a pull needs on the table."""

    @property
    def quoted(self) -> str:
        """The name in a statement."""
        return self.dialect.quote_name(self.name)

    @property
    def column_list(self) -> str:
        """All columns in a statement."""
        return self._list([column.name for column in self.columns])

    @property
    def creation(self) -> list[str]:
        """The statements that create the table and its indexes."""
        lines = [self._definition(column) for column in self.columns]
        lines.append(f"PRIMARY KEY ({self._list(self.key)})")
        if self.dialect.has_inline_indexes:
            lines += [
                f"INDEX {self.index_name(index)} ({self._list(index.columns)})" for index in self.indexes
            ]
        body = ",\n  ".join(lines)
        create = (
            f"CREATE TABLE {self.dialect.if_missing}{self.quoted} (\n  {body}\n){self.dialect.table_options}"
        )
        if self.dialect.has_inline_indexes:
            return [create]
        return [create, *map(self.index_creation, self.indexes)]

    def index_creation(self, index: Index) -> str:
        """The statement that creates an index."""
        name = self.index_name(index)
        if_missing = "" if self.dialect.has_inline_indexes else self.dialect.if_missing
        return f"CREATE INDEX {if_missing}{name} ON {self.quoted} ({self._list(index.columns)})"

    @property
    def key_creation(self) -> str:
        """The statement that makes the key unique in a table without a primary key, or with another one."""
        name = self.dialect.quote(f"{self.name.table}_key")
        return f"CREATE UNIQUE INDEX {name} ON {self.quoted} ({self._list(self.key)})"

    def addition(self, column: Column) -> str:
        """The statement that adds a column."""
        return f"ALTER TABLE {self.quoted} ADD COLUMN {self._definition(column)}"

    def retyping(self, column: Column, stored: Collection[str]) -> list[str]:
        """The statements that give a column its right type, or copy the rows into a new table.

        :param stored: the names of the table's columns.
        """
        statement = self.dialect.retype(self.name, column, required=self.is_required(column))
        if statement is not None:
            return [statement]
        old = self.dialect.quote(f"{self.name.table}_old")
        # An index keeps its name, and stays with the old table.
        drops = [f"DROP INDEX {self.dialect.if_exists}{self.index_name(index)}" for index in self.indexes]
        kinds = self._kinds
        names = [name for name in kinds if name in stored]
        texts = [
            quoted if kinds[name] == "count" else f"CAST({quoted} AS {self.dialect.types['text']})"
            for name, quoted in zip(names, map(self.dialect.quote, names), strict=True)
        ]
        copy = f"INSERT INTO {self.quoted} ({self._list(names)}) SELECT {', '.join(texts)} FROM {old}"
        is_copied = set(stored) <= set(kinds)
        end = [f"DROP TABLE {old}"] if is_copied else []  # else it has what nobody but its owner knows
        return [*drops, f"ALTER TABLE {self.quoted} RENAME TO {old}", *self.creation, copy, *end]

    def index_name(self, index: Index) -> str:
        """The name of an index in a statement."""
        return self.dialect.quote(f"{self.name.table}_{index.suffix}")

    def resolved(self, cursor: Any) -> Table:
        """The table as an administrator names it, who may have another schema."""
        return replace(self, name=self.dialect.resolve(cursor, self.name))

    def grants(self, cursor: Any, rights: Sequence[str] = RIGHTS) -> list[str]:
        """The statement that grants the connection's role rights; none without rights, or where the role is
        not known."""
        role = self.dialect.get_role(cursor) if rights else ""
        if not role:
            return []
        return [f"GRANT {', '.join(rights)} ON {self.resolved(cursor).quoted} TO {role}"]

    def is_required(self, column: Column) -> bool:
        """Whether a row cannot be without it."""
        return column.name in (*self.key, "occurred_at")

    def series(self, query: EventQuery) -> Condition:
        """Rows of the same event type and classification."""
        return {"event_type =": query.event_type, "classification =": query.classification}

    def select(
        self, cursor: Any, columns: Sequence[str], where: Condition, *, distinct: bool = False
    ) -> list[tuple[Any, ...]]:
        """Rows of ``columns``; times come as the driver gives them, and a payload as a string."""
        clause, values = self._where(where)
        self._execute_select(cursor, columns, clause, values, distinct=distinct)
        return read_rows(cursor, columns)

    def search(
        self, cursor: Any, columns: Sequence[str], where: Condition, patterns: Patterns
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Rows in which a string fits a pattern, some at a time."""
        texts, wanted = patterns
        clause, values = self._where(where)
        like = " OR ".join(
            f"LOWER({self.read(text)}) LIKE {self.placeholder}" for text in texts for _ in wanted
        )
        clause += f" {'AND' if clause else 'WHERE'} ({like})"
        values += [pattern for _ in texts for pattern in wanted]
        self._execute_select(cursor, columns, clause, values)
        while rows := read_rows(cursor, columns, _FETCHED):
            yield rows

    def count(self, cursor: Any, where: Condition) -> int:
        clause, values = self._where(where)
        name = self.dialect.quote("n")
        cursor.execute(f"SELECT COUNT(*) AS {name} FROM {self.quoted}{clause}", values)
        return int(read_rows(cursor, ["n"])[0][0])

    def delete(self, cursor: Any, where: Condition) -> None:
        clause, values = self._where(where)
        cursor.execute(f"DELETE FROM {self.quoted}{clause}", values)

    def update(self, cursor: Any, changes: Mapping[str, Any], where: Condition) -> None:
        clause, values = self._where(where)
        kinds = self._kinds
        settings = ", ".join(f"{self.dialect.quote(name)} = {self.placeholder}" for name in changes)
        new = [self.dialect.value(kinds[name], value) for name, value in changes.items()]
        cursor.execute(f"UPDATE {self.quoted} SET {settings}{clause}", [*new, *values])

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
        """Insert some rows that name their columns; a column without a value becomes NULL."""
        if rows:
            self.insert(cursor, [[row.get(column.name) for row in rows] for column in self.columns])

    @property
    def _kinds(self) -> dict[str, Any]:
        return {column.name: column.kind for column in self.columns}

    def _list(self, names: Sequence[str]) -> str:
        return ", ".join(map(self.dialect.quote, names))

    def read(self, name: str, alias: str = "") -> str:
        """A column as a statement reads it.

        :param alias: of the table in the statement; "" for none.
        """
        quoted = f"{alias}." * bool(alias) + self.dialect.quote(name)
        return self.dialect.reading.get(self._kinds[name], "{}").format(quoted)

    def _definition(self, column: Column) -> str:
        null = " NOT NULL" if self.is_required(column) else ""
        return f"{self.dialect.quote(column.name)} {self.dialect.types[column.kind]}{null}"

    def _execute_select(
        self, cursor: Any, columns: Sequence[str], clause: str, values: list[Any], *, distinct: bool = False
    ) -> None:
        selected = ", ".join(f"{self.read(name)} AS {self.dialect.quote(name)}" for name in columns)
        cursor.execute(f"SELECT {'DISTINCT ' * distinct}{selected} FROM {self.quoted}{clause}", values)

    def _where(self, where: Condition) -> tuple[str, list[Any]]:
        kinds = self._kinds
        terms, values = [], []
        for term, value in where.items():
            name, operator = term.split(" ", 1)
            quoted = self.dialect.quote(name)
            if value is None:
                terms.append(f"{quoted} {operator} NULL")
            elif operator == "IN" and isinstance(value, str):
                terms.append(f"{quoted} IN ({value})")
            else:
                given = list(value) if operator == "IN" else [value]
                marks = ", ".join(self.placeholder for _ in given)
                terms.append(f"{quoted} {operator} {f'({marks})' if operator == 'IN' else marks}")
                values += [self.dialect.value(kinds[name], one) for one in given]
        return (f" WHERE {' AND '.join(terms)}" if terms else ""), values


def within(column: str, start: int, end: int) -> Condition:
    """Rows whose time is in ``[start, end)``, ms since the epoch."""
    return {f"{column} >=": start, f"{column} <": end}
