"""Generated events that name the people of :mod:`tests.support.people`, and the ways to redact them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.privacy.policy import Policy, resolve_policy
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from tests.support.people import (
    KEY,
    LONE_SURROGATES,
    LOST,
    SPELLINGS,
    addresses,
    hashes,
    ids,
    phones,
    plain,
    with_lone_surrogates,
)

PSEUDONYMS = Pseudonyms(KEY)
REDACTING_MODES = ("pseudonymize", "pseudonymize+domain", "drop")
ENVELOPE = '"id":"86bc0a5d-28cb-5128-af60-5efd273d7f75","timestamp":1614089582000'

_CONFIG = Np6Config(base_url="https://x", api_key="k", account="test", pseudonym_key=KEY)


def policy(mode: str) -> Policy:
    policy = resolve_policy(mode, _CONFIG, "np6_default")
    assert policy is not None
    return policy


spelled = st.sampled_from(SPELLINGS)
_separators = st.sampled_from(
    ["", " ", "<", ">", ": ", "; to=", "é«", "\\r\\n", "550 5.1.1 ", "tel:", "mailto:", "“", "x ", LOST]
)


@st.composite
def _cut(draw: st.DrawFn, text: str) -> str:
    """A text, sometimes with a lone surrogate somewhere in it."""
    at = draw(st.integers(-len(text), len(text)))
    return text if at < 0 else text[:at] + LOST + text[at:]


@st.composite
def strange_events(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    """An event with undocumented fields; the addresses, ids and hashes in it; and the phone numbers.

    Addresses may have lone surrogates in them.
    """
    own = draw(addresses)
    target, digest = draw(ids), draw(hashes)
    others = draw(st.lists(addresses, max_size=2))
    numbers = draw(st.lists(phones, max_size=2))

    def free() -> str:
        parts = draw(st.lists(st.sampled_from([own, target, digest, *others, *numbers]), max_size=3))
        text = draw(_separators)
        for part in parts:
            written = draw(_cut(part)) if "@" in part else part
            text += draw(spelled)(written) + draw(st.sampled_from([" ", f"{LOST} "])) + draw(_separators)
        return text

    send = f'"receiver":{{"type":"footprint","id":"{target}","unicity":"{plain(own)}","hash":"{digest}"}}'
    unknown = f'"{free()}":{{"a":["{free()}",{{"b":"{free()}"}},1.5e3,null],"type":"{free()}"}}'
    bounce = f'"bounce":{{"status":{{"diagnostic":"{free()}","mta":"{free()}"}},{unknown}}}'
    data = f'"execution":{{"data":{{"who":"{free()}","{free()}":[]}},"kind":"message"}}'
    recipient = f'"recipient":"{draw(spelled)(own)}"'
    identity = f'"identity":{{"type":"customer","agency":"{draw(spelled)(draw(addresses))}"}}'
    event = (
        f'{{{ENVELOPE},{identity},"source":{{"type":"email",'
        f'"detail":{{"activation":{{{send},{recipient}}},{bounce},{data}}}}},{unknown}}}'
    )
    event = with_lone_surrogates(event, draw(st.sampled_from(LONE_SURROGATES)))
    return event, [own, target, digest, *others], numbers


def _targets(values: tuple[str, str, str]) -> list[dict[str, Any]]:
    unicity, other, digest = values
    return [
        {"type": "footprint", "id": other, "unicity": unicity, "hash": digest},
        {"type": "id", "value": other},
        {"type": "unicity", "unicity": unicity},
        {},
    ]


_diagnostics = st.sampled_from(
    [
        "unable to route: no mail hosts for domain",
        "550 5.1.1 <{a}>: user unknown\r\n",
        "{a}",
        "x{a} {A}",
        "{b} and {a}",
        "{t} 452 4.2.2 boîte pleine «quota» 📫 {a}",
        "call {n}",
        "{a}{a}",
        "100 % of {a}",
        "'{a}'\u0001",
        "http://x.y/?u={a}&t={t}",
        "",
        "a @ b, c:\\temp",
        "user unknown {l}",
        f"{LOST}{{a}}",
        f"no such user{LOST}",
        f"{{a}}{LOST} {{b}}",
        f"{{t}}{LOST}{{l}}",
    ]
)


@st.composite
def documented_events(draw: st.DrawFn) -> bytes:
    """An event with documented fields, as compact as NP6's, but with values of all kinds; some of them have
    lone surrogates in them."""
    a, b, n, t = draw(addresses), draw(addresses), draw(phones), draw(ids)
    if draw(st.integers(0, 3)) == 0:
        a, b, t = (draw(_cut(text)) for text in (a, b, t))
    unicity = draw(st.sampled_from([a, a, a.upper(), b, n, t, "", " ", "unknown", "5", "detail"]))
    target = draw(st.sampled_from(_targets((unicity, t, draw(hashes)))))

    def text() -> str:
        return draw(_diagnostics).format(a=a, A=a.upper(), b=b, n=n, t=t, l=t.lower())

    stamp = {"time": 1, "id": draw(st.sampled_from(["7bb105bd", b, t])), "thread": "x"}
    kind = draw(st.sampled_from(["message", "message", "call 0612345678", b]))
    detail: dict[str, Any]
    if draw(st.booleans()):
        activation = {"id": draw(st.sampled_from(["000PE4", "12345678"])), "kind": kind, "receiver": target}
        activation["stamp"] = stamp
        activation["recipient"] = draw(st.sampled_from([a, a, n, f" {a}", a.upper()]))
        detail = {"activation": activation}
    else:
        detail = {"execution": {"id": "000PE4", "kind": kind, "recipient": target}}
        if draw(st.booleans()):
            detail["execution"]["data"] = {"foo": 1, "bar": [a, n]}
        detail["execution"]["stamp"] = stamp
    if draw(st.booleans()):
        status = {"type": "sync", "code": {"enhanced": "5.1.1"}, "diagnostic": text(), "mta": text()}
        detail["bounce"] = {"status": status, "analysis": {"verdict": "hard", "subject": {"type": kind}}}
    if draw(st.booleans()):
        detail["cancellation"] = {"type": "x", "value": {"type": "render", "message": text()}}
    if draw(st.booleans()):
        detail["link"] = {"type": "x", "url": text()}
    identity = {
        "type": "customer",
        "agency": draw(st.sampled_from(["DEMO", "DEMO", b])),
        "customer": "02800000",
    }
    event = {"type": "bounce", "id": "86bc", "timestamp": 5, "identity": identity}
    event["source"] = {"type": "email", "detail": detail}
    raw = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return with_lone_surrogates(raw, draw(st.sampled_from(LONE_SURROGATES))).encode()
