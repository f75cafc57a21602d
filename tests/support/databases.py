"""Databases of each kind, looked into by connections of their own."""

from __future__ import annotations

from contextlib import closing
from typing import Any


def ask(statement: str, *values: object, conn_id: str = "test_sql") -> list[tuple[Any, ...]]:
    """Rows of a statement, where ``?`` marks a value."""
    from airflow.providers.common.compat.sdk import BaseHook

    hook = BaseHook.get_hook(conn_id)
    with closing(hook.get_conn()) as connection:
        cursor = connection.cursor()
        given = statement.replace("?", "%s") if hook.placeholder == "%s" else statement
        cursor.execute(given, values) if values else cursor.execute(given)
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        connection.commit()
        return rows


def payloads(conn_id: str = "test_sql") -> list[bytes]:
    """The stored raw events, in order."""
    from airflow.providers.common.compat.sdk import BaseHook

    # PostgreSQL's drivers decode JSON.
    payload = "payload::text" if BaseHook.get_hook(conn_id).conn_type == "postgres" else "payload"
    rows = ask(f"SELECT {payload} FROM np6_events ORDER BY occurred_at, event_id", conn_id=conn_id)
    return [row[0].encode() for row in rows]


def windows() -> list[tuple[str, int]]:
    """Recorded windows: start, and number of events."""
    rows = ask("SELECT window_start, events FROM np6_events_windows ORDER BY 1")
    return [(str(start), events) for start, events in rows]
