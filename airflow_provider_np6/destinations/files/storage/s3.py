"""Files in Amazon S3, or in another store of its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from airflow_provider_np6.destinations.files.storage.base import (
    MAX_SMALL_FILE,
    ConditionRefusedError,
    Entry,
    StoredFile,
    StoreError,
)
from airflow_provider_np6.destinations.files.storage.bucket import BucketStore

PART = 8 * 1024 * 1024
"""Bytes of a part of an upload."""

_THREADS = 4
_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_TRANSIENT = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeTooSkewed"}


class S3Store(BucketStore):
    """A version is an ETag: ``IfMatch`` and ``IfNoneMatch`` of PutObject compare and swap.

    :param client: of boto3.
    :param uri: of the root, without a slash at its end, as a user writes it.
    :param bucket: the root's bucket.
    :param prefix: of the root's keys, without slashes at its ends; "" for the whole bucket.
    """

    def __init__(self, client: Any, uri: str, bucket: str, prefix: str) -> None:
        super().__init__(uri, prefix)
        self._client = client
        self._bucket = bucket

    def read(self, name: str) -> StoredFile | None:
        with self._call("GetObject", name):
            try:
                response = self._client.get_object(**self._object(name))
            except self._client.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            with response["Body"] as body:
                return StoredFile(body.read(MAX_SMALL_FILE), response["ETag"])

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._call("PutObject", name):
            try:
                response = self._client.put_object(**self._object(name), Body=data, **condition)
            except self._client.exceptions.ClientError as error:
                code = _code(error)
                if code in _REFUSED or (code in _MISSING and version is not None):
                    raise ConditionRefusedError(name) from None
                raise
        return str(response["ETag"])

    def put(self, name: str, source: Path) -> None:
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=_THREADS)
        with self._call("PutObject", name):
            self._client.upload_file(str(source), self._bucket, self._root + name, Config=config)

    def delete(self, name: str) -> None:
        with self._call("DeleteObject", name):
            self._client.delete_object(**self._object(name))

    def list_files(self, folder: str, start: str = "", end: str = "") -> Iterator[Entry]:
        prefix = self._prefix(folder)
        after = {"StartAfter": f"{self._root}{start}"[:-1]} if start > folder else {}
        with self._call("ListObjectsV2", folder):
            for page in self._pages(Prefix=prefix, **after):
                for item in page.get("Contents", []):
                    name = item["Key"][len(self._root) :]
                    if end and name >= end:
                        return
                    if name >= start and not name.endswith("/"):
                        yield Entry(name, item["Size"], item["LastModified"].timestamp(), item["ETag"])

    def list_folders(self, folder: str) -> list[str]:
        prefix = self._prefix(folder)
        with self._call("ListObjectsV2", folder):
            pages = self._pages(Prefix=prefix, Delimiter="/")
            return [
                item["Prefix"][len(prefix) : -1] for page in pages for item in page.get("CommonPrefixes", [])
            ]

    def _download(self, name: str, file: BinaryIO) -> None:
        with self._call("GetObject", name):
            try:
                self._client.download_fileobj(self._bucket, self._root + name, file)
            except self._client.exceptions.ClientError as error:
                if _code(error) in _MISSING:
                    raise FileNotFoundError(self.path(name)) from None
                raise

    def abort_uploads(self, folder: str, *, before: float) -> None:
        with suppress(Exception):  # stores may not have it, and policies refuse it
            prefix = self._prefix(folder)
            listed = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
            for upload in listed.get("Uploads", []):
                if upload["Initiated"].timestamp() <= before:
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )

    def _object(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._root + name}

    def _pages(self, **options: str) -> Iterator[dict[str, Any]]:
        yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **options)

    @contextmanager
    def _call(self, operation: str, name: str) -> Iterator[None]:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except ClientError as error:
            code = _code(error)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            is_permanent = 400 <= status < 500 and status != 429 and code not in _TRANSIENT
            raise StoreError(code, error.operation_name, self.path(name), is_permanent=is_permanent) from None
        except S3UploadFailedError as error:
            cause = error.__context__
            code = _code(cause) if isinstance(cause, ClientError) else type(cause).__name__
            raise StoreError(code, operation, self.path(name), is_permanent=code == "AccessDenied") from None
        except BotoCoreError as error:
            raise StoreError(
                type(error).__name__,
                operation,
                self.path(name),
                is_permanent=isinstance(error, NoCredentialsError),
            ) from None


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def open_s3(uri: str, conn_id: str | None, bucket: str, prefix: str) -> S3Store:
    """A store with the credentials of an Airflow connection.

    :param conn_id: None for those of the environment.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Store(S3Hook(aws_conn_id=conn_id).get_conn(), uri, bucket, prefix)
