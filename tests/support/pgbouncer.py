"""PgBouncer on loopback: transactions of many clients share a few connections to a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.postgres import Postgres, free_port
from tests.support.services import require

_CONFIG = """\
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 100
query_wait_timeout = 30
"""


class Pgbouncer:
    """``with Pgbouncer(server) as pooler: pooler.database() …``

    :param server: where its connections lead.
    :param size: its connections to each database.
    """

    def __init__(self, server: Postgres, size: int = 2) -> None:
        # Debian has it where only the administrator's PATH leads.
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
        self._program = require("pgbouncer", shutil.which("pgbouncer", path=path))
        self.port = free_port()
        self._server = server
        self._size = size
        self._folder = Path(tempfile.mkdtemp(prefix="np6-pgbouncer-"))
        # It refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)

    def __enter__(self) -> Pgbouncer:
        config, users, log = (self._folder / name for name in ("pgbouncer.ini", "users", "log"))
        users.write_text('"postgres" ""\n')
        config.write_text(
            _CONFIG.format(server=self._server.port, port=self.port, users=users, size=self._size)
        )
        with log.open("wb") as file:
            # In a session of its own: a Ctrl-C in the terminal would end it before those who use it.
            self._process = subprocess.Popen(
                [self._program, "--quiet", str(config)],
                user=self._user,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # it closes all connections
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self) -> dict[str, object]:
        """A new, empty database of the server, as the fields of an Airflow connection through the pooler."""
        return {**self._server.database(), "port": self.port}

    def _is_ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
