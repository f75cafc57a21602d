"""Plans of requests, and what happens to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_np6.np6.caps import ResponseSize, Sizes
from airflow_provider_np6.np6.halving_plan import HalvingPlan
from airflow_provider_np6.np6.ordered_plan import OrderedPlan
from airflow_provider_np6.np6.plan import Received, Step
from airflow_provider_np6.np6.window import Window

WINDOW = Window(100_000, 160_000)
NOW = 1_700_000_000_000
SIZES = Sizes(NOW)
DONE = None

Row = tuple[str, tuple[int, int], tuple[int, int]] | None
"""A request: its step, its part and its span, in seconds."""


@dataclass(frozen=True)
class Break:
    """A response that broke off after events of these times, in ms."""

    first: int | None = None
    last: int | None = None
    is_ordered: bool = True


class Split:
    """The request is split in half."""


SPLIT = Split()
Happening = Received | Break | Split
AnyPlan = TypeVar("AnyPlan", OrderedPlan, HalvingPlan)


def size_of(elements: int) -> ResponseSize:
    return ResponseSize(elements, elements * 100, 100)


def row(plan: OrderedPlan | HalvingPlan) -> Row:
    request = plan.request
    if request is None:
        return None
    assert request.sort == ("desc" if request.step is Step.REVERSE else "asc")
    part, span = ((bounds.start // 1_000, bounds.end // 1_000) for bounds in (request.part, request.span))
    assert 1_000 * part[0] == request.part.start
    assert 1_000 * span[1] == request.span.end
    return request.step.name, part, span


def after(plan: AnyPlan, happening: Happening) -> AnyPlan:
    if isinstance(happening, Received):
        return plan.after(happening)
    if isinstance(happening, Break):
        return plan.resumed(happening.first, happening.last, is_ordered=happening.is_ordered)
    split = plan.split()
    assert split is not None
    return split


def play(plan: AnyPlan, *happenings: Happening) -> AnyPlan:
    for happening in happenings:
        plan = after(plan, happening)
    return plan
