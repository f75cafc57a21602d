"""Requests to an object store follow the window, and not what is stored beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files.storage.s3 import S3Store
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import Sandbox
from tests.support.pulls import MIDNIGHT, TODAY, land, query_of
from tests.support.stores import s3_client

ACTIONS = 300
DAYS = 365 if os.environ.get("NP6_SCALE") else 30


@pytest.fixture
def counted(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[S3Store, list[str]]]:
    """The store of any destination, and what it is asked, by operation."""
    client = s3_client(s3_server)
    client.create_bucket(Bucket="large")
    sent: list[str] = []
    client.meta.events.register("before-send.s3.*", lambda event_name, **_: sent.append(event_name))
    store = S3Store(client, "s3://large/np6", "large", "np6")
    monkeypatch.setattr("airflow_provider_np6.destinations.files.destination.open_store", lambda *_: store)
    yield store, sent
    del backend().buckets["large"]  # all that it holds slows the server down


def backend() -> Any:
    """What the server keeps; it runs in this process."""
    from moto.backends import get_backend

    return get_backend("s3")["123456789012"]["aws"]


def fill(manifest: bytes, data: bytes) -> None:
    """Put manifests and data files of other actions and days into the server's memory, without requests."""
    from moto.s3.models import FakeKey

    bucket = backend().buckets["large"]
    prefix = "np6"
    manifest_key, data_key = (
        FakeKey(name, content, "123456789012", "us-east-1")
        for name, content in (("m", manifest), ("d", data))
    )
    for action in range(ACTIONS):
        for day in range(DAYS):
            date = Window(MIDNIGHT - day * DAY, MIDNIGHT + DAY).date
            stem = f"type=bounces/action=X{action:03}"
            for name, key in (
                (f"{prefix}/_manifests/{stem}/{date}.json", manifest_key),
                (f"{prefix}/{stem}/date={date}/20241004T000000Z_20241005T000000Z-e0-ab.jsonl.gz", data_key),
            ):
                bucket.keys[name] = _named(key, name)


def _named(key: Any, name: str) -> Any:
    copy = object.__new__(type(key))
    copy.__dict__.update(key.__dict__)
    copy.name = name
    return copy


@pytest.mark.timeout(900)
def test_a_pull_and_coverage_of_a_large_destination(
    client: Np6Client, sandbox: Sandbox, counted: tuple[S3Store, list[str]]
) -> None:
    store, requests = counted
    destination = FileDestination("s3://large/np6")
    land(client, destination, query_of(sandbox))
    (manifest,) = store.list_files("_manifests")
    stored = store.read(manifest.name)
    assert stored is not None
    fill(stored.data, b"x")

    def count(work: Any) -> int:
        requests.clear()
        work()
        return len(requests)

    tomorrow = Window(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
    first = count(lambda: land(client, destination, query_of(sandbox, tomorrow)))
    again = count(lambda: land(client, destination, query_of(sandbox, tomorrow)))
    of_all = [query_of(sandbox, window, "cancellations", "*") for window in (TODAY, tomorrow)]
    new, every = [count(lambda query=query: land(client, destination, query)) for query in of_all]
    print(f"a day {first}, again {again}, all actions {every}, the first day of a series {new}")
    # With what comes when a larger response was verified than ever before: two for the header.
    assert max(first, again, every) <= 12
    assert new <= 12 + 1
    days = [Window(MIDNIGHT + day * DAY, MIDNIGHT + (day + 1) * DAY) for day in range(2, 42)]
    for day in days:
        land(client, destination, query_of(sandbox, day))

    def coverage() -> None:
        found = destination.coverage("bounces", "000PE4", "2024-01-01", "2025-01-01")
        assert found.events == 42 * 96

    cold, warm = count(coverage), count(coverage)
    print(f"coverage of a year with 42 days {cold}, again {warm}")
    assert cold <= 5 + 42
    assert warm <= 5
    land(client, destination, query_of(sandbox, days[0]))
    assert count(coverage) <= 5 + 1
