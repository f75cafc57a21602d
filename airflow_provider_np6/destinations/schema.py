"""The columns that events have in SQL and Parquet, and where each is found in an event.

Paths are those of the documented samples; ``detail.link.type`` of hits is known from another client. A value
of another type than the documented one never breaks a pull: numbers and booleans become strings, anything
deeper stays in ``payload`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

EARLIEST = -62_135_596_800_000
"""The first millisecond of the year 1, in ms since the epoch."""

LATEST = 253_402_300_799_999
"""The last one of the year 9999. Calendars end there, so times outside of these two become NULL."""

Kind = Literal["key", "text", "timestamp", "count", "payload"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    :param kind: ``key`` (short text), ``text``, ``timestamp`` (UTC, ms), ``count`` or ``payload``.
    :param paths: places of its value in an event; the first one that the event has counts.
    """

    name: str
    kind: Kind
    paths: tuple[tuple[str, ...], ...] = ()


def _column(name: str, *paths: str, kind: Kind = "text") -> Column:
    return Column(name, kind, tuple(tuple(path.split(".")) for path in paths))


_ACTIVATION = "source.detail.activation"
_EXECUTION = "source.detail.execution"
_BOUNCE = "source.detail.bounce"
_CANCELLATION = "source.detail.cancellation"

FOUND = (
    _column("event_id", "id", kind="key"),
    _column("payload_type", "type"),
    _column("action_id", f"{_ACTIVATION}.id", f"{_EXECUTION}.id", kind="key"),
    _column("occurred_at", "timestamp", kind="timestamp"),
    _column("channel", "source.type"),
    _column("agency", "identity.agency"),
    _column("customer", "identity.customer"),
    _column("message_id", f"{_ACTIVATION}.stamp.id", f"{_EXECUTION}.stamp.id"),
    _column("thread_id", f"{_ACTIVATION}.stamp.thread", f"{_EXECUTION}.stamp.thread"),
    _column("sent_at", f"{_ACTIVATION}.stamp.time", f"{_EXECUTION}.stamp.time", kind="timestamp"),
    _column("recipient", f"{_ACTIVATION}.recipient"),
    _column(
        "target_id",
        f"{_ACTIVATION}.receiver.id",
        f"{_ACTIVATION}.receiver.value",
        f"{_EXECUTION}.recipient.id",
        f"{_EXECUTION}.recipient.value",
    ),
    _column("target_unicity", f"{_ACTIVATION}.receiver.unicity", f"{_EXECUTION}.recipient.unicity"),
    _column("target_hash", f"{_ACTIVATION}.receiver.hash", f"{_EXECUTION}.recipient.hash"),
    _column("bounce_verdict", f"{_BOUNCE}.analysis.verdict"),
    _column("bounce_status", f"{_BOUNCE}.status.type"),
    _column("bounce_code", f"{_BOUNCE}.status.code.enhanced"),
    _column("bounce_diagnostic", f"{_BOUNCE}.status.diagnostic"),
    _column("bounce_mta", f"{_BOUNCE}.status.mta"),
    _column("bounce_subject", f"{_BOUNCE}.analysis.subject.type"),
    _column("bounce_subject_detail", f"{_BOUNCE}.analysis.subject.detail.type"),
    _column("cancellation_type", f"{_CANCELLATION}.type"),
    _column("cancellation_message", f"{_CANCELLATION}.value.message"),
    _column("hit_type", "source.detail.link.type"),
)
_BY_NAME = {column.name: column for column in FOUND}

COLUMNS = (
    _BY_NAME["event_id"],
    Column("event_type", "key"),
    Column("classification", "key"),
    *(column for column in FOUND if column.name != "event_id"),
    Column("payload", "payload"),
    Column("pulled_at", "timestamp"),
)
"""All columns, in the table's order."""

KEY = ("event_type", "classification", "event_id")
"""What identifies a row."""

INDEX = ("event_type", "action_id", "occurred_at")
"""What windows are replaced by."""


def in_calendar(times: Sequence[int | None], earliest: int = EARLIEST) -> Sequence[int | None]:
    """Times in ms, of which those before ``earliest`` or after :data:`LATEST` become None."""
    known = [ms for ms in times if ms is not None]
    if not known or earliest <= min(known) <= max(known) <= LATEST:
        return times
    return [ms if ms is not None and earliest <= ms <= LATEST else None for ms in times]
