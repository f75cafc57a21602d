"""Files in any other store that Airflow's ``ObjectStoragePath`` opens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

from airflow_provider_np6.destinations.files.storage.base import (
    ConditionRefusedError,
    Entry,
    StoredFile,
    is_between,
)


class FsspecStore:
    """A store without conditions: what is stored is compared first, and then replaced.

    :param root: an ``ObjectStoragePath``.
    """

    is_conditional = False
    is_remote = True

    def __init__(self, root: Any) -> None:
        self._fs: Any = root.fs
        self._root: str = root.path.rstrip("/")
        self._uri = str(root).rstrip("/")

    def read(self, name: str) -> StoredFile | None:
        try:
            data = bytes(self._fs.cat_file(self._key(name)))
        except FileNotFoundError:
            return None
        return StoredFile(data, sha256(data).hexdigest())

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        stored = self.read(name)
        if (None if stored is None else stored.version) != version:
            raise ConditionRefusedError(name)
        self._make_folder(name)
        self._fs.pipe_file(self._key(name), data)
        return sha256(data).hexdigest()

    def put(self, name: str, source: Path) -> None:
        self._make_folder(name)
        self._fs.put_file(str(source), self._key(name))

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._key(name))

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        self._fs.invalidate_cache()
        found = self._fs.find(self._key(folder), detail=True)
        for key, facts in sorted(found.items()):
            name = str(key)[len(self._root) :].lstrip("/")
            if is_between(name, start, end):
                version = str(facts.get("ETag") or facts.get("mtime") or facts.get("created"))
                yield Entry(name, int(facts["size"]), self._modified(facts), version)

    def list_folders(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()
        with suppress(FileNotFoundError):
            found = self._fs.ls(self._key(folder), detail=True)
            return sorted(
                str(facts["name"]).rstrip("/").rsplit("/", 1)[-1]
                for facts in found
                if facts["type"] == "directory"
            )
        return []

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self._fs.open(self._key(name), "rb"))

    def path(self, name: str = "") -> str:
        return f"{self._uri}/{name}" if name else self._uri

    def check_writable(self) -> None:
        """Only a request could show it."""

    def abort_uploads(self, folder: str, *, before: float) -> None:
        """Of these nothing is known."""

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _make_folder(self, name: str) -> None:
        self._fs.makedirs(self._key(name).rsplit("/", 1)[0], exist_ok=True)

    @staticmethod
    def _modified(facts: dict[str, Any]) -> float:
        """Of a file whose store does not say it: now, so that it is not taken for an old one."""
        value = facts.get("mtime") or facts.get("LastModified") or facts.get("created")
        if isinstance(value, datetime):
            return value.timestamp()
        return float(value) if isinstance(value, int | float) else time.time()
