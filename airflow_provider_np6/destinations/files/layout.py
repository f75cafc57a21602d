"""Names of the files below a destination root."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from airflow_provider_np6.destinations.inventory import Series
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery

if TYPE_CHECKING:
    from airflow_provider_np6.np6.window import Window

ALL_ACTIONS_KEY = "__all__"
"""Partition of pulls of every action; action ids never begin with ``__``."""

HEADER = "_header.json"
ERASURES = "_erasures"
PROBE = "_probe-"
PROBES_END = "_probe."
"""The first name after those of probes."""

MANIFESTS = "_manifests"
QUARANTINE = "_quarantine"
_MANIFEST = re.compile(r"(\d{4}-\d{2}-\d{2})\.json")
_DATA = re.compile(r"\.?\d{8}T\d{6}(?:\.\d{3})?Z_\d{8}T\d{6}(?:\.\d{3})?Z-e(\d+)-[0-9a-f]+\.[a-z.]+")


def type_key(event_type: str, classification: str = "") -> str:
    """``type=responses%2Fstop``, with ``~gsr~mpp`` appended for a classification."""
    classes = "".join(f"~{name}" for name in classification.split(",") if name)
    return f"type={quote(event_type, safe='')}{classes}"


def action_key(action_id: str) -> str:
    """``action=000PE4``, or ``action=__all__``."""
    return f"action={ALL_ACTIONS_KEY if action_id == ALL_ACTIONS else action_id}"


def series_folder(query: EventQuery) -> str:
    """The folder of an action's events of one series below the root, and below :data:`MANIFESTS`."""
    return f"{type_key(query.event_type, query.classification)}/{action_key(query.action_id)}"


def manifest_name(folder: str, date: str) -> str:
    """The manifest of a day.

    :param folder: of :func:`series_folder`.
    :param date: the UTC day, ``2026-11-22``.
    """
    return f"{MANIFESTS}/{folder}/{date}.json"


def day_folder(folder: str, date: str) -> str:
    """The folder of a day's data files below the root, and of its quarantine files below
    :data:`QUARANTINE`."""
    return f"{folder}/date={date}"


def data_name(window: Window, erasures: int, token: str, suffix: str) -> str:
    """The name of a data or quarantine file, never used twice.

    :param erasures: version of the erasure list that its events were filtered with; 0 for none.
    :param token: random, hexadecimal.
    :param suffix: the format, or ``bad``.
    """
    return f"{window.stem}-e{erasures}-{token}.{suffix}"


def manifest_of(name: str) -> str:
    """The manifest of the day of a data or quarantine file.

    :param name: of the file below the root.
    """
    *series, date, _ = name.removeprefix(f"{QUARANTINE}/").split("/")
    return manifest_name("/".join(series), date.removeprefix("date="))


def erasure_list_name(version: int) -> str:
    return f"{ERASURES}/{version}.json"


def parse_manifest(name: str) -> tuple[str, str] | None:
    """Series folder and UTC day of a manifest's name; None for any other file."""
    keys = name.split("/")
    match = _MANIFEST.fullmatch(keys[-1])
    if len(keys) != 4 or match is None or parse_series("/".join(keys[1:3])) is None:
        return None
    return "/".join(keys[1:3]), match[1]


def parse_data(name: str) -> int | None:
    """The version of the erasure list in the name of a data or quarantine file, or of a temporary of one;
    None for any other file, which is never touched."""
    match = _DATA.fullmatch(name.rsplit("/", 1)[-1])
    return None if match is None else int(match[1])


@lru_cache(4_096)  # each has a manifest per day
def parse_series(folder: str) -> Series | None:
    """The series and action of a folder of :func:`series_folder`; None for any other folder."""
    keys = folder.split("/")
    if len(keys) != 2 or not (keys[0].startswith("type=") and keys[1].startswith("action=")):
        return None
    event_type, *classes = keys[0].removeprefix("type=").split("~")
    action = keys[1].removeprefix("action=")
    return Series(
        unquote(event_type), ",".join(classes), ALL_ACTIONS if action == ALL_ACTIONS_KEY else action
    )
