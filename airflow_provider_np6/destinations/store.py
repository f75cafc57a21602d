"""The few things done with files, on a local disk or on any object store that fsspec knows."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import urlsplit

from airflow_provider_np6.np6.errors import Np6InputError

_TRIES = 10
_AT_ONCE = 1_000
_EXTRAS = {"s3": "s3", "gs": "gcs"}
_UNKNOWN = ("No filesystem registered", "Unsupported filesystem")  # of Airflow, whose errors have one class
_PART = 8 * 1024 * 1024  # s3fs holds ten parts in memory, of 50 MB each by default


class Store(Protocol):
    """Files below one root; folders are named relative to it, with ``/`` between."""

    def names(self, folder: str) -> list[str]:
        """Names right below ``folder``, never from a cache; none if it is not there."""

    def names_below(self, folder: str) -> dict[str, list[str]]:
        """Names at any depth below ``folder``, by the folder that they are right below, by one listing; none
        if it is not there."""

    def temporary(self, folder: str, name: str) -> Path:
        """A path on a local disk for a file that may become ``folder/name``; its folder exists."""

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

    def unfinished(self, folder: str) -> dict[str, Callable[[], object]]:
        """Uploads to ``folder`` that were begun and never ended, by name, each with what gives it up."""

    def path(self, folder: str, name: str = "") -> str:
        """How a user writes the path of ``folder/name``."""

    def close(self) -> None:
        """Remove the temporaries that are left, and folders that they needed and nothing else does."""


def store_at(path: str, conn_id: str | None) -> Store:
    """The store that a path or URI names.

    :raises Np6InputError: if it is relative or holds a password.
    """
    url = urlsplit(path)
    if url.password:
        raise Np6InputError(
            "the destination's URI holds a password",
            cure="Put it into an Airflow connection and name that one: s3://conn_id@bucket/key.",
        )
    if url.scheme in ("", "file", "local"):
        local = path.split("://", 1)[-1]
        if not local.startswith("/"):
            raise Np6InputError(
                f"the destination's path {path!r} is not absolute",
                cure="Workers have no working folder to rely on: write /data/np6 or file:///data/np6.",
            )
        return LocalStore(Path(local))
    return ObjectStore(path, conn_id)


def asset_uri(path: str) -> str:
    """A path or URI without a connection's id, with a scheme, and without a slash at its end."""
    url = urlsplit(path)
    if url.scheme in ("", "file", "local"):
        return f"file://{path.split('://', 1)[-1].rstrip('/')}"
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path.rstrip('/')}"


class LocalStore:
    """A folder on a local or mounted disk: temporaries stand beside their goal and are renamed.

    A temporary is locked as long as its process lives, so that the next pull can tell one that a killed
    worker left, and removes it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[Path, int] = {}
        self._made: list[Path] = []

    def names(self, folder: str) -> list[str]:
        try:
            return [path.name for path in (self._root / folder).iterdir()]
        except FileNotFoundError:
            return []

    def names_below(self, folder: str) -> dict[str, list[str]]:
        below = len(str(self._root)) + 1
        walked = os.walk(self._root / folder, onerror=_unless_gone, followlinks=True)  # as names() does
        return {found[below:]: names for found, _, names in walked if names}

    def temporary(self, folder: str, name: str) -> Path:
        goal = self._root / folder
        path = goal / f".{name}.{secrets.token_hex(4)}.tmp"
        self._made += [path for path in (goal, *goal.parents) if not path.exists()]
        self._locks[path] = self._locked(path)
        self._remove_abandoned(goal)
        return path

    def _locked(self, path: Path) -> int:
        """A new, locked file. Another pull may just remove its folder, empty as it was, or take the file
        for one that nobody writes to, before it is locked."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:
                    return descriptor
                os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def _remove_abandoned(self, folder: Path) -> None:
        for path in folder.glob(".*.tmp"):
            if path in self._locks:
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                continue  # its process lives
            finally:
                os.close(descriptor)

    @contextmanager
    def publication(self) -> Iterator[None]:
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def size(self, folder: str, name: str) -> int | None:
        try:
            return (self._root / folder / name).stat().st_size
        except FileNotFoundError:
            return None

    def put(self, temporary: Path, folder: str, name: str) -> None:
        goal = self._root / folder / name
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(goal)
        os.close(self._locks.pop(temporary))
        descriptor = os.open(goal.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def forget(self, temporary: Path) -> None:
        """Remove a temporary that is needed no more."""
        temporary.unlink(missing_ok=True)
        os.close(self._locks.pop(temporary))

    def read(self, folder: str, name: str) -> bytes:
        return (self._root / folder / name).read_bytes()

    def read_each(self, files: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], bytes]]:
        for file in files:
            with suppress(FileNotFoundError):
                yield file, self.read(*file)

    def open(self, folder: str, name: str) -> BinaryIO:
        return (self._root / folder / name).open("rb")

    def remove(self, folder: str, name: str) -> None:
        (self._root / folder / name).unlink(missing_ok=True)

    def unfinished(self, folder: str) -> dict[str, Callable[[], object]]:
        return {}

    def path(self, folder: str, name: str = "") -> str:
        return str(self._root / folder / name)

    def close(self) -> None:
        for path in list(self._locks):
            self.forget(path)
        for folder in sorted(self._made, key=lambda path: len(path.parts), reverse=True):
            try:
                folder.rmdir()
            except OSError:
                continue  # something was published into it, by this pull or another
        self._made.clear()


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _object_path(uri: str, conn_id: str | None) -> Any:
    """An ``ObjectStoragePath`` whose store can be opened.

    :raises Np6InputError: if no package that is installed opens it.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    scheme = urlsplit(uri).scheme
    if not uri.startswith(f"{scheme}://"):
        raise Np6InputError(f"the destination {uri!r} is no URI", cure=f"Write {scheme}://bucket/key.")
    try:
        path = ObjectStoragePath(uri, **({"conn_id": conn_id} if conn_id else {}))
        path.fs  # noqa: B018 - made when first asked for
    except (ImportError, ValueError) as error:
        if isinstance(error, ValueError) and not str(error).startswith(_UNKNOWN):
            raise
        raise Np6InputError(
            f"nothing that is installed opens {scheme}://",
            cure=f"On all workers: pip install 'airflow-provider-np6[{_EXTRAS[scheme]}]'."
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
                f"there is no {bucket!r} in {self._root.protocol}", cure="Create it."
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

    def unfinished(self, folder: str) -> dict[str, Callable[[], object]]:
        if not hasattr(self._fs, "abort_mpu"):
            return {}  # not S3: others forget such uploads by themselves
        bucket, prefix = self._key(folder).split("/", 1)
        try:
            listed = self._fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
        except PermissionError:
            return {}
        return {
            upload["Key"].rsplit("/", 1)[-1]: partial(
                self._fs.abort_mpu, bucket, upload["Key"], upload["UploadId"]
            )
            for upload in listed.get("Uploads", [])
        }

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
            f"{path} is open to other users", cure="Remove it, or set TMPDIR to another place."
        )
    return path
