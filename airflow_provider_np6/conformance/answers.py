"""Questions about answers as such; most are answered by those that other questions got."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_np6.conformance.verdict import Copes, Verdict, not_shown
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.np6.rate_limit import EPOCH_MILLISECONDS, EPOCH_SECONDS

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.asking import Seen
    from airflow_provider_np6.conformance.examination import Examination

_LARGE_SKEW = 60_000


def bad_bound_is_refused(on: Examination) -> Verdict:
    """What a bound that is none gets, and what the body of an error looks like."""
    asked = {"start": "yesterday", "end": "today", "sort": "asc"}
    seen = on.asker.ask(on.path(EventType.BOUNCES), asked)
    return Verdict(f"{seen.status}, {_described(seen)}")


def _described(seen: Seen) -> str:
    if not seen.body.strip():
        return "empty body"
    try:
        found = msgspec.json.decode(seen.body)
    except msgspec.DecodeError:
        return "a body that is not JSON"
    if isinstance(found, dict):
        names = ", ".join(sorted(name for name in found if name.isidentifier() and len(name) < 32))
        return f"a JSON object with {names or 'odd names'}"
    return f"JSON: {'an array' if isinstance(found, list) else 'a single value'}"


def request_id_comes(on: Examination) -> Verdict:
    """Whether answers carry ``x-request-id``."""
    return _share(on, "`x-request-id`", lambda seen: "x-request-id" in seen.headers)


def gzip_is_honoured(on: Examination) -> Verdict:
    """Whether answers come packed, which is offered with every request."""
    return _share(on, "gzip", lambda seen: "gzip" in seen.headers.get("content-encoding", ""))


def _share(on: Examination, what: str, has: Callable[[Seen], bool]) -> Verdict:
    having = sum(map(has, on.asker.seen))
    if having == len(on.asker.seen):
        return Verdict(f"{what} in every answer")
    return Verdict(f"{what} in {having} of {len(on.asker.seen)} answers" if having else f"no {what}")


def date_comes(on: Examination) -> Verdict:
    """Whether ``Date`` tells the server's clock, by which a window is known to be over."""
    skews = [seen.skew for seen in on.asker.seen if seen.skew is not None]
    if missing := len(on.asker.seen) - len(skews):
        told = f"missing in {missing} of {len(on.asker.seen)} answers: the worker's clock alone is trusted"
        return Verdict(told, Copes.WITH_CARE)
    largest = max(skews, key=abs)
    if abs(largest) > _LARGE_SKEW:
        way = "ahead of" if largest > 0 else "behind"
        return Verdict(f"{abs(largest) // 1_000} s {way} this machine's clock", Copes.WITH_CARE)
    return Verdict("in every answer, within a minute of this machine's clock")


def framing_is_told(on: Examination) -> Verdict:
    """How an answer's end is known besides its closing bracket."""
    kinds = sorted({_framing(seen) for seen in on.asker.seen if seen.status == 200})
    return Verdict(", ".join(kinds)) if kinds else not_shown("no answer of status 200 came")


def _framing(seen: Seen) -> str:
    if "chunked" in seen.headers.get("transfer-encoding", "").lower():
        return "chunked"
    return "by length" if "content-length" in seen.headers else "by the connection's end alone"


def reset_has_a_unit(on: Examination) -> Verdict:
    """In which unit ``X-RateLimit-Reset`` is; no limit is provoked for that."""
    told = [seen.headers.get("x-ratelimit-reset") for seen in on.asker.seen]
    units = {_unit(text) for text in told if text is not None}
    if not units:
        return not_shown("no `X-RateLimit-Reset` came")
    return Verdict(", ".join(sorted(units)), Copes.NO if "unreadable" in units else Copes.YES)


def _unit(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return "unreadable"
    if value >= EPOCH_MILLISECONDS:
        return "ms since the epoch"
    return "seconds since the epoch" if value >= EPOCH_SECONDS else "seconds from now"


def retry_after_comes(on: Examination) -> Verdict:
    """Whether a refusal tells how long to wait."""
    refused = [seen for seen in on.asker.seen if seen.status in (429, 503)]
    if not refused:
        return not_shown("no request was limited")
    told = sum("retry-after" in seen.headers for seen in refused)
    return Verdict(f"`Retry-After` in {told} of {len(refused)} answers of status 429 or 503")
