"""Names of files: one data file and one manifest a slice, each named after its window."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import Window

ALL_ACTIONS_KEY = "__all__"
"""Partition of pulls of every action; action ids never begin with ``__``."""

MANIFESTS = "_manifests"
QUARANTINE = "_quarantine"
ACCOUNT = "_account.json"
ERASED = "_erased.json"
DEPTH = 3
"""Levels of partitions: type, action, date."""


def type_key(query: EventQuery) -> str:
    """``type=responses%2Fstop``, with ``~gsr~mpp`` appended for a classification."""
    classes = "".join(f"~{name}" for name in query.classification.split(",") if name)
    return f"type={quote(query.event_type, safe='')}{classes}"


def action_key(action_id: str) -> str:
    """``action=000PE4``, or ``action=__all__``."""
    return f"action={ALL_ACTIONS_KEY if action_id == ALL_ACTIONS else action_id}"


def partition(query: EventQuery, window: Window) -> str:
    """The folder of a slice below the root, and below :data:`MANIFESTS`."""
    return f"{type_key(query)}/{action_key(query.action_id)}/date={window.date}"


def windows_of(names: Iterable[str]) -> dict[str, Window]:
    """The names that are named after a window, with it; hidden and foreign files are left out."""
    named = ((name, Window.from_name(name)) for name in names)
    return {name: window for name, window in named if window is not None}
