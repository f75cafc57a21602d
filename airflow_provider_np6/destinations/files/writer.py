"""Writes a pull into files: each day is spooled in the destination's format, then published."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_np6.destinations.event_writer import NOBODY, Publication, ShrinkRule
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.day import StoredDay
from airflow_provider_np6.destinations.files.decision import check_crossing
from airflow_provider_np6.destinations.files.header import (
    Header,
    Requirements,
    change_header,
    probe_conditions,
    read_erasure_list,
    read_header,
)
from airflow_provider_np6.destinations.files.manifest import make_token
from airflow_provider_np6.destinations.files.publication import SLOW_WRITER, Publisher
from airflow_provider_np6.destinations.files.spool import WindowSpool
from airflow_provider_np6.destinations.files.storage import store_errors, to_asset_uri
from airflow_provider_np6.destinations.files.verified_sizes import read_verified_size, remember_verified_size
from airflow_provider_np6.destinations.spool_folder import spool_errors, spool_folder
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6InputError, Np6PullAgainError
from airflow_provider_np6.np6.window import DAY

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.np6.caps import VerifiedSize
    from airflow_provider_np6.np6.events import Events, Invalid
    from airflow_provider_np6.np6.verified_pull import VerifiedPull
    from airflow_provider_np6.privacy.erasure_filter import ErasureList

log = logging.getLogger(__name__)


class FileWriter:
    """Spools one window, and publishes it.

    :param store: of the destination root.
    :param requirements: of the pull.
    :param format: of the data files.
    :param on_shrink: what to do if a day has fewer events than are stored.
    :param folder: this pull's own on the worker's disk.
    """

    erased: ErasureList | None

    def __init__(
        self,
        store: Store,
        requirements: Requirements,
        format: str,  # noqa: A002 - the field's name
        on_shrink: str,
        folder: Path,
    ) -> None:
        self._store = store
        self._requirements = requirements
        self._query = requirements.query
        self._format = format
        self._on_shrink = on_shrink
        self._folder = folder
        self._restarts = 0
        self._forgets_size = False
        self._spool: WindowSpool | None = None
        self._read_header()
        if self._header is None:
            self._check_unused()
            self._is_conditional = probe_conditions(store)
        else:
            self._is_conditional = self._header.is_conditional and store.is_conditional
        if not self._is_conditional:
            log.warning(
                "%s: this store honors no conditions. Of two pulls of a day at the same time one may be lost,"
                " and only verify --remove-orphans removes replaced files.",
                store.path(),
            )
        self._check_edges()

    def restart(self, pulled_at: int) -> None:
        """Forget all that was taken.

        :param pulled_at: of the pull; only the manifest has it.
        """
        self.discard()
        self._restarts += 1
        folder = self._folder / str(self._restarts)
        with spool_errors():
            folder.mkdir()
        self._spool = WindowSpool(folder, self._query, self._format)

    def write(self, events: Events) -> None:
        self._spooling.write(events)

    def set_aside(self, invalid: Invalid) -> None:
        self._spooling.set_aside(invalid)

    def publish(
        self,
        pull: VerifiedPull,
        *,
        is_confirmed: bool = False,
        erased_by_day: Mapping[int, int] = NOBODY,
    ) -> Publication:
        slices = self._spooling.spooled()
        rule = ShrinkRule(self._on_shrink, is_confirmed, self._query.description, erased_by_day)
        with store_errors(self._store.path(), "could not be written"):
            try:
                header = self._record()
                is_conditional = header.is_conditional and self._store.is_conditional
                publisher = Publisher(self._store, self._requirements, self._erasures, is_conditional)
                days = publisher.publish(slices, pull, rule)
                folder = layout.series_folder(self._query)
                self._store.abort_uploads(folder, before=time.time() - SLOW_WRITER)
                if is_conditional:  # else it might undo what another pull has changed
                    self._remember(pull)
            except Np6PullAgainError:
                self._read_header()  # the next pull leaves out who was erased by then
                raise
        return Publication(
            slices=[day.outcome for day in days],
            location={
                "manifests": self._store.path(f"{layout.MANIFESTS}/{layout.series_folder(self._query)}")
            },
            assets=[
                to_asset_uri(self._store.path(day.data))
                for day in days
                if day.data and day.outcome.is_changed
            ],
            bytes_written=sum(
                slice_.data.size
                for day, slice_ in zip(days, slices, strict=True)
                if slice_.data and day.outcome.is_changed
            ),
        )

    @property
    def verified_size(self) -> VerifiedSize | None:
        if self._header is None or self._forgets_size:
            return None
        return read_verified_size(self._header, self._requirements.series)

    def forget_verified_size(self) -> None:
        self._forgets_size = True

    def _remember(self, pull: VerifiedPull) -> None:
        """Record the largest response that the pull has verified; if that fails, nothing else does."""
        if pull.verified_size is None and not self._forgets_size:
            return
        try:
            remember_verified_size(
                self._store, self._requirements.series, pull.verified_size, forget=self._forgets_size
            )
        except Exception as error:  # each store has its own
            log.info("The next pull checks responses again: %s.", type(error).__name__)

    def discard(self) -> None:
        """Close and remove what was spooled."""
        if self._spool is not None:
            spool, self._spool = self._spool, None
            spool.discard()
            shutil.rmtree(self._folder / str(self._restarts), ignore_errors=True)

    @property
    def _spooling(self) -> WindowSpool:
        assert self._spool is not None  # noqa: S101 - restart comes first
        return self._spool

    @property
    def _erasures(self) -> int:
        return 0 if self._header is None else self._header.erasures

    def _read_header(self) -> None:
        """Read header and erasure list, and check that the pull may be added.

        :raises Np6ConflictError: if it may not.
        """
        stored = read_header(self._store)
        self._header = None if stored is None else stored[0]
        if self._header is not None:
            self._requirements.check(self._header)
        self.erased = read_erasure_list(self._store, self._erasures)

    def _check_unused(self) -> None:
        """:raises Np6ConflictError: if there are manifests, and their header is gone."""
        if self._store.list_folders(layout.MANIFESTS):
            raise Np6ConflictError(
                f"{self._store.path()} has manifests and no {layout.HEADER}",
                hint="Restore it from a backup, or use another destination.",
            )

    def _check_edges(self) -> None:
        """Refuse a window that cuts a stored slice in two; only its first and last day can.

        :raises Np6ConflictError: then.
        """
        days = list(self._query.window.days())
        for window in {days[0], days[-1]}:
            if window.end - window.start < DAY:
                day = StoredDay(self._store, self._query, window.date)
                day.read()
                check_crossing(day.manifest_or_empty, window, self._query.description)

    def _record(self) -> Header:
        """The header with this pull's series in it; it is created by the first pull."""
        requirements = self._requirements

        def change(header: Header | None) -> Header | None:
            if header is None:
                header = Header(
                    account=requirements.account,
                    personal_data=requirements.personal_data,
                    series={},
                    erasures=0,
                    is_conditional=self._is_conditional,
                    token=make_token(),
                    verified={},
                )
                return requirements.add_to(header)
            requirements.check(header, self._erasures)
            return None if requirements.series in header.series else requirements.add_to(header)

        if self._header is not None and requirements.series in self._header.series:
            return self._header
        return change_header(self._store, change, self._query.description)


@contextmanager
def file_writer(
    store: Store, requirements: Requirements, format_: str, on_shrink: str
) -> Iterator[FileWriter]:
    """A writer whose spool is removed at the end.

    :raises Np6InputError: if the destination cannot be used.
    :raises Np6ConflictError: if data is stored that this pull must not replace.
    """
    with spool_folder() as folder:
        with store_errors(store.path(), "cannot be used", Np6InputError):
            store.check_writable()
            writer = FileWriter(store, requirements, format_, on_shrink, folder)
        try:
            yield writer
        finally:
            writer.discard()
