"""What people write: the whole answer decoded by ``json()``, and then put where it shall go."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from benchmarks.source import START

if TYPE_CHECKING:
    from benchmarks.measuring import Contender, Place

COLUMNS = (
    "event_id", "event_type", "classification", "payload_type", "action_id", "occurred_at", "channel",
    "agency", "customer", "message_id", "thread_id", "sent_at", "recipient", "target_id", "target_unicity",
    "target_hash", "bounce_verdict", "bounce_status", "bounce_code", "bounce_diagnostic", "bounce_mta",
    "bounce_subject", "bounce_subject_detail", "cancellation_type", "cancellation_message", "hit_type",
    "payload",
)  # fmt: skip


def fetched(place: Place) -> list[dict[str, Any]]:
    import requests

    found: list[dict[str, Any]] = requests.get(place.url, timeout=600).json()
    return found


def _dump(events: list[dict[str, Any]], file: TextIO) -> int:
    file.writelines(json.dumps(event) + "\n" for event in events)
    return len(events)


def lines(place: Place) -> Iterator[Any]:
    import requests  # noqa: F401 - loaded before the clock runs

    yield
    with (place.folder / "hand.jsonl").open("w") as file:
        events = _dump(fetched(place), file)
    yield {"events": events}


def gzip_lines(place: Place) -> Iterator[Any]:
    import requests  # noqa: F401 - loaded before the clock runs

    yield
    with gzip.open(place.folder / "hand.jsonl.gz", "wt", compresslevel=6) as file:
        events = _dump(fetched(place), file)
    yield {"events": events}


def zstd_lines(place: Place) -> Iterator[Any]:
    import io

    import pyarrow as pa
    import requests  # noqa: F401 - loaded before the clock runs

    yield
    with (
        pa.CompressedOutputStream(str(place.folder / "hand.jsonl.zst"), "zstd") as packed,
        io.TextIOWrapper(io.BufferedWriter(packed, 1 << 20)) as file,
    ):
        events = _dump(fetched(place), file)
    yield {"events": events}


def at(event: Any, *steps: str) -> Any:
    for step in steps:
        event = event.get(step) if isinstance(event, dict) else None
    return event


def row(event: dict[str, Any]) -> tuple[Any, ...]:
    """A bounce's columns; times in ms."""
    detail = at(event, "source", "detail") or {}
    activation, bounce = detail.get("activation") or {}, detail.get("bounce") or {}
    return (
        *(event["id"], "bounces", "", event.get("type"), "000PE4", event["timestamp"]),
        *(at(event, "source", "type"), at(event, "identity", "agency"), at(event, "identity", "customer")),
        *(at(activation, "stamp", "id"), at(activation, "stamp", "thread"), at(activation, "stamp", "time")),
        *(activation.get("recipient"), at(activation, "receiver", "value")),
        *(at(activation, "receiver", "unicity"), at(activation, "receiver", "hash")),
        *(
            at(bounce, "analysis", "verdict"),
            at(bounce, "status", "type"),
            at(bounce, "status", "code", "enhanced"),
        ),
        *(at(bounce, "status", "diagnostic"), at(bounce, "status", "mta")),
        *(at(bounce, "analysis", "subject", "type"), at(bounce, "analysis", "subject", "detail", "type")),
        *(None, None, None, json.dumps(event)),
    )


def insert_rows(place: Place) -> Iterator[Any]:
    """The hook's own ``insert_rows``."""
    import requests  # noqa: F401 - loaded before the clock runs
    from airflow.providers.common.compat.sdk import BaseHook

    def moment(ms: int) -> str:
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(ms // 1000))}.{ms % 1000:03}+00"

    hook: Any = BaseHook.get_hook("bench")
    yield
    rows = []
    for event in fetched(place):
        values = list(row(event))
        values[5], values[11] = moment(values[5]), moment(values[11])
        rows.append((*values, moment(START)))
    hook.insert_rows("np6_events", rows, [*COLUMNS, "pulled_at"])
    yield {"events": len(rows)}


CONTENDERS: Mapping[str, Contender] = {
    "jsonl": lines,
    "jsonl.gz": gzip_lines,
    "jsonl.zst": zstd_lines,
    "postgres": insert_rows,
}
