"""The pull taken apart: how long it takes with less and less of what it promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from benchmarks.ours import client_of, query

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verify import Events, Invalid
    from benchmarks.measuring import Contender, Place


def read(place: Place) -> Iterator[Any]:
    """The bytes as our client reads them, and nothing done with them."""
    from airflow_provider_np6.np6.client import chunks

    client = client_of(place)
    yield
    with client.get_ok("/") as response:
        size = sum(map(len, chunks(response)))
    yield {"bytes": size}


def proven(place: Place) -> Iterator[Any]:
    """Every event proven, and none kept."""
    from airflow_provider_np6.np6.pull import count

    client, asked = client_of(place), query()
    yield
    yield {"events": count(client, asked).events}


class _Straight:
    """A spool that writes lines where they stay: half of them, if the pull fails."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def begin(self, pulled_at: int) -> None: ...

    def write(self, events: Events) -> None:
        self._file.write(b"\n".join([*events.items, b""]))

    def set_aside(self, invalid: Invalid) -> None: ...

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()


def straight(place: Place) -> Iterator[Any]:
    """Every event proven, into a file without manifest, hash or publication."""
    from airflow_provider_np6.np6.pull import pull

    client, asked = client_of(place), query()
    yield
    with (place.folder / "straight.jsonl").open("wb") as file:
        proof = pull(client, asked, _Straight(file))
    yield {"events": proof.events}


CONTENDERS: Mapping[str, Contender] = {"read": read, "proven": proven, "straight": straight}
