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
    """Where the events of a window wait until all of them are verified."""

    def restart(self, pulled_at: int) -> None:
        """Forget all that was taken; comes once before all else, and whenever the window is pulled again.

        :param pulled_at: of the :class:`~airflow_provider_np6.np6.stream.VerifiedPull`.
        """

    def write(self, events: Events) -> None:
        """Take some events, in order of time and id."""

    def set_aside(self, invalid: Invalid) -> None:
        """Take an invalid event."""


def pull(
    client: Np6Client,
    query: EventQuery,
    spool: Spool,
    *,
    grace_period: int = 0,
    quarantine: bool = False,
    uncached: bool = False,
) -> VerifiedPull:
    """Bring the events of ``query`` into ``spool``, each once, until the closing bracket.

    :param client: of the account.
    :param query: what to pull.
    :param spool: takes the events.
    :param grace_period: ms that the window must have ended ago by NP6's own clock.
    :param quarantine: whether to set invalid events aside, at most 1 % and 1,000, instead of failing.
    :param uncached: whether to ask caches on the way for a fresh response.
    :raises Np6Error: if that could not be done; then ``spool`` holds nothing of worth.
    """
    work = EventStream(
        client,
        query,
        grace_period=grace_period,
        set_aside=spool.set_aside if quarantine else refuse,
        restart=spool.restart,
        uncached=uncached,
    )
    for events in work.events():
        spool.write(events)
    return work.verified_pull()


def iter_verified(client: Np6Client, query: EventQuery) -> Iterator[Events]:
    """The events of ``query`` in order of timestamp, as they arrive: proven one by one, while the whole
    is proven only when the iterator ends without an error.

    :raises Np6Error: if an answer breaks for good, or is not in order.
    """

    started = False

    def refuse_disorder(_: int) -> None:
        nonlocal started
        if not started:
            started = True
            return
        raise Np6ResponseError(
            "NP6's answers are not in order, or do not agree with each other",
            hint="What came already cannot be taken back; a pull into a destination can start afresh.",
            context=query.description,
        )

    return EventStream(client, query, grace_period=0, set_aside=refuse, restart=refuse_disorder).events()


class Nowhere:
    """A spool that keeps nothing."""

    def write(self, events: Events) -> None:
        """They are counted anyway."""

    def set_aside(self, invalid: Invalid) -> None:
        """Likewise."""

    def restart(self, pulled_at: int) -> None:
        """There is nothing to forget."""


def count(
    client: Np6Client, query: EventQuery, *, grace_period: int = 0, quarantine: bool = False
) -> VerifiedPull:
    """What a pull of ``query`` would bring, see :func:`~airflow_provider_np6.np6.pull.pull`."""
    return pull(client, query, Nowhere(), grace_period=grace_period, quarantine=quarantine)
