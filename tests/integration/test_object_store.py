"""A store of the S3 protocol that fails at any step, or refuses what is not needed."""

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
from airflow_provider_np6.destinations.files import publication, writer
from airflow_provider_np6.destinations.files.storage import s3 as s3_storage
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.accounts import GivenAccount
from tests.support.faulty_proxy import FaultyProxy
from tests.support.killing import pullers
from tests.support.pulls import HOUR, MIDNIGHT, held, land, query_of, whole

KILLS = int(os.environ.get("NP6_KILLS", "20"))
SPAN = ("bounces", "000PE4", "2024-10-04", "2024-10-05")
MORNING = Window(MIDNIGHT, MIDNIGHT + 12 * HOUR)
PARTS = [Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n in (3, 5)]


@pytest.fixture
def proxy(s3_server: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3_server) as running:
        yield running


@pytest.fixture
def bucket(s3: str, s3_server: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket behind the proxy, seen without it; pulls go through the connection ``aws_proxy``."""
    options = {"endpoint_url": proxy.url, "region_name": "us-east-1"}
    extra = {**options, "config_kwargs": {"retries": {"max_attempts": 0}}}
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_PROXY", json.dumps(connection))
    monkeypatch.setattr(s3_storage, "PART", 5 * 1024 * 1024)  # the least that S3 takes
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
    """What is stored below a root, without the header."""
    found = {item.key.removeprefix(f"{root}/") for item in bucket.objects.filter(Prefix=f"{root}/")}
    return found - {"_header.json"}


def uploads(bucket: Any, root: str) -> list[str]:
    return [item.object_key for item in bucket.multipart_uploads.all() if item.object_key.startswith(root)]


def slices(uri: str) -> dict[Window, int]:
    """What a reader of manifests finds, each compared with its file."""
    destination = FileDestination(uri)
    assert destination.verify().problems == []
    return {
        slice_.window: slice_.events
        for manifest in destination.manifests(*SPAN)
        for slice_ in manifest.slices
    }


def some(number: int, window: Window) -> Fault:
    """A response with so many events of a window: those in the middle are left out, where no check looks."""

    def change(events: list[FakeEvent]) -> list[FakeEvent]:
        inside = [event for event in events if window.start <= event.timestamp < window.end]
        missing = {event.id for event in inside[number - 1 : -1]}
        return [event for event in events if event.id not in missing]

    return Fault(path=whole(window), change=change)


@pytest.mark.parametrize("fault", ["500", "cut", "lost"])
def test_a_store_that_fails_at_any_write_leaves_the_old_slices_or_the_new(
    client: Np6Client, sandbox: Sandbox, bucket: Any, proxy: FaultyProxy, fault: str
) -> None:
    s3, query = "s3://aws_test@lake", query_of(sandbox, MORNING)
    expected = len(held(sandbox, query))
    outcomes = set()
    for number in range(20):
        root = f"{fault}-{number}"
        for part in PARTS:
            sandbox.plan.add(some(2, part))
            land(client, FileDestination(f"{s3}/{root}", "jsonl"), query_of(sandbox, part))
        old = slices(f"{s3}/{root}")
        assert old == dict.fromkeys(PARTS, 2)
        proxy.clear()
        proxy.plan = lambda n, first=number: fault if n >= first else None  # type: ignore[misc]
        failed = False
        try:
            land(client, FileDestination(f"s3://aws_proxy@lake/{root}", "jsonl.zst"), query)
        except Np6DestinationError as error:
            failed = error.retryable
        writes = len(proxy.writes)
        proxy.clear()
        found = slices(f"{s3}/{root}")
        assert found in (old, {MORNING: expected})
        assert failed == (found == old)  # a lost response does not make a pull fail
        outcomes.add(failed)
        land(client, FileDestination(f"{s3}/{root}", "jsonl.zst"), query)
        assert slices(f"{s3}/{root}") == {MORNING: expected}
        FileDestination(f"{s3}/{root}").verify(remove_orphans=True)
        assert len(keys(bucket, root)) == 2
        if writes <= number:
            break
    assert outcomes == {True, False}


def large(megabytes: int) -> GivenAccount:
    """An account of such a size, with few and large events."""
    pad = "x" * 500_000
    events = [{"id": f"{n}", "timestamp": MIDNIGHT + n * 60_000, "pad": pad} for n in range(2 * megabytes)]
    return GivenAccount(json.dumps(event).encode() for event in events)


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_a_large_upload_that_fails_is_aborted(
    client: Np6Client, sandbox: Sandbox, bucket: Any, proxy: FaultyProxy, fault: str
) -> None:
    sandbox.account = large(12)
    query = query_of(sandbox, MORNING)
    destination = FileDestination(f"s3://aws_proxy@lake/large-{fault}", "jsonl")
    # Begun, one part, then no part more; what aborts the upload goes through.
    proxy.plan = lambda n: fault if "partNumber" in proxy.writes[n] else None
    with pytest.raises(Np6DestinationError):
        land(client, destination, query)
    assert any("uploads" in write for write in proxy.writes)
    assert uploads(bucket, f"large-{fault}") == []
    # Not even that goes through: a pull an hour later does it. The server says of any upload that it is old.
    proxy.clear()
    proxy.plan = lambda n: fault if "uploadId" in proxy.writes[n] else None
    with pytest.raises(Np6DestinationError):
        land(client, destination, query)
    assert len(uploads(bucket, f"large-{fault}")) == 1
    proxy.clear()
    land(client, destination, query)
    assert uploads(bucket, f"large-{fault}") == []
    assert slices(f"s3://aws_proxy@lake/large-{fault}") == {MORNING: 24}


@pytest.mark.timeout(1_800)
def test_killed_workers_leave_the_old_slice_or_the_new(
    client: Np6Client, sandbox: Sandbox, s3: str, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pull uploads several parts, so that kills hit uploads too."""
    sandbox.account = FakeAccount(events_per_day=36_000)
    window = Window(MIDNIGHT, MIDNIGHT + 16 * HOUR)
    query: EventQuery = query_of(sandbox, window)
    expected = len(held(sandbox, query))
    sandbox.plan.add(some(1_111, window))
    destination = FileDestination(f"{s3}/killed", "jsonl")
    land(client, destination, query)
    moments = random.Random(5)  # noqa: S311 - repeatable moments
    with pullers(sandbox, {"files": f"{s3}/killed", "format": "jsonl"}, window) as started:
        for _ in range(KILLS):
            with started.puller():
                time.sleep(moments.uniform(0, 3))
            assert slices(f"{s3}/killed") in ({window: 1_111}, {window: expected})
    for module in (publication, writer):
        monkeypatch.setattr(module, "SLOW_WRITER", -1)  # an hour later
    land(client, destination, query)
    assert slices(f"{s3}/killed") == {window: expected}
    assert len(keys(bucket, "killed")) == 2
    assert uploads(bucket, "killed") == []


@pytest.mark.parametrize("status", [403, 405, 501])
def test_what_is_not_needed_may_be_refused(
    client: Np6Client, sandbox: Sandbox, bucket: Any, proxy: FaultyProxy, status: int
) -> None:
    """ListMultipartUploads and HeadBucket, by a policy or because the store does not have them."""

    def refuse(method: str, path: str) -> tuple[int, str] | None:
        is_bucket = path.partition("?")[0].rstrip("/") == "/lake"
        is_unneeded = is_bucket and ("uploads" in path or method == "HEAD")
        return (status, "AccessDenied" if status == 403 else "NotImplemented") if is_unneeded else None

    proxy.refuse = refuse
    destination = FileDestination(f"s3://aws_proxy@lake/refused-{status}")
    for part in PARTS:
        land(client, destination, query_of(sandbox, part))
    assert land(client, destination, query_of(sandbox, MORNING))["outcome"] == "changed"
    assert len(keys(bucket, f"refused-{status}")) == 2
    assert land(client, destination, query_of(sandbox, MORNING))["outcome"] == "unchanged"


def test_a_refusal_to_remove_does_not_make_a_pull_fail(
    client: Np6Client, sandbox: Sandbox, bucket: Any, proxy: FaultyProxy
) -> None:
    destination = FileDestination("s3://aws_proxy@lake/kept")
    land(client, destination, query_of(sandbox, PARTS[0]))
    proxy.refuse = lambda method, _: (403, "AccessDenied") if method == "DELETE" else None
    assert land(client, destination, query_of(sandbox, MORNING))["outcome"] == "changed"
    assert len(keys(bucket, "kept")) == 3
    proxy.clear()
    land(client, destination, query_of(sandbox, MORNING))
    assert len(keys(bucket, "kept")) == 2


def test_a_refusal_names_operation_code_and_key(
    client: Np6Client, sandbox: Sandbox, bucket: Any, proxy: FaultyProxy
) -> None:
    destination = FileDestination("s3://aws_proxy@lake/denied")
    land(client, destination, query_of(sandbox, PARTS[0]))
    proxy.refuse = lambda method, _: (403, "AccessDenied") if method == "PUT" else None
    with pytest.raises(Np6DestinationError) as caught:
        land(client, destination, query_of(sandbox, PARTS[1]))
    assert "AccessDenied on PutObject s3://aws_proxy@lake/denied/" in str(caught.value)
    assert caught.value.__cause__ is None
    assert "Signature" not in str(caught.value)
    proxy.refuse = lambda *_: (403, "AccessDenied")
    with pytest.raises(Np6InputError, match="AccessDenied on GetObject s3://aws_proxy@lake/denied/"):
        land(client, destination, query_of(sandbox, PARTS[1]))


def test_a_bucket_or_connection_that_does_not_exist(client: Np6Client, sandbox: Sandbox, s3: str) -> None:
    with pytest.raises(Np6InputError, match="NoSuchBucket on GetObject s3://aws_test@nowhere/x/"):
        land(client, FileDestination("s3://aws_test@nowhere/x"), query_of(sandbox))
    with pytest.raises(Np6InputError, match="connection"):
        land(client, FileDestination("s3://missing@lake/x"), query_of(sandbox))
    assert sandbox.received == []


def test_a_root_with_characters_that_patterns_use(client: Np6Client, sandbox: Sandbox, s3: str) -> None:
    uri = f"{s3}/a[b]/c?d #e*"
    destination = FileDestination(uri)
    for window in (*PARTS, MORNING, MORNING):
        land(client, destination, query_of(sandbox, window))
    assert slices(uri) == {MORNING: len(held(sandbox, query_of(sandbox, MORNING)))}
    assert destination.coverage("bounces", "000PE4", "2024-10-04", "2024-10-05").events > 0
    assert destination.asset_uri == "s3://lake/a[b]/c?d #e*"
