"""A minute of events, and requests for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import requests

from airflow_provider_np6.sandbox import ListedAccount, Sandbox
from tests.support.run import KEY

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1_000)
END = START + 60_000
ACTION = "000PE4"
TIMES = [START + 1_000 * second for second in range(60) for _ in range(1 + (second % 10 == 9))]
"""One event per second, two in each tenth second."""


def minute() -> ListedAccount:
    """An account with an event at each of ``TIMES``, and one at ``END``."""
    return ListedAccount([*TIMES, END])


def respond(sandbox: Sandbox, sort: str | None = "asc", **headers: str) -> requests.Response:
    """The response for ``[START, END)``."""
    return requests.get(
        f"{sandbox.url}/actions/{ACTION}/events/bounces",
        params={"start": str(START), "end": str(END), **({"sort": sort} if sort else {})},
        headers={"X-Key": KEY, **headers},
        timeout=5,
    )


def events(sandbox: Sandbox, sort: str | None = "asc") -> list[dict[str, Any]]:
    """The events of a response, which is an array."""
    return list(respond(sandbox, sort).json())


def times(sandbox: Sandbox, sort: str | None = "asc") -> list[int]:
    """The timestamps of a response."""
    return [event["timestamp"] for event in events(sandbox, sort)]
