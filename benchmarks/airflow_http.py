"""What Airflow itself brings for an HTTP API: the whole answer into an object store, or into XCom."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measuring import Contender, Place


def _http_connection(place: Place) -> None:
    os.environ["AIRFLOW_CONN_BENCH_HTTP"] = json.dumps({"conn_type": "http", "host": place.url})


def http_to_s3(place: Place) -> Iterator[Any]:
    """``HttpToS3Operator``: the answer as it is, one array."""
    _http_connection(place)
    from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator

    operator = HttpToS3Operator(
        task_id="bench",
        http_conn_id="bench_http",
        endpoint="/",
        s3_bucket="lake",
        s3_key="http_to_s3.json",
        aws_conn_id="bench_s3",
    )
    yield
    operator.execute({})
    yield {}


def http_to_xcom(place: Place) -> Iterator[Any]:
    """``HttpOperator``: the answer as text, made the JSON that XCom would store."""
    _http_connection(place)
    from airflow.providers.http.operators.http import HttpOperator

    bench = HttpOperator(task_id="bench", method="GET", http_conn_id="bench_http")
    yield
    value = json.dumps(bench.execute({}))
    with (place.folder / "xcom").open("w") as file:
        file.write(value)
    yield {}


CONTENDERS: Mapping[str, Contender] = {"s3": http_to_s3, "xcom": http_to_xcom}
