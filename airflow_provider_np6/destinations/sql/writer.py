"""Writes a pull into SQL: the window is spooled, then replaced in one short transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.event_writer import NOBODY, Publication, ShrinkRule
from airflow_provider_np6.destinations.sql.dialects import ErrorKind
from airflow_provider_np6.destinations.sql.header import (
    check_requirements,
    read_header,
    record_pull,
    remember_verified_size,
    to_series,
)
from airflow_provider_np6.destinations.sql.preparation import TableState, read_state
from airflow_provider_np6.destinations.sql.replacement import Replacement, count_dropped
from airflow_provider_np6.np6.errors import Np6Error, Np6PullAgainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_np6.destinations.inventory import SliceOutcome
    from airflow_provider_np6.destinations.requirements import PullRequirements
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.spool import SqlSpool
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.verified_pull import VerifiedPull
    from airflow_provider_np6.np6.window import Window
    from airflow_provider_np6.privacy.erasure_filter import ErasureList


class SqlWriter:
    """Replaces one window in one short transaction.

    :param database: whose tables are complete.
    :param requirements: of the pull.
    :param on_shrink: what to do if a day has fewer events than are stored.
    :param uri: the table as an asset; None where Airflow has no convention for it.
    :param spool: for the pull's events.
    :param state: of the table.
    """

    def __init__(
        self,
        database: Database,
        requirements: PullRequirements,
        *,
        on_shrink: str,
        uri: str | None,
        spool: SqlSpool,
        state: TableState,
    ) -> None:
        self._database = database
        self._requirements = requirements
        self._query = requirements.query
        self._on_shrink = on_shrink
        self._uri = uri
        self._spool = spool
        self._forgets_size = False
        self._state = state
        self._tried: dict[Window, SliceOutcome] = {}
        """Outcomes of the last transaction that came as far as its commit."""

    @property
    def erased(self) -> ErasureList | None:
        return self._state.erased

    @property
    def verified_size(self) -> VerifiedSize | None:
        return self._state.verified_size

    def forget_verified_size(self) -> None:
        self._forgets_size = True

    def restart(self, pulled_at: int) -> None:
        self._spool.restart(pulled_at)

    def write(self, events: Events) -> None:
        self._spool.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        self._spool.set_aside(invalid)

    def publish(
        self,
        pull: VerifiedPull,
        *,
        is_confirmed: bool = False,
        erased_by_day: Mapping[int, int] = NOBODY,
    ) -> Publication:
        rule = ShrinkRule(self._on_shrink, is_confirmed, self._query.description, erased_by_day)
        self._tried.clear()
        try:
            outcomes = self._database.write(lambda: self._replaced(pull, rule))
        except Np6PullAgainError:
            # The next pull leaves out who was erased by then.
            self._state = self._database.read(self._read_state)
            raise
        except Np6Error as error:
            error.at(self._query.description)
            raise
        is_changed = any(outcome.is_changed for outcome in outcomes)
        return Publication(
            slices=outcomes,
            location={"table": str(self._database.events.name)},
            assets=[self._uri] if is_changed and self._uri else [],
            duplicates=count_dropped(self._spool, outcomes),
        )

    def _read_state(self) -> TableState:
        with self._database.transaction(is_writing=False) as cursor:
            return read_state(self._database, cursor, self._requirements)

    def _replaced(self, pull: VerifiedPull, rule: ShrinkRule) -> list[SliceOutcome]:
        try:
            return self._replace(pull, rule, take_over=False)
        except Exception as error:  # each driver has its own classes
            if self._database.dialect.failure(error) is not ErrorKind.DUPLICATE_KEY:
                raise
        return self._replace(pull, rule, take_over=True)

    def _replace(self, pull: VerifiedPull, rule: ShrinkRule, *, take_over: bool) -> list[SliceOutcome]:
        database, requirements = self._database, self._requirements
        series = to_series(requirements)
        with database.locked(series) as cursor:
            header = read_header(database, cursor, series)
            check_requirements(database, header, requirements, self._state.erasures)
            record_pull(database, cursor, header, requirements)
            replacement = Replacement(database, cursor, self._query, spool=self._spool, pull=pull, rule=rule)
            outcomes = [self._first_outcome(outcome) for outcome in replacement.run(take_over=take_over)]
            if pull.verified_size is not None or self._forgets_size:
                row = header.series.get(series) if header else None
                known = row.verified if row and not self._forgets_size else None
                remember_verified_size(database, cursor, requirements, known, pull.verified_size)
            self._tried = {outcome.window: outcome for outcome in outcomes}
        return outcomes

    def _first_outcome(self, outcome: SliceOutcome) -> SliceOutcome:
        """What this pull did to a slice: if the connection broke after a commit, the next try finds the
        slice unchanged."""
        tried = self._tried.get(outcome.window)
        return tried if tried is not None and outcome.outcome == "unchanged" else outcome
