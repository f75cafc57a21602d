"""Command lines: ours in this process, Airflow's in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: object
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs command lines as ``python -m airflow_provider_np6`` does."""
    from airflow_provider_np6.cli import main

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main([str(argument) for argument in arguments], prog_name="python -m airflow_provider_np6")
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def airflow(*arguments: str, **environment: str) -> str:
    """What an ``airflow`` command prints."""
    process = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return process.stdout + process.stderr
