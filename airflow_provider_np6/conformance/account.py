"""An account as the questions see it: its responses, whatever they are, and a small sample of events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from airflow_provider_np6.np6.client import Np6Client, chunks
from airflow_provider_np6.np6.errors import Np6InputError, Np6TransientError
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.np6.http_errors import refusal
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery, check_action_id
from airflow_provider_np6.np6.retry import Attempts
from airflow_provider_np6.np6.server_clock import server_date
from airflow_provider_np6.np6.window import DAY, SECOND, Window, iso_seconds

MAX_REQUESTS = 80
"""Requests of one examination, retries included."""

FIRST_BYTES = 64 * 1024
"""Bytes that show whether there are events, and a few of them."""

MAX_BYTES = 4 * 1024 * 1024
"""Bytes after which the rest of a response is not read."""

SORTED = {"sort": "asc"}
"""The order in which pulls request events."""

MIN_AGE = 600 * SECOND
"""Age of the youngest events of the sample, in ms: later ones may still be published."""

RECENT = 30 * DAY
LONG_AGO = 3 * 365 * DAY
_SAMPLE_WIDTHS = (0, 60 * SECOND, 3_600 * SECOND, DAY, 10 * DAY)
_ENOUGH_EVENTS = 20


class OutOfRequestsError(Exception):
    """All requests of an examination are used up."""


@dataclass(frozen=True)
class Response:
    """One response, read as far as needed.

    :param status: HTTP status.
    :param headers: its headers, whose names are case-insensitive.
    :param body: what was read of it, decompressed.
    :param is_complete: whether ``body`` is the whole body.
    :param skew: by how many ms its ``Date`` is ahead of this machine's clock; None without ``Date``.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool
    skew: int | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """The complete objects of an array, as far as it was read; none if the body is anything else."""
        if self.status != 200:
            return []
        if not self.is_complete:
            return _leading_objects(self.body.decode(errors="replace"))
        try:
            items = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return []
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _leading_objects(text: str) -> list[dict[str, Any]]:
    items = []
    decode = json.JSONDecoder().raw_decode
    at = text.find("[") + 1
    try:
        while at:
            at += len(text[at:]) - len(text[at:].lstrip())
            item, at = decode(text, at)
            if isinstance(item, dict):
                items.append(item)
            at = text.find(",", at) + 1
    except ValueError:  # the first one that is cut off
        pass
    return items


@dataclass(frozen=True)
class Sample:
    """All events of a small window, in the order of a sorted response.

    :param path: of the events.
    :param window: in whole seconds.
    :param events: decoded; each has an id and a timestamp.
    """

    path: str
    window: Window
    events: list[dict[str, Any]]

    @property
    def times(self) -> list[int]:
        """Timestamps, in ms."""
        return [event["timestamp"] for event in self.events]

    @property
    def ids(self) -> list[str]:
        """Ids, in the order of the response."""
        return [event["id"] for event in self.events]


