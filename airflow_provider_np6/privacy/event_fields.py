"""The documented fields of an event, and what each may hold of a person."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class FieldRole(Enum):
    """What a field holds, and so what redaction looks for in it."""

    ENVELOPE = auto()
    """The event's id or timestamp: never changed."""
    ID = auto()
    """Another id or time. Its digits are not a phone number, and it does not repeat the subject's
    identifiers: only addresses are searched for."""
    CODE = auto()
    """A keyword of NP6, or a status code: addresses and phone numbers are searched for."""
    TEXT = auto()
    """Free text, or anything undocumented: searched for addresses, phone numbers and the subject's
    identifiers."""
    SUBJECT = auto()
    """Identifies the event's subject: replaced as a whole."""
    DATA = auto()
    """Free data of the caller who requested the send: removed as a whole."""


Fields = dict[str, "Fields | FieldRole"]
"""The documented members of an object."""

_STAMP: Final[Fields] = {
    "time": FieldRole.ID,
    "id": FieldRole.ID,
    "thread": FieldRole.ID,
    "set": FieldRole.ID,
}
_SEND: Final[Fields] = {
    "id": FieldRole.ID,
    "kind": FieldRole.CODE,
    "receiver": FieldRole.SUBJECT,
    "recipient": FieldRole.SUBJECT,
    "stamp": _STAMP,
}
_TYPED: Final[Fields] = {"type": FieldRole.CODE}

EVENT: Final[Fields] = {
    "id": FieldRole.ENVELOPE,
    "timestamp": FieldRole.ENVELOPE,
    "type": FieldRole.CODE,
    "identity": {"type": FieldRole.ID, "agency": FieldRole.ID, "customer": FieldRole.ID},
    "source": {
        "type": FieldRole.CODE,
        "detail": {
            "activation": _SEND,
            "execution": {**_SEND, "data": FieldRole.DATA},
            "bounce": {
                "status": {
                    "type": FieldRole.CODE,
                    "code": {"enhanced": FieldRole.CODE},
                    "diagnostic": FieldRole.TEXT,
                    "mta": FieldRole.TEXT,
                },
                "analysis": {
                    "verdict": FieldRole.CODE,
                    "subject": {"type": FieldRole.CODE, "detail": _TYPED},
                },
            },
            "cancellation": {
                "type": FieldRole.CODE,
                "value": {"type": FieldRole.CODE, "message": FieldRole.TEXT},
            },
            "link": _TYPED,
        },
    },
}
"""The documented fields; ``link.type`` is known from another client."""

_SUBJECT_KEYS = frozenset({"receiver", "recipient", "unicity"})
"""Members that identify the subject, also where they are not documented."""


def resolve_member(field: Fields | FieldRole, key: str) -> Fields | FieldRole:
    """What a member holds.

    :param field: the object that has the member.
    :param key: the member's key.
    """
    if isinstance(field, dict):
        member = field.get(key)
        if member is not None:
            return member
    elif field is FieldRole.SUBJECT:
        return FieldRole.CODE if key == "type" else FieldRole.SUBJECT
    elif field is FieldRole.DATA:
        return field
    return FieldRole.SUBJECT if key in _SUBJECT_KEYS else FieldRole.TEXT


def is_documented(field: Fields | FieldRole, key: str) -> bool:
    """Whether a member is documented; the key of an undocumented one may itself be personal data.

    :param field: the object that has the member.
    :param key: the member's key.
    """
    if isinstance(field, dict):
        return key in field
    return field is FieldRole.SUBJECT and key in ("type", "id", "value", "unicity", "hash")
