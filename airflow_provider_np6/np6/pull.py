"""Pull the events of a window into a spool, or count them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.np6.events import refuse
from airflow_provider_np6.np6.stream import EventStream

if TYPE_CHECKING:
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verified_pull import VerifiedPull


class Spool(Protocol):
    """Where the events of a window wait until all of them are verified."""

    def restart(self, pulled_at: int) -> None:
        """Forget all that was taken; comes once before all else, and whenever the window is pulled again.

        :param pulled_at: time of the first response, in ms since the epoch.
        """

    def write(self, events: Events) -> None:
        """Take some events, in order of time and id.

        :param events: raw, with their timestamps.
        """

    def set_aside(self, invalid: Invalid) -> None:
        """Take an invalid event.

        :param invalid: the event, and what is wrong with it.
        """


def pull(
    client: Np6Client,
    query: EventQuery,
    spool: Spool,
    *,
    grace_period: int = 0,
    quarantine: bool = False,
    verified_size: VerifiedSize | None = None,
    uncached: bool = False,
) -> VerifiedPull:
    """Bring the events of a query into a spool, each once.

    A response counts only after its closing bracket, and is not yet believed to be whole then: see
    :mod:`~airflow_provider_np6.np6.caps`.

    :param client: of the account.
    :param query: what to pull.
    :param spool: takes the events.
    :param grace_period: ms that the window must have ended ago by NP6's own clock.
    :param quarantine: whether to set invalid events aside instead of failing: at most 1 % of all and never
        more than 1,000; up to 10 if they are fewer than half.
    :param verified_size: the largest response of the series that earlier pulls have verified; one that is
        smaller needs no check.
    :param uncached: whether caches on the way must pass on the first request too, as they must all others.
    :raises Np6Error: if the window could not be pulled whole; then the spool's content means nothing.
    """
    stream = EventStream(
        client,
        query,
        grace_period=grace_period,
        set_aside=spool.set_aside if quarantine else refuse,
        restart=spool.restart,
        verified_size=verified_size,
        uncached=uncached,
    )
    for events in stream.events():
        spool.write(events)
    return stream.verified_pull()


def iter_verified(client: Np6Client, query: EventQuery) -> Iterator[Events]:
    """The events of a query in order of timestamp, as they arrive: each one is verified, while it is known
    only when the iterator ends without an error that none is missing.

    :param client: of the account.
    :param query: what to pull.
    :raises Np6Error: if a response breaks off again and again, or is not in order.
    """
    started = False

    def refuse_restart(_: int) -> None:
        nonlocal started
        if not started:
            started = True
            return
        raise Np6ResponseError(
            "NP6's responses are not in order, or differ from each other",
            hint="Events that came already cannot be taken back. A pull into a destination can start again.",
            context=query.description,
        )

    return EventStream(client, query, grace_period=0, set_aside=refuse, restart=refuse_restart).events()


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
    """What a pull of a query would bring, see :func:`~airflow_provider_np6.np6.pull.pull`.

    :param client: of the account.
    :param query: what to count.
    :param grace_period: see there.
    :param quarantine: see there.
    """
    return pull(client, query, Nowhere(), grace_period=grace_period, quarantine=quarantine)
