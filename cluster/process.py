"""A program of the deployment."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


class Process:
    """One program: started, stopped, killed, and started anew.

    :param name: what it is called in messages; its log is ``NAME.log``.
    :param command: program and arguments.
    :param environment: all of its environment.
    :param logs: the folder of its log.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C in the terminal is not for it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def is_connected_to(self, port: int) -> bool:
        """Whether it, or a program that it started, has a connection to that TCP port of this machine."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                if any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp")):
                    return True
        return False

    def stop(self, patience: float = 60) -> None:
        """End it: politely, and after ``patience`` seconds at once, with all that it started."""
        if self._process is None:
            return
        family = self._family()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._kill([*family, *self._family()])

    def kill(self) -> None:
        """End it and all that it started by SIGKILL, as a machine that fails does."""
        self._kill(self._family())

    def _family(self) -> list[psutil.Process]:
        """It and all that it started, it first."""
        if self._process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        return []

    def _kill(self, family: Sequence[psutil.Process]) -> None:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family)
        if self._process is not None:
            self._process.wait()
            self._process = None
