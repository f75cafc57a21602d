"""What loading the command line costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.core

HELP = """
import sys
from airflow_provider_np6.cli import main
main.main(["coverage", "--help"], standalone_mode=False)
heavy = {"airflow", "msgspec", "pyarrow", "requests", "rich", "sqlalchemy"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_sandbox_is_a_command_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_np6.sandbox", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("usage: python -m airflow_provider_np6.sandbox")
