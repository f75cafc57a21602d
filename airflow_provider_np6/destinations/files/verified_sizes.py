"""What the header remembers of verified responses: with it, pulls send fewer requests, and that is all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.header import VerifiedRecord, read_header
from airflow_provider_np6.destinations.files.manifest import make_token
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError
from airflow_provider_np6.np6.caps import ResponseSize, VerifiedSize
from airflow_provider_np6.np6.window import iso, parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.header import Header
    from airflow_provider_np6.destinations.files.storage import Store


def read_verified_size(header: Header, series: str) -> VerifiedSize | None:
    """The largest response of a series that was verified.

    :param header: of the destination root.
    :param series: its partition.
    :return: None if there is no record that can be read: then responses are checked.
    """
    try:
        record = header.verified[series]
        size = ResponseSize(int(record["events"]), int(record["bytes"]))
        return VerifiedSize(size, parse_time("verified_at", record["verified_at"]))
    except (KeyError, TypeError, ValueError):
        return None


def remember_verified_size(
    store: Store, series: str, verified: VerifiedSize | None, *, forget: bool = False
) -> None:
    """Record that a pull has verified a response of a series, unless somebody changes the header meanwhile.

    :param store: of the destination root.
    :param series: its partition.
    :param verified: the response's size; None if nothing larger was verified.
    :param forget: whether what earlier pulls have verified was wrong.
    """
    with suppress(ConditionRefusedError):
        stored, version = read_header(store) or (None, None)
        if stored is None:
            return
        sizes = {key: record for key, record in stored.verified.items() if key != series or not forget}
        if verified is not None:
            known = None if forget else read_verified_size(stored, series)
            if known is not None and known.is_current(verified.verified_at):
                verified = known.with_size(verified)
            sizes[series] = _record(verified)
        new = replace(stored, verified=sizes, token=make_token())
        store.put_if(layout.HEADER, new.encode(), version)


def _record(verified: VerifiedSize) -> VerifiedRecord:
    return {
        "events": verified.size.events,
        "bytes": verified.size.bytes,
        "verified_at": iso(verified.verified_at),
    }
