"""What a destination holds of a span of time, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_np6.np6.window import Window


@dataclass(frozen=True)
class Held:
    """What is held of one window by one pull.

    :param events: events stored.
    :param invalid: events set aside.
    """

    window: Window
    events: int
    invalid: int


@dataclass(frozen=True)
class Coverage:
    """What is held of one event type and action in a span of time.

    :param span: what was asked about.
    :param events: events in the windows that the span touches.
    :param missing: windows that were never pulled, or whose data is gone; joined where they touch.
    :param overlaps: windows that two pulls claim.
    :param invalid: windows with events that were set aside.
    """

    span: Window
    events: int
    missing: list[Window]
    overlaps: list[Window]
    invalid: list[Window]


def to_coverage(span: Window, held: Iterable[Held]) -> Coverage:
    """How what is held covers ``span``.

    :param held: windows that the span touches, in order of time.
    """
    missing: list[Window] = []
    overlaps: list[Window] = []
    invalid: list[Window] = []
    events = 0
    covered = span.start
    for found in held:
        events += found.events
        if found.invalid:
            invalid.append(found.window)
        begin, stop = max(found.window.start, span.start), min(found.window.end, span.end)
        if begin > covered:
            missing.append(Window(covered, begin))
        elif begin < covered:
            overlaps.append(Window(begin, min(covered, stop)))
        covered = max(covered, stop)
    if covered < span.end:
        missing.append(Window(covered, span.end))
    return Coverage(span, events, missing, overlaps, invalid)
