"""The servers that contenders write to, emptied before each run; and what an output holds."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def start_servers(outputs: Collection[str], folder: Path) -> Iterator[None]:
    """Those that ``outputs`` need; contenders find them as Airflow's connections ``bench`` and ``bench_s3``,
    and as ``NP6_BENCH_POSTGRES``.

    :param outputs: of the contenders.
    :param folder: for a quiet Airflow of its own.
    """
    from tests.support.postgres import Postgres

    os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
    with ExitStack() as stack:
        if "postgres" in outputs:
            connection = stack.enter_context(Postgres()).database()
            os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(connection)
            # The server takes any password, and dlt wants one.
            address = "postgresql://{login}:any@{host}:{port}/{schema}".format(**connection)
            os.environ["NP6_BENCH_POSTGRES"] = address
        if "s3" in outputs:
            from moto.server import ThreadedMotoServer

            logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
            server = ThreadedMotoServer("127.0.0.1", port=0)
            server.start()
            stack.callback(server.stop)
            url = "http://{}:{}".format(*server.get_host_and_port())
            extra = {"endpoint_url": url, "region_name": "us-east-1"}
            connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
            os.environ["AIRFLOW_CONN_BENCH_S3"] = json.dumps(connection)
            _s3().create_bucket("lake")
        yield


def clear(output: str) -> None:
    """Remove what the last run left on a server."""
    if output == "postgres":
        # dlt makes the last two; what an earlier run left to be written costs the next one nothing.
        schemas = "DROP SCHEMA IF EXISTS public, np6, np6_staging CASCADE"
        _postgres().run([schemas, "CREATE SCHEMA public", "CHECKPOINT"], autocommit=True)
    elif output == "s3":
        _s3().delete_objects("lake", _s3().list_keys("lake"))


def find_fault(holds: str, folder: Path, expected: set[str]) -> str:
    """What is wrong with a contender's output; "" if it holds every event once.

    :param holds: the contender's.
    :param folder: the job's.
    :param expected: the ids of all events that were sent.
    """
    ids = [id_ for (id_,) in _read_ids(holds, folder)]
    if len(ids) != len(expected):
        return f"{len(ids):,} events instead of {len(expected):,}"
    return "" if set(ids) == expected else "other events than those that were sent"


def _read_ids(holds: str, folder: Path) -> list[Any]:
    """Of a table; or of Parquet, of lines, of an array, or of Airbyte's messages around events."""
    import duckdb

    kind, _, pattern = holds.rpartition(":")
    if kind == "postgres":
        return select(pattern)
    if kind == "s3":
        for key in _s3().list_keys("lake"):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            _s3().get_conn().download_file("lake", key, str(path))
    files = [str(path) for path in folder.glob(pattern)]
    if not files:
        return []
    if pattern == "xcom":  # an array in a string
        Path(files[0]).write_text(json.loads(Path(files[0]).read_text()))
    if pattern.endswith(".parquet"):
        column = "id" if pattern.startswith("dlt/") else "event_id"
        return duckdb.execute(f"SELECT {column} FROM read_parquet(?)", [files]).fetchall()
    return duckdb.execute(
        "SELECT coalesce(id, record.data.id) AS event FROM read_json(?, columns = {"
        """ id: 'VARCHAR', record: 'STRUCT("data" STRUCT(id VARCHAR))'}) WHERE event IS NOT NULL""",
        [files],
    ).fetchall()


def select(query: str) -> list[Any]:
    """Rows of the database."""
    rows: list[Any] = _postgres().get_records(query)
    return rows


def _postgres() -> Any:
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_hook("bench")


def _s3() -> Any:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook("bench_s3")
