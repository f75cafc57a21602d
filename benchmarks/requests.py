"""``python -m benchmarks.requests``: how many requests pulls send, beside one per window.

A response that might have been cut short is checked by two more requests, unless a larger one of its series
was verified in the last 30 days. What pulls remember of that is passed on from day to day as files do.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.np6.pull import Nowhere, pull
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import ListedAccount, Sandbox

if TYPE_CHECKING:
    from airflow_provider_np6.np6.caps import VerifiedSize

START = 20_000 * DAY
DAYS = 30
KEY = "sandbox-key"
GRACE_PERIOD = 60_000
SIZES = (5, 50, 500, 50_000)
ORDINALS = ("first", "second", "third", "fourth", "fifth")
MARGIN = 2_000


def pull_month(sandbox: Sandbox, action_ids: list[str]) -> Counter[str]:
    """Requests of a month of all event types, day by day, and the number of windows."""
    counts: Counter[str] = Counter()
    with closing(Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="bench"))) as client:
        for event_type in EventType:
            size: VerifiedSize | None = None
            for start in range(START, START + DAYS * DAY, DAY):
                for action_id in action_ids:
                    query = EventQuery(event_type, action_id, Window(start, start + DAY))
                    verified = pull(client, query, Nowhere(), grace_period=GRACE_PERIOD, verified_size=size)
                    size = verified.verified_size or size
                    counts["windows"] += 1
                    counts["requests"] += verified.requests
                    counts["events"] += verified.events
    return counts


def pull_days(events: int) -> list[int]:
    """Requests of each of some days with about so many events, none at an edge."""
    rng = Random(events)  # noqa: S311 - repeatable, not secret
    times = [
        start + rng.randrange(MARGIN, DAY - MARGIN)
        for start in range(START, START + len(ORDINALS) * DAY, DAY)
        for _ in range(round(events * rng.uniform(0.95, 1.05)))
    ]
    with (
        Sandbox(ListedAccount(times), key=KEY) as sandbox,
        closing(Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="bench"))) as client,
    ):
        size: VerifiedSize | None = None
        requests = []
        for start in range(START, START + len(ORDINALS) * DAY, DAY):
            query = EventQuery("bounces", sandbox.account.action_ids[0], Window(start, start + DAY))
            verified = pull(client, query, Nowhere(), grace_period=GRACE_PERIOD, verified_size=size)
            size = verified.verified_size or size
            requests.append(verified.requests)
    return requests


def main() -> None:
    """Print two tables."""
    print("| month of all event types | windows | events | requests | per window |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with Sandbox(key=KEY) as sandbox:
        for name, action_ids in (("by action", sandbox.account.action_ids), ("`*`", [ALL_ACTIONS])):
            counts = pull_month(sandbox, action_ids)
            ratio = counts["requests"] / counts["windows"]
            row = (name, counts["windows"], f"{counts['events']:,}", counts["requests"], f"{ratio:.3f}")
            print("|", " | ".join(map(str, row)), "|", flush=True)
    print(f"\n| events per day | {' | '.join(ORDINALS)} day |\n| ---: |{' ---: |' * len(ORDINALS)}")
    for events in SIZES:
        print("|", " | ".join(map(str, (f"{events:,}", *pull_days(events)))), "|", flush=True)


if __name__ == "__main__":
    main()
