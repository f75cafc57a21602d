"""A spool that events of erased persons do not get into."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.verify import Events, Invalid
from airflow_provider_np6.privacy.subjects import persons_of

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.privacy.subjects import Erased


class ErasureFilter:
    """Drops and counts the events of erased persons; of invalid events, which may be theirs, nothing but the
    reason, place and sha256 goes on.

    :param spool: where the others go.
    :param erased: who is kept out; None for nobody.
    :param config: the connection's, whose key finds them.
    :raises Np6InputError: if it has another key than theirs, or none.
    """

    def __init__(self, spool: Spool, erased: Erased | None, config: Np6Config, conn_id: str) -> None:
        self._spool = spool
        self._erased = erased
        self._pseudonyms = None if erased is None else erased.keeper(config, conn_id)
        self.kept_out = 0
        """Events dropped so far."""

    def begin(self, pulled_at: int) -> None:
        self._spool.begin(pulled_at)

    def write(self, events: Events) -> None:
        if self._erased is None or self._pseudonyms is None:
            self._spool.write(events)
            return
        erased = self._erased.tokens
        persons = [sorted(persons_of(item)) for item in events.items]
        tokens = iter(self._pseudonyms.tokens([value for values in persons for value in values]))
        theirs = [not erased.isdisjoint([next(tokens) for _ in values]) for values in persons]
        if any(theirs):
            kept = [at for at, hit in enumerate(theirs) if not hit]
            self.kept_out += len(theirs) - len(kept)
            events = Events([events.items[at] for at in kept], [events.timestamps[at] for at in kept])
        if events.items:
            self._spool.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        self._spool.set_aside(invalid if self._erased is None else replace(invalid, item=None))

    def restart(self) -> None:
        self.kept_out = 0
        self._spool.restart()
