"""The event types of NP6, and what is known about each.

A row of :data:`EVENT_TYPES` says which path a type has, whether NP6 documents that path, and which columns
the events fill. Types that are missing here, or that NP6 adds later, are requested with their path:
``"/custom/path"``. Complaints are documented as a type, but their path is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Mark = Literal["documented", "inferred", "unknown"]
"""How a fact about the API is known: from the vendor's documentation, by inference from it, or not at all."""


class EventType(StrEnum):
    """Paths below ``/actions/{id}/events/``, and below ``/actions/events/`` for all actions."""

    EXECUTIONS = "executions"
    """A send was requested; inferred from other families of the API."""
    ACTIVATIONS = "activations"
    """A message was handed over; documented."""
    CANCELLATIONS = "cancellations"
    """A message was not sent; documented."""
    BOUNCES = "bounces"
    """A message came back; documented."""
    RESPONSES_STOP = "responses/stop"
    """A STOP answer to an SMS; documented."""
    RESPONSES_REPLY = "responses/reply"
    """Another reply; undocumented, and the fields of its events are unknown."""
    HITS = "hits"
    """Every hit; inferred."""
    HITS_OPEN = "hits/open"
    """A message was opened; documented for contacts, inferred for actions."""
    HITS_REDIRECTION = "hits/redirection"
    """A link was followed; documented for contacts, inferred for actions."""
    HITS_UNSUBSCRIBE = "hits/unsubscribe"
    """The link to unsubscribe was followed; documented for contacts, inferred for actions."""
    HITS_MIRROR = "hits/mirror"
    """The mirror page was viewed; documented."""
    HITS_FORM = "hits/form"
    """A form was sent; documented for contacts, inferred for actions."""
    EVENTS = "events"
    """All types in one stream, which is a series of its own; the column ``payload_type`` distinguishes them.
    Documented for all actions, inferred for one."""


@dataclass(frozen=True, kw_only=True)
class EventTypeInfo:
    """What is known about one event type.

    :param event_type: its path.
    :param what: what an event of it means.
    :param payload_type: the ``type`` in its events; None if they have several types, or none is known.
    :param mark: how ``/actions/{id}/events/…`` is known.
    :param all_actions: how ``/actions/events/…`` is known.
    :param columns: columns that its events fill besides :data:`COMMON`; inferred, unless the type is
        documented.
    :param has_classification: whether requests may have the parameter ``classification`` (documented for
        hits).
    """

    event_type: EventType
    what: str
    payload_type: str | None
    mark: Mark
    all_actions: Mark
    columns: tuple[str, ...]
    has_classification: bool = False

    @property
    def expected_type(self) -> str | None:
        """The ``type`` that its events must have, if they have one; None if nothing is documented or inferred
        about it."""
        return None if self.mark == "unknown" else self.payload_type


COMMON = ("event_id", "event_type", "classification", "action_id", "occurred_at", "channel", "agency",
          "customer", "payload", "pulled_at")  # fmt: skip
"""Columns that events of every type fill; ``action_id`` of a pull with "*" only if the event has it."""

_SEND = ("payload_type", "message_id", "thread_id", "sent_at")
_FOOTPRINT = ("target_unicity", "target_hash")
_ACTIVATION = (*_SEND, "recipient", "target_id")
_EXECUTION = (*_SEND, "target_id", *_FOOTPRINT)
_BOUNCE = ("bounce_verdict", "bounce_status", "bounce_code", "bounce_diagnostic", "bounce_mta",
           "bounce_subject", "bounce_subject_detail")  # fmt: skip
_CANCELLATION = ("cancellation_type", "cancellation_message")
_HIT = (*_ACTIVATION, *_FOOTPRINT, "hit_type")


def _hits(event_type: EventType, what: str, mark: Mark = "inferred") -> EventTypeInfo:
    return EventTypeInfo(
        event_type=event_type,
        what=what,
        payload_type="hit",
        mark=mark,
        all_actions="inferred",
        columns=_HIT,
        has_classification=True,
    )


_ROWS = (
    EventTypeInfo(
        event_type=EventType.EXECUTIONS,
        what="send requested",
        payload_type="execution",
        mark="inferred",
        all_actions="inferred",
        columns=_EXECUTION,
    ),
    EventTypeInfo(
        event_type=EventType.ACTIVATIONS,
        what="message handed over",
        payload_type="activation",
        mark="documented",
        all_actions="inferred",
        columns=(*_ACTIVATION, *_FOOTPRINT),
    ),
    EventTypeInfo(
        event_type=EventType.CANCELLATIONS,
        what="message not sent",
        payload_type="cancellation",
        mark="documented",
        all_actions="documented",
        columns=(*_EXECUTION, *_CANCELLATION),
    ),
    EventTypeInfo(
        event_type=EventType.BOUNCES,
        what="message came back",
        payload_type="bounce",
        mark="documented",
        all_actions="inferred",
        columns=(*_ACTIVATION, *_BOUNCE),
    ),
    EventTypeInfo(
        event_type=EventType.RESPONSES_STOP,
        what="STOP answer to an SMS",
        payload_type=None,
        mark="documented",
        all_actions="inferred",
        columns=(),
    ),
    EventTypeInfo(
        event_type=EventType.RESPONSES_REPLY,
        what="other reply to an SMS",
        payload_type="reply",
        mark="unknown",
        all_actions="unknown",
        columns=("payload_type",),
    ),
    _hits(EventType.HITS, "every hit"),
    _hits(EventType.HITS_OPEN, "message opened"),
    _hits(EventType.HITS_REDIRECTION, "link followed"),
    _hits(EventType.HITS_UNSUBSCRIBE, "link to unsubscribe followed"),
    _hits(EventType.HITS_MIRROR, "mirror page viewed", "documented"),
    _hits(EventType.HITS_FORM, "form sent"),
    EventTypeInfo(
        event_type=EventType.EVENTS,
        what="everything, mixed",
        payload_type=None,
        mark="inferred",
        all_actions="documented",
        columns=(*_ACTIVATION, *_FOOTPRINT, *_BOUNCE, *_CANCELLATION, "hit_type"),
    ),
)

EVENT_TYPES = {row.event_type: row for row in _ROWS}
"""Every event type with a known path."""
