"""The one place that knows where Airflow moved a name, or keeps it private."""

from __future__ import annotations

from importlib import import_module
from typing import Any

RetryPolicy: Any
RetryDecision: Any
try:
    from airflow.sdk import RetryDecision, RetryPolicy

    HAS_RETRY_POLICIES = True
except ImportError:  # they came with Airflow 3.3
    RetryPolicy, RetryDecision = object, None
    HAS_RETRY_POLICIES = False


def get_task_terminated() -> type[BaseException]:
    """The exception that ends a task when somebody stops it; it moved with Airflow 3.2."""
    terminated: type[BaseException]
    try:
        terminated = import_module("airflow.sdk.exceptions").AirflowTaskTerminated
    except (ImportError, AttributeError):
        terminated = import_module("airflow.exceptions").AirflowTaskTerminated
    return terminated


def mask_secret(secret: str) -> None:
    """Keep a secret out of Airflow's logs; the function for it moved with Airflow 3.

    :param secret: the string to mask.
    """
    try:
        masker = import_module("airflow.sdk.log")
    except ImportError:
        masker = import_module("airflow.utils.log.secrets_masker")
    masker.mask_secret(secret)


def get_timetable_setting(timetable: Any, name: str) -> Any:
    """A timetable's setting, such as ``expression``: public in the Task SDK, private in the core.

    :param timetable: a timetable of either.
    :param name: of the setting.
    :return: None if it has no such setting.
    """
    value = getattr(timetable, name, None)
    return getattr(timetable, f"_{name}", None) if value is None else value
