"""Which event types a key may read: each is asked for once, and only the first bytes are read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from airflow_provider_np6.np6.errors import (
    Np6AuthenticationError,
    Np6ConnectionError,
    Np6Error,
    Np6NotFoundError,
    Np6RateLimitError,
    Np6RefusedError,
)
from airflow_provider_np6.np6.event_types import EVENT_TYPES, EventTypeInfo, Mark
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import SECOND, Window

if TYPE_CHECKING:
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.config import Np6Config

_HOUR = 3_600 * SECOND
_TRIES = 2
_FOR_ALL = (Np6AuthenticationError, Np6ConnectionError, Np6RateLimitError)
"""Errors that every other event type would meet, too."""


@dataclass(frozen=True)
class Readable:
    """What came of asking for one event type.

    :param mark: what is known of its path.
    :param status: the HTTP status that refused it.
    :param reason: why it could not be read.
    """

    event_type: str
    mark: Mark
    outcome: Literal["readable", "refused", "not found", "no answer", "not asked"]
    status: int | None = None
    reason: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it can be read, or was refused where NP6 promises nothing."""
        optional = self.mark != "documented" and self.outcome in ("refused", "not found")
        return self.outcome == "readable" or optional


def readable_types(config: Np6Config, action_id: str) -> Iterator[Readable]:
    """Ask for the last hour's events of each type of the catalogue, within the rate limit.

    After an error that holds for all, the rest is not asked for.
    """
    from airflow_provider_np6.np6.client import Np6Client

    impatient = replace(config, max_attempts=min(_TRIES, config.max_attempts))
    now = time.time_ns() // 1_000_000
    over = False
    with closing(Np6Client(impatient)) as client:
        for row in EVENT_TYPES.values():
            mark = row.all_actions if action_id == ALL_ACTIONS else row.mark
            if over:
                yield Readable(row.event_type, mark, "not asked")
                continue
            error = _refusal(client, EventQuery(row.event_type, action_id, Window(now - _HOUR, now)))
            over = isinstance(error, _FOR_ALL)
            yield _told(row, mark, error)


def _refusal(client: Np6Client, query: EventQuery) -> Np6Error | None:
    try:
        client.has_events(query)
    except Np6Error as error:
        return error
    return None


def _told(row: EventTypeInfo, mark: Mark, error: Np6Error | None) -> Readable:
    if error is None:
        return Readable(row.event_type, mark, "readable")
    if isinstance(error, Np6NotFoundError):
        return Readable(row.event_type, mark, "not found", error.status, str(error))
    if isinstance(error, Np6RefusedError):
        return Readable(row.event_type, mark, "refused", error.status, str(error))
    return Readable(row.event_type, mark, "no answer", error.status, str(error))
