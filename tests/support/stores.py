"""Servers of the object stores that the provider writes to, each with a bucket of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations.files.storage.azure import AzureStore
from airflow_provider_np6.destinations.files.storage.gcs import GcsStore
from airflow_provider_np6.destinations.files.storage.s3 import S3Store
from tests.support.postgres import free_port

AZURITE = Path(__file__).parents[2] / ".venv-azurite" / "node_modules" / ".bin" / "azurite-blob"
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def s3_client(url: str) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )


def s3_store(url: str, prefix: str) -> S3Store:
    client = s3_client(url)
    client.create_bucket(Bucket="lake")
    return S3Store(client, f"s3://lake/{prefix}", "lake", prefix)


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Azurite; its connection string."""
    if not (AZURITE.exists() and shutil.which("node")):  # npm may have no way to its registry
        pytest.skip("Azurite is not installed: run `make services`")
    port = free_port()
    command = [
        str(AZURITE),
        "--blobPort",
        str(port),
        "--location",
        str(folder),
        "--silent",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(port)
            yield (
                f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_AZURITE_KEY};"
                f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
            )
        finally:
            process.terminate()


def azure_store(connection: str, prefix: str) -> AzureStore:
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import BlobServiceClient

    service = BlobServiceClient.from_connection_string(connection)
    with suppress(ResourceExistsError):
        service.create_container("lake")
    return AzureStore(service, f"abfs://lake/{prefix}", "lake", prefix)


def _keep_generations() -> None:
    """Give the emulator what it lacks: by the documented rule, ``ifGenerationMatch`` names the generation
    that is stored, or 0 for none, and any other put is refused with 412. So a model is tested, not GCS."""
    from gcp_storage_emulator.exceptions import NotFound
    from gcp_storage_emulator.handlers import objects

    upload = objects._multipart_upload
    if upload.__name__ == "compared":
        return

    def compared(request: Any, response: Any, storage: Any) -> None:
        wanted = request.query.get("ifGenerationMatch")
        if wanted:
            name = request.query.get("name", [request.data["meta"].get("name")])[0]
            try:
                stored = storage.get_file_obj(request.params["bucket_name"], name)["generation"]
            except NotFound:
                stored = "0"
            if stored != wanted[0]:
                response.status = HTTPStatus.PRECONDITION_FAILED
                response.json({"error": {"code": 412, "message": "a precondition does not hold"}})
                return
        upload(request, response, storage)

    objects._multipart_upload = compared


@contextmanager
def gcs_server() -> Iterator[str]:
    """An emulator of Google Cloud Storage; its URL."""
    from gcp_storage_emulator.server import create_server

    _keep_generations()
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def gcs_store(url: str, prefix: str) -> GcsStore:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    os.environ["STORAGE_EMULATOR_HOST"] = url
    try:
        client = Client("project", AnonymousCredentials())  # type: ignore[no-untyped-call]
    finally:
        del os.environ["STORAGE_EMULATOR_HOST"]
    if not client.bucket("lake").exists():
        client.create_bucket("lake")
    return GcsStore(client, f"gs://lake/{prefix}", "lake", prefix)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")
