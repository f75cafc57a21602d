"""Writes a pull into files: each slice is spooled in the destination's format, then published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.base import summarize_slices
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.publication import Publication
from airflow_provider_np6.destinations.files.spool import SliceSpools
from airflow_provider_np6.destinations.files.storage import store_errors
from airflow_provider_np6.np6.errors import Np6InputError

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.header import Header
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.stream import VerifiedPull
    from airflow_provider_np6.np6.verify import Events, Invalid
    from airflow_provider_np6.privacy.erasure_filter import ErasureList


class FileLanding:
    """Spool of one window, and its publication.

    :param header: of the destination root.
    :param query: what is pulled.
    :param format: the data files' format.
    """

    def __init__(self, header: Header, query: EventQuery, format: str) -> None:  # noqa: A002 - the field's name
        self._header = header
        self._query = query
        self._format = format
        self._root = header.store.path("").rstrip("/")
        self._publication = Publication(header, query, format)
        self._spools = SliceSpools(header.store, query, format)

    @property
    def spool(self) -> FileLanding:
        return self

    @property
    def erased(self) -> ErasureList | None:
        return self._header.erased

    @property
    def published(self) -> list[str]:
        return self._publication.published

    def check(self) -> None:
        """See :meth:`Publication.check_requirements`."""
        self._publication.check_requirements()

    def try_writing(self) -> None:
        """Create the first slice's temporary file, to fail before any request where that is impossible."""
        with store_errors(self._root, "cannot be written to", Np6InputError):
            self._spools.first().open()

    def begin(self, pulled_at: int) -> None:
        """Only the manifest has it."""

    def write(self, events: Events) -> None:
        with store_errors(self._root, "cannot be written to"):
            self._spools.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        with store_errors(self._root, "cannot be written to"):
            self._spools.set_aside(invalid)

    def restart(self) -> None:
        self._spools.discard()
        self._spools = SliceSpools(self._header.store, self._query, self._format)

    def publish(self, pull: VerifiedPull) -> dict[str, Any]:
        publication, store = self._publication, self._header.store
        with store_errors(self._root, "could not be written"):
            spools = self._spools.close()
            with store.publication():
                self._header.check_erasure_list(self._query.description)
                publication.check_requirements()
                self._header.record()
                outcomes = [publication.publish(spool, pull) for spool in spools]
        folder = (
            f"{layout.MANIFESTS}/{layout.type_key(self._query)}/{layout.action_key(self._query.action_id)}"
        )
        return {
            "manifests": store.path(folder),
            "bytes_written": publication.bytes_written,
            **summarize_slices(outcomes),
        }
