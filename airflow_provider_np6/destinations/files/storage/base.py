"""What every store does with the files below a destination root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


class ConditionRefusedError(Exception):
    """A conditional put was refused: the stored file is not of the version that the condition named."""


class StoreError(Exception):
    """A store refused an operation, or could not be reached.

    :param code: the store's own code, such as ``AccessDenied``.
    :param operation: what was tried, such as ``PutObject``.
    :param path: of the file, as a user writes it.
    :param is_permanent: whether another try cannot help.
    """

    def __init__(self, code: str, operation: str, path: str, *, is_permanent: bool) -> None:
        super().__init__(f"{code} on {operation} {path}")
        self.is_permanent = is_permanent


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A small file, read whole.

    :param version: changes with each put; a condition names it.
    """

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a listing.

    :param name: its path below the root.
    :param size: in bytes.
    :param modified: seconds since the epoch, by the store's clock.
    :param version: changes with each put; in some stores of another form than :attr:`StoredFile.version`.
    """

    name: str
    size: int
    modified: float
    version: str


MAX_SMALL_FILE = 256 * 1024 * 1024
"""Bytes of a manifest, header or erasure list; no larger file is one."""


class Store(Protocol):
    """Files below one root; names are relative to it, with ``/`` between.

    Every method raises :class:`StoreError` or ``OSError`` where the store fails.
    """

    is_conditional: bool
    """Whether :meth:`put_if` compares and puts at once, as far as is known; otherwise it compares first."""

    is_remote: bool
    """Whether a request takes so long that many are better sent at once."""

    def read(self, name: str) -> StoredFile | None:
        """A small file with its version, in one response; None if it does not exist."""

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        """Write a small file on a condition.

        :param version: the version that must be stored; None if no file may be.
        :return: its new version.
        :raises ConditionRefusedError: if another one is stored, or was written at the same time.
        """

    def put(self, name: str, source: Path) -> None:
        """Store a file of the worker's disk under a name that was never used.

        :param source: it stays where it is.
        """

    def delete(self, name: str) -> None:
        """Remove a file; it may be gone already."""

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        """The files at any depth below ``folder``, in order of their names, never from a cache.

        :param start: no name before it; "" for no limit.
        :param end: no name from it on; "" for no limit.
        """

    def list_folders(self, folder: str) -> list[str]:
        """Names of the folders right below ``folder``, in order."""

    def open(self, name: str) -> BinaryIO:
        """A file to be read from any place in it, and closed.

        :raises FileNotFoundError: if it does not exist.
        """

    def path(self, name: str = "") -> str:
        """The path or URI of a file, as a user writes it."""

    def check_writable(self) -> None:
        """Look whether files can be written, where that takes no request."""

    def abort_uploads(self, folder: str, *, before: float) -> None:
        """Abort uploads below ``folder`` that were begun and never ended; whatever the store says to that.

        :param before: those that were begun before; seconds since the epoch.
        """


def find_file(store: Store, name: str) -> Entry | None:
    """A file as it is listed now; None if it does not exist."""
    listed = store.list_files(name.rpartition("/")[0], name, f"{name}\0")
    return next((entry for entry in listed if entry.name == name), None)


def is_between(name: str, start: str, end: str) -> bool:
    """Whether a listing with these limits has the name."""
    return name >= start and (not end or name < end)
