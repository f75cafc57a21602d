"""Files in Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_np6.destinations.files.storage.base import (
    MAX_SMALL_FILE,
    ConditionRefusedError,
    Entry,
    StoredFile,
    StoreError,
    is_between,
)
from airflow_provider_np6.destinations.files.storage.bucket import BucketStore

_THREADS = 4
_REFUSED = {409, 412}


class AzureStore(BucketStore):
    """A version is an ETag: ``If-Match`` and ``If-None-Match`` compare and swap.

    :param service: a ``BlobServiceClient``.
    :param uri: of the root, without a slash at its end, as a user writes it.
    :param container: the root's container.
    :param prefix: of the root's names, without slashes at its ends; "" for the whole container.
    """

    def __init__(self, service: Any, uri: str, container: str, prefix: str) -> None:
        super().__init__(uri, prefix)
        self._container = service.get_container_client(container)

    def read(self, name: str) -> StoredFile | None:
        from azure.core.exceptions import ResourceNotFoundError

        with self._call("Get Blob", name):
            try:
                stream = self._container.download_blob(self._root + name, offset=0, length=MAX_SMALL_FILE)
                return StoredFile(stream.readall(), stream.properties.etag)
            except ResourceNotFoundError as error:
                if getattr(error, "error_code", None) == "ContainerNotFound":
                    raise
                return None

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        condition: dict[str, Any] = (
            {"match_condition": MatchConditions.IfMissing}
            if version is None
            else {"match_condition": MatchConditions.IfNotModified, "etag": version}
        )
        with self._call("Put Blob", name):
            blob = self._container.get_blob_client(self._root + name)
            try:
                return str(blob.upload_blob(data, overwrite=True, **condition)["etag"])
            except HttpResponseError as error:
                is_gone = error.status_code == 404 and getattr(error, "error_code", None) == "BlobNotFound"
                if error.status_code in _REFUSED or (is_gone and version is not None):
                    raise ConditionRefusedError(name) from None
                raise

    def put(self, name: str, source: Path) -> None:
        with self._call("Put Blob", name), source.open("rb") as file:
            blob = self._container.get_blob_client(self._root + name)
            blob.upload_blob(file, overwrite=True, max_concurrency=_THREADS)

    def delete(self, name: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        with self._call("Delete Blob", name):
            try:
                self._container.delete_blob(self._root + name)
            except ResourceNotFoundError:
                return

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        prefix = self._prefix(folder)
        with self._call("List Blobs", folder):
            for blob in self._container.list_blobs(name_starts_with=prefix):
                name = blob.name[len(self._root) :]
                if end and name >= end:
                    return
                if is_between(name, start, end):
                    yield Entry(name, blob.size, blob.last_modified.timestamp(), blob.etag)

    def list_folders(self, folder: str) -> list[str]:
        prefix = self._prefix(folder)
        with self._call("List Blobs", folder):
            names = [blob.name for blob in self._container.walk_blobs(prefix, delimiter="/")]
        return sorted(name[len(prefix) : -1] for name in names if name.endswith("/"))

    def _download(self, name: str, file: BinaryIO) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        with self._call("Get Blob", name):
            try:
                self._container.download_blob(self._root + name).readinto(file)
            except ResourceNotFoundError:
                raise FileNotFoundError(self.path(name)) from None

    @contextmanager
    def _call(self, operation: str, name: str) -> Iterator[None]:
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        try:
            yield
        except HttpResponseError as error:
            status = error.status_code or 0
            code = str(getattr(error, "error_code", None) or status or type(error).__name__)
            is_permanent = 400 <= status < 500 and status not in (408, 429)
            raise StoreError(code, operation, self.path(name), is_permanent=is_permanent) from None
        except AzureError as error:
            raise StoreError(
                type(error).__name__,
                operation,
                self.path(name),
                is_permanent=isinstance(error, ClientAuthenticationError),
            ) from None


def open_azure(uri: str, conn_id: str | None, container: str, prefix: str) -> AzureStore:
    """A store with the credentials of an Airflow connection.

    :param conn_id: None means ``wasb_default``.
    """
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    return AzureStore(WasbHook(conn_id or "wasb_default").blob_service_client, uri, container, prefix)
