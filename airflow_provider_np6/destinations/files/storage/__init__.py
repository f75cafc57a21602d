"""Where the files of a destination are: a local disk, or an object store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_np6.destinations.files.storage.base import Store
from airflow_provider_np6.destinations.files.storage.errors import store_errors
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.destinations.files.storage.objects import ObjectStore
from airflow_provider_np6.np6.errors import Np6InputError

__all__ = ["Store", "open_store", "store_errors", "to_asset_uri"]


def open_store(path: str, conn_id: str | None) -> Store:
    """The store that a path or URI names.

    :raises Np6InputError: if it is relative or holds a password.
    """
    url = urlsplit(path)
    if url.password:
        raise Np6InputError(
            "the destination's URI holds a password",
            hint="Put it into an Airflow connection and name that one: s3://conn_id@bucket/key.",
        )
    if url.scheme in ("", "file", "local"):
        local = path.split("://", 1)[-1]
        if not local.startswith("/"):
            raise Np6InputError(
                f"the destination's path {path!r} is not absolute",
                hint="Workers have no working folder to rely on: write /data/np6 or file:///data/np6.",
            )
        return LocalStore(Path(local))
    return ObjectStore(path, conn_id)


def to_asset_uri(path: str) -> str:
    """A path or URI without a connection's id, with a scheme, and without a slash at its end."""
    url = urlsplit(path)
    if url.scheme in ("", "file", "local"):
        return f"file://{path.split('://', 1)[-1].rstrip('/')}"
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path.rstrip('/')}"
