"""docs/start.md, followed to the letter in a clean folder by a shell; but the package is there already."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from cluster.health import is_healthy
from tests.support.airflow_runs import AIRFLOW_3
from tests.support.files import manifests
from tests.support.pages import Page, without_tokens
from tests.support.postgres import free_port

pytestmark = [
    pytest.mark.skipif(not AIRFLOW_3, reason="the page is for the newest Airflow"),
    pytest.mark.timeout(600),  # all of Airflow starts, on whatever machine
]

PAGE = Page("docs/start.md")
(DAG_FILE,) = (block for block in PAGE.blocks if block.title)
COMMANDS = [line for block in PAGE.blocks if block.language == "bash" for line in block.lines]


def test_it_takes_less_than_ten_commands() -> None:
    """From nothing to a DAG that has run; what is on one line by && counts twice."""
    before = COMMANDS[: COMMANDS.index("find np6 -type f")]
    assert sum(line.count("&&") + 1 for line in before) < 10


class Shell:
    """A shell that knows of this machine only where its programs are; all that it started ends with it.

    :param folder: where it begins, clean; what it says goes to ``said.log`` there.
    """

    def __init__(self, folder: Path, script: str) -> None:
        self._folder = folder
        self._script = script
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self.environment = {
            "PATH": programs,
            "HOME": str(folder),
            "PYTHONWARNINGS": "ignore",
            # For a machine that runs other things beside: a free port, and few processes.
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "2",
        }

    def __enter__(self) -> Shell:
        with (self._folder / "said.log").open("w") as log:
            self._process = subprocess.Popen(
                ["/bin/bash", "-euc", self._script],
                cwd=self._folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        for signal_ in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal_)
                self._process.wait(20)

    def said(self) -> str:
        return (self._folder / "said.log").read_text()

    def wait_for(self, condition: Callable[[], object]) -> None:
        """As long as the shell lives, and the test may take."""
        while not condition():
            assert self._process.poll() is None, self.said()[-4_000:]
            time.sleep(0.5)

    def answers(self) -> bool:
        """Whether Airflow's page can be opened, and its scheduler runs."""
        return is_healthy(self._url, ("scheduler", "dag_processor"))


def test_whoever_follows_it_has_a_dag_that_runs_by_itself(tmp_path: Path) -> None:
    dag_file = tmp_path / DAG_FILE.title
    dag_file.parent.mkdir(parents=True)
    dag_file.write_text(DAG_FILE.text)
    installing = re.compile("python3 -m venv|pip install")
    followed = [line for line in COMMANDS if not installing.match(line)]
    assert len(COMMANDS) - len(followed) == 2
    port = str(free_port())
    script = (
        "\n".join(followed).replace("8086", port).replace("np6.sandbox &", f"np6.sandbox --port {port} &")
    )
    shown = without_tokens(PAGE.block("text", "np6/_header.json").split())
    with Shell(tmp_path, script) as shell:
        shell.wait_for(lambda: shown <= without_tokens(shell.said().splitlines()))
        assert {
            line for line in without_tokens(shell.said().splitlines()) if line.startswith("np6/")
        } == shown
        shell.wait_for(shell.answers)
        exports = [line for line in followed if line.startswith("export ")]
        (unpause,) = re.findall(r"`(airflow dags unpause [^`]+)`", PAGE.text)
        another = "\n".join([*exports, unpause])
        subprocess.run(["/bin/bash", "-euc", another], cwd=tmp_path, env=shell.environment, check=True)
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        root = str(tmp_path / "np6")
        for event_type in ("bounces", "cancellations"):
            pulled = partial(manifests, root, event_type, "000PE4", yesterday, yesterday + timedelta(days=1))
            shell.wait_for(pulled)
