"""Every question asked of one account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_np6.conformance.asking import SpentError
from airflow_provider_np6.conformance.examination import Examination
from airflow_provider_np6.conformance.questions import QUESTIONS
from airflow_provider_np6.conformance.verdict import not_shown

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.verdict import Copes
    from airflow_provider_np6.np6.client import Np6Client


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    :param question: what was asked.
    :param mark: ``documented``, ``inferred`` or ``unknown``.
    :param assumed: what this provider assumes.
    :param seen: what the account showed.
    :param copes: whether the provider's promises hold with that.
    """

    question: str
    mark: str
    assumed: str
    seen: str
    copes: Copes


def examine(client: Np6Client, action_id: str, *, now: int) -> Iterator[Finding]:
    """Ask every question of an account, one after the other.

    Read only: at most :data:`~.asking.MOST_REQUESTS` GETs, within the account's rate limit, no more than
    4 MiB of any answer; the key and what events hold are in no finding.

    :param action_id: an action that has events; with none in three years most questions stay open.
    :param now: ms since the epoch, UTC.
    :raises Np6InputError: for an unusable id.
    :raises Np6NotFoundError: if there is no such action.
    :raises Np6Error: if the account cannot be asked at all.
    """
    examination = Examination(client, action_id, now)
    for question in QUESTIONS:
        try:
            seen, copes = question.ask(examination)
        except SpentError:
            seen, copes = not_shown("all requests of this examination were used up")
        yield Finding(question.asks, question.mark, question.assumed, seen, copes)
