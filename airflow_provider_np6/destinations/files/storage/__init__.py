"""Where the files of a destination are: a local disk, or an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_np6.destinations.files.storage.base import (
    ConditionRefusedError,
    Entry,
    Store,
    StoredFile,
    StoreError,
    find_file,
)
from airflow_provider_np6.destinations.files.storage.errors import store_errors
from airflow_provider_np6.np6.errors import Np6InputError

__all__ = [
    "ConditionRefusedError",
    "Entry",
    "Store",
    "StoreError",
    "StoredFile",
    "find_file",
    "open_store",
    "store_errors",
    "to_asset_uri",
]

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure"}
_UNKNOWN = ("No filesystem registered", "Unsupported filesystem")  # of Airflow, whose errors have one class


def open_store(path: str, conn_id: str | None) -> Store:
    """The store that a path or URI names.

    :param conn_id: the connection with its credentials, unless the URI names it; None for neither.
    :raises Np6InputError: if it is relative, holds a password, or no installed package opens it.
    """
    scheme, separator, rest = path.partition("://")
    if not separator:
        scheme, rest = "", path
    if scheme in ("", "file", "local"):
        if urlsplit(path).scheme not in ("", "file", "local"):
            raise Np6InputError(
                f"the destination {path!r} is not a URI", hint=f"Write {urlsplit(path).scheme}://bucket/key."
            )
        if not rest.startswith("/"):
            raise Np6InputError(
                f"the destination's path {path!r} is not absolute",
                hint="Workers have no working folder to rely on: write /data/np6 or file:///data/np6.",
            )
        from airflow_provider_np6.destinations.files.storage.local import LocalStore

        return LocalStore(Path(rest))
    # Not urlsplit: a key may have "?" and "#", and "[" is an error there.
    authority, _, key = rest.partition("/")
    user, _, bucket = authority.rpartition("@")
    if ":" in user:
        raise Np6InputError(
            "the destination's URI holds a password",
            hint="Put it into an Airflow connection and name that one: s3://conn_id@bucket/key.",
        )
    try:
        return _open_remote(scheme, path.rstrip("/"), (user or conn_id, bucket, key.strip("/")))
    except ImportError:
        raise _not_installed(scheme) from None


def _open_remote(scheme: str, uri: str, place: tuple[str | None, str, str]) -> Store:
    """:param place: connection, bucket or container, and prefix of the keys."""
    conn_id, bucket, prefix = place
    match _EXTRAS.get(scheme):
        case "s3":
            from airflow_provider_np6.destinations.files.storage.s3 import open_s3

            return open_s3(uri, conn_id, bucket, prefix)
        case "gcs":
            from airflow_provider_np6.destinations.files.storage.gcs import open_gcs

            return open_gcs(uri, conn_id, bucket, prefix)
        case "azure":
            from airflow_provider_np6.destinations.files.storage.azure import open_azure

            return open_azure(uri, conn_id, bucket.partition(".")[0], prefix)
    from airflow_provider_np6.destinations.files.storage.fsspec import FsspecStore

    return FsspecStore(_object_path(scheme, uri, conn_id))


def _object_path(scheme: str, uri: str, conn_id: str | None) -> Any:
    """An ``ObjectStoragePath`` whose store can be opened.

    :raises Np6InputError: if no package that is installed opens it.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(uri, **({"conn_id": conn_id} if conn_id else {}))
        path.fs  # noqa: B018 - made when first used
    except ValueError as error:
        if not str(error).startswith(_UNKNOWN):
            raise
        raise _not_installed(scheme) from None
    return path


def _not_installed(scheme: str) -> Np6InputError:
    extra = _EXTRAS.get(scheme)
    return Np6InputError(
        f"no installed package supports {scheme}:// URIs",
        hint=f"On all workers: pip install 'airflow-provider-np6[{extra}]'."
        if extra
        else "Check the URI, or install the Airflow provider of that store on all workers.",
    )


def to_asset_uri(path: str) -> str:
    """A path or URI without a connection's id, with a scheme, and without a slash at its end."""
    scheme, separator, rest = path.partition("://")
    if not separator or scheme in ("file", "local"):
        return f"file://{(rest or path).rstrip('/')}"
    authority, slash, key = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{key}".rstrip("/")
