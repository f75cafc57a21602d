"""Files on a local or mounted disk."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TRIES = 10


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
        self.remove_abandoned(folder)
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

    def remove_abandoned(self, folder: str) -> None:
        for path in (self._root / folder).glob(".*.tmp"):
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

    def unfinished(self, folder: str) -> list[tuple[str, Callable[[], object]]]:
        return []

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
