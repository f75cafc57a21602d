"""What an event of each type looks like.

Documented: executions, activations, cancellations, bounces, and the envelope of stops. Known from another
client of the API: a hit's ``link.type``. Unknown, and so made up: the values of ``link.type``, the kinds of
target reference in an activation or a hit, the events of an SMS, and the detail of a reply. Values are those
that real accounts have: addresses beyond ASCII, an empty ``mta``, no ``data``, hits months after the send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Occasion:
    """Where and when an event happens.

    :param action_id: its action.
    :param timestamp: its time in ms.
    :param id: its id.
    :param sent: time in ms of the send that it follows; None for a time at random.
    :param is_sms: whether an SMS was sent, not an e-mail.
    """

    action_id: str
    timestamp: int
    id: str
    sent: int | None = None
    is_sms: bool = False


Shape = Callable[[Random, Occasion], dict[str, Any]]
"""Creates an event."""

_NAMES = ("anna", "björn", "chloé", "дмитрий", "example", "françois", "ğizem", "小林", "o'neill", "zoë+news")
_DOMAINS = ("example.com", "example.net", "exämple.example", "mail.example.org", "почта.example")
_BOUNCES = (
    ("soft", "5.4.4", "unable to route: no mail hosts for domain", "other or undefined status", None),
    ("hard", "5.1.2", "bad destination system: no such domain", "address", "bad destination system address"),
    ("hard", "5.1.1", "550 5.1.1 <{0}>: user unknown\r\n", "address", "bad destination mailbox address"),
    ("soft", "4.2.2", "452 4.2.2 boîte pleine «quota» 📫", "mailbox", "mailbox full"),
)
_SMS_BOUNCES = (
    ("hard", "5.1.1", "{0}: unknown subscriber", "address", "bad destination mailbox address"),
    ("soft", "4.4.1", "absent subscriber", "other or undefined status", None),
)
_MINUTE = 60_000
_FOUR_MONTHS = 120 * 24 * 60 * _MINUTE


def uuid(rng: Random) -> str:
    """An event's id, or another of that form.

    :param rng: where chance comes from.
    """
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _phone(rng: Random) -> str:
    """A mobile number out of those that France reserves for fiction."""
    return f"+3363998{rng.randrange(10_000):04d}"


def _email(rng: Random) -> str:
    return f"{rng.choice(_NAMES)}.{rng.randrange(10_000)}@{rng.choice(_DOMAINS)}"


def _address(rng: Random, at: Occasion) -> str:
    return _phone(rng) if at.is_sms else _email(rng)


def _envelope(at: Occasion, source: dict[str, Any]) -> dict[str, Any]:
    identity = {"type": "customer", "agency": "DEMO", "customer": "028"}
    return {"id": at.id, "timestamp": at.timestamp, "identity": identity, "source": source}


def _event(type_: str, at: Occasion, detail: dict[str, Any]) -> dict[str, Any]:
    source = {"type": "sms" if at.is_sms else "email", "detail": detail}
    return {"type": type_, **_envelope(at, source)}


def _stamp(rng: Random, at: Occasion, within: int = _MINUTE) -> dict[str, Any]:
    time = at.timestamp - rng.randrange(1, within) if at.sent is None else at.sent
    return {"time": time, "id": uuid(rng), "thread": uuid(rng)}


def _reference(rng: Random) -> dict[str, Any]:
    return {"type": "id", "value": f"{rng.randrange(16**6):08X}"}


def _footprint(rng: Random, address: str) -> dict[str, Any]:
    return {
        "type": "footprint",
        "id": f"{rng.randrange(16**6):08X}",
        "unicity": address,
        "hash": f"{rng.getrandbits(128):032x}",
    }


def _activated(at: Occasion, receiver: dict[str, Any], stamp: dict[str, Any], address: str) -> dict[str, Any]:
    return {"id": at.action_id, "kind": "message", "receiver": receiver, "stamp": stamp, "recipient": address}


def _executed(rng: Random, at: Occasion) -> dict[str, Any]:
    recipient = _footprint(rng, _address(rng, at))
    execution: dict[str, Any] = {"id": at.action_id, "kind": "message", "recipient": recipient}
    if rng.random() < 0.5:
        execution["data"] = {"foo": rng.randrange(9), "baskets": [{"sku": "A"}, {"sku": "B"}]}
    execution["stamp"] = _stamp(rng, at)
    return execution


def _execution(rng: Random, at: Occasion) -> dict[str, Any]:
    return _event("execution", at, {"execution": _executed(rng, at)})


def _cancellation(rng: Random, at: Occasion) -> dict[str, Any]:
    execution = _executed(rng, at)
    cancellation: dict[str, Any] = {"type": "redlisted target"}
    if rng.random() < 0.5:
        value = {"type": "render", "message": "Variable „prénom“ is missing"}
        cancellation = {"type": "user defined policy", "value": value}
    return _event("cancellation", at, {"execution": execution, "cancellation": cancellation})


def _activation(rng: Random, at: Occasion) -> dict[str, Any]:
    address = _address(rng, at)
    receiver = _footprint(rng, address)
    activation = _activated(at, receiver, _stamp(rng, at), address)
    return _event("activation", at, {"activation": activation})


def _bounce(rng: Random, at: Occasion) -> dict[str, Any]:
    verdict, code, diagnostic, subject, detail = rng.choice(_SMS_BOUNCES if at.is_sms else _BOUNCES)
    address = _address(rng, at)
    activation = _activated(at, _reference(rng), _stamp(rng, at), address)
    bounce = {
        "status": {
            "type": "sync",
            "code": {"enhanced": code},
            "diagnostic": diagnostic.format(address),
            "mta": rng.choice(("", "mx1.example.org")),
        },
        "analysis": {
            "verdict": verdict,
            "subject": {"type": subject, **({"detail": {"type": detail}} if detail else {})},
        },
    }
    return _event("bounce", at, {"activation": activation, "bounce": bounce})


def _hit(link: str, rng: Random, at: Occasion) -> dict[str, Any]:
    address = _address(rng, at)
    receiver = _footprint(rng, address) if rng.random() < 0.5 else _reference(rng)
    activation = _activated(at, receiver, _stamp(rng, at, _FOUR_MONTHS), address)
    return _event("hit", at, {"activation": activation, "link": {"type": link}})


def _stop(_rng: Random, at: Occasion) -> dict[str, Any]:
    return _envelope(at, {"type": "sms"})


def _reply(rng: Random, at: Occasion) -> dict[str, Any]:
    phone = _phone(rng)
    text = rng.choice((f"Rappelez-moi au {phone}", f"write to {_email(rng)}, not here", "oui 👍", ""))
    source = {"type": "sms", "detail": {"reply": {"from": phone, "text": text}}}
    return {"type": "reply", **_envelope(at, source)}


SHAPES: dict[str, Shape] = {
    "bounces": _bounce,
    "cancellations": _cancellation,
    "responses/stop": _stop,
    "responses/reply": _reply,
    "executions": _execution,
    "activations": _activation,
    "hits/open": partial(_hit, "open"),
    "hits/redirection": partial(_hit, "redirection"),
    "hits/unsubscribe": partial(_hit, "unsubscribe"),
    "hits/mirror": partial(_hit, "mirror"),
    "hits/form": partial(_hit, "form"),
}
"""By event type, as its path names it."""
