"""Files in Google Cloud Storage."""

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

_TRIES = 5
_REFUSED = {409, 412, 429}  # 429: the store takes one write per second and object
_PERMANENT = {400, 401, 403, 404, 405}


class GcsStore(BucketStore):
    """A version is an object's generation: ``ifGenerationMatch`` compares and swaps.

    :param client: of google-cloud-storage.
    :param uri: of the root, without a slash at its end, as a user writes it.
    :param bucket: the root's bucket.
    :param prefix: of the root's names, without slashes at its ends; "" for the whole bucket.
    """

    def __init__(self, client: Any, uri: str, bucket: str, prefix: str) -> None:
        super().__init__(uri, prefix)
        self._client = client
        self._bucket = client.bucket(bucket)

    def read(self, name: str) -> StoredFile | None:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with self._call("objects.get", name):
            for _ in range(_TRIES):
                blob = self._blob(name)
                try:
                    data = blob.download_as_bytes(end=MAX_SMALL_FILE - 1)
                    version = blob.generation
                    if version is None:  # older clients do not take it from the response
                        blob.reload()
                        version = blob.generation
                        data = blob.download_as_bytes(if_generation_match=version, end=MAX_SMALL_FILE - 1)
                    return StoredFile(data, str(version))
                except PreconditionFailed:
                    continue
                except NotFound as error:
                    if "bucket" in str(error.message).lower():
                        raise
                    return None
        raise StoreError("PreconditionFailed", "objects.get", self.path(name), is_permanent=False)

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        from google.api_core.exceptions import GoogleAPICallError

        blob = self._blob(name)
        with self._call("objects.insert", name):
            try:
                blob.upload_from_string(data, "application/json", if_generation_match=int(version or 0))
            except GoogleAPICallError as error:
                if error.code in _REFUSED:
                    raise ConditionRefusedError(name) from None
                raise
        return str(blob.generation)

    def put(self, name: str, source: Path) -> None:
        with self._call("objects.insert", name):
            self._blob(name).upload_from_filename(str(source), "application/octet-stream")

    def delete(self, name: str) -> None:
        from google.api_core.exceptions import NotFound

        with self._call("objects.delete", name):
            try:
                self._blob(name).delete()
            except NotFound:
                return

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        prefix = self._prefix(folder)
        limits = {
            **({"start_offset": self._root + start} if start else {}),
            **({"end_offset": self._root + end} if end else {}),
        }
        with self._call("objects.list", folder):
            for blob in self._client.list_blobs(self._bucket, prefix=prefix, **limits):
                name = blob.name[len(self._root) :]
                if is_between(name, start, end) and not name.endswith("/"):
                    yield Entry(name, blob.size, blob.updated.timestamp(), str(blob.generation))

    def list_folders(self, folder: str) -> list[str]:
        prefix = self._prefix(folder)
        with self._call("objects.list", folder):
            listed = self._client.list_blobs(self._bucket, prefix=prefix, delimiter="/")
            names = [name for page in listed.pages for name in page.prefixes]
        return sorted(name[len(prefix) : -1] for name in names)

    def _download(self, name: str, file: BinaryIO) -> None:
        from google.api_core.exceptions import NotFound

        with self._call("objects.get", name):
            try:
                self._blob(name).download_to_file(file)
            except NotFound:
                raise FileNotFoundError(self.path(name)) from None

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._root + name)

    @contextmanager
    def _call(self, operation: str, name: str) -> Iterator[None]:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except GoogleAPICallError as error:
            raise StoreError(
                f"{error.code} {type(error).__name__}",
                operation,
                self.path(name),
                is_permanent=error.code in _PERMANENT,
            ) from None
        except (RetryError, GoogleAuthError) as error:
            raise StoreError(
                type(error).__name__,
                operation,
                self.path(name),
                is_permanent=isinstance(error, GoogleAuthError),
            ) from None


def open_gcs(uri: str, conn_id: str | None, bucket: str, prefix: str) -> GcsStore:
    """A store with the credentials of an Airflow connection.

    :param conn_id: None for those of the environment.
    """
    if conn_id is None:
        from google.cloud.storage import Client

        return GcsStore(Client(), uri, bucket, prefix)
    from airflow.providers.google.cloud.hooks.gcs import GCSHook

    return GcsStore(GCSHook(gcp_conn_id=conn_id).get_conn(), uri, bucket, prefix)
