"""A store's own errors as errors of this provider."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

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
    except Exception as error:  # every fsspec package has a tree of errors of its own
        number = error.errno if isinstance(error, OSError) else None
        is_permanent = number in _PERMANENT or isinstance(error, ValueError | ImportError | PermissionError)
        reason = os.strerror(number) if number else type(error).__name__
        raise (permanent if is_permanent else Np6DestinationError)(
            f"the destination {path} {what}: {reason}",
            hint="Check the path, its connection and the rights of the worker's user."
            if is_permanent
            else "What was stored is unchanged. Check that there is room, and that it can be reached.",
        ) from None
