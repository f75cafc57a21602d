"""Persons removed from a table: the list first, then the events of each slice."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.requirements import check_owner
from airflow_provider_np6.destinations.sql.header import (
    TableHeader,
    raise_erasures,
    read_erasure_list,
    read_header,
)
from airflow_provider_np6.destinations.sql.windows_table import WindowsTable
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.privacy.subjects import Subject, match_subjects

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.header import Series
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

_IDS = 500
"""Rows deleted by one statement."""
_IDENTITIES = ("recipient", "target_unicity", "target_id", "target_hash", "payload")
_INVALID_KEY = ("action_id", "near", "sha256")

Place = tuple[str, int]
"""Action, and UTC day since the epoch."""


@dataclass(frozen=True)
class SqlErasure:
    """Removes persons from a table, whatever the event type and action.

    A pull that runs meanwhile checks the version of the erasure list under its lock, so nothing about them is
    written once the list is. An erasure that broke off is finished by calling it again.

    :param database: of the table.
    :param account: the connection's.
    :param persons: addresses, or other identities.
    :param pseudonyms: of the connection's key.
    """

    database: Database
    account: str
    persons: Collection[str]
    pseudonyms: Pseudonyms

    def run(self) -> dict[str, int]:
        """Erase.

        :return: ``events`` removed, and ``windows`` that lost some.
        :raises Np6InputError: if nothing was ever pulled into the table.
        :raises Np6ConflictError: if it is another account's.
        """
        header, subjects = self.database.write(self._list_persons)
        removed: list[int] = []
        for series in sorted(header.series):
            places = self.database.read(partial(self._find, series, header, subjects))
            for place, ids in sorted(places.items()):
                removed += self.database.write(partial(self._erase, series, place, ids, subjects))
            self._erase_invalid(series, subjects)
        self.database.write(partial(self._finish, subjects))
        self.database.write(self.database.overwrite_deleted)
        return {"events": sum(removed), "windows": len(removed)}

    def _list_persons(self) -> tuple[TableHeader, list[Subject]]:
        """Put the persons on the erasure list, and its version into the header."""
        database = self.database
        with database.locked(None) as cursor:
            header = read_header(database, cursor)
            if header is None:
                raise Np6InputError(
                    f"nothing was ever pulled into {database}", hint="Check the destination's table."
                )
            check_owner(str(database), header, self.account)
            subjects = [Subject(person, header.personal_data, self.pseudonyms) for person in self.persons]
            erased = read_erasure_list(database, cursor, header.erasures)
            known = frozenset() if erased is None else erased.require_key(self.pseudonyms).tokens
            tokens = frozenset().union(*(subject.tokens for subject in subjects)) - known
            if tokens:
                now = time.time_ns() // 1_000_000
                row = {"fingerprint": self.pseudonyms.fingerprint, "erased_at": now}
                database.erased.insert_rows(cursor, [row | {"person": token} for token in sorted(tokens)])
                raise_erasures(database, cursor, header.erasures + 1)
        return header, subjects

    def _finish(self, subjects: Sequence[Subject]) -> None:
        """Record that the persons were removed."""
        database = self.database
        tokens = sorted(frozenset().union(*(subject.tokens for subject in subjects)))
        with database.locked(None) as cursor:
            for begin in range(0, len(tokens), _IDS):
                where = {"person IN": tokens[begin : begin + _IDS], "removed_at IS": None}
                database.erased.update(cursor, {"removed_at": time.time_ns() // 1_000_000}, where)

    def _find(
        self, series: Series, header: TableHeader, subjects: Sequence[Subject]
    ) -> dict[Place, list[str]]:
        """Ids of the events of a series that are about the persons, by where they are."""
        database = self.database
        is_mixed = header.series[series].form == "all_actions"
        where = {"event_type =": series[0], "classification =": series[1]}
        columns = ["action_id", "occurred_at", "event_id", "payload"]
        found: dict[Place, list[str]] = {}
        with database.reading() as cursor:
            for rows in database.events.search(cursor, columns, where, (_IDENTITIES, _patterns(subjects))):
                hits = match_subjects([str(row[-1]).encode() for row in rows], subjects)
                for (action_id, occurred_at, event_id, _), is_hit in zip(rows, hits, strict=True):
                    if is_hit:
                        place = ALL_ACTIONS if is_mixed else action_id, database.ms(occurred_at) // DAY
                        found.setdefault(place, []).append(event_id)
        return found

    def _erase(
        self, series: Series, place: Place, ids: Sequence[str], subjects: Sequence[Subject]
    ) -> list[int]:
        """Delete events of one action and day.

        :return: events that were deleted, by slice.
        """
        database = self.database
        action_id, day = place
        query = EventQuery(series[0], action_id, Window(day * DAY, (day + 1) * DAY), series[1])
        with database.locked(series) as cursor:
            recorded = WindowsTable(database, cursor, query)
            for begin in range(0, len(ids), _IDS):
                same = {**database.events.series(query), "event_id IN": ids[begin : begin + _IDS]}
                rows = database.events.select(cursor, ["event_id", "payload"], same)
                hits = match_subjects([str(payload).encode() for _, payload in rows], subjects)
                still = [event_id for (event_id, _), is_hit in zip(rows, hits, strict=True) if is_hit]
                if still:
                    database.events.delete(cursor, {**same, "event_id IN": still})
            removed = []
            for slice_ in recorded.touching(query.window):
                left = recorded.count(slice_.window)
                if left != slice_.events:
                    recorded.update(slice_.window, events=left, digest=None)
                    removed.append(slice_.events - left)
        return removed

    def _erase_invalid(self, series: Series, subjects: Sequence[Subject]) -> None:
        """Leave of invalid events that may name the persons only their reason, place and sha256."""
        database = self.database
        where = {"event_type =": series[0], "classification =": series[1]}

        def find() -> list[tuple[Any, ...]]:
            columns = [*_INVALID_KEY, "event"]
            found: list[tuple[Any, ...]] = []
            with database.reading() as cursor:
                for (action_id,) in database.quarantine.select(cursor, ["action_id"], where, distinct=True):
                    here = {**where, "action_id =": action_id, "event IS NOT": None}
                    rows = database.quarantine.select(cursor, columns, here)
                    found += [row[:-1] for row in rows if _is_maybe_about(row[-1], subjects)]
            return found

        def forget(row: tuple[Any, ...]) -> None:
            key = dict(zip(_INVALID_KEY, row, strict=True))
            key["near"] = database.ms(key["near"])
            query = EventQuery(series[0], key["action_id"], Window(key["near"], key["near"] + 1), series[1])
            with database.locked(series) as cursor:
                same = {f"{name} =": value for name, value in key.items()}
                database.quarantine.update(cursor, {"event": None}, {**where, **same})
                recorded = WindowsTable(database, cursor, query)
                for slice_ in recorded.touching(query.window):
                    recorded.update(slice_.window, digest=None)

        for row in self.database.read(find):
            self.database.write(partial(forget, row))


def _is_maybe_about(text: str, subjects: Sequence[Subject]) -> bool:
    return any(subject.is_maybe_in(text) for subject in subjects)


def _patterns(subjects: Sequence[Subject]) -> list[str]:
    """What a string that names one of the persons is like, in lower case: it has the letters and digits
    of ASCII in their order, whatever is between them and however it is spelled."""
    return [f"%{'%'.join(parts)}%" for subject in subjects for parts in subject.search_parts()]
