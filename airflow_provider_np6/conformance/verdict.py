"""What an answer to a question is worth."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Copes(StrEnum):
    """Whether this provider's promises hold with what was seen."""

    YES = "yes"
    WITH_CARE = "with care"
    """They hold, if whoever uses it knows of this."""
    NO = "no"
    NOT_SHOWN = "not shown"


class Verdict(NamedTuple):
    """What was seen, in words that hold no value of an event, and whether the provider copes."""

    seen: str
    copes: Copes = Copes.YES


def not_shown(why: str) -> Verdict:
    """Nothing was to be seen."""
    return Verdict(why, Copes.NOT_SHOWN)
