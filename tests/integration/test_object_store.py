"""A store of the S3 protocol that fails at any step: old content or new, and the next pull mends the rest."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.storage import objects as object_store
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.faulty_proxy import FaultyProxy
from tests.support.files import manifests, verify
from tests.support.killing import pullers
from tests.support.pulls import HOUR, MIDNIGHT, held, land, query_of

KILLS = int(os.environ.get("NP6_KILLS", "20"))
SPAN = ("bounces", "000PE4", "2024-10-04", "2024-10-05")
MORNING = Window(MIDNIGHT, MIDNIGHT + 12 * HOUR)
PARTS = [Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in (3, 5)]


@pytest.fixture(scope="module")
def storms(s3_server: str) -> Iterator[FaultyProxy]:
    """One for all tests: Airflow keeps a connection's file system."""
    with FaultyProxy(s3_server) as running:
        yield running


@pytest.fixture
def storm(storms: FaultyProxy) -> FaultyProxy:
    storms.clear()
    return storms


@pytest.fixture
def bucket(s3: str, s3_server: str, storm: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket behind the storm, seen without it; pulls go through the connection ``aws_storm``."""
    options = {"endpoint_url": storm.url, "region_name": "us-east-1"}
    extra = {**options, "config_kwargs": {"retries": {"max_attempts": 0}}}
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_STORM", json.dumps(connection))
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    monkeypatch.setattr(object_store, "_PART", 5 * 1024 * 1024)  # the least that S3 takes
    found = boto3.resource(
        "s3",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    ).Bucket("lake")
    for upload in found.multipart_uploads.all():
        upload.abort()
    return found


def keys(bucket: Any, root: str) -> set[str]:
    """What stands below a root, without the account."""
    found = {item.key.removeprefix(f"{root}/") for item in bucket.objects.filter(Prefix=f"{root}/")}
    return found - {"_account.json"}


def uploads(bucket: Any, root: str) -> list[str]:
    return [item.object_key for item in bucket.multipart_uploads.all() if item.object_key.startswith(root)]


def slices(root: str, s3: str) -> dict[Window, int]:
    """What a reader of manifests finds, each compared with its file."""
    found = manifests(f"{s3}/{root}", *SPAN)
    for manifest in found:
        verify(f"{s3}/{root}", manifest)
    return {manifest.window: manifest.events for manifest in found}


@pytest.mark.parametrize("fault", ["500", "cut", "lost"])
def test_a_store_that_fails_at_any_write_leaves_the_old_slices_or_the_new(
    client: Np6Client, sandbox: Sandbox, bucket: Any, storm: FaultyProxy, fault: str
) -> None:
    s3, query = "s3://aws_test@lake", query_of(sandbox, MORNING)
    whole = len(held(sandbox, query))
    outcomes = set()
    for number in range(20):
        root = f"{fault}-{number}"
        for part in PARTS:
            sandbox.plan.add(Fault(change=faults.capped(2)))
            land(client, FileDestination(f"{s3}/{root}", "jsonl"), query_of(sandbox, part))
        old = slices(root, s3)
        assert old == dict.fromkeys(PARTS, 2)
        storm.clear()
        storm.plan = lambda n, first=number: fault if n >= first else None  # type: ignore[misc]
        failed = False
        try:
            land(client, FileDestination(f"s3://aws_storm@lake/{root}", "jsonl.zst"), query)
        except Np6DestinationError as error:
            failed = error.retryable
        storm.clear()
        found = slices(root, s3)
        assert found in (old, {MORNING: whole})
        outcomes.add((failed, found == old))
        land(client, FileDestination(f"{s3}/{root}", "jsonl.zst"), query)
        assert slices(root, s3) == {MORNING: whole}
        assert len(keys(bucket, root)) == 2
        if not failed:
            break
    assert outcomes == {(True, True), (True, False), (False, False)}


def large_body(megabytes: int) -> bytes:
    """A window's answer of such a size, as few and large events."""
    pad = "x" * 500_000
    events = [
        json.dumps({"id": f"{n}", "timestamp": MIDNIGHT + n, "pad": pad}).encode()
        for n in range(2 * megabytes)
    ]
    return b"[" + b",".join(events) + b"]"


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_a_large_upload_that_fails_is_given_up(
    client: Np6Client, sandbox: Sandbox, bucket: Any, storm: FaultyProxy, fault: str
) -> None:
    sandbox.plan.add(Fault(body=large_body(12)), times=99)
    query = query_of(sandbox, MORNING)
    destination = FileDestination(f"s3://aws_storm@lake/large-{fault}", "jsonl")
    # Begun, one part, then no part more; what gives the upload up goes through.
    storm.plan = lambda n: fault if "partNumber" in storm.writes[n] else None
    with pytest.raises(Np6DestinationError):
        land(client, destination, query)
    assert any("uploads" in write for write in storm.writes)
    assert uploads(bucket, f"large-{fault}") == []
    assert keys(bucket, f"large-{fault}") == set()
    # Not even that goes through: the next pull of the window does it.
    storm.clear()
    storm.plan = lambda n: fault if "uploadId" in storm.writes[n] else None
    with pytest.raises(Np6DestinationError):
        land(client, destination, query)
    assert len(uploads(bucket, f"large-{fault}")) == 1
    storm.clear()
    land(client, destination, query)
    assert uploads(bucket, f"large-{fault}") == []
    assert slices(f"large-{fault}", "s3://aws_storm@lake") == {MORNING: 24}


def test_all_uploads_that_killed_workers_began_are_given_up(
    client: Np6Client, sandbox: Sandbox, s3: str, bucket: Any
) -> None:
    destination, query = FileDestination(f"{s3}/begun", "jsonl"), query_of(sandbox)
    land(client, destination, query)
    (key,) = (key for key in keys(bucket, "begun") if key.startswith("type="))
    for _ in range(3):
        bucket.Object(f"begun/{key}").initiate_multipart_upload()
    assert len(uploads(bucket, "begun")) == 3
    land(client, destination, query)
    assert uploads(bucket, "begun") == []


@pytest.mark.timeout(1_800)
def test_killed_workers_leave_the_old_slice_or_the_new(
    client: Np6Client, sandbox: Sandbox, s3: str, bucket: Any
) -> None:
    """Each pull uploads several parts, so that kills hit uploads too."""
    sandbox.account = FakeAccount(events_per_day=36_000)
    window = Window(MIDNIGHT, MIDNIGHT + 16 * HOUR)
    query: EventQuery = query_of(sandbox, window)
    events = held(sandbox, query)
    whole = len(events)
    sandbox.plan.add(Fault(change=faults.capped(1_111)))
    land(client, FileDestination(f"{s3}/killed", "jsonl"), query)

    def stored() -> int:
        """Events in the file that the manifest names: a file of the same name is replaced at once, and its
        manifest a moment later."""
        ((data,), (key,)) = ([manifest.data for manifest in manifests(f"{s3}/killed", *SPAN)], files())
        assert key == data
        lines: bytes = bucket.Object(f"killed/{key}").get()["Body"].read()
        assert lines.splitlines() in (events[:1_111], events)
        return lines.count(b"\n")

    def files() -> list[str]:
        return [key for key in keys(bucket, "killed") if not key.startswith("_")]

    moments = random.Random(5)  # noqa: S311 - repeatable moments
    left = 0
    with pullers(sandbox, {"files": f"{s3}/killed", "format": "jsonl"}, window) as started:
        for _ in range(KILLS):
            with started.puller():
                time.sleep(moments.uniform(0, 3))
            left += len(uploads(bucket, "killed"))
            assert stored() in (1_111, whole)
    assert KILLS < 100 or left > 0
    land(client, FileDestination(f"{s3}/killed", "jsonl"), query)
    assert slices("killed", s3) == {window: whole}
    assert len(keys(bucket, "killed")) == 2
    assert uploads(bucket, "killed") == []
