"""How large a response each series has recorded as whole, in any kind of destination."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.np6.window import iso
from tests.support.databases import ask

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination


def verified_size(destination: Destination, event_type: str = "bounces") -> tuple[int, int]:
    """Events and bytes; 0 for none."""
    if isinstance(destination, FileDestination):
        sizes = json.loads(_header(destination).read_text())["verified"]
        size = sizes.get(f"type={event_type}", {"events": 0, "bytes": 0})
        return size["events"], size["bytes"]
    columns = "verified_events, verified_bytes"
    rows = ask(f"SELECT {columns} FROM np6_events_header WHERE event_type = ?", event_type)
    events, size = rows[0] if rows else (None, None)
    return int(events or 0), int(size or 0)


def set_verified_at(destination: Destination, verified_at: int) -> None:
    """Let all sizes have been verified at a time, ms since the epoch."""
    if isinstance(destination, FileDestination):
        header = json.loads(_header(destination).read_text())
        for size in header["verified"].values():
            size["verified_at"] = iso(verified_at)
        _header(destination).write_text(json.dumps(header))
        return
    time = iso(verified_at)
    ask(
        "UPDATE np6_events_header SET verified_at = ? WHERE verified_at IS NOT NULL",
        time if _is_sqlite() else time.replace("T", " ").removesuffix("Z"),
    )


def _header(destination: FileDestination) -> Path:
    return Path(destination.path) / "_header.json"


def _is_sqlite() -> bool:
    from airflow.providers.common.compat.sdk import BaseHook

    return bool(BaseHook.get_connection("test_sql").conn_type == "sqlite")
