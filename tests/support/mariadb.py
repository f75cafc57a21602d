"""A MariaDB server on loopback, from installed binaries."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.postgres import free_port


class Mariadb:
    """``with Mariadb() as server: server.database() …``"""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="np6-mariadb-"))
        self._databases = 0
        # The server refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)

    def __enter__(self) -> Mariadb:
        data, log, scratch = (self._folder / name for name in ("data", "log", "scratch"))
        scratch.mkdir()  # a server that starts removes the temporary tables of others in a common folder
        if self._user:
            shutil.chown(scratch, self._user)
        subprocess.run(
            [
                shutil.which("mariadb-install-db") or "",
                "--no-defaults",
                f"--datadir={data}",
                f"--tmpdir={scratch}",
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        command = [
            shutil.which("mariadbd") or "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={scratch}",
            f"--port={self.port}",
            f"--socket={self._folder / 'socket'}",
            "--bind-address=127.0.0.1",
            "--innodb-flush-log-at-trx-commit=0",
            "--sql-mode=",  # the laxest there is: what is stored must not depend on it
            "--max-allowed-packet=64M",
        ]
        with log.open("wb") as file:
            self._server = subprocess.Popen(command, user=self._user, stdout=subprocess.DEVNULL, stderr=file)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self) -> dict[str, object]:
        """A new, empty database, as an Airflow connection's fields."""
        import MySQLdb

        self._databases += 1
        name = f"test{self._databases}"
        connection = MySQLdb.connect(host="127.0.0.1", port=self.port, user="root")
        connection.query(f"CREATE DATABASE {name}")
        connection.close()
        return {"conn_type": "mysql", "host": "127.0.0.1", "port": self.port, "login": "root", "schema": name}

    def _answers(self) -> bool:
        import MySQLdb

        try:
            MySQLdb.connect(host="127.0.0.1", port=self.port, user="root").close()
        except MySQLdb.OperationalError:
            return False
        return True
