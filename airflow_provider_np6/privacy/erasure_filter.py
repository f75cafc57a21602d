"""A spool that events of erased persons do not get into."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError, check_version
from airflow_provider_np6.np6.verify import Events, Invalid
from airflow_provider_np6.privacy.policy import get_pseudonyms
from airflow_provider_np6.privacy.subjects import persons_of

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms


VERSION = 1
"""Of the list beside a tree's data."""


@dataclass(frozen=True)
class Erased:
    """Persons whose events a destination keeps out: tokens, never names.

    :param fingerprint: of the key that the tokens were made with.
    """

    fingerprint: str
    tokens: frozenset[str]

    def encode(self) -> bytes:
        """As JSON."""
        told = {"version": VERSION, "key": self.fingerprint, "persons": sorted(self.tokens)}
        return json.dumps(told, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Erased:
        """Read one.

        :raises Np6DestinationError: if it is no such list.
        :raises Np6ConflictError: if it is of a later format.
        """
        try:
            told = json.loads(data)
            check_version("the list of erased persons", told["version"], VERSION)
            return cls(told["key"], frozenset(told["persons"]))
        except (ValueError, TypeError, KeyError):
            raise Np6DestinationError("the list of erased persons cannot be read") from None

    def checked(self, pseudonyms: Pseudonyms) -> Erased:
        """Itself, if ``pseudonyms`` are of its key.

        :raises Np6InputError: if they are not.
        """
        if pseudonyms.fingerprint != self.fingerprint:
            raise Np6InputError(
                "the destination keeps erased persons out by another key than the connection's extra"
                " 'pseudonym_key'",
                hint="Set the key that they were erased with.",
            )
        return self

    def keeper(self, config: Np6Config, conn_id: str) -> Pseudonyms:
        """What finds the list's persons in events.

        :raises Np6InputError: if the connection has another key, or none: they would come back unseen.
        """
        pseudonyms = get_pseudonyms(config, conn_id, "the destination keeps erased persons out")
        self.checked(pseudonyms)
        return pseudonyms


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
