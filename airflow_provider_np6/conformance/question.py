"""A question to an account, and what was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_np6.conformance.account import Account
    from airflow_provider_np6.np6.event_types import Mark


class Verdict(StrEnum):
    """Whether this provider's promises hold with what was seen."""

    OK = "ok"
    WITH_CARE = "with care"
    """They hold, if users know of this."""
    MISMATCH = "mismatch"
    NOT_SHOWN = "not shown"


class Observation(NamedTuple):
    """What was seen, in words that contain no value of an event, and the verdict."""

    seen: str
    verdict: Verdict = Verdict.OK


def not_shown(why: str) -> Observation:
    """An observation without a verdict, because the account did not show the case."""
    return Observation(why, Verdict.NOT_SHOWN)


@dataclass(frozen=True)
class Question:
    """One thing that NP6's documentation leaves open, or that pulls rest on.

    :param name: the question in a few words.
    :param mark: ``documented``, ``inferred`` or ``unknown``, read in NP6's documentation of version 8.1.0.
    :param assumed: what this provider assumes.
    :param otherwise: what happens if the account behaves otherwise.
    :param observe: checks an account.
    """

    name: str
    mark: Mark
    assumed: str
    otherwise: str
    observe: Callable[[Account], Observation]


def question(
    name: str, mark: Mark, *, assumed: str, otherwise: str
) -> Callable[[Callable[[Account], Observation]], Question]:
    """Make a :class:`Question` of the function that checks an account."""
    return lambda observe: Question(name, mark, assumed, otherwise, observe)


@dataclass(frozen=True)
class Finding:
    """What one account showed.

    :param question: the question's name.
    :param mark: ``documented``, ``inferred`` or ``unknown``.
    :param assumed: what this provider assumes.
    :param seen: what the account showed.
    :param verdict: whether the provider's promises hold with that.
    """

    question: str
    mark: str
    assumed: str
    seen: str
    verdict: Verdict
