"""An account whose events are at given times, for tests of what happens at certain edges and ties."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from operator import attrgetter
from random import Random

import msgspec

from airflow_provider_np6.sandbox.account import HOUR, UNIONS, FakeAccount, FakeEvent
from airflow_provider_np6.sandbox.payloads import SHAPES, Occasion, uuid


class ListedAccount(FakeAccount):
    """An account whose only events are of one type of its first action, at given times.

    :param times: a time in ms since the epoch for each event; equal times are events of equal time.
    :param event_type: an event type that is not a union of others.
    :param seed: accounts with the same seed and times are equal.
    :param actions: number of actions.
    """

    def __init__(
        self, times: Iterable[int], *, event_type: str = "bounces", seed: int = 6, actions: int = 1
    ) -> None:
        super().__init__(seed=seed, actions=actions)
        self._event_type = event_type
        self._hours: dict[int, list[FakeEvent]] = defaultdict(list)
        rng = Random(seed)  # noqa: S311 - repeatable, not secret
        for time in times:
            id_ = uuid(rng)
            json = msgspec.json.encode(SHAPES[event_type](rng, Occasion(self.action_ids[0], time, id_)))
            self._hours[time // HOUR].append(FakeEvent(time, id_, json))

    def hour(
        self,
        event_type: str,
        action_id: str | None,
        hour: int,
        *,
        classification: frozenset[str] = frozenset(),
    ) -> list[FakeEvent]:
        """Events of one hour, ordered by time; a classification changes nothing.

        :param event_type: path of the event type; ``events`` for the mixed stream.
        :param action_id: the action; None for all actions.
        :param hour: the hour, counted from the epoch.
        :param classification: classes of robots.
        """
        has_type = self._event_type in UNIONS.get(event_type, (event_type,))
        has_action = action_id in (None, self.action_ids[0])
        events = self._hours.get(hour, []) if has_type and has_action else []
        return sorted(events, key=attrgetter("timestamp"))
