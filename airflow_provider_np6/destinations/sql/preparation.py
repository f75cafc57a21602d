"""What is checked before a pull sends its first request: connection, tables, rights and header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.sql.access import check_connection, check_rights
from airflow_provider_np6.destinations.sql.header import (
    check_requirements,
    read_erasure_list,
    read_header,
    to_series,
)
from airflow_provider_np6.destinations.sql.migrations import Migrations
from airflow_provider_np6.destinations.sql.probe import probe_database
from airflow_provider_np6.np6.errors import Np6Error, Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.requirements import PullRequirements
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.privacy.erasure_filter import ErasureList


@dataclass(frozen=True)
class TableState:
    """What a pull must know of the table when it begins.

    :param erasures: version of the erasure list.
    :param erased: the list itself; None if nobody was erased.
    :param verified_size: the largest response of the series that was verified; None if none was.
    """

    erasures: int
    erased: ErasureList | None
    verified_size: VerifiedSize | None


def prepare(database: Database, requirements: PullRequirements, *, create: bool, evolve: bool) -> TableState:
    """Create or complete the tables, and check all that can be checked before a request.

    :param database: of the tables.
    :param requirements: of the pull.
    :param create: whether to create tables that are missing.
    :param evolve: whether to add columns and indexes that are missing to tables that exist.
    :raises Np6InputError: if the database or its tables cannot be used; with the statements to run.
    :raises Np6ConflictError: if data is stored that this pull must not replace.
    """
    migrations = Migrations(database, create, evolve, all_actions=requirements.form == "all_actions")

    def use(cursor: Any) -> TableState:
        check_rights(database, cursor)
        return read_state(database, cursor, requirements)

    def complete() -> TableState:
        probe_database(database, create=create)
        with database.transaction(is_writing=False) as cursor:
            check_connection(database, cursor)
            if migrations.look(cursor).is_nothing:
                return use(cursor)
        migrations.run()
        with database.transaction(is_writing=False) as cursor:
            return use(cursor)

    try:
        return database.run_with_retries(complete, "cannot be used", Np6InputError)
    except Np6Error as error:
        error.at(requirements.query.description)
        raise


def read_state(database: Database, cursor: Any, requirements: PullRequirements) -> TableState:
    """Read the header, and check what the pull must have in common with it.

    :raises Np6ConflictError: if data is stored that this pull must not replace.
    """
    series = to_series(requirements)
    header = read_header(database, cursor, series)
    check_requirements(database, header, requirements)
    if header is None:
        return TableState(0, None, None)
    erased = read_erasure_list(database, cursor, header.erasures)
    row = header.series.get(series)
    return TableState(header.erasures, erased, row.verified if row else None)
