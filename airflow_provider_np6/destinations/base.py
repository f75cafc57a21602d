"""The small protocol between a pull and the place where its events go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_provider_np6.np6.errors import Np6ConflictError, Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import Held
    from airflow_provider_np6.destinations.inventory import Record, Scope, Verification
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
    from airflow_provider_np6.privacy.subjects import Erased


class Landing(Protocol):
    """One pull's way into a destination: a spool first, and then all of it at once.

    Used as a context manager; what was not published when it ends is discarded.
    """

    @property
    def spool(self) -> Spool:
        """Where the pull writes to, on the worker's disk."""

    @property
    def erased(self) -> Erased | None:
        """Persons whose events must not go into the spool."""

    def publish(self, proof: VerifiedPull) -> dict[str, Any]:
        """Replace what the destination holds for the window; returns the report's own entries.

        :raises Np6DestinationError: if that failed; what was there is there still.
        """

    @property
    def published(self) -> list[str]:
        """URIs of what was published, as assets: data files, or the table; for lineage."""


@dataclass
class Destination:
    """Base of the destinations: a plain value, rendered as a copy for each execution."""

    template_fields: ClassVar[Sequence[str]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if hasattr(value, "iter_references"):
                raise Np6InputError(
                    f"{field.name} of {type(self).__name__} is another task's output",
                    hint="Airflow sees no dependency inside an object: write it as a template,"
                    " {{ ti.xcom_pull(task_ids='…') }}, or give the operator a URI as destination.",
                )

    @property
    def uri(self) -> str:
        """Where it is, in one line for reports, without secrets."""
        raise NotImplementedError

    @property
    def asset_uri(self) -> str | None:
        """Its URI as an Airflow asset: without a connection's id, so that tasks with other credentials name
        the same asset; None where Airflow has no convention for it."""
        raise NotImplementedError

    def open(
        self, query: EventQuery, account: str, personal_data: str = "keep"
    ) -> AbstractContextManager[Landing]:
        """Check all that can be checked before a request is sent, and make ready to land.

        :param personal_data: what is done with personal data, as it is recorded with the events: a mode,
            and for tokens a colon and the fingerprint of their key.
        :raises Np6InputError: if the destination cannot be used.
        :raises Np6ConflictError: if it holds data that this pull must not replace.
        """
        raise NotImplementedError

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        """See :func:`airflow_provider_np6.erasure.erase`."""
        raise NotImplementedError

    def held(self, query: EventQuery) -> list[Held]:
        """What is held of the query's window, in order of time; windows may reach beyond it.

        :raises Np6DestinationError: if that cannot be told.
        """
        raise NotImplementedError

    def records(self, scope: Scope) -> list[Record]:
        """What is recorded of all event types and actions of a scope, by few listings; no event is read.

        :raises Np6InputError: if nothing was ever pulled into it, or it cannot be used.
        :raises Np6DestinationError: if that cannot be told.
        """
        raise NotImplementedError

    def verification(self) -> Verification:
        """Compare all that is there with what is recorded of it; raises as :meth:`records`."""
        raise NotImplementedError


def text_field(destination: Destination, name: str) -> str:
    """A rendered field that must say something.

    :raises Np6InputError: for None, "" and "None", which failed templates render to.
    """
    value = getattr(destination, name)
    if not isinstance(value, str) or value.strip() in ("", "None"):
        raise Np6InputError(f"{name} of {type(destination).__name__} is {value!r}", hint=f"Give {name}.")
    return value


def given(value: str | None) -> str | None:
    """A rendered field that may be left out; failed templates render to "" and "None"."""
    return None if value in (None, "", "None") else value


def check_personal_data(what: str, stored: str, wanted: str, where: str) -> None:
    """Refuse to mix events whose personal data is there in different forms.

    :param stored: mode and key as the destination records them.
    :param wanted: the pull's own.
    :raises Np6ConflictError: if they differ.
    """
    if stored == wanted:
        return
    mode, _, key = wanted.partition(":")
    if key and mode == stored.partition(":")[0]:
        raise Np6ConflictError(
            f"{what} holds tokens of another pseudonym_key: {stored!r}, not {wanted!r}",
            hint="Give the connection the key that it was begun with, or begin another tree or table.",
            context=where,
        )
    raise Np6ConflictError(
        f"{what} was written with personal_data {stored!r}, and this pull's is {wanted!r}",
        hint="Pull with the same personal_data, or into another tree or table.",
        context=where,
    )
