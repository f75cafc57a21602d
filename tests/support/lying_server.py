"""Servers that lie, in memory: thousands of pulls, each with the product's own client, without a socket."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Literal

import requests

from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.window import SECOND


@dataclass(frozen=True)
class ServerEvent:
    """An event of a server.

    :param time: in ms since the epoch.
    :param id: its id.
    :param size: of its JSON, in bytes, about.
    :param seen_from: number of the first response that has it.
    :param seen_until: number of the first response that no longer has it.
    """

    time: int
    id: str
    size: int = 0
    seen_from: int = 0
    seen_until: int = 1 << 30

    @property
    def json(self) -> bytes:
        """The event as the server sends it."""
        return json.dumps({"id": self.id, "timestamp": self.time, "x": "x" * self.size}).encode()


@dataclass(frozen=True, kw_only=True)
class LyingServer:
    """What a server has, and what it makes of it.

    :param events: all that it has.
    :param max_events: most events of a response.
    :param max_bytes: most bytes of a response.
    :param kept: which events a limited response has: the oldest, the newest, or the first ones in the order
        that was requested.
    :param is_sorted: whether it honors ``sort``.
    :param stable_ties: whether events of one time always come in the same order.
    :param start_inside: whether an event at ``start`` is in the response.
    :param end_inside: whether an event at ``end`` is in the response.
    :param doubled: ids that each response has twice.
    :param cuts: number of the response to the bytes after which it breaks off.
    :param statuses: number of the response to its status.
    :param seed: of its disorder.
    """

    events: Sequence[ServerEvent]
    max_events: int | None = None
    max_bytes: int | None = None
    kept: Literal["oldest", "newest", "first"] = "oldest"
    is_sorted: bool = True
    stable_ties: bool = True
    start_inside: bool = True
    end_inside: bool = False
    doubled: frozenset[str] = frozenset()
    cuts: Mapping[int, int] = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    seed: int = 0

    def respond(self, number: int, parameters: Mapping[str, str]) -> tuple[int, bytes, bool]:
        """Status, body, and whether it breaks off."""
        if status := self.statuses.get(number):
            return status, b"", False
        start, end = (_ms(parameters[name]) for name in ("start", "end"))
        start, end = start + (not self.start_inside), end + self.end_inside
        rng = random.Random(f"{self.seed}/{number}")  # noqa: S311 - repeatable disorder
        events = [
            event
            for event in self.events
            if start <= event.time < end and event.seen_from <= number < event.seen_until
        ]
        events += [event for event in events if event.id in self.doubled]
        if not self.is_sorted or not self.stable_ties:
            rng.shuffle(events)
        descending = self.is_sorted and parameters.get("sort") == "desc"
        events.sort(key=lambda event: event.time)
        events = self.limited(events, from_end=self.kept == "newest" or (self.kept == "first" and descending))
        if not self.is_sorted:
            rng.shuffle(events)
        if descending:
            events.reverse()
        body = b"[" + b",".join(event.json for event in events) + b"]"
        cut = self.cuts.get(number)
        return 200, body if cut is None else body[:cut], cut is not None and cut < len(body)

    def limited(self, events: Sequence[ServerEvent], *, from_end: bool = False) -> list[ServerEvent]:
        """The events of a limited response.

        :param events: in order of time.
        :param from_end: whether the last ones are kept.
        """
        kept: list[ServerEvent] = []
        size = 2
        for event in reversed(events) if from_end else events:
            size += len(event.json) + 1
            if len(kept) == self.max_events or (self.max_bytes is not None and size > self.max_bytes):
                break
            kept.append(event)
        return kept[::-1] if from_end else kept

    def is_overfull(self) -> bool:
        """Whether three seconds in a row have more events than one response: then no request shows all of the
        second in the middle."""
        if self.max_events is None and self.max_bytes is None:
            return False
        by_second: dict[int, list[ServerEvent]] = defaultdict(list)
        for event in sorted(self.events, key=lambda event: event.time):
            by_second[event.time // SECOND] += [event] * (1 + (event.id in self.doubled))
        for second in {second + offset for second in by_second for offset in (-1, 0, 1)}:
            near = [event for offset in (-1, 0, 1) for event in by_second.get(second + offset, [])]
            if len(self.limited(near)) < len(near):
                return True
        return False


class _Raw:
    def __init__(self, body: bytes, breaks: bool) -> None:
        self._body = body
        self._breaks = breaks

    def read1(self, size: int, **_: object) -> bytes:
        piece, self._body = self._body[:size], self._body[size:]
        if not piece and self._breaks:
            raise requests.exceptions.ChunkedEncodingError
        return piece


class LyingClient(Np6Client):
    """The product's client, whose requests a server in memory answers.

    :param server: the server.
    """

    def __init__(self, server: LyingServer) -> None:
        super().__init__(
            Np6Config(base_url="http://127.0.0.1:9", api_key="k", account="test", max_attempts=4)
        )
        self._server = server
        self.log: list[Mapping[str, str]] = []

    @contextmanager
    def get(
        self, path: str, parameters: Mapping[str, str] | None = None, **_: Any
    ) -> Iterator[requests.Response]:
        self.requests += 1
        self.log.append(parameters or {})
        status, body, breaks = self._server.respond(len(self.log) - 1, parameters or {})
        response = requests.Response()
        response.status_code = status
        response.headers["Date"] = formatdate(time.time(), usegmt=True)
        response.raw = _Raw(body, breaks)
        yield response


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND
