"""What one event of each type looks like.

Documented: executions, activations, cancellations, bounces, and the envelope of stops. Told by another
client: a hit's ``link.type``. Unknown, and so made up: the values of ``link.type``, which kinds of target
reference an activation or a hit may have, and all that a reply says of itself. Values are those that
real accounts have: addresses beyond ASCII, an empty ``mta``, no ``data``, hits months after the send.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

Shape = Callable[[Random, str, int, str], dict[str, Any]]
"""Makes an event out of chance, its action's id, its timestamp in ms and its own id."""

_NAMES = ("anna", "björn", "chloé", "дмитрий", "example", "françois", "ğizem", "小林", "o'neill", "zoë+news")
_DOMAINS = ("np6.com", "blabla.com", "exämple.de", "mail.example.org", "почта.рф")
_BOUNCES = (
    ("soft", "5.4.4", "unable to route: no mail hosts for domain", "other or undefined status", None),
    ("hard", "5.1.2", "bad destination system: no such domain", "address", "bad destination system address"),
    ("hard", "5.1.1", "550 5.1.1 <{0}>: user unknown\r\n", "address", "bad destination mailbox address"),
    ("soft", "4.2.2", "452 4.2.2 boîte pleine «quota» 📫", "mailbox", "mailbox full"),
)
_MINUTE = 60_000
_FOUR_MONTHS = 120 * 24 * 60 * _MINUTE


def uuid(rng: Random) -> str:
    """An event's id, or another of that form."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _address(rng: Random) -> str:
    return f"{rng.choice(_NAMES)}.{rng.randrange(10_000)}@{rng.choice(_DOMAINS)}"


def _envelope(timestamp: int, id_: str, source: dict[str, Any]) -> dict[str, Any]:
    identity = {"type": "customer", "agency": "DEMO", "customer": "028"}
    return {"id": id_, "timestamp": timestamp, "identity": identity, "source": source}


def _email(type_: str, timestamp: int, id_: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"type": type_, **_envelope(timestamp, id_, {"type": "email", "detail": detail})}


def _stamp(rng: Random, timestamp: int, within: int = _MINUTE) -> dict[str, Any]:
    return {"time": timestamp - rng.randrange(1, within), "id": uuid(rng), "thread": uuid(rng)}


def _reference(rng: Random) -> dict[str, Any]:
    return {"type": "id", "value": f"{rng.randrange(16**6):08X}"}


def _footprint(rng: Random, address: str) -> dict[str, Any]:
    return {
        "type": "footprint",
        "id": f"{rng.randrange(16**6):08X}",
        "unicity": address,
        "hash": f"{rng.getrandbits(128):032x}",
    }


def _activated(action: str, receiver: dict[str, Any], stamp: dict[str, Any], address: str) -> dict[str, Any]:
    return {"id": action, "kind": "message", "receiver": receiver, "stamp": stamp, "recipient": address}


def _executed(rng: Random, action: str, timestamp: int) -> dict[str, Any]:
    recipient = _footprint(rng, _address(rng))
    execution: dict[str, Any] = {"id": action, "kind": "message", "recipient": recipient}
    if rng.random() < 0.5:
        execution["data"] = {"foo": rng.randrange(9), "baskets": [{"sku": "A"}, {"sku": "B"}]}
    execution["stamp"] = _stamp(rng, timestamp)
    return execution


def _execution(rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    return _email("execution", timestamp, id_, {"execution": _executed(rng, action, timestamp)})


def _cancellation(rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    execution = _executed(rng, action, timestamp)
    cancellation: dict[str, Any] = {"type": "redlisted target"}
    if rng.random() < 0.5:
        value = {"type": "render", "message": "Variable „prénom“ is missing"}
        cancellation = {"type": "user defined policy", "value": value}
    detail = {"execution": execution, "cancellation": cancellation}
    return _email("cancellation", timestamp, id_, detail)


def _activation(rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    address = _address(rng)
    receiver = _footprint(rng, address)
    activation = _activated(action, receiver, _stamp(rng, timestamp), address)
    return _email("activation", timestamp, id_, {"activation": activation})


def _bounce(rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    verdict, code, diagnostic, subject, detail = rng.choice(_BOUNCES)
    address = _address(rng)
    activation = _activated(action, _reference(rng), _stamp(rng, timestamp), address)
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
    return _email("bounce", timestamp, id_, {"activation": activation, "bounce": bounce})


def _hit(link: str, rng: Random, action: str, timestamp: int, id_: str) -> dict[str, Any]:
    address = _address(rng)
    receiver = _footprint(rng, address) if rng.random() < 0.5 else _reference(rng)
    activation = _activated(action, receiver, _stamp(rng, timestamp, _FOUR_MONTHS), address)
    return _email("hit", timestamp, id_, {"activation": activation, "link": {"type": link}})


def _stop(_rng: Random, _action: str, timestamp: int, id_: str) -> dict[str, Any]:
    return _envelope(timestamp, id_, {"type": "sms"})


def _reply(rng: Random, _action: str, timestamp: int, id_: str) -> dict[str, Any]:
    phone = f"+336{rng.randrange(10**8):08d}"
    text = rng.choice((f"Rappelez-moi au {phone}", f"write to {_address(rng)}, not here", "oui 👍", ""))
    source = {"type": "sms", "detail": {"reply": {"from": phone, "text": text}}}
    return {"type": "reply", **_envelope(timestamp, id_, source)}


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
