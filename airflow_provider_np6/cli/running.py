"""How a command runs beside Airflow, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import click

from airflow_provider_np6.np6.errors import Np6Error

EXIT_OK, EXIT_MISMATCH, EXIT_ERROR = 0, 1, 2
"""Exit codes: all is well; something is missing or wrong; the question could not be answered."""


class Command(click.Command):
    """A command that tells the provider's errors in a line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Np6Error as error:
            raise _Trouble(str(error)) from None


class _Trouble(click.ClickException):
    exit_code = EXIT_ERROR


@contextmanager
def beside_airflow() -> Iterator[None]:
    """Find connections where Airflow's own commands do, in its database too; what Airflow logs goes to
    stderr, for stdout is the command's.

    To be entered before anything of Airflow is imported.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")  # as `airflow connections` has it
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    with redirect_stdout(sys.stderr):
        yield
