"""What is kept of an invalid event: one line of JSON."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.window import iso
from airflow_provider_np6.privacy.escapes import BASE64_PREFIX

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Invalid


def record(invalid: Invalid) -> dict[str, Any]:
    """``near`` (time of the last event before it), ``reason``, ``position`` (events before it),
    ``sha256``, and ``event``: its text, or ``base64:…`` if it is not UTF-8; missing where it must not be
    kept."""
    event = {} if invalid.item is None else {"event": _text(invalid.item)}
    return {
        "near": iso(invalid.near),
        "reason": invalid.reason,
        "position": invalid.position,
        "sha256": invalid.digest,
        **event,
    }


def line(invalid: Invalid) -> bytes:
    """The record as one line of JSON."""
    return json.dumps(record(invalid)).encode() + b"\n"


def _text(item: bytes) -> str:
    try:
        text = item.decode()
    except UnicodeDecodeError:
        text = "\0"
    return BASE64_PREFIX + base64.b64encode(item).decode() if "\0" in text else text
