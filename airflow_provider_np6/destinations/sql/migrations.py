"""The tables as they stand: created, completed or refused before a pull begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.errors import Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.table import Table


def completing_statements(database: Database, cursor: Any, *, create: bool, evolve: bool) -> list[str]:
    """Look at the four tables; the statements that would complete them, if they may be completed.

    :raises Np6InputError: if a table is missing or incomplete and may not be changed, or if a column or the
        key is of another kind; with the statements to run.
    """
    found = []
    for table in (database.events, database.windows, database.quarantine, database.erased):
        stored = database.dialect.stored_types(cursor, table.name)
        if stored is None:
            if not create:
                raise _unfit(table, "is not there", table.creation)
            found += table.creation
            continue
        _check_types(table, stored)
        missing = [column for column in table.columns if column.name not in stored]
        additions = [table.addition(column) for column in missing]
        keyless = [column.name for column in missing if table.is_required(column)]
        if keyless:
            raise _unfit(table, f"has no column {keyless[0]}, and is no table of events", table.creation)
        if missing and not evolve:
            raise _unfit(table, f"has no column {missing[0].name}", additions)
        keys = database.dialect.unique_keys(cursor, table.name)
        if keys is not None and set(table.key) not in keys:
            key = ", ".join(map(database.dialect.quote, table.key))
            raise _unfit(table, "lacks its key", [f"ALTER TABLE {table.quoted} ADD PRIMARY KEY ({key})"])
        found += additions
    return found


def _check_types(table: Table, stored: dict[str, str]) -> None:
    wrong = [
        column
        for column in table.columns
        if column.name in stored and not table.dialect.is_fit(column, stored[column.name])
    ]
    if wrong:
        named = ", ".join(f"{column.name} {stored[column.name].upper()}" for column in wrong)
        raise _unfit(
            table,
            f"has columns of types that would change what they hold: {named}",
            list(dict.fromkeys(statement for column in wrong for statement in table.retyping(column))),
        )


def _unfit(table: Table, what: str, statements: list[str]) -> Np6InputError:
    hint = "".join(f"\n{statement};" for statement in statements)
    return Np6InputError(f"table {table.name} {what}", hint=f"Run in the database:{hint}")
