"""How many requests a backfill sends: counted on a small account, checked, and scaled up."""

from __future__ import annotations

from typing import Any

from benchmarks.source import DAY, START

DAYS, ACTIONS = 2, 5
YEAR, MANY_ACTIONS = 365, 200
TYPES = (
    "activations", "bounces", "cancellations", "responses/stop",
    "hits/open", "hits/redirection", "hits/unsubscribe", "hits/mirror",
)  # fmt: skip

ROUND_COUNTS = 0.01
"""Share of counts that are multiples of 100, for which a pull asks once more."""


def backfill() -> dict[str, Any]:
    """Requests of a small backfill, of each action and of all at once, and of a year of a large account.

    :raises RuntimeError: if the sandbox was asked more or less often than pulls reported, or than one
        request a window and one more for each round count.
    """
    return {
        "days": YEAR,
        "actions": MANY_ACTIONS,
        "types": len(TYPES),
        "counted": {"days": DAYS, "actions": ACTIONS, "each": _counted("each"), "all": _counted("all")},
        "each action": round(YEAR * MANY_ACTIONS * len(TYPES) * (1 + ROUND_COUNTS)),
        "all actions": round(YEAR * len(TYPES) * (1 + ROUND_COUNTS)),
    }


def _counted(actions: str) -> dict[str, int]:
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.pull import count
    from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
    from airflow_provider_np6.np6.window import Window
    from airflow_provider_np6.sandbox import FakeAccount, Sandbox

    account = FakeAccount(actions=ACTIONS, events_per_day=250)
    with Sandbox(account) as sandbox:
        client = Np6Client(Np6Config(base_url=sandbox.url, api_key=sandbox.key, account="bench"))
        proofs = [
            count(client, EventQuery.checked(event_type, action, Window(day, day + DAY)))
            for event_type in TYPES
            for action in (account.action_ids if actions == "each" else [ALL_ACTIONS])
            for day in range(START, START + DAYS * DAY, DAY)
        ]
        client.close()
        reported = sum(proof.requests for proof in proofs)
        round_counts = sum(proof.events > 0 and proof.events % 100 == 0 for proof in proofs)
        if not reported == len(sandbox.received) == len(proofs) + round_counts:
            raise RuntimeError(
                f"{len(proofs)} windows, {round_counts} of a round count, reported {reported} requests,"
                f" and the sandbox was sent {len(sandbox.received)}"
            )
    return {"windows": len(proofs), "requests": reported, "round counts": round_counts}
