"""Keeps the events of erased subjects out of a destination."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError, check_version
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.window import DAY
from airflow_provider_np6.privacy.policy import get_pseudonyms
from airflow_provider_np6.privacy.subjects import identifiers

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

VERSION = 1
"""Format of an erasure list in JSON."""


@dataclass(frozen=True)
class ErasureList:
    """The subjects that were erased from a destination: tokens, never names.

    :param fingerprint: of the key that made the tokens.
    :param tokens: of the subjects' identifiers.
    :param pending: those of them whose events may still be stored.
    """

    fingerprint: str
    tokens: frozenset[str]
    pending: frozenset[str] = field(default=frozenset(), compare=False)

    def encode(self) -> bytes:
        """To JSON."""
        record = {"version": VERSION, "key": self.fingerprint, "persons": sorted(self.tokens)}
        return json.dumps(record, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> ErasureList:
        """From JSON.

        :param data: as :meth:`encode` writes it.
        :raises Np6DestinationError: if it is not an erasure list.
        :raises Np6ConflictError: if a later version of the provider wrote it.
        """
        try:
            record = json.loads(data)
            check_version("the erasure list", record["version"], VERSION)
            tokens = frozenset(record["persons"])
            return cls(record["key"], tokens, pending=tokens)
        except (ValueError, TypeError, KeyError):
            raise Np6DestinationError("the erasure list cannot be read") from None

    def require_key(self, pseudonyms: Pseudonyms) -> ErasureList:
        """The list itself, if its key is the connection's.

        :param pseudonyms: of the connection's key.
        :raises Np6InputError: if it is not.
        """
        if pseudonyms.fingerprint != self.fingerprint:
            raise Np6InputError(
                "the destination's erasure list was made with another key than the connection's extra"
                " 'pseudonym_key'",
                hint="Set the key of the first erasure.",
            )
        return self

    def get_pseudonyms(self, config: Np6Config, conn_id: str) -> Pseudonyms:
        """The pseudonyms that find the list's subjects in events.

        :param config: of the connection.
        :param conn_id: the connection's id, for errors.
        :raises Np6InputError: if the connection has another key or none: erased subjects would come back
            unnoticed.
        """
        pseudonyms = get_pseudonyms(config, conn_id, "the destination has an erasure list")
        self.require_key(pseudonyms)
        return pseudonyms


class ErasureFilter:
    """A spool that drops and counts the events of erased subjects.

    Invalid events may be about them too: of these it passes on the reason, position and sha256 only.

    :param spool: receives all other events.
    :param erased: the destination's erasure list; None if nobody was erased.
    :param config: of the connection, whose key finds the subjects.
    :param conn_id: the connection's id, for errors.
    :raises Np6InputError: if the connection has another key than the list, or none.
    """

    def __init__(self, spool: Spool, erased: ErasureList | None, config: Np6Config, conn_id: str) -> None:
        self._spool = spool
        self._erased = erased
        self._pseudonyms = None if erased is None else erased.get_pseudonyms(config, conn_id)
        self.dropped = 0
        """Events dropped so far."""
        self.pending_by_day: Counter[int] = Counter()
        """Those of them that may still be stored, by UTC day since the epoch."""

    def write(self, events: Events) -> None:
        if self._erased is None or self._pseudonyms is None:
            self._spool.write(events)
            return
        values = [sorted(identifiers(item)) for item in events.items]
        stream = iter(self._pseudonyms.tokens([value for event in values for value in event]))
        tokens = [[next(stream) for _ in event] for event in values]
        is_erased = [not self._erased.tokens.isdisjoint(event) for event in tokens]
        if any(is_erased):
            kept = [at for at, is_dropped in enumerate(is_erased) if not is_dropped]
            self.dropped += len(is_erased) - len(kept)
            pending = self._erased.pending
            self.pending_by_day.update(
                time // DAY
                for time, event in zip(events.timestamps, tokens, strict=True)
                if not pending.isdisjoint(event)
            )
            events = Events([events.items[at] for at in kept], [events.timestamps[at] for at in kept])
        if events.items:
            self._spool.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        self._spool.set_aside(invalid if self._erased is None else replace(invalid, item=None))

    def restart(self, pulled_at: int) -> None:
        self.dropped = 0
        self.pending_by_day.clear()
        self._spool.restart(pulled_at)
