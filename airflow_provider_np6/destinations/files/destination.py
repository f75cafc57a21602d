"""Files: one data file and one manifest for each UTC day of a window."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_np6.destinations.base import Destination, optional_field, text_field
from airflow_provider_np6.destinations.files.formats import check_format
from airflow_provider_np6.destinations.files.storage import open_store, store_errors, to_asset_uri
from airflow_provider_np6.destinations.inventory import PendingVerification
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import parse_time

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import CountedWindow
    from airflow_provider_np6.destinations.event_writer import EventWriter
    from airflow_provider_np6.destinations.files.manifest import Manifest
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.destinations.inventory import Checked, Scope, StoredWindow
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms


@dataclass
class FileDestination(Destination):
    """Files on a local disk or in any object store that Airflow's ``ObjectStoragePath`` knows.

    :param path: absolute path or URI of the destination root, such as ``s3://aws_default@lake/np6``.
        (templated)
    :param format: ``jsonl``, ``jsonl.gz``, ``jsonl.zst``: one raw event per line; ``parquet``: one row.
        The last two need the extra ``parquet``. (templated)
    :param conn_id: connection with the object store's credentials, unless the URI names it. (templated)
    """

    template_fields: ClassVar[Sequence[str]] = ("path", "format", "conn_id")

    path: str
    format: str = "jsonl.gz"
    conn_id: str | None = None

    @property
    def uri(self) -> str:
        return self.path

    @property
    def asset_uri(self) -> str:
        """``s3://bucket/key`` of ``s3://conn_id@bucket/key``, ``file:///data/np6`` of ``/data/np6``; for DAG
        files too, if the path is no template: ``Asset(FileDestination("/data/np6").asset_uri)``."""
        return to_asset_uri(self.path)

    @contextmanager
    def open(
        self, query: EventQuery, account: str, personal_data: str = "keep", on_shrink: str = "fail"
    ) -> Iterator[EventWriter]:
        from airflow_provider_np6.destinations.files.header import Requirements
        from airflow_provider_np6.destinations.files.writer import file_writer

        check_format(self.format)
        with self._store() as store:
            requirements = Requirements(query, account, personal_data)
        with file_writer(store, requirements, self.format, on_shrink) as writer:
            yield writer

    def manifests(
        self,
        event_type: str,
        action_id: str,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> list[Manifest]:
        """The manifests of the days that ``[start, end)`` touches, in order of time.

        Parameters and errors are those of :meth:`coverage`.
        """
        from airflow_provider_np6.destinations.files.read import read_manifests

        query = EventQuery.between(event_type, action_id, start, end, classification)
        with self._store() as store:
            return list(read_manifests(store, query))

    def data_files(
        self,
        event_type: str,
        action_id: str,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> list[str]:
        """Paths or URIs of the data files that manifests name, in order of time; empty slices have none. A
        file that no longer exists when it is opened was replaced: call this again.

        Parameters and errors are those of :meth:`coverage`.
        """
        from airflow_provider_np6.destinations.files.read import read_slices

        query = EventQuery.between(event_type, action_id, start, end, classification)
        with self._store() as store:
            return [store.path(slice_.data) for slice_ in read_slices(store, query) if slice_.data]

    def action_ids(self, event_type: str) -> list[str]:
        from airflow_provider_np6.destinations.files.read import read_action_ids

        with self._store() as store:
            return read_action_ids(store, event_type)

    def counted_windows(self, query: EventQuery) -> list[CountedWindow]:
        from airflow_provider_np6.destinations.files.read import read_counted_windows

        with self._store() as store:
            return read_counted_windows(store, query)

    def stored_windows(self, scope: Scope) -> list[StoredWindow]:
        from airflow_provider_np6.destinations.files.read import read_stored_windows

        with self._store() as store:
            return list(read_stored_windows(store, scope))

    def pending_verification(
        self, *, read_files: bool = True, remove_orphans: bool = False
    ) -> PendingVerification:
        from airflow_provider_np6.destinations.files.verify import verification

        with self._store() as store:
            pending = verification(store, read_files=read_files, remove_orphans=remove_orphans)
        return PendingVerification(pending.total, self._guarded(pending.checks))

    def expire(self, before: datetime | date | str) -> dict[str, int]:
        from airflow_provider_np6.destinations.files.expire import expire_slices

        end = parse_time("before", before)
        with self._store() as store, store_errors(self.path, "could not be written"):
            return expire_slices(store, end)

    def erase(self, persons: Collection[str], pseudonyms: Pseudonyms, account: str) -> dict[str, int]:
        from airflow_provider_np6.destinations.files.erase import FileErasure
        from airflow_provider_np6.destinations.spool_folder import spool_folder

        with (
            self._store() as store,
            spool_folder() as folder,
            store_errors(self.path, "could not be written"),
        ):
            return FileErasure(store, account, persons, pseudonyms, folder).run()

    def _guarded(self, checks: Iterator[Checked]) -> Iterator[Checked]:
        with store_errors(self.path, "cannot be read"):
            yield from checks

    @contextmanager
    def _store(self) -> Iterator[Store]:
        path = text_field(self, "path")
        with store_errors(path, "cannot be used", Np6InputError):
            yield open_store(path, optional_field(self.conn_id))
