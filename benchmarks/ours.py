"""Whole pulls by this provider."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from benchmarks.measuring import Contender, Place, peak_megabytes
from benchmarks.source import DAY, START

PREPARED = "prepared"
"""The rows that the pull into PostgreSQL loaded, kept for the floor."""


def query() -> Any:
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.window import Window

    return EventQuery.checked("bounces", "000PE4", Window(START, START + DAY))


def client_of(place: Place) -> Any:
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.config import Np6Config

    return Np6Client(Np6Config(base_url=place.url, api_key="key", account="bench", pseudonym_key="bench" * 8))


def files(format_: str, place: Place, *, mode: str = "keep", root: str = "") -> Iterator[Any]:
    """Data file and manifest, as a task would write them.

    :param root: of the tree; "" for one in the contender's folder.
    """
    from airflow_provider_np6.destinations import FileDestination
    from airflow_provider_np6.np6.pull import pull
    from airflow_provider_np6.privacy.policy import resolve_policy
    from airflow_provider_np6.privacy.redacting_spool import RedactingSpool

    if format_ in ("parquet", "jsonl.zst"):
        import airflow_provider_np6.destinations.files.formats.parquet  # noqa: F401 - loaded with the worker
    if root:
        import airflow.providers.amazon.aws.fs.s3  # noqa: F401 - likewise
        import s3fs  # noqa: F401
    destination = FileDestination(root or str(place.folder / "ours"), format_)
    client, asked = client_of(place), query()
    policy = resolve_policy(mode, client.config, "bench")
    yield
    with destination.open(asked, "bench", "keep" if policy is None else policy.recorded) as landing:
        proof = pull(client, asked, RedactingSpool(landing.spool, policy) if policy else landing.spool)
        landing.publish(proof)
    yield {"events": proof.events}


def postgres(place: Place) -> Iterator[Any]:
    """The table's rows; ``load`` is the transaction alone."""
    from airflow_provider_np6.destinations import SqlDestination
    from airflow_provider_np6.destinations.sql.database import get_sql_hook
    from airflow_provider_np6.np6.pull import pull

    destination, client, asked = SqlDestination("bench"), client_of(place), query()
    get_sql_hook("bench")  # a worker has Airflow and its provider loaded
    yield
    begun = time.perf_counter()
    with destination.open(asked, "bench") as landing:
        proof = pull(client, asked, landing.spool)
        pulled = time.perf_counter()
        landing.publish(proof)
        ended = time.perf_counter()
        peak = peak_megabytes()
        spool: Any = landing.spool
        spool.file.seek(0)
        with (place.folder / PREPARED).open("wb") as kept:
            while block := spool.file.read(1 << 20):
                kept.write(block)
    yield {"events": proof.events, "seconds": ended - begun, "load": ended - pulled, "peak": peak}


CONTENDERS: Mapping[str, Contender] = {
    **{name: partial(files, name) for name in ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")},
    **{
        f"{name}, {mode}": partial(files, name, mode=mode)
        for name in ("jsonl", "jsonl.gz")
        for mode in ("pseudonymize", "drop")
    },
    "s3": partial(files, "jsonl", root="s3://bench_s3@lake/ours"),
    "postgres": postgres,
}
