"""Where a user's pulls keep what they have not published yet: one private folder below TMPDIR."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOCK = ".lock"


@contextmanager
def spool_folder() -> Iterator[Path]:
    """A new folder for one pull, removed at the end.

    A pull has a lock beside its folder as long as its process lives. So each pull finds what killed ones
    left, wherever they wrote to, and removes it.

    :raises Np6DestinationError: if the worker's disk is full or missing.
    """
    with spool_errors():
        private = _private_folder()
        name = secrets.token_hex(8)
        descriptor = _take_lock(private / f"{name}{_LOCK}")
        folder = private / name
        folder.mkdir(mode=0o700)
    try:
        _remove_left_behind(private, name)
        yield folder
    finally:
        with suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)
            (private / f"{name}{_LOCK}").unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def spool_errors() -> Iterator[None]:
    """Raise an error of the worker's disk as one that names it.

    :raises Np6DestinationError: for any ``OSError`` inside.
    """
    try:
        yield
    except OSError as error:
        reason = "is full" if error.errno in _FULL else f"cannot be used: {_reason(error)}"
        raise Np6DestinationError(
            f"the worker's disk {reason}",
            hint=f"Make room below {_temporary_folder()}, or set TMPDIR to a folder with room.",
        ) from None


def _private_folder() -> Path:
    """The same for every pull of this user, closed to others.

    :raises Np6InputError: if another user made a folder of this name.
    """
    path = Path(tempfile.gettempdir()) / f"np6-{os.geteuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077 or path.is_symlink():
        raise Np6InputError(
            f"{path} is open to other users", hint="Remove it, or set TMPDIR to another folder."
        )
    return path


def _take_lock(path: Path) -> int:
    """Make a lock file and lock it, where the disk can; another pull may remove it before it is locked."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _remove_left_behind(private: Path, own: str) -> None:
    """Remove what killed pulls left; whatever the disk says to that."""
    for lock in private.glob(f"*{_LOCK}"):
        if lock.name == f"{own}{_LOCK}":
            continue
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its process lives
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink()
            finally:
                os.close(descriptor)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return os.environ.get("TMPDIR", "TMPDIR")
