"""What contenders write to: a PostgreSQL server and an S3 server on loopback, emptied before each run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

from tests.support.postgres import Postgres, free_port

BUCKET = "lake"


class Servers:
    """``with Servers(postgres=True, s3=True) as servers``; contenders find them by Airflow's connections
    ``bench`` and ``bench_s3``, and by ``NP6_BENCH_POSTGRES``."""

    def __init__(self, *, postgres: bool, s3: bool) -> None:
        self._wanted = (postgres, s3)
        self._stack = ExitStack()
        self._s3_port = 0

    def __enter__(self) -> Servers:
        postgres, s3 = self._wanted
        if postgres:
            connection = self._stack.enter_context(Postgres()).database()
            os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(connection)
            # Any password does, and dlt wants one.
            address = "postgresql://{login}:any@{host}:{port}/{schema}".format(**connection)
            os.environ["NP6_BENCH_POSTGRES"] = address
        if s3:
            self._start_s3()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def empty(self, output: str) -> None:
        """Forget what the last run left."""
        if output == "postgres":
            self._empty_tables()
        elif output == "s3":
            import requests

            requests.post(f"http://127.0.0.1:{self._s3_port}/moto-api/reset", timeout=60).raise_for_status()
            self._s3().create_bucket(Bucket=BUCKET)

    def connect(self) -> Any:
        """A connection to the database."""
        from airflow.providers.common.compat.sdk import BaseHook

        hook: Any = BaseHook.get_hook("bench")
        return hook.get_conn()

    def objects(self, prefix: str) -> Iterator[Any]:
        """The data in the bucket, as files open for reading."""
        import io

        listed = self._s3().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
        for key in (item["Key"] for item in listed):
            if key.rsplit("/")[-1].partition(".")[2] in ("jsonl", "json") and "/_" not in key:
                yield io.BytesIO(self._s3().get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def _empty_tables(self) -> None:
        """The tables as a first pull would make them, and nothing dead in them."""
        from airflow.providers.common.compat.sdk import BaseHook

        from airflow_provider_np6.destinations.sql.database import Database
        from airflow_provider_np6.destinations.sql.dialects import TableName

        database = Database(BaseHook.get_hook("bench"), TableName(None, "np6_events"))
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS np6 CASCADE")  # dlt's
            cursor.execute("DROP SCHEMA IF EXISTS np6_staging CASCADE")
            for table in (database.events, database.windows, database.quarantine):
                cursor.execute(f"DROP TABLE IF EXISTS {table.quoted}")
                for statement in table.creation:
                    cursor.execute(statement)
            connection.commit()
            connection.autocommit = True
            cursor.execute("CHECKPOINT")  # what an earlier run left to be written costs this one nothing

    def _start_s3(self) -> None:
        self._s3_port = free_port()
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1"]
        server = subprocess.Popen(
            [*command, "-p", str(self._s3_port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._stack.callback(server.wait)
        self._stack.callback(server.terminate)
        options = {"endpoint_url": f"http://127.0.0.1:{self._s3_port}", "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": options}
        os.environ["AIRFLOW_CONN_BENCH_S3"] = json.dumps(connection)
        self._wait_for_s3(time.monotonic() + 60)

    def _wait_for_s3(self, deadline: float) -> None:
        import botocore.exceptions

        while True:
            try:
                self._s3().list_buckets()
            except botocore.exceptions.EndpointConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _s3(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self._s3_port}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",  # noqa: S106
        )
