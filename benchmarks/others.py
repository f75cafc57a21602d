"""Other ways to bring the same events to the same place, and what the machine itself needs for it."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.ours import client_and_query
from benchmarks.source import START

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column
    from benchmarks.process import Job

# What people write: the whole response decoded with json(), and then written.

_ACTIVATION, _BOUNCE = "source.detail.activation", "source.detail.bounce"
_PATHS = {
    "event_id": "id", "payload_type": "type", "occurred_at": "timestamp", "channel": "source.type",
    "agency": "identity.agency", "customer": "identity.customer", "action_id": f"{_ACTIVATION}.id",
    "message_id": f"{_ACTIVATION}.stamp.id", "thread_id": f"{_ACTIVATION}.stamp.thread",
    "sent_at": f"{_ACTIVATION}.stamp.time", "recipient": f"{_ACTIVATION}.recipient",
    "target_id": f"{_ACTIVATION}.receiver.value", "target_unicity": f"{_ACTIVATION}.receiver.unicity",
    "target_hash": f"{_ACTIVATION}.receiver.hash", "bounce_verdict": f"{_BOUNCE}.analysis.verdict",
    "bounce_status": f"{_BOUNCE}.status.type", "bounce_code": f"{_BOUNCE}.status.code.enhanced",
    "bounce_diagnostic": f"{_BOUNCE}.status.diagnostic", "bounce_mta": f"{_BOUNCE}.status.mta",
    "bounce_subject": f"{_BOUNCE}.analysis.subject.type",
    "bounce_subject_detail": f"{_BOUNCE}.analysis.subject.detail.type",
}  # fmt: skip
_STEPS = [path.split(".") for path in _PATHS.values()]
COLUMNS = [*_PATHS, "event_type", "classification", "payload"]


def to_row(event: Any) -> list[Any]:
    """A bounce's columns; times in ms."""

    def at(steps: list[str]) -> Any:
        value = event
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return [*map(at, _STEPS), "bounces", "", json.dumps(event)]


def fetch(job: Job) -> Any:
    import requests

    return requests.get(job.url, timeout=600).json()


def lines(job: Job, format_: str) -> Iterator[Any]:
    import requests  # noqa: F401 - loaded before the clock runs

    path = job.folder / f"hand.{format_}"
    if format_ == "jsonl.zst":
        import pyarrow as pa

        packed: Any = io.BufferedWriter(pa.output_stream(str(path)), 1 << 20)
        opened: Any = io.TextIOWrapper(packed)
    else:
        opened = gzip.open(path, "wt", 6) if format_ == "jsonl.gz" else path.open("w")  # noqa: SIM115 - below
    yield
    with opened as file:
        file.writelines(json.dumps(event) + "\n" for event in fetch(job))
    yield {}


def insert_rows(job: Job) -> Iterator[Any]:
    """The hook's own ``insert_rows``."""
    import requests  # noqa: F401 - loaded before the clock runs
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations import SqlDestination

    with SqlDestination("bench").open(client_and_query(job)[1], "bench"):
        hook: Any = BaseHook.get_hook("bench")  # the table exists now
    columns = [*COLUMNS, "pulled_at"]
    times = [columns.index(name) for name in ("occurred_at", "sent_at", "pulled_at")]
    yield
    rows = []
    for event in fetch(job):
        row = [*to_row(event), START]
        for index in times:
            row[index] = datetime.fromtimestamp(row[index] / 1_000, UTC)
        rows.append(tuple(row))
    hook.insert_rows("np6_events", rows, columns)
    yield {}


# What Airflow itself has for an HTTP API.


def http_operator(job: Job, output: str) -> Iterator[Any]:
    """``HttpToS3Operator`` stores the response as it is, one array; ``HttpOperator`` returns it as a string,
    made the JSON that XCom would store."""
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({"conn_type": "http", "host": job.url})
    from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator
    from airflow.providers.http.operators.http import HttpOperator

    to_s3: dict[str, Any] = {"s3_bucket": "lake", "s3_key": "http_to_s3.json", "aws_conn_id": "bench_s3"}
    if output == "s3":
        operator: Any = HttpToS3Operator(task_id="operator", endpoint="/", **to_s3)
    else:
        operator = HttpOperator(task_id="operator", method="GET")
    yield
    returned = operator.execute({})
    if output == "xcom":
        (job.folder / "xcom").write_text(json.dumps(returned))
    yield {}


# Floors: nothing verified, recorded or ready to be repeated.


def curl(job: Job, packer: str = "") -> Iterator[Any]:
    """The response as it comes, thrown away, or packed by another process."""
    pipe = f"| zstd -1 -q -c > {job.folder}/curl.zst" if packer else "> /dev/null"
    yield
    subprocess.run(["bash", "-o", "pipefail", "-c", f"curl -sS {job.url} {pipe}"], check=True)  # noqa: S607
    yield {}


def copy(job: Job) -> Iterator[Any]:
    """A bare COPY of the rows that a pull has prepared, into an empty table with the same key and index."""
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations import SqlDestination
    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.dialects import TableName
    from airflow_provider_np6.np6.pull import pull

    hook: Any = BaseHook.get_hook("bench")
    database: Any = Database(hook, "bench", TableName(None, "np6_events"))
    client, query = client_and_query(job)
    with SqlDestination("bench").open(query, "bench") as opened, closing(hook.get_conn()) as connection:
        writer: Any = opened
        pull(client, query, writer)
        rows = writer._spool.file
        rows.seek(0)
        yield
        table = database.events
        database.dialect.bulk_load(connection.cursor(), table.quoted, table.column_list, rows)
        connection.commit()
        yield {}


def duckdb(job: Job) -> Iterator[Any]:
    """DuckDB with every core: the columns of a bounce, and its text, from the same bytes in a local file."""
    import duckdb

    from airflow_provider_np6.destinations.schema import FOUND

    def to_sql(column: Column) -> str:
        values = ", ".join(f"json->>'$.{'.'.join(path)}'" for path in column.paths)
        text = f"COALESCE({values})" if len(column.paths) > 1 else values
        return f"make_timestamp(({text})::BIGINT * 1000)" if column.kind == "timestamp" else text

    columns = ", ".join(f"{to_sql(column)} AS {column.name}" for column in FOUND)
    with duckdb.connect() as database:
        yield
        database.execute(
            f"COPY (SELECT {columns}, json::VARCHAR AS payload FROM"
            f" read_json_objects('{job.body}', format = 'array'))"
            f" TO '{job.folder / 'duck.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
        yield {}
