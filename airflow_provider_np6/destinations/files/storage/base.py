"""What is done with files, on a local disk or in any object store that fsspec knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol


class Store(Protocol):
    """Files below one root; folders are named relative to it, with ``/`` between."""

    def names(self, folder: str) -> list[str]:
        """Names right below ``folder``, never from a cache; none if it is not there."""

    def names_below(self, folder: str) -> dict[str, list[str]]:
        """Names at any depth below ``folder``, by the folder that they are right below, by one listing; none
        if it is not there."""

    def temporary(self, folder: str, name: str) -> Path:
        """A path on a local disk for a file that may become ``folder/name``; its folder exists."""

    def remove_abandoned(self, folder: str) -> None:
        """Remove temporaries for ``folder`` whose process was killed; those of living ones stay."""

    def publication(self) -> AbstractContextManager[None]:
        """While it lasts, no other publication goes on below this root, where the store can see to that:
        local disks can, object stores cannot."""

    def size(self, folder: str, name: str) -> int | None:
        """Bytes of ``folder/name``; None if it is not there."""

    def put(self, temporary: Path, folder: str, name: str) -> None:
        """Make ``temporary`` be ``folder/name``, at once; nobody sees a part of it."""

    def read(self, folder: str, name: str) -> bytes:
        """The bytes of ``folder/name``."""

    def read_each(self, files: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes]]:
        """Many small files, those that are gone left out; at once where that is faster."""

    def open(self, folder: str, name: str) -> BinaryIO:
        """``folder/name``, to be read and closed."""

    def remove(self, folder: str, name: str) -> None:
        """Remove ``folder/name``; it may be gone already."""

    def unfinished(self, folder: str) -> list[tuple[str, Callable[[], object]]]:
        """Uploads to ``folder`` that were begun and never ended, each by name, which several may share, with
        what gives it up."""

    def path(self, folder: str, name: str = "") -> str:
        """How a user writes the path of ``folder/name``."""

    def close(self) -> None:
        """Remove the temporaries that are left, and folders that they needed and nothing else does."""