class Account:
    """Sends requests within :data:`MAX_REQUESTS`, and keeps what several questions need.

    :param client: of the account.
    :param action_id: an action that has events.
    :param now: ms since the epoch, UTC.
    """

    def __init__(self, client: Np6Client, action_id: str, now: int) -> None:
        if check_action_id(action_id) == ALL_ACTIONS:
            raise Np6InputError(
                "one action can be examined, not all", hint="Give the id of an action with events."
            )
        self.action_id = action_id
        self.closed_at = (now - MIN_AGE) // SECOND * SECOND
        self.last_day = Window(self.closed_at - DAY, self.closed_at)
        self.recent = Window(self.closed_at - RECENT, self.closed_at)
        self.responses: list[Response] = []
        """Every response so far, without its body."""
        self._client = client
        self._requests_left = MAX_REQUESTS

    def path(self, event_type: EventType, action_id: str | None = None) -> str:
        """The path of an event type, of this action unless another is given."""
        return EventQuery.checked(event_type, action_id or self.action_id, self.recent).path

    def get(
        self, path: str, parameters: Mapping[str, str] | None = None, *, max_bytes: int = FIRST_BYTES
    ) -> Response:
        """One response, of which little more than ``max_bytes`` are read.

        :raises OutOfRequestsError: if no request is left.
        :raises Np6Error: if retries bring no response.
        """
        attempts = Attempts(self._client.config)
        while True:
            if not self._requests_left:
                raise OutOfRequestsError
            self._requests_left -= 1
            try:
                return self._get_once(path, parameters, max_bytes)
            except Np6TransientError as error:
                attempts.wait_or_raise(error.at(path))

    def get_events(
        self,
        path: str,
        window: Window,
        parameters: Mapping[str, str] | None = None,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> Response:
        """The response for a window of whole seconds, requested as a pull does."""
        bounds = {"start": iso_seconds(window.start), "end": iso_seconds(window.end)}
        return self.get(path, {**bounds, **(parameters or {})}, max_bytes=max_bytes)

    @cached_property
    def by_type(self) -> dict[EventType, Response]:
        """The first bytes of every event type of the action: of the last day, else of the last 30."""
        responses = {}
        for event_type in EventType:
            response = self._begin(self.path(event_type), self.last_day)
            if response.status == 200 and not response.events:
                response = self._begin(self.path(event_type), self.recent)
            responses[event_type] = response
        return responses

    @cached_property
    def by_type_of_all_actions(self) -> dict[EventType, Response]:
        """The first bytes of every event type of all actions, of the last day."""
        return {
            event_type: self._begin(self.path(event_type, ALL_ACTIONS), self.last_day)
            for event_type in EventType
        }

    @cached_property
    def sample(self) -> Sample | None:
        """Some events of the action, of the first event type that has any."""
        sample = self._sample(EventType)
        if sample is None:
            older = Window(self.closed_at - LONG_AGO, self.closed_at)
            for event_type, response in self.by_type.items():
                path = self.path(event_type)
                if response.status == 200 and (events := well_formed(self._begin(path, older))):
                    return self._around(path, events[0]["timestamp"])
        return sample

    @cached_property
    def hits(self) -> Sample | None:
        """Some hits of the action."""
        return self._sample((EventType.HITS, EventType.HITS_OPEN, EventType.HITS_REDIRECTION))

    def _sample(self, event_types: Iterable[EventType]) -> Sample | None:
        for event_type in event_types:
            if events := well_formed(self.by_type[event_type]):
                return self._around(self.path(event_type), events[0]["timestamp"])
        return None

    def _begin(self, path: str, window: Window) -> Response:
        return self.get_events(path, window, SORTED, max_bytes=FIRST_BYTES)

    def _around(self, path: str, timestamp: int) -> Sample | None:
        """Events near one of them, in the smallest window that shows enough."""
        sample = None
        for width in _SAMPLE_WIDTHS:
            second = timestamp // SECOND * SECOND
            window = Window(second - width, max(second + SECOND, min(second + width, self.closed_at)))
            response = self.get_events(path, window, SORTED)
            if not response.is_complete:
                break
            sample = Sample(path, window, well_formed(response))
            if len(sample.events) >= _ENOUGH_EVENTS and len(set(sample.times)) > 1:
                break
        return sample if sample and sample.events else None

    def _get_once(self, path: str, parameters: Mapping[str, str] | None, max_bytes: int) -> Response:
        with self._client.get(path, parameters) as response:
            status, headers, date = response.status_code, response.headers, server_date(response.headers)
            skew = None if date is None else date - round(time.time() * 1_000)
            self.responses.append(Response(status, headers, b"", is_complete=False, skew=skew))
            if status in (401, 429, 503):
                raise refusal(response)
            body, is_complete = bytearray(), True
            for piece in chunks(response):
                body += piece
                if len(body) >= max_bytes:
                    is_complete = False
                    break
            return Response(status, headers, bytes(body), is_complete, skew)


def well_formed(response: Response) -> list[dict[str, Any]]:
    """The events that have the documented envelope.

    :param response: any response.
    """
    return [
        event
        for event in response.events
        if isinstance(event.get("id"), str) and isinstance(event.get("timestamp"), int)
    ]
