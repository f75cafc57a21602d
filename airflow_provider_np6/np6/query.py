"""The event type, action and window of a pull, checked before any request."""

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
"""The ``action_id`` that means all actions of the account in one stream."""

_ACTION_ID = re.compile(r"(?!__)[A-Za-z0-9_-]+")
_CLASS = re.compile(r"[A-Za-z0-9_-]+")
_MAX_CLASSIFICATION = 100  # characters, as databases keep them
_RAW_PATH = re.compile(r"(?:/[A-Za-z0-9_.-]+)+")


def _check_string(name: str, value: object) -> str:
    """Return a string that is not empty: a template that renders to nothing must never mean "everything"."""
    if value is not None and not isinstance(value, str):
        raise Np6InputError(f"{name} is of type {type(value).__name__}", hint="Give a string.")
    if value is None or value.strip() in ("", "None"):
        raise Np6InputError(
            f"{name} is {value!r}",
            hint=f"Give {name}; if it is a template, check what it renders to in this run.",
        )
    return str(value)


def check_event_type(value: object) -> str:
    """Return the name of an event type.

    :param value: a known event type, or any other path, written as ``/custom/path``.
    :raises Np6InputError: if it is neither.
    """
    name = _check_string("event_type", value)
    if name in set(EventType):
        return name
    if _RAW_PATH.fullmatch(name) and not {".", ".."} & set(name.split("/")):
        return name
    by_name = {word: known for known in EventType for word in (known.rpartition("/")[2], known)}
    closest = [by_name[word] for word in get_close_matches(name, by_name, n=1)]
    raise Np6InputError(
        f"unknown event type {name!r}",
        hint=(f"Did you mean '{closest[0]}'? " if closest else "")
        + f"Known are {', '.join(EventType)}; write any other path below events as '/custom/path'.",
    )


def check_action_id(value: object) -> str:
    """Return an action's id.

    Ids of six characters such as ``000PE4`` are documented; that others have only letters, digits, ``_`` and
    ``-`` is inferred.

    :param value: an id, or ``"*"`` for all actions.
    :raises Np6InputError: if it is neither.
    """
    action_id = _check_string("action_id", value)
    if action_id != ALL_ACTIONS and not _ACTION_ID.fullmatch(action_id):
        raise Np6InputError(
            f"action_id {action_id!r} is not an action's id",
            hint="Ids have letters, digits, '_' and '-', such as 000PE4; '*' means every action.",
        )
    return action_id


def check_classification(event_type: str, value: object) -> str:
    """Return the classes of robots as the series has them: sorted, without duplicates, separated by commas.

    Documented for hits: a list of ``genericrobot``, ``mpp`` (Apple's mail privacy proxy) and ``gsr``
    (Google's security robot). Inferred: without it, a response has no hits of robots; with it, only those of
    the named classes. A value that means "all" is unknown. Other names are passed on unchanged.

    :param event_type: an event type that is checked already; a custom path may have classes.
    :param value: names separated by commas; None, "" and "None" mean no classification.
    :raises Np6InputError: if it is not such a list, or the event type has no classes.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        return ""
    if not event_type.startswith("/") and not EVENT_TYPES[EventType(event_type)].has_classification:
        raise Np6InputError(f"{event_type} take no classification", hint="It is for hits only.")
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else []
    if not names or len(str(value)) > _MAX_CLASSIFICATION or not all(map(_CLASS.fullmatch, names)):
        raise Np6InputError(
            f"classification {value!r} is not a list of classes",
            hint="Separate the names with commas, such as 'gsr,mpp'.",
        )
    return ",".join(sorted(set(names)))


@dataclass(frozen=True)
class EventQuery:
    """One event type of one action over one window.

    :param event_type: a known event type, or ``/custom/path``.
    :param action_id: the action's id, or ``"*"`` for all actions.
    :param window: when the events were published.
    :param classification: classes of robots, sorted and separated by commas; "" for none.
    """

    event_type: str
    action_id: str
    window: Window
    classification: str = ""

    @classmethod
    def checked(
        cls, event_type: object, action_id: object, window: Window, classification: object = None
    ) -> EventQuery:
        """Check the arguments that users give.

        :param event_type: as :func:`check_event_type`.
        :param action_id: as :func:`check_action_id`.
        :param window: when the events were published.
        :param classification: as :func:`check_classification`.
        :raises Np6InputError: for the first argument that is invalid.
        """
        name = check_event_type(event_type)
        return cls(name, check_action_id(action_id), window, check_classification(name, classification))

    @classmethod
    def between(
        cls, event_type: object, action_id: object, start: object, end: object, classification: object = None
    ) -> EventQuery:
        """Check the arguments that users give, with the window as two times.

        :param event_type: as :func:`check_event_type`.
        :param action_id: as :func:`check_action_id`.
        :param start: start of the window, as :func:`~.window.parse_time` takes it.
        :param end: end of the window (exclusive), as ``start``.
        :param classification: as :func:`check_classification`.
        :raises Np6InputError: for the first argument that is invalid.
        """
        window = Window(parse_time("start", start), parse_time("end", end))
        return cls.checked(event_type, action_id, window, classification)

    @property
    def path(self) -> str:
        """``/actions/{id}/events/{type}``, or ``/actions/events/{type}`` for all actions.

        :mod:`~airflow_provider_np6.np6.event_types` says which of these are documented. The mixed stream has
        no ``{type}``.
        """
        action = "" if self.action_id == ALL_ACTIONS else f"/{quote(self.action_id, safe='')}"
        below = "" if self.event_type == EventType.EVENTS else f"/{self.event_type.removeprefix('/')}"
        return f"/actions{action}/events{below}"

    def parameters(self, requested: Window, sort: str = "asc") -> dict[str, str]:
        """Parameters of a request for a part of the window.

        ``start`` and ``end`` are ISO date-times in whole seconds, as NP6 documents them; fractions of a
        second are unknown. Without ``sort`` the order is undefined (documented).

        :param requested: the part, which is rounded outward to whole seconds.
        :param sort: order of the events by time: "asc" or "desc".
        """
        whole = requested.in_whole_seconds()
        parameters = {"start": iso_seconds(whole.start), "end": iso_seconds(whole.end), "sort": sort}
        if self.classification:
            parameters["classification"] = self.classification
        return parameters

    @property
    def description(self) -> str:
        """The query in the words of errors and logs."""
        action = "all actions" if self.action_id == ALL_ACTIONS else f"action {self.action_id}"
        classes = f" by {self.classification}" if self.classification else ""
        return f"{self.event_type}{classes} of {action}, window {self.window}"
