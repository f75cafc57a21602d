"""Files in any object store that fsspec knows."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.np6.errors import Np6InputError

_AT_ONCE = 1_000
_PART = 8 * 1024 * 1024  # s3fs holds ten parts in memory, of 50 MB each by default
_EXTRAS = {"s3": "s3", "gs": "gcs"}
_UNKNOWN = ("No filesystem registered", "Unsupported filesystem")  # of Airflow, whose errors have one class


def _object_path(uri: str, conn_id: str | None) -> Any:
    """An ``ObjectStoragePath`` whose store can be opened.

    :raises Np6InputError: if no package that is installed opens it.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    scheme = urlsplit(uri).scheme
    if not uri.startswith(f"{scheme}://"):
        raise Np6InputError(f"the destination {uri!r} is no URI", hint=f"Write {scheme}://bucket/key.")
    try:
        path = ObjectStoragePath(uri, **({"conn_id": conn_id} if conn_id else {}))
        path.fs  # noqa: B018 - made when first asked for
    except (ImportError, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).startswith(_UNKNOWN):
            raise
        raise Np6InputError(
            f"nothing that is installed opens {scheme}://",
            hint=f"On all workers: pip install 'airflow-provider-np6[{_EXTRAS[scheme]}]'."
            if scheme in _EXTRAS
            else "Check the URI, or install the Airflow provider of that store on all workers.",
        ) from None
    return path


class ObjectStore:
    """An object store: temporaries stand in a folder of this user's own and are uploaded whole."""

    def __init__(self, uri: str, conn_id: str | None) -> None:
        self._root = _object_path(uri, conn_id)
        self._fs: Any = self._root.fs
        self._upload = {"chunksize": _PART} if hasattr(self._fs, "abort_mpu") else {}
        self._local = LocalStore(_private_folder(uri))
        bucket = self._root.path.lstrip("/").split("/", 1)[0]
        try:
            self._fs.info(bucket)
        except FileNotFoundError:
            raise Np6InputError(
                f"there is no {bucket!r} in {self._root.protocol}", hint="Create it."
            ) from None

    def _key(self, folder: str, name: str = "") -> str:
        return "/".join(part for part in (self._root.path.rstrip("/"), folder, name) if part)

    def names(self, folder: str) -> list[str]:
        key = self._key(folder)
        self._fs.invalidate_cache(key)
        try:
            found = self._fs.ls(key, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rsplit("/", 1)[-1] for path in found]

    def names_below(self, folder: str) -> dict[str, list[str]]:
        self._fs.invalidate_cache()
        below = len(self._key(""))
        found: dict[str, list[str]] = {}
        for path in self._fs.find(self._key(folder)):
            parent, _, name = str(path)[below:].lstrip("/").rpartition("/")
            found.setdefault(parent, []).append(name)
        return found

    def temporary(self, folder: str, name: str) -> Path:
        return self._local.temporary("", name)

    def remove_abandoned(self, folder: str) -> None:
        self._local.remove_abandoned("")

    def publication(self) -> AbstractContextManager[None]:
        return nullcontext()

    def size(self, folder: str, name: str) -> int | None:
        key = self._key(folder, name)
        self._fs.invalidate_cache(self._key(folder))
        try:
            return int(self._fs.info(key)["size"])
        except FileNotFoundError:
            return None

    def put(self, temporary: Path, folder: str, name: str) -> None:
        try:
            self._fs.put_file(str(temporary), self._key(folder, name), **self._upload)
        except FileNotFoundError:  # a store that has folders and wants them made
            self._fs.makedirs(self._key(folder), exist_ok=True)
            self._fs.put_file(str(temporary), self._key(folder, name), **self._upload)
        self._local.forget(temporary)

    def read(self, folder: str, name: str) -> bytes:
        return bytes(self._fs.cat_file(self._key(folder, name)))

    def read_each(self, files: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes]]:
        left = iter(files)
        while keys := {self._key(*file): file for file in islice(left, _AT_ONCE)}:
            for key, data in self._fs.cat(list(keys), on_error="return").items():
                if isinstance(data, FileNotFoundError):
                    continue
                if isinstance(data, Exception):
                    raise data
                yield keys[key], bytes(data)

    def open(self, folder: str, name: str) -> BinaryIO:
        return cast("BinaryIO", self._fs.open(self._key(folder, name), "rb"))

    def remove(self, folder: str, name: str) -> None:
        try:
            self._fs.rm_file(self._key(folder, name))
        except FileNotFoundError:
            return

    def unfinished(self, folder: str) -> list[tuple[str, Callable[[], object]]]:
        if not hasattr(self._fs, "abort_mpu"):
            return []  # not S3: others forget such uploads by themselves
        bucket, prefix = self._key(folder).split("/", 1)
        try:
            listed = self._fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
        except PermissionError:
            return []
        return [
            (
                upload["Key"].rsplit("/", 1)[-1],
                partial(self._fs.abort_mpu, bucket, upload["Key"], upload["UploadId"]),
            )
            for upload in listed.get("Uploads", [])
        ]

    def path(self, folder: str, name: str = "") -> str:
        return "/".join(part for part in (str(self._root).rstrip("/"), folder, name) if part)

    def close(self) -> None:
        self._local.close()


def _private_folder(uri: str) -> Path:
    """Where what goes to ``uri`` waits on this machine: the same for every pull, closed to other users."""
    name = f"np6-{os.geteuid()}-{hashlib.sha256(uri.encode()).hexdigest()[:16]}"
    path = Path(tempfile.gettempdir()) / name
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077 or path.is_symlink():
        raise Np6InputError(
            f"{path} is open to other users", hint="Remove it, or set TMPDIR to another place."
        )
    return path
