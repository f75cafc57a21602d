"""Processes that pull again and again, and are killed at random times.

One process imports everything, and forks those that pull, so that a kill hits a pull and not Python's start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.sandbox import Sandbox
from tests.support.run import KEY

PULLS = """
import json, os, signal, sys
from airflow.providers.common.compat.sdk import BaseHook
from airflow_provider_np6.destinations import FileDestination, SqlDestination, extract
from airflow_provider_np6.destinations.files import destination, writer
from airflow_provider_np6.destinations.sql import connection, loading, migrations, probe, spool, writer
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.errors import Np6PullAgainError
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window

url, place, start, end = sys.argv[1:]
place = json.loads(place)
if "sql" in place:
    import psycopg2
    destination = SqlDestination(place["sql"])
else:
    destination = FileDestination(place["files"], place["format"])
    if "://" in destination.path:
        from airflow_provider_np6.destinations.files.storage import s3
        s3.PART = 5 * 1024 * 1024
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for _ in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    client = Np6Client(Np6Config(base_url=url, api_key=os.environ["KEY"], account="test"))
    query = EventQuery.checked("bounces", "000PE4", Window(int(start), int(end)))
    while True:
        with destination.open(query, "test", on_shrink="replace") as writer:
            try:
                writer.publish(pull(client, query, writer), is_confirmed=True)
            except Np6PullAgainError:
                pass  # a newer pull of a part was published meanwhile
"""


class Pullers:
    """Starts pullers of one window into one destination, and kills them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @contextmanager
    def puller(self) -> Iterator[None]:
        """One that pulls until the end of the block, where it is killed."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        child = int(self._said())
        try:
            yield
        finally:
            os.kill(child, signal.SIGKILL)
            # Its parent ignores it, so it has ended when no signal reaches it.
            with suppress(ProcessLookupError):
                while True:
                    os.kill(child, 0)

    def _said(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.strip().isdigit() or line == "ready\n":
                return line
        raise AssertionError("the process that starts pullers has ended")


@contextmanager
def pullers(sandbox: Sandbox, place: dict[str, str], window: Window) -> Iterator[Pullers]:
    """:param place: ``{"sql": connection}``, or ``{"files": root, "format": …}``."""
    command = [sys.executable, "-W", "ignore", "-c", PULLS, sandbox.url, json.dumps(place)]
    with subprocess.Popen(
        [*command, str(window.start), str(window.end)],
        env={**os.environ, "KEY": KEY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        started = Pullers(process)
        assert started._said() == "ready\n"
        yield started
        process.kill()
