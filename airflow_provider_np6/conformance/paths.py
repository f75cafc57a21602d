"""Questions about what can be asked for, and what its events look like."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.conformance.asking import SORTED
from airflow_provider_np6.conformance.verdict import Copes, Verdict, not_shown
from airflow_provider_np6.np6.errors import Np6NotFoundError
from airflow_provider_np6.np6.event_types import EVENT_TYPES, EventType
from airflow_provider_np6.np6.window import iso_seconds
from airflow_provider_np6.privacy.event_fields import EVENT, FieldRole, Fields, is_documented, resolve_member

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.asking import Seen
    from airflow_provider_np6.conformance.examination import Examination, Sample

_NO_ACTION = "ZZZZZZ"
_ROBOTS = "genericrobot,gsr,mpp"
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,30}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SHOWN = 12


def types_of_an_action(on: Examination) -> Verdict:
    """Which event types an action has.

    :raises Np6NotFoundError: if it has none: it does not exist, and all else would be about nothing.
    """
    if all(seen.status in (404, 410) for seen in on.of_action.values()):
        raise Np6NotFoundError(
            f"NP6 knows no event type of action {on.action_id}",
            hint="Check the id: one that has events can be examined.",
        )
    return _readable(on.of_action)


def types_of_all_actions(on: Examination) -> Verdict:
    """Which event types come for all actions at once."""
    return _readable(on.of_all)


def _readable(answers: Mapping[EventType, Seen]) -> Verdict:
    refused = defaultdict(list)
    for each, seen in answers.items():
        if seen.status != 200:
            refused[seen.status].append(str(each))
    if not refused:
        return Verdict(f"all {len(answers)} types answer")
    told = "; ".join(f"{status}: {', '.join(types)}" for status, types in sorted(refused.items()))
    some = len(answers) - sum(map(len, refused.values()))
    return Verdict(f"{some} of {len(answers)} answer; {told}", Copes.YES if some else Copes.NOT_SHOWN)


def type_is_told(on: Examination) -> Verdict:
    """Whether events tell their own type."""
    told: list[EventType] = []
    silent: list[EventType] = []
    other: list[EventType] = []
    for each, seen in on.of_action.items():
        kinds = {event.get("type") for event in seen.events}
        if kinds == {None}:
            silent.append(each)
        elif kinds:
            known = EVENT_TYPES[each].payload_type
            (told if known is None or kinds == {known} else other).append(each)
    if not told + silent + other:
        return not_shown("no events were found")
    groups = (("as the catalogue has it", told), ("missing", silent), ("another", other))
    return Verdict("; ".join(f"{what}: {', '.join(types)}" for what, types in groups if types))


def envelope_is_as_documented(on: Examination) -> Verdict:
    """Whether ``id`` and ``timestamp`` are what pulls need."""
    events = [event for seen in on.of_action.values() for event in seen.events]
    if not events:
        return not_shown("no events were found")
    if not all(isinstance(event.get("id"), str) and 0 < len(event["id"]) <= 64 for event in events):
        return Verdict("an event without an `id` that is a text of up to 64 characters", Copes.NO)
    window = on.recent
    if not all(
        isinstance(event.get("timestamp"), int) and window.start <= event["timestamp"] < window.end
        for event in events
    ):
        return Verdict("a `timestamp` that is no number of ms inside of what was asked for", Copes.NO)
    uuids = all(_UUID.fullmatch(event["id"]) for event in events)
    return Verdict(f"{len(events)} events: ids are {'uuids' if uuids else 'texts, not all uuids'}, times ms")


def fields_are_known(on: Examination) -> Verdict:
    """Which fields events have that are not documented."""
    events = [event for seen in on.of_action.values() for event in seen.events]
    if not events:
        return not_shown("no events were found")
    found = sorted({name for event in events for name in _undocumented(event, EVENT, "")})
    if not found:
        return Verdict("none but documented ones")
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Verdict(f"also {', '.join(found[:_SHOWN])}{more}: kept in the payload")


def _undocumented(value: Any, place: Fields | FieldRole, path: str) -> Iterator[str]:
    """Names of fields, as paths; free data has names of its own, and is left out."""
    if not isinstance(value, dict) or place is FieldRole.DATA:
        return
    for key, inner in value.items():
        name = f"{path}.{key}" if path else key
        if is_documented(place, key):
            yield from _undocumented(inner, resolve_member(place, key), name)
        else:
            yield name if _NAME.fullmatch(key) else f"{path}.(a name)".lstrip(".")


def classification_tells_robots_apart(on: Examination) -> Verdict:
    """What ``classification`` does to hits."""
    if on.hits is None:
        return not_shown("no hits were found")
    people, robots = set(on.hits.ids), _ids(on, on.hits, "classification")
    if robots is None:
        return Verdict("refused")
    if robots == people:
        return Verdict("ignored: the same hits come with it and without", Copes.NO)
    shared = len(people & robots)
    told = f"{len(people)} hits without it, {len(robots)} with it, {shared} in both"
    return Verdict(told, Copes.WITH_CARE if shared else Copes.YES)


def other_spelling_is_taken(on: Examination) -> Verdict:
    """Whether the parameter is called ``classifications``, as one line of the documentation has it."""
    if on.hits is None:
        return not_shown("no hits were found")
    robots = _ids(on, on.hits, "classifications")
    if robots is None:
        return Verdict("refused")
    if robots == set(on.hits.ids):
        return Verdict("ignored")
    same = robots == _ids(on, on.hits, "classification")
    return Verdict("does the same" if same else "does something else", Copes.YES if same else Copes.WITH_CARE)


def _ids(on: Examination, sample: Sample, parameter: str) -> set[Any] | None:
    seen = on.asker.events(sample.path, sample.window, {**SORTED, parameter: _ROBOTS})
    return {event.get("id") for event in seen.events} if seen.status == 200 else None


def unknown_action_is_refused(on: Examination) -> Verdict:
    """What the events of an action that does not exist are."""
    seen = on.asker.events(on.path(EventType.BOUNCES, _NO_ACTION), on.recent)
    if seen.status == 200:
        told = "200: a mistyped id looks like an action without events"
        return Verdict(told, Copes.WITH_CARE)
    return Verdict(f"refused with {seen.status}", Copes.WITH_CARE if seen.status >= 500 else Copes.YES)


def listing_is_there(on: Examination) -> Verdict:
    """Whether ``GET /actions`` still answers."""
    seen = on.asker.ask("/actions", {"creation_start": iso_seconds(on.closed_at)})
    if seen.status == 200:
        return Verdict("there")
    return Verdict(f"refused with {seen.status}: give ids by hand, or '*'", Copes.WITH_CARE)


def statistics_are_there(on: Examination) -> Verdict:
    """Whether an action has counters to compare with."""
    seen = on.asker.ask(f"/actions/{on.action_id}/statistics")
    return Verdict("there" if seen.status == 200 else f"refused with {seen.status}: not compared with")
