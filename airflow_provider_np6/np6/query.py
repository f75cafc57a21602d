"""Which events are requested: event type, action and window, checked before any request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import quote

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.event_types import EVENT_TYPES, EventType
from airflow_provider_np6.np6.window import Window, iso_seconds, parse_time

__all__ = ["ALL_ACTIONS", "EventQuery", "EventType", "check_action_id", "check_event_type"]

ALL_ACTIONS = "*"

_ACTION_ID = re.compile(r"(?!__)[A-Za-z0-9_-]+")
_CLASS = re.compile(r"[A-Za-z0-9_-]+")
_MAX_CLASSIFICATION = 100  # characters, as databases keep them
_RAW_PATH = re.compile(r"(?:/[A-Za-z0-9_.-]+)+")


def _given(name: str, value: object) -> str:
    """``value`` if it is a text that says something; an empty rendering must never mean "everything"."""
    if value is not None and not isinstance(value, str):
        raise Np6InputError(f"{name} is of type {type(value).__name__}", hint="Give a text.")
    if value is None or value.strip() in ("", "None"):
        raise Np6InputError(
            f"{name} is {value!r}",
            hint=f"Give {name}; if it is a template, look at what it renders to in this run.",
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
    named = {key: each for each in EventType for key in (each.rpartition("/")[2], each)}
    near = [named[key] for key in get_close_matches(name, named, n=1)]
    raise Np6InputError(
        f"unknown event type {name!r}",
        hint=(f"Did you mean '{near[0]}'? " if near else "")
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
            hint="Ids are letters, digits, '_' and '-', such as 000PE4; '*' means every action.",
        )
    return action


def check_classification(event_type: str, value: object) -> str:
    """``value`` as the dataset's name has it: classes of robots, sorted, each once, with commas between.

    Documented for hits: a comma list of ``genericrobot``, ``mpp`` (Apple's mail privacy proxy) and ``gsr``
    (Google's security robot). Inferred: without it hits of robots are left out, with it only those of the
    named classes come. A value that means "all" is not known; other names are passed on as they are.

    :param event_type: checked already; of paths of one's own nothing is known, so that they may have it.
    :param value: a text; None, "" and "None" mean none.
    :raises Np6InputError: if it is no such list, or the event type takes none.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        return ""
    if not event_type.startswith("/") and not EVENT_TYPES[EventType(event_type)].classified:
        raise Np6InputError(f"{event_type} take no classification", hint="It is for hits only.")
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else []
    if not names or len(str(value)) > _MAX_CLASSIFICATION or not all(map(_CLASS.fullmatch, names)):
        raise Np6InputError(
            f"classification {value!r} is no list of classes",
            hint="Write the names with commas between, such as 'gsr,mpp'.",
        )
    return ",".join(sorted(set(names)))


@dataclass(frozen=True)
class EventQuery:
    """One event type of one action (or of all, ``"*"``) over one window."""

    event_type: str
    action_id: str
    window: Window
    classification: str = ""

    @classmethod
    def checked(
        cls, event_type: object, action_id: object, window: Window, classification: object = None
    ) -> EventQuery:
        """A query of arguments as users give them.

        :raises Np6InputError: for an unknown event type, an empty id or one outside ``[A-Za-z0-9_-]``, or a
            classification that the type does not take.
        """
        name = check_event_type(event_type)
        return cls(name, check_action_id(action_id), window, check_classification(name, classification))

    @classmethod
    def between(
        cls, event_type: object, action_id: object, start: object, end: object, classification: object = None
    ) -> EventQuery:
        """Likewise, over ``[start, end)``: times as :func:`~.window.parse_time` takes them."""
        window = Window(parse_time("start", start), parse_time("end", end))
        return cls.checked(event_type, action_id, window, classification)

    @property
    def path(self) -> str:
        """``/actions/{id}/events/{type}``, or ``/actions/events/{type}`` for every action.

        Which of these are documented stands in the :mod:`~airflow_provider_np6.np6.event_types`; the mixed
        stream has no ``{type}``.
        """
        action = "" if self.action_id == ALL_ACTIONS else f"/{quote(self.action_id, safe='')}"
        below = "" if self.event_type == EventType.EVENTS else f"/{self.event_type.removeprefix('/')}"
        return f"/actions{action}/events{below}"

    def parameters(self, requested: Window, sort: str = "asc") -> dict[str, str]:
        """Parameters of a request for a part of the window: ``start`` and ``end`` as ISO date-times in whole
        seconds, the form that NP6 documents, and the order: without ``sort`` it is undefined (documented).
        """
        whole = requested.in_whole_seconds()
        found = {"start": iso_seconds(whole.start), "end": iso_seconds(whole.end), "sort": sort}
        if self.classification:
            found["classification"] = self.classification
        return found

    @property
    def description(self) -> str:
        """The query in an error's or a log's words."""
        action = "all actions" if self.action_id == ALL_ACTIONS else f"action {self.action_id}"
        classes = f" by {self.classification}" if self.classification else ""
        return f"{self.event_type}{classes} of {action}, window {self.window}"
