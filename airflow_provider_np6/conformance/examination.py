"""One account, and a sample of its events, as the questions look at it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.conformance.asking import FIRST_BYTES, SORTED, Asker, Seen
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery, check_action_id
from airflow_provider_np6.np6.window import DAY, SECOND, Window

if TYPE_CHECKING:
    from airflow_provider_np6.np6.client import Np6Client

CLOSED_FOR = 600 * SECOND
"""How long ago the youngest events are that are looked at, in ms."""

RECENT = 30 * DAY
LONG_AGO = 3 * 365 * DAY
_WIDTHS = (0, 60 * SECOND, 3_600 * SECOND, DAY, 10 * DAY)
_ENOUGH = 20


@dataclass(frozen=True)
class Sample:
    """All events of a small window, as they came when sorted.

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
        """Ids, in the order in which they came."""
        return [event["id"] for event in self.events]


class Examination:
    """What the questions share, so that nothing is asked twice.

    :param client: to the account.
    :param action_id: an action that has events.
    :param now: ms since the epoch, UTC.
    """

    def __init__(self, client: Np6Client, action_id: str, now: int) -> None:
        self.asker = Asker(client)
        self.action_id = action_id
        self.closed_at = (now - CLOSED_FOR) // SECOND * SECOND
        self.last_day = Window(self.closed_at - DAY, self.closed_at)
        self.recent = Window(self.closed_at - RECENT, self.closed_at)
        if check_action_id(action_id) == ALL_ACTIONS:
            raise Np6InputError("one action is examined, not all", hint="Give the id of one with events.")

    def path(self, event_type: EventType, action_id: str | None = None) -> str:
        """Where a type is asked for, of this action unless another is given."""
        return EventQuery.checked(event_type, action_id or self.action_id, self.recent).path

    @cached_property
    def of_action(self) -> dict[EventType, Seen]:
        """The first bytes of every type of the action: of the last day, else of the last 30."""
        found = {}
        for each in EventType:
            seen = self._begin(self.path(each), self.last_day)
            if seen.status == 200 and not seen.events:
                seen = self._begin(self.path(each), self.recent)
            found[each] = seen
        return found

    @cached_property
    def of_all(self) -> dict[EventType, Seen]:
        """The first bytes of every type of all actions, of the last day."""
        return {each: self._begin(self.path(each, ALL_ACTIONS), self.last_day) for each in EventType}

    @cached_property
    def sample(self) -> Sample | None:
        """Some events of the action, of whatever type has any."""
        sample = self._sample(EventType)
        if sample is None:
            older = Window(self.closed_at - LONG_AGO, self.closed_at)
            for each, seen in self.of_action.items():
                if seen.status == 200 and (found := _events(self._begin(self.path(each), older))):
                    return self._around(self.path(each), found[0]["timestamp"])
        return sample

    @cached_property
    def hits(self) -> Sample | None:
        """Some hits of the action."""
        return self._sample((EventType.HITS, EventType.HITS_OPEN, EventType.HITS_REDIRECTION))

    def _sample(self, event_types: Any) -> Sample | None:
        for each in event_types:
            if found := _events(self.of_action[each]):
                return self._around(self.path(each), found[0]["timestamp"])
        return None

    def _begin(self, path: str, window: Window) -> Seen:
        return self.asker.events(path, window, SORTED, up_to=FIRST_BYTES)

    def _around(self, path: str, time: int) -> Sample | None:
        """Events near one of them, in the smallest window that shows enough."""
        sample = None
        for width in _WIDTHS:
            second = time // SECOND * SECOND
            window = Window(second - width, max(second + SECOND, min(second + width, self.closed_at)))
            seen = self.asker.events(path, window, SORTED)
            if not seen.whole:
                break
            sample = Sample(path, window, _events(seen))
            if len(sample.events) >= _ENOUGH and len(set(sample.times)) > 1:
                break
        return sample if sample and sample.events else None


def _events(seen: Seen) -> list[dict[str, Any]]:
    """Those that have the documented envelope."""
    return [
        event
        for event in seen.events
        if isinstance(event.get("id"), str) and isinstance(event.get("timestamp"), int)
    ]
