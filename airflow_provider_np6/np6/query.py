"""Which events are asked for: event type, action and window, checked before any request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from urllib.parse import quote

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.window import Window, iso_seconds

ALL_ACTIONS = "*"

_ACTION_ID = re.compile(r"(?!__)[A-Za-z0-9_-]+")
_RAW_PATH = re.compile(r"(?:/[A-Za-z0-9_.-]+)+")


class EventType(StrEnum):
    """The event types with a name of their own: paths below ``/actions/{id}/events/`` (documented)."""

    BOUNCES = "bounces"
    CANCELLATIONS = "cancellations"
    RESPONSES_STOP = "responses/stop"


def _given(name: str, value: object) -> str:
    """``value`` if it is a text that says something; an empty rendering must never mean "everything"."""
    if value is not None and not isinstance(value, str):
        raise Np6InputError(f"{name} is of type {type(value).__name__}", cure="Give a text.")
    if value is None or value.strip() in ("", "None"):
        raise Np6InputError(
            f"{name} is {value!r}",
            cure=f"Give {name}; if it is a template, look at what it renders to in this run.",
        )
    return str(value)


def check_event_type(value: object) -> str:
    """``value`` if it is a known event type, or any other path written ``/custom/path``.

    :raises Np6InputError: if it is neither.
    """
    name = _given("event_type", value)
    if name in set(EventType):
        return name
    if _RAW_PATH.fullmatch(name) and not {".", ".."} & set(name.split("/")):
        return name
    near = get_close_matches(name, list(EventType), n=1)
    raise Np6InputError(
        f"unknown event type {name!r}",
        cure=(f"Did you mean '{near[0]}'? " if near else "")
        + f"Known are {', '.join(EventType)}; any other path below events goes as '/custom/path'.",
    )


def check_action_id(value: object) -> str:
    """``value`` if it can be an action's id, or ``"*"``.

    :raises Np6InputError: if it cannot.
    """
    action = _given("action_id", value)
    if action != ALL_ACTIONS and not _ACTION_ID.fullmatch(action):
        raise Np6InputError(
            f"action_id {action!r} is not an action's id",
            cure="Ids are letters, digits, '_' and '-', such as 000PE4; '*' means every action.",
        )
    return action


@dataclass(frozen=True)
class EventQuery:
    """One event type of one action (or of all, ``"*"``) over one window."""

    event_type: str
    action_id: str
    window: Window
    classification: str = ""

    @classmethod
    def checked(cls, event_type: object, action_id: object, window: Window) -> EventQuery:
        """A query of arguments as users give them.

        :raises Np6InputError: for an unknown event type, an empty id or one outside ``[A-Za-z0-9_-]``.
        """
        return cls(check_event_type(event_type), check_action_id(action_id), window)

    @property
    def path(self) -> str:
        """``/actions/{id}/events/{type}``, or ``/actions/events/{type}`` for every action.

        The first form is documented for the three named types, the second for cancellations and
        inferred for the others.
        """
        action = "" if self.action_id == ALL_ACTIONS else f"/{quote(self.action_id, safe='')}"
        return f"/actions{action}/events/{self.event_type.removeprefix('/')}"

    def parameters(self, asked: Window, sort: str = "asc") -> dict[str, str]:
        """What is asked for a part of the window: ``start`` and ``end`` as ISO date-times in whole
        seconds, the form that NP6 documents, and the order: without ``sort`` it is undefined (documented).
        """
        whole = asked.in_whole_seconds()
        return {"start": iso_seconds(whole.start), "end": iso_seconds(whole.end), "sort": sort}

    @property
    def where(self) -> str:
        """The query in an error's or a log's words."""
        action = "all actions" if self.action_id == ALL_ACTIONS else f"action {self.action_id}"
        return f"{self.event_type} of {action}, window {self.window}"
