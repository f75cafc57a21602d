"""The small protocol between a pull and the place where its events go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_np6.destinations.coverage import to_coverage
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import EventQuery

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import CountedWindow, Coverage
    from airflow_provider_np6.destinations.event_writer import EventWriter
    from airflow_provider_np6.destinations.inventory import (
        PendingVerification,
        Scope,
        StoredWindow,
        Verification,
    )
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms


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
        self, query: EventQuery, account: str, personal_data: str = "keep", on_shrink: str = "fail"
    ) -> AbstractContextManager[EventWriter]:
        """Check all that can be checked before a request is sent, and prepare to write.

        :param personal_data: what is done with personal data, as it is recorded with the events: a mode,
            and for tokens a colon and the fingerprint of their key.
        :param on_shrink: what to do if a day has fewer events than are stored: ``fail``, ``keep`` or
            ``replace``.
        :raises Np6InputError: if the destination cannot be used.
        :raises Np6ConflictError: if data is stored that this pull must not replace.
        """
        raise NotImplementedError

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        """See :func:`airflow_provider_np6.erasure.erase`."""
        raise NotImplementedError

    def expire(self, before: datetime | date | str) -> dict[str, int]:
        """Remove the events of slices that end at or before a time, and mark these slices: coverage lists
        them as expired and not as missing, and a later pull stores them again.

        :param before: aware datetime, ISO string with an offset, or date (midnight UTC).
        :return: ``slices`` and ``events`` that were removed; of files also ``files`` and ``bytes``.
        :raises Np6InputError: for a time that cannot be used, or if nothing was ever pulled into the
            destination.
        :raises Np6DestinationError: if it broke off; to be called again then.
        """
        raise NotImplementedError

    def coverage(
        self,
        event_type: str,
        action_id: str,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> Coverage:
        """What is stored of one event type and action over ``[start, end)``, and what is missing; no event is
        read.

        :param event_type: path of the event type, such as ``bounces``.
        :param action_id: the action's id; ``"*"`` for what was pulled for all actions at once.
        :param start: aware datetime, ISO string with an offset, or date (midnight UTC).
        :param end: likewise (exclusive).
        :param classification: classes of robots, for hits only.
        :raises Np6InputError: for arguments that cannot be used.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        query = EventQuery.between(event_type, action_id, start, end, classification)
        return to_coverage(query, self.counted_windows(query))

    def action_ids(self, event_type: str) -> list[str]:
        """Ids of the actions of which an event type was ever pulled, in order; ``"*"`` is one of them if all
        actions were pulled at once.

        :param event_type: path of the event type, such as ``bounces``.
        :raises Np6InputError: for an unknown event type.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        raise NotImplementedError

    def verify(self, read_files: bool = True, remove_orphans: bool = False) -> Verification:
        """Compare everything that is stored with what is recorded of it.

        :param read_files: whether to read the data files; otherwise only their sizes are compared. SQL counts
            rows in both cases.
        :param remove_orphans: whether to remove the files that no manifest names; otherwise nothing is
            changed. SQL has none.
        :raises Np6InputError: if nothing was ever pulled into the destination, or it cannot be used.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        return self.pending_verification(read_files=read_files, remove_orphans=remove_orphans).run()

    def counted_windows(self, query: EventQuery) -> list[CountedWindow]:
        """What is stored of a query's window, in order of time; windows may reach beyond it.

        :raises Np6DestinationError: if the destination cannot be read.
        """
        raise NotImplementedError

    def stored_windows(self, scope: Scope) -> list[StoredWindow]:
        """The stored windows of all event types and actions of a scope, by few listings; no event is read.

        :raises Np6InputError: if nothing was ever pulled into the destination, or it cannot be used.
        :raises Np6DestinationError: if the destination cannot be read.
        """
        raise NotImplementedError

    def pending_verification(
        self, *, read_files: bool = True, remove_orphans: bool = False
    ) -> PendingVerification:
        """:meth:`verify`, check by check; raises the same."""
        raise NotImplementedError


def text_field(destination: Destination, name: str) -> str:
    """A rendered field that must say something.

    :raises Np6InputError: for None, "" and "None", which failed templates render to.
    """
    value = getattr(destination, name)
    if not isinstance(value, str) or value.strip() in ("", "None"):
        raise Np6InputError(f"{name} of {type(destination).__name__} is {value!r}", hint=f"Give {name}.")
    return value


def optional_field(value: str | None) -> str | None:
    """A rendered field that may be left out; failed templates render to "" and "None"."""
    return None if value in (None, "", "None") else value
