"""Pulls by the operator, with personal data replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow import __version__ as version

from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.sandbox import Sandbox
from tests.support.people import KEY as PSEUDONYM_KEY
from tests.support.run import KEY

if TYPE_CHECKING:
    import pytest

BOUNDS = {"window_start": "2024-10-04", "window_end": "2024-10-05"}


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, key: str | None = PSEUDONYM_KEY) -> None:
    """Set the connection ``np6_default``, to the sandbox.

    :param key: its ``pseudonym_key``.
    """
    connection = {
        "conn_type": "np6",
        "host": sandbox.url,
        "password": KEY,
        "extra": {"max_attempts": 2, "pseudonym_key": key},
    }
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(connection))


def pull(destination: object, mode: str, **arguments: Any) -> dict[str, Any]:
    """One pull of a day, unless ``arguments`` say otherwise; its report."""
    given = {
        "event_type": "bounces",
        "action_id": "000PE4",
        "on_invalid": "quarantine",
        **BOUNDS,
        **arguments,
    }
    task = Np6EventsOperator(
        task_id="pull",
        destination=destination,  # type: ignore[arg-type]
        personal_data=mode,
        **given,
    )
    _allow_in_this_thread()
    return task.execute({})


def _allow_in_this_thread() -> None:
    """Airflow 2 remembers by thread who calls ``execute``, and is prepared for the main one alone."""
    if version.startswith("2."):
        from airflow.models import baseoperator

        sentinel: Any = baseoperator.ExecutorSafeguard._sentinel
        if not hasattr(sentinel, "callers"):
            sentinel.callers = {}
