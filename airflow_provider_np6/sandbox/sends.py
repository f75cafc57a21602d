"""Sends: when each action of a fake account is sent, and how many events of each type follow.

The sends of an action recur without end. A send takes some hours, and each of its executions is followed by
events of other types, at a rate and a pace of their own. So the number of events in an hour is a function of
that hour alone. Rates and paces are the sandbox's own choice, in the range that is usual for e-mail and SMS;
rates of hits include those of robots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

_DAY = 24
_WEEK = 7 * _DAY


def _normalize(values: list[float]) -> tuple[float, ...]:
    total = sum(values)
    return tuple(value / total for value in values)


@dataclass(frozen=True, eq=False)
class Pace:
    """How soon events follow an execution.

    :param shares: share of the events in each hour from the execution's hour on.
    :param by_people: whether people cause the events, so that few come at night.
    """

    shares: tuple[float, ...]
    by_people: bool = False


def _decay(*parts: tuple[float, float], hours: int) -> tuple[float, ...]:
    """Shares of ``hours`` hours that decay exponentially, from parts (weight, half-life in hours)."""
    return _normalize(
        [sum(weight / life * 0.5 ** (hour / life) for weight, life in parts) for hour in range(hours)]
    )


AT_ONCE = Pace((1.0,))
_WITHIN_A_DAY = Pace(_decay((0.9, 0.5), (0.1, 6), hours=2 * _DAY))
_FOR_MONTHS = Pace(_decay((0.6, 5), (0.36, 60), (0.04, 500), hours=120 * _DAY), by_people=True)
_WITHIN_HOURS = Pace(_decay((1, 1), hours=_DAY), by_people=True)

_NIGHT_AND_DAY = _normalize(
    [2, 1, 1, 1, 2, 5, 10, 15, 18, 19, 18, 16, 15, 15, 16, 16, 16, 16, 15, 14, 12, 9, 6, 4]
)
"""What people do in each hour of UTC, in western Europe."""

Follows = Mapping[str, tuple[float, Pace]]
"""For each event type its number per execution, and its pace."""


@dataclass(frozen=True, eq=False)
class SendPlan:
    """When one kind of action is sent, and what follows.

    :param name: what the action is for.
    :param type: type of the action, as NP6 names it.
    :param volume: executions per send, about.
    :param interval: hours from one send to the next.
    :param first: hour of one send, counted from the epoch.
    :param curve: share of the executions in each hour of a send.
    :param follows: what follows each execution.
    """

    name: str
    type: str
    volume: int
    interval: int
    first: int
    curve: tuple[float, ...]
    follows: Follows

    @property
    def is_sms(self) -> bool:
        """Whether the action sends SMS, not e-mail."""
        return self.type.startswith("sms")

    def expect(self, event_type: str, hour: int) -> float:
        """The number of events of a type in an hour, on average.

        :param event_type: an event type that is not a union of others.
        :param hour: the hour, counted from the epoch.
        """
        if event_type not in self.follows:
            return 0.0
        rate, pace = self.follows[event_type]
        by_time_of_day = _DAY * _NIGHT_AND_DAY[hour % _DAY] if pace.by_people else 1
        return rate * by_time_of_day * sum(self._events_by_send(pace, hour).values())

    def choose_origins(self, rng: Random, event_type: str, hour: int, count: int) -> Iterator[int]:
        """For each of an hour's events the hour of the execution that it follows.

        :param rng: where chance comes from.
        :param event_type: type of the events.
        :param hour: hour of the events.
        :param count: number of events.
        """
        if not count:
            return
        _, pace = self.follows[event_type]
        by_send = self._events_by_send(pace, hour)
        for begin in rng.choices(list(by_send), list(by_send.values()), k=count):
            hours = range(max(begin, hour - len(pace.shares) + 1), min(begin + len(self.curve), hour + 1))
            weights = [self.curve[executed - begin] * pace.shares[hour - executed] for executed in hours]
            yield rng.choices(hours, weights)[0]

    def _events_by_send(self, pace: Pace, hour: int) -> dict[int, float]:
        """How many events of an hour follow each send, by its first hour, at a rate of 1."""
        course = _course(self, pace)
        events = {}
        send = (hour - self.first) // self.interval
        while (begin := self.first + send * self.interval) > hour - len(course):
            volume = self.volume * (0.85 + 0.3 * (send * 0.618 % 1))  # no two sends are alike
            events[begin] = volume * course[hour - begin]
            send -= 1
        return events


@cache
def _course(plan: SendPlan, pace: Pace) -> list[float]:
    """The events that follow one execution, spread over the send: the part in each hour from its first on."""
    course = [0.0] * (len(plan.curve) + len(pace.shares) - 1)
    for executed, part in enumerate(plan.curve):
        for age, share in enumerate(pace.shares):
            course[executed + age] += part * share
    return course


def _email(bounces: float, opens: float) -> Follows:
    """What follows an e-mail: bounces and opens per execution."""
    return {
        "executions": (1.0, AT_ONCE),
        "activations": (0.99, AT_ONCE),
        "cancellations": (0.01, AT_ONCE),
        "bounces": (bounces, _WITHIN_A_DAY),
        "hits/open": (opens, _FOR_MONTHS),
        "hits/redirection": (0.06 * opens, _FOR_MONTHS),
        "hits/unsubscribe": (0.003, _FOR_MONTHS),
        "hits/mirror": (0.004, _FOR_MONTHS),
        "hits/form": (0.001, _FOR_MONTHS),
    }


def _sms(bounces: float, stops: float) -> Follows:
    """What follows an SMS: bounces and STOPs per execution; opens cannot be seen."""
    return {
        "executions": (1.0, AT_ONCE),
        "activations": (0.99, AT_ONCE),
        "cancellations": (0.01, AT_ONCE),
        "bounces": (bounces, _WITHIN_A_DAY),
        "hits/redirection": (0.03, _WITHIN_HOURS),
        "responses/stop": (stops, _WITHIN_HOURS),
        "responses/reply": (0.004, _WITHIN_HOURS),
    }


def _message(name: str, volume: int, follows: Follows) -> SendPlan:
    """An action that is triggered one by one: each day is a send."""
    return SendPlan(name, f"{_channel(follows)}Message", volume, _DAY, 0, _NIGHT_AND_DAY, follows)


def _campaign(name: str, volume: int, weeks: int, first: int, follows: Follows) -> SendPlan:
    """An action that is sent to many in a morning, every so many weeks."""
    curve = (0.35, 0.3, 0.2, 0.1, 0.05)
    return SendPlan(name, f"{_channel(follows)}Campaign", volume, weeks * _WEEK, first, curve, follows)


def _channel(follows: Follows) -> str:
    return "sms" if "responses/stop" in follows else "mail"


_FRIDAY, _TUESDAY, _WEDNESDAY, _THURSDAY = (day * _DAY for day in (1, 5, 6, 7))  # of January 1970

PLANS = (
    _message("Order confirmation", 1_500, _email(bounces=0.016, opens=0.5)),
    _campaign("Weekly newsletter", 8_000, 1, _TUESDAY + 8, _email(bounces=0.028, opens=0.24)),
    _message("Delivery notice", 400, _sms(bounces=0.024, stops=0.006)),
    _message("Password reset", 2, _email(bounces=0.02, opens=0.7)),
    _campaign("Monthly offers", 20_000, 4, _THURSDAY + 7, _email(bounces=0.035, opens=0.18)),
    _campaign("Flash sale", 3_000, 2, _WEDNESDAY + 9, _sms(bounces=0.03, stops=0.006)),
    _campaign("Season's greetings", 900, 52, _FRIDAY + 9, _email(bounces=0.03, opens=0.3)),
)
"""One plan for each action; accounts with more actions use them again from the start."""
