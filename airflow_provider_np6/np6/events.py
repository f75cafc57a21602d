"""Verified events, and what is set aside instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from airflow_provider_np6.np6.errors import Np6ResponseError

Item = bytes | msgspec.Raw
"""One event, raw."""


@dataclass(frozen=True, slots=True)
class Events:
    """Verified events.

    :param items: each one's bytes on one line, as NP6 sent them; CR and LF, which are only white space in
        valid JSON, are spaces.
    :param timestamps: each one's time in ms since the epoch, UTC.
    """

    items: Sequence[Item]
    timestamps: Sequence[int]


@dataclass(frozen=True, slots=True)
class Invalid:
    """An element of a response that is not an event of its window.

    :param item: its bytes, as they came; None where they must not be kept.
    :param reason: what is wrong with it; never shows a part of it.
    :param position: how many events came before it.
    :param near: time in ms of the last event before it, or the window's start.
    :param digest: its sha256, in hexadecimal.
    """

    item: bytes | None
    reason: str
    position: int
    near: int
    digest: str


def refuse(invalid: Invalid) -> None:
    """Fail the pull.

    :param invalid: the first invalid event.
    :raises Np6ResponseError: always.
    """
    raise Np6ResponseError(
        f"event {invalid.position + 1:,} {invalid.reason}",
        hint='Nothing was stored. Pull again, or set on_invalid="quarantine" to set such events aside;'
        " NP6's support can look up the request id.",
    )
