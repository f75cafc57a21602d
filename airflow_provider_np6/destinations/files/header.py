"""What is recorded once for a whole destination root, and what a pull must have in common with it.

``header.schema.json`` describes it to other programs.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypedDict

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import VERSION, make_token
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError
from airflow_provider_np6.destinations.requirements import PullRequirements
from airflow_provider_np6.np6.errors import (
    Np6ConflictError,
    Np6DestinationError,
    check_version,
)
from airflow_provider_np6.privacy.erasure_filter import ErasureList

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store


class VerifiedRecord(TypedDict):
    """The largest response of a series that was verified: elements, bytes of JSON, and when that was, ISO in
    UTC."""

    events: int
    bytes: int
    verified_at: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """What all pulls into a destination root have in common.

    :param account: label of the account.
    :param personal_data: form of personal data: a mode, and for tokens a colon and the fingerprint of their
        key.
    :param series: the form of each series, by its partition: ``by_action`` or ``all_actions``.
    :param erasures: version of the erasure list; 0 if nobody was erased.
    :param is_conditional: whether the store was seen to honor conditions.
    :param token: random, so that no two headers are equal.
    :param verified: the largest response of each series that was verified to be whole, by its partition.
    """

    account: str
    personal_data: str
    series: Mapping[str, str]
    erasures: int
    is_conditional: bool
    token: str
    verified: Mapping[str, VerifiedRecord] = field(default_factory=dict)
    version: int = VERSION

    def encode(self) -> bytes:
        """To JSON, one field per line."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, path: str) -> Header:
        """From JSON; fields that later releases added are ignored.

        :param path: of the header, for errors.
        :raises Np6DestinationError: if it is not a header.
        :raises Np6ConflictError: if it is of a later format.
        """
        try:
            record = json.loads(data)
            check_version("the destination", record["version"], VERSION)
            header = cls(**{field.name: record[field.name] for field in fields(cls)})
            dict(header.series), dict(header.verified)
        except Np6ConflictError:
            raise
        except (ValueError, TypeError, KeyError):
            raise Np6DestinationError(
                f"the header {path} cannot be read", hint="Restore it from a backup."
            ) from None
        return header


@dataclass(frozen=True)
class Requirements(PullRequirements):
    """What a pull must have in common with the header of a destination root."""

    @property
    def series(self) -> str:
        """The partition of the pull's series."""
        return layout.type_key(self.query.event_type, self.query.classification)

    def check(self, header: Header, erasures: int | None = None) -> None:
        """Refuse what may not be added.

        :param header: of the destination root.
        :param erasures: version of the erasure list that the pull's events were filtered with; None before
            the first event.
        :raises Np6ConflictError: for another account, form of personal data or form of the series.
        :raises Np6PullAgainError: if persons were erased since the pull began.
        """
        self.check_common("the destination", header, header.series.get(self.series), erasures)

    def add_to(self, header: Header) -> Header:
        """The header with the pull's series in it."""
        return replace(header, series={**header.series, self.series: self.form})


class Patience:
    """Random waits after refused puts, for up to five minutes in all.

    :param context: what is being put, for the error.
    """

    LIMIT = 300.0
    LONGEST = 2.0

    def __init__(self, context: str) -> None:
        self._context = context
        self._deadline = time.monotonic() + self.LIMIT
        self._refused = 0

    def wait(self) -> None:
        """Wait a little, longer each time.

        :raises Np6DestinationError: after five minutes.
        """
        if time.monotonic() > self._deadline:
            raise Np6DestinationError(
                "others changed the same day of the destination each time that this pull tried to",
                hint="Run fewer pulls of one day and action at once.",
                context=self._context,
            )
        self._refused += 1
        time.sleep(random.uniform(0, min(self.LONGEST, 0.02 * 2**self._refused)))  # noqa: S311 - jitter


def read_header(store: Store) -> tuple[Header, str] | None:
    """The header with its version; None if nothing was ever pulled.

    :raises Np6DestinationError: if it cannot be read.
    :raises Np6ConflictError: if it is of a later format.
    """
    stored = store.read(layout.HEADER)
    if stored is None:
        return None
    return Header.decode(stored.data, store.path(layout.HEADER)), stored.version


def change_header(
    store: Store, change: Callable[[Header | None], Header | None], context: str = ""
) -> Header:
    """Replace the header on the condition that it is still the one that was read.

    :param change: the new header for a stored one, or for None; None to leave the stored one as it is.
    :return: the header that is stored now.
    """
    patience = Patience(context)
    while True:
        stored, version = read_header(store) or (None, None)
        new = change(stored)
        if new is None:
            assert stored is not None  # noqa: S101 - a missing header is never left so
            return stored
        new = replace(new, token=make_token())
        try:
            store.put_if(layout.HEADER, new.encode(), version)
        except ConditionRefusedError:
            patience.wait()
        else:
            return new


def probe_conditions(store: Store) -> bool:
    """See whether the store refuses a put on a condition that does not hold, with a file of its own."""
    if not store.is_conditional:
        return False
    for entry in store.list_files("", layout.PROBE, layout.PROBES_END):
        store.delete(entry.name)  # a killed pull's; one that still runs does without
    name = f"{layout.PROBE}{make_token()}"
    try:
        with suppress(ConditionRefusedError):  # by a client that repeats a put whose response was lost
            store.put_if(name, b"1", None)
        stored = store.read(name)
        stale = None if stored is None else stored.version
        with suppress(ConditionRefusedError):
            store.put_if(name, b"2", stale)
        # Twice, because the first may be accepted rightly: if another pull has just removed the file.
        is_ignored = [_is_accepted(store, name, None), _is_accepted(store, name, None)] == [True, True]
        return not is_ignored and not _is_accepted(store, name, stale) and store.is_conditional
    finally:
        store.delete(name)


def _is_accepted(store: Store, name: str, version: str | None) -> bool:
    try:
        store.put_if(name, b"3", version)
    except ConditionRefusedError:
        return False
    return True


def read_erasure_list(store: Store, version: int) -> ErasureList | None:
    """The erasure list of a version; None for version 0.

    :raises Np6DestinationError: if it cannot be read: erased persons would come back.
    """
    if not version:
        return None
    name = layout.erasure_list_name(version)
    stored = store.read(name)
    if stored is None:
        raise Np6DestinationError(
            f"the erasure list {store.path(name)} does not exist", hint="Restore it from a backup."
        )
    return ErasureList.decode(stored.data)
