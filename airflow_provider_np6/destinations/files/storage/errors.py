"""A store's own errors as errors of this provider."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_np6.destinations.files.storage.base import StoreError
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6Error

_PERMANENT = {
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENAMETOOLONG)
}


@contextmanager
def store_errors(path: str, what: str, permanent: type[Np6Error] = Np6DestinationError) -> Iterator[None]:
    """Raise a store's own error as one of ours, without its text: that may hold a signed URL.

    :param path: the destination's path or URI.
    :param what: what could not be done with it.
    :param permanent: the class for errors that another try cannot fix.
    """
    try:
        yield
    except Np6Error:
        raise
    except Exception as error:  # every client has a tree of errors of its own
        is_permanent, reason = _explain(error)
        raise (permanent if is_permanent else Np6DestinationError)(
            f"the destination {path} {what}: {reason}",
            hint="Check the path, its connection and the rights of the worker's user."
            if is_permanent
            else "What was stored is unchanged. Check that there is room, and that it can be reached.",
        ) from None


def _explain(error: Exception) -> tuple[bool, str]:
    """Whether another try cannot help, and why it failed."""
    if isinstance(error, StoreError):
        return error.is_permanent, str(error)
    if "NotFound" in type(error).__name__ and type(error).__module__.startswith("airflow"):
        return True, "its connection does not exist"
    if isinstance(error, OSError) and error.errno:
        place = f" ({error.filename})" if isinstance(error.filename, str) else ""
        return error.errno in _PERMANENT, f"{os.strerror(error.errno)}{place}"
    return isinstance(error, ValueError | ImportError | PermissionError), type(error).__name__
