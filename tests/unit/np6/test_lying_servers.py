"""Whatever a server does to its responses, a pull brings just what it has, or fails.

Servers are made at random: limits by number or size that keep the oldest, the newest or the first events,
order or none, ties, bounds, breaks, repeated events, and events that come or go between two responses. What
passes unseen must be of the one kind that no request can show: more events within three seconds in a row than
one response may have.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from airflow_provider_np6.np6.caps import BELIEVED_EVENTS
from airflow_provider_np6.np6.errors import Np6Error
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import SECOND, Window
from tests.support.lying_server import LyingClient, LyingServer, ServerEvent
from tests.support.pulls import MIDNIGHT, MemorySpool

pytestmark = pytest.mark.core

SERVERS = int(os.environ.get("NP6_CHAOS", "5000" if os.environ.get("CI") else "500"))
GROUPS = 4
LARGEST_EVENT = 130
"""Bytes, about, so that at least as many events as are believed fit into each response."""


@dataclass(frozen=True)
class Case:
    """A server, and the windows that are pulled from it, one after the other."""

    server: LyingServer
    windows: list[Window]

    @property
    def has_changes(self) -> bool:
        return any(event.seen_from or event.seen_until < 100 for event in self.server.events)


def make_case(seed: int) -> Case:
    rng = random.Random(seed)  # noqa: S311 - repeatable
    span = rng.choice([3, 10, 60, 600, 86_400]) * SECOND
    events = make_events(rng, span)
    if rng.random() < 0.15:
        events = [make_restless(rng, event) for event in events]
    server = LyingServer(
        events=events,
        max_events=rng.choice([None, None, 10, 11, 12, 25, 50, 100]),
        max_bytes=rng.choice([None, None, None, BELIEVED_EVENTS * LARGEST_EVENT + 300, 3_000, 6_000]),
        kept=rng.choice(["oldest", "newest", "first"]),
        is_sorted=rng.random() < 0.8,
        stable_ties=rng.random() < 0.5,
        start_inside=rng.random() < 0.7,
        end_inside=rng.random() < 0.3,
        doubled=frozenset(event.id for event in events if rng.random() < rng.choice([0, 0, 0.1])),
        cuts={number: rng.randrange(1, 5_000) for number in range(rng.choice([0, 0, 1, 3]))},
        statuses={rng.randrange(4): rng.choice([503, 504, 413])} if rng.random() < 0.2 else {},
        seed=seed,
    )
    start = MIDNIGHT + rng.choice([0, 0, 300])
    end = MIDNIGHT + span - rng.choice([0, 0, 300])
    middle = (start + end) // 2
    windows = rng.choice([[(start, end)], [(start, middle), (middle, end)], [(start, end), (start, end)]])
    return Case(server, [Window(*bounds) for bounds in windows])


def make_events(rng: random.Random, span: int) -> list[ServerEvent]:
    """Some over the whole span, some in few seconds, many on whole seconds."""
    count = rng.choice([0, 3, 9, 10, 11, 12, 25, 26, 40, 60, 100, 150])
    crowded = [rng.randrange(-3 * SECOND, span + 3 * SECOND) for _ in range(rng.choice([0, 1, 3]))]
    spread = rng.choice([0.2, 0.9])
    events = []
    for number in range(count):
        time = rng.randrange(-3 * SECOND, span + 3 * SECOND)
        if crowded and rng.random() > spread:
            time = rng.choice(crowded) // SECOND * SECOND + rng.choice([0, 0, rng.randrange(SECOND)])
        if rng.random() < 0.3:
            time = time // SECOND * SECOND
        events.append(ServerEvent(MIDNIGHT + time, f"e{number:04d}", rng.choice([0, 0, 50])))
    return events


def make_restless(rng: random.Random, event: ServerEvent) -> ServerEvent:
    """An event that appears late, or goes, now and then."""
    chance = rng.random()
    if chance < 0.03:
        return replace(event, seen_from=rng.randrange(1, 4))
    return replace(event, seen_until=rng.randrange(1, 4)) if chance < 0.06 else event


def run(case: Case) -> tuple[str, int]:
    """What became of the pulls, and how many requests they took."""
    client = LyingClient(case.server)
    size = None
    for window in case.windows:
        spool = MemorySpool()
        query = EventQuery.checked("bounces", "000PE4", window)
        try:
            verified = pull(client, query, spool, grace_period=SECOND, verified_size=size)
        except Np6Error:
            return "failed", len(client.log)
        size = verified.verified_size or size
        outcome = compare(case, window, spool.lines, verified.duplicates)
        if outcome != "exact":
            return outcome, len(client.log)
    return "exact", len(client.log)


def compare(case: Case, window: Window, lines: list[bytes], duplicates: int) -> str:
    events = [event for event in case.server.events if window.start <= event.time < window.end]
    always = {(event.time, event.id) for event in events if not event.seen_from and event.seen_until > 100}
    stored = [(event["timestamp"], event["id"]) for event in map(json.loads, lines)]
    assert stored == sorted(set(stored)), "not in order of time and id, each once"
    if not always <= set(stored) <= {(event.time, event.id) for event in events}:
        return "unseen"
    if not case.has_changes and case.server.max_events is case.server.max_bytes is None:
        assert duplicates == sum(event.id in case.server.doubled for event in events)
    return "exact"


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_pull_is_exact_or_fails(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_np6.np6.retry.FIRST_WAIT", 0.0)
    monkeypatch.setattr(logging.getLogger("airflow_provider_np6"), "disabled", True)
    for name in ("stream", "retry", "progress"):
        monkeypatch.setattr(logging.getLogger(f"airflow_provider_np6.np6.{name}"), "disabled", True)
    outcomes: Counter[str] = Counter()
    requests = 0
    for seed in range(group, SERVERS, GROUPS):
        case = make_case(seed)
        outcome, sent = run(case)
        requests += sent
        outcomes[outcome] += 1
        assert outcome != "unseen" or case.server.is_overfull(), f"seed {seed}"
    total = outcomes.total()
    print(
        f"{total} servers: {dict(outcomes)}, {requests / total:.1f} requests each;"
        f" unseen {outcomes['unseen'] / total:.1%}, each with an overfull second"
    )
    assert outcomes["exact"] > total * 0.75
    assert outcomes["unseen"] < total * 0.06
