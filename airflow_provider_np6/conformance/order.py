"""Questions about the order of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.conformance.account import SORTED, well_formed
from airflow_provider_np6.conformance.question import Observation, Verdict, not_shown, question

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account, Response

_NO_EVENTS = not_shown("no events were found")
_ONE_TIME = not_shown("no two events of different times were found")


@question(
    "`sort=asc`",
    "documented",
    assumed="events are sorted by time",
    otherwise="Order is verified. Without it pulls request the two halves of each part again, and keep all"
    " ids in memory.",
)
def ascending_is_honored(account: Account) -> Observation:
    if account.sample is None or len(set(account.sample.times)) < 2:
        return _ONE_TIME
    times = account.sample.times
    if times == sorted(times):
        return Observation(f"{len(times)} events came in order")
    return Observation("events came without order: pulls need more requests and memory", Verdict.WITH_CARE)


@question(
    "`sort=desc`",
    "documented",
    assumed="events are sorted by time, the newest first",
    otherwise="Pulls use it only to check a second that fills a response: they would not see a limit inside"
    " it.",
)
def descending_is_honored(account: Account) -> Observation:
    if account.sample is None or len(set(account.sample.times)) < 2:
        return _ONE_TIME
    response = account.get_events(account.sample.path, account.sample.window, {"sort": "desc"})
    if response.status != 200:
        return Observation(f"refused with {response.status}", Verdict.WITH_CARE)
    times = [event["timestamp"] for event in well_formed(response)]
    if times == sorted(times, reverse=True):
        return Observation(f"{len(times)} events came in descending order")
    if times == sorted(times):
        return Observation("ignored: events came in ascending order", Verdict.WITH_CARE)
    return Observation("events came without order", Verdict.WITH_CARE)


@question(
    "order among equal times",
    "unknown",
    assumed="none",
    otherwise="Ids are compared: all of a day up to 250,000, beyond that within the second.",
)
def ties_are_stable(account: Account) -> Observation:
    if account.sample is None or len(set(account.sample.times)) == len(account.sample.times):
        return not_shown("no two events of one time were found")
    again = account.get_events(account.sample.path, account.sample.window, SORTED)
    same = _ids(again) == account.sample.ids
    return Observation(
        "two responses had the same order" if same else "two responses differed among equal times"
    )


@question("order without `sort`", "documented", assumed="none", otherwise="Pulls always sort.")
def unsorted_is_stable(account: Account) -> Observation:
    if account.sample is None or len(account.sample.events) < 2:
        return _NO_EVENTS
    first, second = (_ids(account.get_events(account.sample.path, account.sample.window)) for _ in range(2))
    if first != second:
        return Observation("two responses differed in order")
    order = "sorted" if first == account.sample.ids else "not sorted"
    return Observation(f"two responses had the same order, {order}")


QUESTIONS = (
    ascending_is_honored,
    descending_is_honored,
    ties_are_stable,
    unsorted_is_stable,
)


def _ids(response: Response) -> list[Any]:
    return [event.get("id") for event in response.events]
