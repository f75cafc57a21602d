"""Names of files: one data file and one manifest a slice, each named after its window."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from airflow_provider_np6.destinations.inventory import Series
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


def parse_series(folder: str) -> Series | None:
    """What a folder of :func:`partition` is of; None if it is no such folder."""
    keys = folder.split("/")
    if len(keys) != DEPTH or not (keys[0].startswith("type=") and keys[1].startswith("action=")):
        return None
    return _series(keys[0].removeprefix("type="), keys[1].removeprefix("action="))


@lru_cache(4_096)  # each has a folder a day
def _series(type_: str, action: str) -> Series:
    event_type, *classes = type_.split("~")
    action_id = ALL_ACTIONS if action == ALL_ACTIONS_KEY else action
    return Series(unquote(event_type), ",".join(classes), action_id)


_window = lru_cache(4_096)(Window.from_name)  # actions share their windows


def parse_windows(names: Iterable[str]) -> dict[str, Window]:
    """The names that are named after a window, with it; hidden and foreign files are left out."""
    named = ((name, _window(name)) for name in names)
    return {name: window for name, window in named if window is not None}


def type_keys_in(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are partitions of event types, in order."""
    return sorted(name for name in names if name.startswith("type="))
