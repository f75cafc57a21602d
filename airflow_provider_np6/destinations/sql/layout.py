"""The five tables of a destination: their columns, keys and indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.schema import COLUMNS, INDEX, KEY, Column
from airflow_provider_np6.destinations.sql.table import Index, Table

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.sql.dialects import TableDialect, TableName

VERSION = 1
"""Of the five tables' format; the header records it."""

_SERIES = (Column("event_type", "key"), Column("classification", "key"))

HEADER_COLUMNS = (
    *_SERIES,
    Column("version", "count"),
    Column("account", "key"),
    Column("personal_data", "key"),
    Column("erasures", "count"),
    Column("form", "key"),
    Column("verified_events", "count"),
    Column("verified_bytes", "count"),
    Column("verified_at", "timestamp"),
)
"""The row whose key is empty has what is common to the table, every other row one series."""

WINDOW_COLUMNS = (
    *_SERIES,
    Column("action_id", "key"),
    Column("window_start", "timestamp"),
    Column("window_end", "timestamp"),
    Column("events", "count"),
    Column("invalid", "count"),
    Column("displaced", "count"),
    Column("expired", "count"),
    Column("digest", "key"),
    Column("pulled_at", "timestamp"),
)
"""``displaced`` counts events that a later pull of another window has taken over; ``expired`` is 1 if the
events were removed by ``expire``; ``digest`` is NULL where another pull of the same cannot be recognized."""

QUARANTINE_COLUMNS = (
    *_SERIES,
    Column("action_id", "key"),
    Column("near", "timestamp"),
    Column("position", "count"),
    Column("reason", "text"),
    Column("sha256", "key"),
    Column("event", "text"),
    Column("pulled_at", "timestamp"),
)
ERASED_COLUMNS = (
    Column("person", "key"),
    Column("fingerprint", "key"),
    Column("erased_at", "timestamp"),
    Column("removed_at", "timestamp"),
)
"""``removed_at`` is NULL until all events of the person are removed."""

BY_ACTION = Index("time", INDEX)
ALL_ACTIONS = Index("times", ("event_type", "occurred_at"))
"""Needed by series that are pulled for all actions, and created with the first of these."""


def events_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """One row per event."""
    return Table(name, COLUMNS, KEY, (BY_ACTION,), dialect, placeholder, ("SELECT", "INSERT", "DELETE"))


def header_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_header``: what is common to the table, and one row per series."""
    return Table(
        name.beside("header"),
        HEADER_COLUMNS,
        ("event_type", "classification"),
        (),
        dialect,
        placeholder,
        ("SELECT", "INSERT", "UPDATE"),
    )


def windows_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_windows``: one row per slice; slices are cut at UTC midnight, and none overlaps another."""
    key = ("event_type", "classification", "action_id", "window_start")
    return Table(name.beside("windows"), WINDOW_COLUMNS, key, (), dialect, placeholder)


def quarantine_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_quarantine``: one row per invalid event that was set aside."""
    key = ("event_type", "classification", "action_id", "near", "sha256")
    rights = ("SELECT", "INSERT", "DELETE")
    return Table(name.beside("quarantine"), QUARANTINE_COLUMNS, key, (), dialect, placeholder, rights)


def erased_table(name: TableName, dialect: TableDialect, placeholder: str) -> Table:
    """``<table>_erased``: the erasure list, one row per token."""
    return Table(name.beside("erased"), ERASED_COLUMNS, ("person",), (), dialect, placeholder, ("SELECT",))
