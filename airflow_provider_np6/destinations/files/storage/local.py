"""Files on a local or mounted disk."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from airflow_provider_np6.destinations.files.storage.base import (
    ConditionRefusedError,
    Entry,
    StoredFile,
    is_between,
)

LOCK = ".lock"
TEMPORARY = ".put"
"""Begins the names of files that are being put on a condition."""

LOCK_WAIT = 60.0
"""Seconds to wait for the lock at a time."""

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class LocalStore:
    """A folder on a local or mounted disk.

    A version is the sha256 of the content: what is put on a condition has a random token each time. One lock
    file below the root lets one process at a time compare and replace. It is opened for writing, because NFS
    refuses an exclusive lock on a file that is open for reading, and it is never replaced.

    :param root: absolute path; made when the first file is put.
    """

    is_remote = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self.is_conditional = True

    def read(self, name: str) -> StoredFile | None:
        try:
            data = (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        return StoredFile(data, sha256(data).hexdigest())

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            stored = self.read(name)
            if (None if stored is None else stored.version) != version:
                raise ConditionRefusedError(name)
            temporary = self._temporary()
            with _removed_on_error(temporary):
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    if version is None:
                        _create(temporary, target)
                    else:
                        temporary.replace(target)
                except FileNotFoundError:  # a cleaner took it for a killed process's
                    raise ConditionRefusedError(name) from None
            _sync_folder(target.parent)
        return sha256(data).hexdigest()

    def _temporary(self) -> Path:
        """The name of a new file below the root: one for all, because only who holds the lock writes it.

        What a killed process left there is removed and not written over: it may be what it was put as, by
        another name.
        """
        if self.is_conditional:
            temporary = self._root / f"{TEMPORARY}.tmp"
            with suppress(OSError):  # a disk may refuse to remove another user's file
                temporary.unlink(missing_ok=True)
                return temporary
        return self._root / f"{TEMPORARY}-{secrets.token_hex(4)}.tmp"

    def put(self, name: str, source: Path) -> None:
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _sync(source)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            temporary = target.with_name(f".{target.name}.tmp")
            with _removed_on_error(temporary):
                shutil.copyfile(source, temporary)
                _sync(temporary)
                temporary.replace(target)
        _sync_folder(target.parent)

    def delete(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        try:
            # Folders sort by their names with the slash, as in an object store.
            found = sorted(
                os.scandir(self._root / folder), key=lambda entry: entry.name + "/" * entry.is_dir()
            )
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in found:
            name = f"{folder}/{entry.name}".lstrip("/")
            if entry.is_dir():
                if (not end or f"{name}/" < end) and f"{name}0" > start:  # "0" follows "/"
                    yield from self.list_files(name, start, end)
            elif is_between(name, start, end):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    version = f"{status.st_mtime_ns}-{status.st_ino}-{status.st_size}"
                    yield Entry(name, status.st_size, status.st_mtime, version)

    def list_folders(self, folder: str) -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self._root / folder) if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")

    def path(self, name: str = "") -> str:
        return str(self._root / name)

    def check_writable(self) -> None:
        folder = next(path for path in (self._root, *self._root.parents) if path.exists())
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def abort_uploads(self, folder: str, *, before: float) -> None:
        """There are none."""

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock; on a disk that cannot lock, go on without it.

        :raises ConditionRefusedError: if others hold it for :data:`LOCK_WAIT` seconds.
        """
        descriptor = self._open_lock()
        try:
            deadline = time.monotonic() + LOCK_WAIT
            while self.is_conditional:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ConditionRefusedError(LOCK) from None
                    time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - jitter
                except OSError as error:
                    if error.errno not in _NO_LOCKS:
                        raise
                    self.is_conditional = False
            yield
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        path = self._root / LOCK
        try:
            return os.open(path, os.O_RDWR)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            with suppress(OSError):  # whoever may write into the folder may lock, whatever the umask
                os.fchmod(descriptor, 0o600 | (self._root.stat().st_mode & 0o066))
            return descriptor


@contextmanager
def _removed_on_error(temporary: Path) -> Iterator[None]:
    """Remove a new file that did not get its name, such as half of one on a full disk."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _create(temporary: Path, target: Path) -> None:
    """Give a file its name if no file has it, also on a disk that cannot lock."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise ConditionRefusedError(target.name) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        temporary.replace(target)
    else:
        temporary.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Write the folder's own entries to the disk; some disks refuse, and then it is left to them."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
