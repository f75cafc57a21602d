"""What the object stores have in common: names below a prefix, and whole files on their way to the worker."""

from __future__ import annotations

import tempfile
from typing import BinaryIO


class BucketStore:
    """Files below a prefix of a bucket or container.

    :param uri: of the root, without a slash at its end, as a user writes it.
    :param prefix: of the root's keys, without slashes at its ends; "" for the whole bucket.
    """

    is_conditional = True
    is_remote = True

    def __init__(self, uri: str, prefix: str) -> None:
        self._uri = uri
        self._root = f"{prefix}/" if prefix else ""

    def open(self, name: str) -> BinaryIO:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self._download(name, file)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def path(self, name: str = "") -> str:
        return f"{self._uri}/{name}" if name else self._uri

    def check_writable(self) -> None:
        """Only a request could show it."""

    def abort_uploads(self, folder: str, *, before: float) -> None:
        """The store forgets them by itself."""

    def _download(self, name: str, file: BinaryIO) -> None:
        """Write a file of the store into ``file``.

        :raises FileNotFoundError: if it does not exist.
        """
        raise NotImplementedError

    def _prefix(self, folder: str) -> str:
        """What the keys below a folder begin with."""
        return f"{self._root}{folder}/" if folder else self._root
