"""What stands where in an event, as far as it is documented, and so where personal data may stand."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class Part(Enum):
    """What a place in an event holds."""

    ENVELOPE = auto()
    """The event's id or time: never touched."""
    ID = auto()
    """Another id or time, in which digits are no phone number and the event's own values do not stand: only
    addresses are looked for."""
    CODE = auto()
    """A word of NP6's own, or a status code: addresses and phone numbers are looked for."""
    FREE = auto()
    """A text for people, or anything that is not documented: all of it is looked through."""
    OWN = auto()
    """Who the event is about: replaced as a whole."""
    DATA = auto()
    """Free data of whoever asked for the send: goes altogether."""


Shape = dict[str, "Shape | Part"]

_STAMP: Final[Shape] = {"time": Part.ID, "id": Part.ID, "thread": Part.ID, "set": Part.ID}
_SEND: Final[Shape] = {
    "id": Part.ID,
    "kind": Part.CODE,
    "receiver": Part.OWN,
    "recipient": Part.OWN,
    "stamp": _STAMP,
}
_TYPED: Final[Shape] = {"type": Part.CODE}

EVENT: Final[Shape] = {
    "id": Part.ENVELOPE,
    "timestamp": Part.ENVELOPE,
    "type": Part.CODE,
    "identity": {"type": Part.ID, "agency": Part.ID, "customer": Part.ID},
    "source": {
        "type": Part.CODE,
        "detail": {
            "activation": _SEND,
            "execution": {**_SEND, "data": Part.DATA},
            "bounce": {
                "status": {
                    "type": Part.CODE,
                    "code": {"enhanced": Part.CODE},
                    "diagnostic": Part.FREE,
                    "mta": Part.FREE,
                },
                "analysis": {"verdict": Part.CODE, "subject": {"type": Part.CODE, "detail": _TYPED}},
            },
            "cancellation": {"type": Part.CODE, "value": {"type": Part.CODE, "message": Part.FREE}},
            "link": _TYPED,
        },
    },
}
"""The documented fields; ``link.type`` is told by another client."""

_IDENTITY = frozenset({"receiver", "recipient", "unicity"})
"""Members that tell who an event is about, where they are not documented too."""


def below(place: Shape | Part, key: str) -> Shape | Part:
    """What stands in the member ``key`` of what stands at ``place``."""
    if isinstance(place, dict):
        found = place.get(key)
        if found is not None:
            return found
    elif place is Part.OWN:
        return Part.CODE if key == "type" else Part.OWN
    elif place is Part.DATA:
        return place
    return Part.OWN if key in _IDENTITY else Part.FREE


def is_documented(place: Shape | Part, key: str) -> bool:
    """Whether an object at ``place`` has a member ``key`` that is documented, so that its name is no text."""
    if isinstance(place, dict):
        return key in place
    return place is Part.OWN and key in ("type", "id", "value", "unicity", "hash")
