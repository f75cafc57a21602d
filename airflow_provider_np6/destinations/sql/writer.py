"""Writes a pull into SQL: the window is spooled, then replaced in one short transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_np6.destinations import quarantine
from airflow_provider_np6.destinations.base import summarize_slices
from airflow_provider_np6.destinations.inventory import SliceOutcome
from airflow_provider_np6.destinations.sql.database import VERSION, check_version_of
from airflow_provider_np6.destinations.sql.dialects import ErrorKind
from airflow_provider_np6.destinations.sql.loading import get_loader
from airflow_provider_np6.destinations.sql.windows_table import WindowsTable, check_table, read_erasure_list
from airflow_provider_np6.np6.errors import Np6DestinationError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.loading import InsertLoader
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.np6.verify import Events, Invalid
    from airflow_provider_np6.privacy.erasure_filter import ErasureList


class SqlSpool:
    """The window's events as the load takes them, in a file without a name: a killed worker leaves nothing.

    :param file: for events.
    :param aside: for invalid ones.
    :param loader: of the table of events.
    """

    def __init__(self, file: IO[bytes], aside: IO[bytes], loader: InsertLoader) -> None:
        self.file = file
        self._aside = aside
        self._loader = loader

    def begin(self, pulled_at: int) -> None:
        self._encode = self._loader.encoder(pulled_at)

    def write(self, events: Events) -> None:
        try:
            self.file.write(self._encode(events))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Np6DestinationError(
                f"the worker's disk cannot take the events: {reason}", hint="Make room below TMPDIR."
            ) from None

    def set_aside(self, invalid: Invalid) -> None:
        self._aside.write(quarantine.line(invalid))

    def restart(self) -> None:
        for file in (self.file, self._aside):
            file.seek(0)
            file.truncate()

    def invalid(self) -> list[dict[str, Any]]:
        """The invalid events that were set aside, as :func:`quarantine.record` has them."""
        self._aside.seek(0)
        return [json.loads(line) for line in self._aside]


@dataclass
class SqlLanding:
    """Replaces one window in one short transaction."""

    _database: Database
    _query: EventQuery
    _account: str
    _personal_data: str
    _uri: str | None
    spool: SqlSpool
    erased: ErasureList | None
    published: list[str] = field(default_factory=list)

    def publish(self, pull: VerifiedPull) -> dict[str, Any]:
        outcome = self._database.run_with_retries(lambda: self._replaced(pull), "could not be written")
        self.published = [self._uri] if outcome.outcome != "superseded" and self._uri else []
        return {"table": str(self._database.events.name), **summarize_slices([outcome])}

    def _replaced(self, pull: VerifiedPull) -> SliceOutcome:
        try:
            return self._replace(pull, take_over=False)
        except Exception as error:  # each driver has a tree of errors of its own
            if self._database.dialect.failure(error) is not ErrorKind.DUPLICATE_KEY:
                raise
        return self._replace(pull, take_over=True)

    def _replace(self, pull: VerifiedPull, *, take_over: bool) -> SliceOutcome:
        """Delete, insert, record.

        :param take_over: whether rows of the same ids are deleted wherever they are; that costs a lookup
            per event and is needed only when an event moved between windows or actions.
        """
        database, query = self._database, self._query
        loader = get_loader(database.events, query)
        with database.transaction() as cursor:
            check_version_of(database, cursor)
            check_table(database, cursor, query, self._account, self._personal_data)
            if read_erasure_list(database, cursor) != self.erased:
                raise Np6DestinationError(
                    f"persons were erased from table {database.events.name} during this pull",
                    hint="The next try leaves them out.",
                    context=query.description,
                )
            recorded = WindowsTable(database, cursor, query)
            if recorded.is_superseded(query.window, pull.pulled_at):
                return SliceOutcome(query.window, "superseded", recorded.previous_events(query.window))
            replaced = recorded.events_in(query.window)
            database.events.delete(cursor, replaced)
            displaced = (loader.take_over if take_over else loader.load)(
                cursor, self.spool.file, pull.pulled_at
            )
            self._replace_quarantine(cursor, recorded, pull.pulled_at)
            stored = pull.events if displaced is None else database.events.count(cursor, replaced)
            row = {
                "events": stored,
                "invalid": pull.invalid,
                "pulled_at": pull.pulled_at,
                "account": self._account,
                "personal_data": self._personal_data,
                "version": VERSION,
            }
            previous = recorded.replace(query.window, row)
            recorded.recount(displaced or set())
        return SliceOutcome(query.window, "created" if previous is None else "changed", previous or 0)

    def _replace_quarantine(self, cursor: Any, recorded: WindowsTable, pulled_at: int) -> None:
        database, window = self._database, self._query.window
        database.quarantine.delete(cursor, recorded.set_aside_in(window))
        rows = [
            {
                **recorded.identity,
                "event": None,
                **record,
                "near": min(max(database.ms(record["near"]), window.start), window.end - 1),
                "pulled_at": pulled_at,
            }
            for record in self.spool.invalid()
        ]
        database.quarantine.insert_rows(cursor, rows)
