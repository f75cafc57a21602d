"""Questions about event types and actions, and about the fields of events."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.conformance.account import SORTED
from airflow_provider_np6.conformance.question import Observation, Verdict, not_shown, question
from airflow_provider_np6.np6.errors import Np6NotFoundError
from airflow_provider_np6.np6.event_types import EVENT_TYPES, EventType
from airflow_provider_np6.np6.plan import EDGE
from airflow_provider_np6.np6.window import iso_seconds
from airflow_provider_np6.privacy.event_fields import EVENT, FieldRole, Fields, is_documented, resolve_member

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account, Response, Sample

_NO_ACTION = "ZZZZZZ"
_ROBOTS = "genericrobot,gsr,mpp"
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,30}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MAX_FIELDS = 12
_ANOTHER = "another"
_NO_EVENTS = not_shown("no events were found")
_NO_HITS = not_shown("no hits were found")


@question(
    "event types of one action",
    "inferred",
    assumed="those that `event-types.md` lists",
    otherwise="The pull of a type that does not exist fails without retry; pulls of other types go on.",
)
def types_of_action(account: Account) -> Observation:
    """:raises Np6NotFoundError: if there are none: the action does not exist."""
    if all(response.status in (404, 410) for response in account.by_type.values()):
        raise Np6NotFoundError(
            f"NP6 knows no event type of action {account.action_id}",
            hint="Check the id, and give that of an action with events.",
        )
    return _readable(account.by_type)


@question(
    "event types of all actions",
    "inferred",
    assumed="the same below `/actions/events/`",
    otherwise='The same, for `action_id="*"`.',
)
def types_of_all_actions(account: Account) -> Observation:
    return _readable(account.by_type_of_all_actions)


def _readable(responses: Mapping[EventType, Response]) -> Observation:
    refused = defaultdict(list)
    for event_type, response in responses.items():
        if response.status != 200:
            refused[response.status].append(str(event_type))
    if not refused:
        return Observation(f"all {len(responses)} types can be read")
    readable = len(responses) - sum(map(len, refused.values()))
    refusals = "; ".join(f"{status}: {', '.join(types)}" for status, types in sorted(refused.items()))
    return Observation(
        f"{readable} of {len(responses)} can be read; {refusals}",
        Verdict.OK if readable else Verdict.NOT_SHOWN,
    )


@question(
    "`id` and `timestamp`",
    "documented",
    assumed="a uuid, and ms since the epoch",
    otherwise="Any string of up to 64 characters is an id. An event without one, or more than a second"
    " outside of what was requested, fails the pull or is set aside. An element with neither is an error of"
    " NP6's: the pull resumes from the last second before it.",
)
def envelope_is_as_documented(account: Account) -> Observation:
    events = _events(account)
    if not events:
        return _NO_EVENTS
    if not all(isinstance(event.get("id"), str) and 0 < len(event["id"]) <= 64 for event in events):
        return Observation("an event whose `id` is not a string of up to 64 characters", Verdict.MISMATCH)
    start, end = account.recent.start - EDGE, account.recent.end + EDGE
    if not all(
        isinstance(event.get("timestamp"), int) and start <= event["timestamp"] < end for event in events
    ):
        return Observation(
            "a `timestamp` that is not a number of ms in the requested window", Verdict.MISMATCH
        )
    uuids = all(_UUID.fullmatch(event["id"]) for event in events)
    return Observation(f"{len(events)} events: ids are {'' if uuids else 'strings, not all '}uuids, times ms")


@question(
    "`type` in events",
    "documented",
    assumed="that of the requested path; it may be missing where a path has one type",
    otherwise="An event of another type fails the pull, or is set aside. Without one `payload_type` is NULL,"
    " and `event_type` is the requested path.",
)
def events_have_a_type(account: Account) -> Observation:
    kinds: dict[str, list[str]] = defaultdict(list)
    for event_type, response in account.by_type.items():
        if kind := _kind_of_types(event_type, {event.get("type") for event in response.events}):
            kinds[kind].append(str(event_type))
    if not kinds:
        return _NO_EVENTS
    verdict = Verdict.MISMATCH if _ANOTHER in kinds else Verdict.OK
    return Observation("; ".join(f"{kind}: {', '.join(kinds[kind])}" for kind in sorted(kinds)), verdict)


def _kind_of_types(event_type: EventType, values: set[Any]) -> str | None:
    """What is said of the values of ``type``; None if there are no events."""
    info = EVENT_TYPES[event_type]
    if values <= {None}:
        return "missing" if values else None
    if info.payload_type is None or values <= {None, info.payload_type}:
        return "as listed"
    # Nothing is documented about the events of the other types: pulls take them as they come.
    return "not as expected" if info.expected_type is None else _ANOTHER


@question(
    "the action's id in events",
    "documented",
    assumed="`source.detail.activation.id` and `source.detail.execution.id` are that of the requested action",
    otherwise="An event that shows another id fails the pull, or is set aside: the ids of a campaign and of"
    ' its messages might differ. Pulls with `action_id="*"` do not compare them.',
)
def events_show_the_action(account: Account) -> Observation:
    total = 0
    others: dict[str, int] = {}
    for event_type, response in account.by_type.items():
        ids = [id_ for event in response.events for id_ in _action_ids(event)]
        total += len(ids)
        if count := sum(id_ != account.action_id for id_ in ids):
            others[str(event_type)] = count
    if not total:
        return not_shown("no event with such an id was found")
    if others:
        types = ", ".join(f"{count} of {event_type}" for event_type, count in others.items())
        return Observation(
            f"another id in {types}: pulls of these fail, or set events aside", Verdict.MISMATCH
        )
    return Observation(f"the requested one in {total:,} events")


def _action_ids(event: dict[str, Any]) -> Iterator[str]:
    source = event.get("source")
    detail = source.get("detail") if isinstance(source, dict) else None
    for name in ("activation", "execution"):
        member = detail.get(name) if isinstance(detail, dict) else None
        if isinstance(member, dict) and isinstance(member.get("id"), str):
            yield member["id"]


@question(
    "other fields",
    "unknown",
    assumed="there may be some at any time",
    otherwise="The payload keeps them, whatever they are.",
)
def fields_are_documented(account: Account) -> Observation:
    events = _events(account)
    if not events:
        return _NO_EVENTS
    names = sorted({name for event in events for name in _undocumented(event, EVENT, "")})
    if not names:
        return Observation("none but documented ones")
    more = f" and {len(names) - _MAX_FIELDS} more" if len(names) > _MAX_FIELDS else ""
    return Observation(f"also {', '.join(names[:_MAX_FIELDS])}{more}: kept in the payload")


def _undocumented(value: Any, place: Fields | FieldRole, path: str) -> Iterator[str]:
    """Paths of fields; those of free data are left out, for their names are the customer's."""
    if not isinstance(value, dict) or place is FieldRole.DATA:
        return
    for key, inner in value.items():
        name = f"{path}.{key}" if path else key
        if is_documented(place, key):
            yield from _undocumented(inner, resolve_member(place, key), name)
        else:
            yield name if _NAME.fullmatch(key) else f"{path}.(a name)".lstrip(".")


