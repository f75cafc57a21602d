"""The command line; it needs no running Airflow, only its connections."""

from __future__ import annotations

import click

from airflow_provider_np6 import __version__
from airflow_provider_np6.cli.check import check
from airflow_provider_np6.cli.coverage import coverage
from airflow_provider_np6.cli.verify import verify

__all__ = ["main"]


@click.group()
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Check NP6 connections, and what was pulled. Only verify --remove-orphans changes anything."""


for _command in (check, coverage, verify):
    main.add_command(_command)
