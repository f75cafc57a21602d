"""Checks what NP6 does where nothing documents it: on a real account, read only, in few requests.

:func:`examine` puts each question of :data:`QUESTIONS` to an account and reports what was seen beside what
this provider assumes: counts, statuses and names of fields, never an event, an address or the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_np6.conformance import caps, events, order, responses, windows
from airflow_provider_np6.conformance.account import Account, OutOfRequestsError
from airflow_provider_np6.conformance.question import Finding, Question, Verdict, not_shown

if TYPE_CHECKING:
    from airflow_provider_np6.np6.client import Np6Client

__all__ = ["QUESTIONS", "Finding", "Question", "Verdict", "examine"]

QUESTIONS: tuple[Question, ...] = (
    *events.QUESTIONS,
    *windows.QUESTIONS,
    *order.QUESTIONS,
    *caps.QUESTIONS,
    *responses.QUESTIONS,
)
"""In this order: the first one finds out whether the action exists, the last ones need no request."""


def examine(client: Np6Client, action_id: str, *, now: int) -> Iterator[Finding]:
    """Put every question to an account, one after the other.

    Read only: at most :data:`~.account.MAX_REQUESTS` GETs, within the account's rate limit, no more than
    4 MiB of any response. No finding contains the key or a value of an event.

    :param client: of the account.
    :param action_id: an action that has events; if it has none in three years, most questions stay open.
    :param now: ms since the epoch, UTC.
    :raises Np6InputError: for an unusable id.
    :raises Np6NotFoundError: if there is no such action.
    :raises Np6Error: if the account cannot be reached, or refuses the key.
    """
    account = Account(client, action_id, now)
    for question in QUESTIONS:
        try:
            seen, verdict = question.observe(account)
        except OutOfRequestsError:
            seen, verdict = not_shown("all requests of this examination are used up")
        yield Finding(question.name, question.mark, question.assumed, seen, verdict)
