"""Pulls by this provider: whole ones, and with fewer and fewer of their promises."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from benchmarks.source import DAY, START

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Events
    from benchmarks.process import Job


def client_and_query(job: Job, **config: Any) -> tuple[Any, Any]:
    """A client of the server, and the query for its events.

    :param job: the contender's.
    :param config: what differs from the defaults.
    """
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.window import Window

    client = Np6Client(Np6Config(base_url=job.url, api_key="key", account="bench", **config))
    return client, EventQuery.checked("bounces", "000PE4", Window(START, START + DAY))


def pull_into(job: Job, output: str, mode: str = "keep", root: str = "") -> Iterator[Any]:
    """A whole pull, as a task makes it.

    :param job: the contender's.
    :param output: a format of files, or ``postgres``.
    :param mode: what to do with personal data.
    :param root: of the files; "" for a folder of the job's.
    """
    from airflow_provider_np6.destinations import FileDestination, SqlDestination
    from airflow_provider_np6.destinations.sql.connection import get_sql_hook
    from airflow_provider_np6.np6.pull import pull
    from airflow_provider_np6.privacy.policy import resolve_policy
    from airflow_provider_np6.privacy.redacting_spool import RedactingSpool

    destination: Any = FileDestination(root or str(job.folder / "ours"), output)
    # A worker has loaded Airflow, its providers and pyarrow.
    if output == "postgres":
        destination = SqlDestination("bench")
        get_sql_hook("bench")
    elif output in ("parquet", "jsonl.zst"):
        import airflow_provider_np6.destinations.files.formats.parquet  # noqa: F401
    if root:
        import airflow.providers.amazon.aws.hooks.s3  # noqa: F401
        import boto3.s3.transfer  # noqa: F401
    client, query = client_and_query(job, pseudonym_key="bench" * 8)
    policy = resolve_policy(mode, client.config, "bench")
    yield
    with destination.open(query, "bench", policy.recorded if policy else "keep") as writer:
        verified = pull(client, query, RedactingSpool(writer, policy) if policy else writer)
        begun = time.perf_counter()
        writer.publish(verified)
        publish = time.perf_counter() - begun
    yield {"events": verified.events, "publish": publish}


def read(job: Job) -> Iterator[Any]:
    """The bytes as our client reads them, and drops."""
    from airflow_provider_np6.np6.client import chunks

    client, _ = client_and_query(job)
    yield
    with client.get_ok("/") as response:
        for _ in chunks(response):
            pass
    yield {}


def verify(job: Job, file_name: str = "") -> Iterator[Any]:
    """Every event verified, and dropped or written as a line of a file: no manifest, hash or publication."""
    from airflow_provider_np6.np6.pull import Nowhere, pull

    class Lines(Nowhere):
        def __init__(self, file: BinaryIO) -> None:
            self._file = file

        def write(self, events: Events) -> None:
            self._file.write(b"\n".join([*events.items, b""]))

    client, query = client_and_query(job)
    yield
    if file_name:
        with (job.folder / file_name).open("wb") as file:
            pull(client, query, Lines(file))
    else:
        pull(client, query, Nowhere())
    yield {}


def import_operator(_: Job) -> Iterator[Any]:
    """A DAG file with the operator, after one of the same process with ``BaseOperator`` only."""
    dag = "from airflow.providers.common.compat.sdk import DAG, BaseOperator\nwith DAG('dag', schedule=None):"
    task = "Np6EventsOperator(task_id='task', event_type='bounces', action_id='000PE4', destination='/np6')"
    exec(f"{dag} BaseOperator(task_id='task')")  # noqa: S102
    yield
    exec(f"from airflow_provider_np6.operators.events import Np6EventsOperator\n{dag} {task}")  # noqa: S102
    yield {}
