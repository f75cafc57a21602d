"""One pull: ask, read, prove, hand on; afresh when an answer breaks."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_np6.np6.client import Np6Client, chunks, facts
from airflow_provider_np6.np6.errors import Np6Error
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.retrying import Attempts
from airflow_provider_np6.np6.streaming import batches
from airflow_provider_np6.np6.verification import Events, OutOfOrderError, Verifier


class Spool(Protocol):
    """Where the events of a window wait until all of them are proven."""

    def write(self, events: Events) -> None:
        """Take some events."""

    def restart(self) -> None:
        """Forget all events taken so far: the window is pulled afresh."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was read and proven.

    :param pulled_at: when the first request was sent, ms since the epoch, by this machine's clock.
    :param events: events handed on.
    :param duplicates: events dropped because their id had come already.
    :param invalid: events set aside.
    :param bytes_read: bytes of unpacked JSON, over all tries.
    :param requests: requests sent, over all tries.
    """

    pulled_at: int
    events: int
    duplicates: int
    invalid: int
    bytes_read: int
    requests: int


@dataclass(slots=True)
class _Meter:
    bytes_read: int = 0

    def metered(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.bytes_read += len(piece)
            yield piece


def pull(client: Np6Client, query: EventQuery, spool: Spool) -> Proof:
    """Bring the events of ``query`` into ``spool``, each once, until the closing bracket.

    :raises Np6Error: if that could not be done; then ``spool`` holds nothing of worth.
    """
    meter = _Meter()
    attempts = Attempts(client.settings)
    before = client.requests
    pulled_at = time.time_ns() // 1_000_000
    ordered = True
    while True:
        verifier = Verifier(query.window, ordered=ordered)
        try:
            with closing(_proven(client, query, verifier, meter)) as proven:
                for events in proven:
                    spool.write(events)
            return Proof(
                pulled_at=pulled_at,
                events=verifier.events,
                duplicates=verifier.duplicates,
                invalid=0,
                bytes_read=meter.bytes_read,
                requests=client.requests - before,
            )
        except OutOfOrderError:
            ordered = False
        except Np6Error as error:
            attempts.wait_or_raise(error.at(query.where))
        spool.restart()


def iter_proven(client: Np6Client, query: EventQuery) -> Iterator[Events]:
    """The events of ``query`` in order of timestamp, as they arrive: proven one by one, while the whole
    is proven only when the iterator ends without an error.

    :raises Np6Error: if the answer breaks, or is not in order.
    """
    try:
        with closing(_proven(client, query, Verifier(query.window), _Meter())) as proven:
            yield from proven
    except OutOfOrderError:
        raise Np6Error("NP6 ignored the order that was asked for", where=query.where) from None
    except Np6Error as error:
        raise error.at(query.where) from error.__cause__


def _proven(
    client: Np6Client, query: EventQuery, verifier: Verifier, meter: _Meter
) -> Generator[Events, None, None]:
    with client.answer(query.path, query.parameters) as response:
        try:
            pieces = meter.metered(chunks(response))
            for batch in batches(pieces, client.settings.max_event_bytes):
                yield verifier.verify(batch)
        except Np6Error as error:
            known = facts(response)
            error.status = error.status or known["status"]
            error.request_id = error.request_id or known["request_id"]
            raise
