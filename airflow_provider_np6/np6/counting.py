"""Counting events without keeping any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_np6.np6.pull import pull

if TYPE_CHECKING:
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.proof import Proof
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.verify import Events, Invalid


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


def count(client: Np6Client, query: EventQuery, *, settle: int = 0, quarantine: bool = False) -> Proof:
    """What a pull of ``query`` would bring, see :func:`~airflow_provider_np6.np6.pull.pull`."""
    return pull(client, query, Nowhere(), settle=settle, quarantine=quarantine)
