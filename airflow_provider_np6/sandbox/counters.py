"""``GET /actions/{id}/statistics``: what an action counted.

The names are those of older vendor material, which shows a sample and explains none of them; it has more
than these (unique openers, revenue, complaints by mailbox provider). Inferred: what each one counts.
Unknown: whether robots' hits count; here they do not.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from airflow_provider_np6.sandbox.account import HOUR, FakeAccount

DAYS = 3
"""How far back the sandbox counts, so that it stays cheap: whole hours of UTC before the current one."""


def statistics(world: FakeAccount, action_id: str, now: int) -> dict[str, Any]:
    """The counters of one action at ``now`` (ms), of published events; 0 where there is no such event."""
    last = now // HOUR
    hours = range(last - DAYS * 24, last)

    def count(event_type: str) -> int:
        return sum(len(world.hour(event_type, action_id, hour)) for hour in hours)

    def values(event_type: str, *names: str) -> Counter[str]:
        """How often each value stands at that place of the events' detail."""
        found: Counter[str] = Counter()
        for hour in hours:
            for event in world.hour(event_type, action_id, hour):
                value = msgspec.json.decode(event.json)["source"]["detail"]
                for name in names:
                    value = value[name]
                found[value] += 1
        return found

    rejected = values("cancellations", "cancellation", "type")
    verdicts = values("bounces", "bounce", "analysis", "verdict")
    others = dict.fromkeys(("bounces", "blacklist", "marketingPressure", "emptyAddress", "exclusions"), 0)
    return {
        "type": "mail",
        "dispatch": {
            "sent": count("activations"),
            "rejected": {"total": rejected.total(), "redlist": rejected["redlisted target"], **others},
        },
        "feedback": {
            "opening": {"total": count("hits/open")},
            "click": {"total": count("hits/redirection")},
            "bounce": {"soft": verdicts["soft"], "hard": verdicts["hard"], "spam": 0},
            "redlist": {"unsubscribe": {"total": count("hits/unsubscribe")}, "complaint": {"total": 0}},
        },
    }
