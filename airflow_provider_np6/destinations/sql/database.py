"""The tables in their database: transactions on them, and retries of these."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_np6.destinations.sql import layout
from airflow_provider_np6.destinations.sql.dialects import ErrorKind, Lock, TableName, get_dialect
from airflow_provider_np6.destinations.sql.errors import to_destination_error, to_hint
from airflow_provider_np6.destinations.sql.table import RIGHTS
from airflow_provider_np6.np6.errors import Np6Error, Np6InputError, Np6WriteRefusedError, check_version

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.table import Table

TRIES = 5
"""Transactions tried before a failure that may pass is left to Airflow's retries."""

_LOCK_WAIT = 300.0
"""Seconds to wait for what another transaction has locked."""

T = TypeVar("T")


class Database:
    """The five tables, and transactions on them.

    :param hook: a common-sql hook.
    :param conn_id: of its connection, for errors.
    :param name: of the table of events.
    """

    def __init__(self, hook: Any, conn_id: str, name: TableName) -> None:
        self._hook = hook
        self.conn_id = conn_id
        self.dialect = get_dialect(hook.dialect_name)
        self.events = layout.events_table(name, self.dialect, hook.placeholder)
        self.windows = layout.windows_table(name, self.dialect, hook.placeholder)
        self.header = layout.header_table(name, self.dialect, hook.placeholder)
        self.quarantine = layout.quarantine_table(name, self.dialect, hook.placeholder)
        self.erased = layout.erased_table(name, self.dialect, hook.placeholder)

    def __str__(self) -> str:
        """The table in a user's words."""
        return f"table {self.events.name} of connection {self.conn_id!r}"

    @property
    def tables(self) -> list[Table]:
        """All five."""
        return [self.events, self.windows, self.header, self.quarantine, self.erased]

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A new connection, closed at the end."""
        with closing(self._connect()) as connection:
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(connection, False)
            self.dialect.prepare(connection)
            yield connection

    def _connect(self) -> Any:
        try:
            return self._hook.get_conn()
        except (ImportError, TypeError, ValueError) as error:  # by the hook, before it connects
            raise Np6InputError(
                f"connection {self.conn_id!r} cannot be used: {type(error).__name__}",
                hint="Check its extra: an option may be one of another driver.",
            ) from None

    @contextmanager
    def transaction(self, *, is_writing: bool = True) -> Iterator[Any]:
        """A cursor in a transaction without any lock; rolled back on any error."""
        with self.connection() as connection, closing(connection.cursor()) as cursor:
            try:
                self.dialect.begin(cursor, is_writing=is_writing)
                yield cursor
                connection.commit()
            except BaseException:
                with suppress(Exception):  # a dead connection has rolled back already
                    connection.rollback()
                raise

    @contextmanager
    def locked(self, series: tuple[str, str] | None) -> Iterator[Any]:
        """The same, after all transactions on the series have ended.

        :param series: event type and classification; None for all of the table.
        """
        with self.transaction() as cursor:
            self.dialect.lock(cursor, Lock(self.events.name, self.header.quoted, series))
            yield cursor

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A cursor that changes nothing and neither waits for pulls nor delays one. In every database, one
        statement sees one state of the tables.

        :raises Np6InputError: if there is no table of windows.
        """
        with self.transaction(is_writing=False) as cursor:
            if not self.has_tables(cursor):
                raise Np6InputError(
                    f"there is no {self}", hint="Check the table's name: nothing was ever pulled into it."
                )
            self.check_format(cursor)
            yield cursor

    def check_format(self, cursor: Any) -> None:
        """:raises Np6ConflictError: if the tables are of a later format: then nothing of them is known."""
        if "version" in (self.dialect.stored_types(cursor, self.header.name) or ()):
            common = {"event_type =": "", "classification =": ""}
            for (version,) in self.header.select(cursor, ["version"], common):
                check_version(str(self), int(version), layout.VERSION)

    def overwrite_deleted(self) -> None:
        """Let the database overwrite what it keeps of deleted rows, where it can."""
        if not self.dialect.keeps_deleted:
            return
        with self.connection() as connection, closing(connection.cursor()) as cursor:
            self.dialect.after_erasure(cursor)

    def has_tables(self, cursor: Any) -> bool:
        """Whether something was ever pulled, or may be."""
        return all(self.dialect.exists(cursor, table.name) for table in (self.windows, self.header))

    def read(self, work: Callable[[], T]) -> T:
        """The outcome of ``work``, which only reads; see :meth:`run_with_retries`."""
        return self.run_with_retries(work, "cannot be read", Np6InputError, is_writing=False)

    def write(self, work: Callable[[], T]) -> T:
        """The outcome of ``work``, which writes; see :meth:`run_with_retries`."""
        return self.run_with_retries(work, "could not be written", Np6WriteRefusedError)

    def run_with_retries(
        self, work: Callable[[], T], what: str, permanent: type[Np6Error], *, is_writing: bool = True
    ) -> T:
        """The outcome of ``work``, tried again while a failure may pass; it begins a transaction of its own
        each time.

        :param what: what failed, for errors: ``cannot be read``.
        :param permanent: the class for errors that another try cannot fix.
        :param is_writing: whether the work needs all rights of a pull.
        :raises Np6Error: a driver's own error as one of ours, without its text: that may have a row.
        """
        deadline = time.monotonic() + _LOCK_WAIT
        tries = 1
        while True:
            try:
                return work()
            except Np6Error:
                raise
            except Exception as error:  # each driver has its own classes
                kind = self.dialect.failure(error)
                if kind is ErrorKind.LOCKED and time.monotonic() < deadline:
                    wait = 0.5
                elif kind in (ErrorKind.TRANSIENT, ErrorKind.DUPLICATE_KEY) and tries < TRIES:
                    tries += 1
                    wait = 0.25 * 2**tries
                else:
                    raise self._to_error(error, what, permanent, is_writing=is_writing) from None
            time.sleep(random.uniform(0, wait))  # noqa: S311 - jitter

    def _to_error(
        self, error: Exception, what: str, permanent: type[Np6Error], *, is_writing: bool
    ) -> Np6Error:
        if self.dialect.is_forbidden(error):
            with suppress(Exception):  # then only the first error is known
                return self._to_forbidden(what, permanent, is_writing=is_writing)
        return to_destination_error(str(self), self.dialect, error, what, permanent)

    def _to_forbidden(self, what: str, permanent: type[Np6Error], *, is_writing: bool) -> Np6Error:
        """The error for a right that is missing, with the statements that grant it."""
        with self.transaction(is_writing=is_writing) as cursor:
            wanted = RIGHTS if is_writing else RIGHTS[:1]
            lacking, grants = self.find_missing_rights(cursor, {table.name: wanted for table in self.tables})
        if not grants:
            raise LookupError
        return permanent(f"{self} {what}: {lacking}", hint=to_hint(grants))

    def find_missing_rights(
        self, cursor: Any, wanted: Mapping[TableName, Sequence[str]]
    ) -> tuple[str, list[str]]:
        """What the connection lacks on the tables, as a clause, and the statements that grant it; "" if it
        lacks nothing.

        :param wanted: rights, by table.
        """
        named, grants = [], []
        for table in self.tables:
            columns = [column.name for column in table.columns]
            missing = self.dialect.missing_rights(cursor, table.name, columns, wanted[table.name])
            named += [f"{', '.join(missing)} on {table.name}"] if missing else []
            grants += table.grants(cursor, missing)
        if not named:
            return "", []
        role = self.dialect.get_role(cursor) or "the login"
        return f"{role} lacks {'; '.join(named)}", grants

    def ms(self, value: Any) -> int:
        """A time that a column gave, in ms since the epoch."""
        return self.dialect.ms(value)