@question(
    "`classification`",
    "inferred",
    assumed="with it only hits of the named robots are returned, without it only those of people",
    otherwise="Each classification is a series of its own, so that nothing is lost; a hit may be in two.",
)
def classification_separates_robots(account: Account) -> Observation:
    if account.hits is None:
        return _NO_HITS
    people, robots = set(account.hits.ids), _ids(account, account.hits, "classification")
    if robots is None:
        return Observation("refused")
    if robots == people:
        return Observation("ignored: the same hits come with it and without", Verdict.MISMATCH)
    shared = len(people & robots)
    return Observation(
        f"{len(people)} hits without it, {len(robots)} with it, {shared} in both",
        Verdict.WITH_CARE if shared else Verdict.OK,
    )


@question(
    "`classifications`",
    "unknown",
    assumed="the parameter is spelled without the last s",
    otherwise="If only this spelling worked, `classification` would be ignored: see the row above.",
)
def other_spelling_works(account: Account) -> Observation:
    if account.hits is None:
        return _NO_HITS
    robots = _ids(account, account.hits, "classifications")
    if robots is None:
        return Observation("refused")
    if robots == set(account.hits.ids):
        return Observation("ignored")
    if robots == _ids(account, account.hits, "classification"):
        return Observation("does the same")
    return Observation("does something else", Verdict.WITH_CARE)


def _ids(account: Account, sample: Sample, parameter: str) -> set[Any] | None:
    response = account.get_events(sample.path, sample.window, {**SORTED, parameter: _ROBOTS})
    return {event.get("id") for event in response.events} if response.status == 200 else None


@question(
    "an action that does not exist",
    "documented",
    assumed="404",
    otherwise="With an empty response instead, a mistyped id would look like an action without events.",
)
def unknown_action_is_refused(account: Account) -> Observation:
    response = account.get_events(account.path(EventType.BOUNCES, _NO_ACTION), account.recent)
    if response.status == 200:
        return Observation("200: a mistyped id looks like an action without events", Verdict.WITH_CARE)
    verdict = Verdict.WITH_CARE if response.status >= 500 else Verdict.OK
    return Observation(f"refused with {response.status}", verdict)


@question(
    "`GET /actions`",
    "documented",
    assumed="exists, though marked deprecated",
    otherwise='Give the ids yourself, or use `action_id="*"`.',
)
def actions_are_listed(account: Account) -> Observation:
    response = account.get("/actions", {"creation_start": iso_seconds(account.closed_at)})
    if response.status == 200:
        return Observation("exists")
    return Observation(
        f"refused with {response.status}: give the ids yourself, or use `*`", Verdict.WITH_CARE
    )


QUESTIONS = (
    types_of_action,
    types_of_all_actions,
    envelope_is_as_documented,
    events_have_a_type,
    events_show_the_action,
    fields_are_documented,
    classification_separates_robots,
    other_spelling_works,
    unknown_action_is_refused,
    actions_are_listed,
)


def _events(account: Account) -> list[dict[str, Any]]:
    return [event for response in account.by_type.values() for event in response.events]
