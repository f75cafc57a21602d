"""Whether a newer pull of a window is stored; the same on every destination."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from airflow_provider_np6.np6.errors import Np6PullAgainError
from airflow_provider_np6.np6.window import DAY, Window, iso

log = logging.getLogger(__name__)


def is_superseded(stored: Iterable[tuple[Window, int]], window: Window, pulled_at: int, context: str) -> bool:
    """Whether a newer pull of a window is stored, in one piece or in several.

    With equal times the new pull counts as newer. A stored time in the future does not count: a clock was
    ahead.

    :param stored: the slices that touch the window, each with the time of its pull, ms.
    :param window: at most a day.
    :param pulled_at: of the new pull, ms.
    :param context: the query's description, for errors.
    :raises Np6PullAgainError: if what was pulled later covers a part of the window.
    """
    newer = sorted(slice_ for slice_, time_ in stored if pulled_at < time_ and not _is_ahead(time_))
    covered = window.start
    for slice_ in newer:
        if slice_.start > covered:
            break
        covered = max(covered, slice_.end)
    if newer and covered < window.end:
        raise Np6PullAgainError(
            "a newer pull of a part of this window was published meanwhile",
            hint="The next try pulls it again.",
            context=context,
        )
    return covered >= window.end


def _is_ahead(pulled_at: int) -> bool:
    if pulled_at <= time.time() * 1_000 + DAY:
        return False
    log.warning("A stored slice says that it was pulled in the future, at %s.", iso(pulled_at))
    return True
