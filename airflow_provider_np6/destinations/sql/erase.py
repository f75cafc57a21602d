"""Persons taken out of a table, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.sql.database import overlapping
from airflow_provider_np6.destinations.sql.windows_table import WindowsTable, check_account, read_erasure_list
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.privacy.subjects import Subject, match_subjects

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

_KEYS = 500
"""Rows deleted by one statement."""


def erase_from_table(
    database: Database, cursor: Any, given: Collection[str], pseudonyms: Pseudonyms, account: str
) -> dict[str, int]:
    """Delete the events of persons, count the windows anew, and put the persons on the list.

    :return: ``events`` deleted, and ``windows`` that lost some.
    """
    check_account(database, cursor, account)
    forms = {row[0] for row in database.windows.select(cursor, ["DISTINCT personal_data"], {})}
    persons = [Subject(one, next(iter(forms), None) or "keep", pseudonyms) for one in given]
    _list_persons(database, cursor, persons, pseudonyms)
    columns = ["event_type", "classification", "action_id", "window_start", "window_end"]
    deleted = [
        _erase_window(database, cursor, row, persons) for row in database.windows.select(cursor, columns, {})
    ]
    _erase_quarantine(database, cursor, persons)
    return {"events": sum(deleted), "windows": sum(map(bool, deleted))}


def _list_persons(database: Database, cursor: Any, persons: list[Subject], pseudonyms: Pseudonyms) -> None:
    erased = read_erasure_list(database, cursor)
    known = frozenset() if erased is None else erased.require_key(pseudonyms).tokens
    tokens = frozenset().union(*(person.tokens for person in persons)) - known
    now = time.time_ns() // 1_000_000
    database.erased.insert_rows(
        cursor,
        [
            {"person": token, "fingerprint": pseudonyms.fingerprint, "erased_at": now}
            for token in sorted(tokens)
        ],
    )


def _erase_window(database: Database, cursor: Any, row: tuple[Any, ...], persons: list[Subject]) -> int:
    event_type, classification, action_id, *bounds = row
    window = Window(*map(database.ms, bounds))
    query = EventQuery(event_type, action_id, window, classification)
    recorded = WindowsTable(database, cursor, query)
    held = recorded.events_in(window)
    payload = database.dialect.payload_text.format(database.dialect.quote("payload"))
    found = database.events.select(
        cursor,
        ["event_id", payload],
        held,
        matching=(("recipient", "target_unicity", "target_id", "target_hash", payload), _patterns(persons)),
    )
    hits = match_subjects([text.encode() for _, text in found], persons)
    ids = [event_id for (event_id, _), hit in zip(found, hits, strict=True) if hit]
    for begin in range(0, len(ids), _KEYS):
        same = {**database.events.series(query), "event_id IN": ids[begin : begin + _KEYS]}
        database.events.delete(cursor, same)
    if ids:
        here = {**database.windows.series(query), "action_id =": action_id, **overlapping(window)}
        database.windows.update(cursor, "events", database.events.count(cursor, held), here)
    return len(ids)


def _erase_quarantine(database: Database, cursor: Any, persons: list[Subject]) -> None:
    """Leave of what may name the persons nothing but its reason, place and sha256."""
    key = ["event_type", "classification", "action_id", "near", "sha256"]
    for row in database.quarantine.select(cursor, [*key, "event"], {}, matching=(("event",), ["%"])):
        if any(subject.is_maybe_in(row[-1]) for subject in persons):
            where = {f"{name} =": value for name, value in zip(key, row, strict=False)}
            where["near ="] = database.ms(where["near ="])
            database.quarantine.update(cursor, "event", None, where)


def _patterns(persons: list[Subject]) -> list[str]:
    """What a text that names one of the persons is like, in lower case: letters and digits of ASCII are
    there in their order, whatever stands between them and however it is spelled."""
    return [f"%{'%'.join(parts)}%" for person in persons for parts in person.search_parts()]
