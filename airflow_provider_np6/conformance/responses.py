"""Questions about responses as such; most are settled by the responses to earlier questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_np6.conformance.question import Observation, Verdict, not_shown, question
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.np6.rate_limit import EPOCH_MILLISECONDS, EPOCH_SECONDS, LONGEST_RESET

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account, Response

_LARGE_SKEW = 60_000


@question(
    "an invalid bound",
    "inferred",
    assumed="a status of 400 to 499, with any body",
    otherwise="Error messages contain status and `x-request-id`, and nothing of the body.",
)
def invalid_bound_is_refused(account: Account) -> Observation:
    bounds = {"start": "yesterday", "end": "today", "sort": "asc"}
    response = account.get(account.path(EventType.BOUNCES), bounds)
    return Observation(f"{response.status}, {_describe_body(response)}")


def _describe_body(response: Response) -> str:
    if not response.body.strip():
        return "empty body"
    try:
        value = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return "a body that is not JSON"
    if isinstance(value, dict):
        names = ", ".join(sorted(name for name in value if name.isidentifier() and len(name) < 32))
        return f"a JSON object with {names or 'odd names'}"
    return f"JSON: {'an array' if isinstance(value, list) else 'a single value'}"


@question(
    "`Date`",
    "unknown",
    assumed="the server's clock, if it is sent",
    otherwise="Without it only the worker's clock shows that a window is over: keep that in sync with NTP.",
)
def date_is_sent(account: Account) -> Observation:
    skews = [response.skew for response in account.responses if response.skew is not None]
    if missing := len(account.responses) - len(skews):
        return Observation(
            f"missing in {missing} of {len(account.responses)} responses: pulls use the worker's clock alone",
            Verdict.WITH_CARE,
        )
    largest = max(skews, key=abs)
    if abs(largest) > _LARGE_SKEW:
        way = "ahead of" if largest > 0 else "behind"
        return Observation(f"{abs(largest) // 1_000} s {way} this machine's clock", Verdict.WITH_CARE)
    return Observation("in every response, within a minute of this machine's clock")


@question(
    "`Age`",
    "unknown",
    assumed="it may be sent, by a cache on the way",
    otherwise="Checks and repeated requests send `Cache-Control: no-cache`; `Age` is subtracted from `Date`.",
)
def age_is_sent(account: Account) -> Observation:
    seen = _share(account, "`Age`", lambda response: "age" in response.headers)
    is_cached = any("age" in response.headers for response in account.responses)
    return Observation(seen.seen, Verdict.WITH_CARE if is_cached else Verdict.OK)


@question("compression", "unknown", assumed="gzip, or none", otherwise="Any other encoding is an error.")
def gzip_is_used(account: Account) -> Observation:
    return _share(account, "gzip", lambda response: "gzip" in response.headers.get("content-encoding", ""))


@question(
    "framing",
    "unknown",
    assumed="any; a response is complete when its closing bracket arrives",
    otherwise="A response that ends before its bracket is resumed from its last second.",
)
def framing_is_known(account: Account) -> Observation:
    kinds = sorted({_framing(response) for response in account.responses if response.status == 200})
    return Observation(", ".join(kinds)) if kinds else not_shown("no response had status 200")


def _framing(response: Response) -> str:
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        return "chunked"
    return "by length" if "content-length" in response.headers else "by the connection's end alone"


@question(
    "`x-request-id`", "inferred", assumed="it may be sent", otherwise="Error messages contain it if it is."
)
def request_id_is_sent(account: Account) -> Observation:
    return _share(account, "`x-request-id`", lambda response: "x-request-id" in response.headers)


def _share(account: Account, what: str, has: Callable[[Response], bool]) -> Observation:
    total, having = len(account.responses), sum(map(has, account.responses))
    if having == total:
        return Observation(f"{what} in every response")
    return Observation(f"{what} in {having} of {total} responses" if having else f"no {what}")


@question(
    "unit of `X-RateLimit-Reset`",
    "unknown",
    assumed="seconds or ms, from now or since the epoch; the size shows which",
    otherwise="An unreadable value means exponential backoff.",
)
def reset_has_a_unit(account: Account) -> Observation:
    """No limit is provoked for this."""
    values = [response.headers.get("x-ratelimit-reset") for response in account.responses]
    units = {_unit(value) for value in values if value is not None}
    if not units:
        return not_shown("no `X-RateLimit-Reset` was sent")
    return Observation(", ".join(sorted(units)), Verdict.MISMATCH if "unreadable" in units else Verdict.OK)


def _unit(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return "unreadable"
    if value >= EPOCH_MILLISECONDS:
        return "ms since the epoch"
    if value >= EPOCH_SECONDS:
        return "seconds since the epoch"
    return "ms from now" if value > LONGEST_RESET else "seconds from now"


@question(
    "`Retry-After`",
    "unknown",
    assumed="it may be sent, also by a proxy",
    otherwise="Without it pulls use `X-RateLimit-Reset`, else exponential backoff.",
)
def retry_after_is_sent(account: Account) -> Observation:
    limited = [response for response in account.responses if response.status in (429, 503)]
    if not limited:
        return not_shown("no request was limited")
    having = sum("retry-after" in response.headers for response in limited)
    return Observation(f"`Retry-After` in {having} of {len(limited)} responses of status 429 or 503")


QUESTIONS = (
    invalid_bound_is_refused,
    date_is_sent,
    age_is_sent,
    gzip_is_used,
    framing_is_known,
    request_id_is_sent,
    reset_has_a_unit,
    retry_after_is_sent,
)
