"""Pull the events of a window into a spool, or count them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from airflow_provider_np6.np6.errors import (
    Np6ResponseError,
)
from airflow_provider_np6.np6.stream import EventStream, VerifiedPull
from airflow_provider_np6.np6.verify import refuse

if TYPE_CHECKING:
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verify import Events, Invalid


class Spool(Protocol):
    """Where the events of a window wait until all of them are proven."""

    def begin(self, pulled_at: int) -> None:
        """Make ready; comes once, before all else.

        :param pulled_at: the proof's.
        """

    def write(self, events: Events) -> None:
        """Take some events."""

    def set_aside(self, invalid: Invalid) -> None:
        """Take something that is no event of the window."""

    def restart(self) -> None:
        """Forget all that was taken so far: the window is pulled afresh."""


def pull(
    client: Np6Client, query: EventQuery, spool: Spool, *, grace_period: int = 0, quarantine: bool = False
) -> VerifiedPull:
    """Bring the events of ``query`` into ``spool``, each once, until the closing bracket.

    :param grace_period: ms that the window must have ended ago by NP6's own clock.
    :param quarantine: whether to set invalid events aside, at most 1 % and 1,000, instead of failing.
    :raises Np6Error: if that could not be done; then ``spool`` holds nothing of worth.
    """
    work = EventStream(
        client,
        query,
        grace_period=grace_period,
        set_aside=spool.set_aside if quarantine else refuse,
        restart=spool.restart,
    )
    spool.begin(work.pulled_at)
    for events in work.events():
        spool.write(events)
    return work.proof()


def iter_verified(client: Np6Client, query: EventQuery) -> Iterator[Events]:
    """The events of ``query`` in order of timestamp, as they arrive: proven one by one, while the whole
    is proven only when the iterator ends without an error.

    :raises Np6Error: if an answer breaks for good, or is not in order.
    """

    def refuse_disorder() -> None:
        raise Np6ResponseError(
            "NP6's answers are not in order, or do not agree with each other",
            hint="What came already cannot be taken back; a pull into a destination can start afresh.",
            context=query.description,
        )

    return EventStream(client, query, grace_period=0, set_aside=refuse, restart=refuse_disorder).events()


class Nowhere:
    """A spool that keeps nothing."""

    def begin(self, pulled_at: int) -> None:
        """Nothing is made ready."""

    def write(self, events: Events) -> None:
        """They are counted by the proof."""

    def set_aside(self, invalid: Invalid) -> None:
        """Likewise."""

    def restart(self) -> None:
        """There is nothing to forget."""


def count(
    client: Np6Client, query: EventQuery, *, grace_period: int = 0, quarantine: bool = False
) -> VerifiedPull:
    """What a pull of ``query`` would bring, see :func:`~airflow_provider_np6.np6.pull.pull`."""
    return pull(client, query, Nowhere(), grace_period=grace_period, quarantine=quarantine)
