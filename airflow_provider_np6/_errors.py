"""Errors where another try cannot help end the task without retry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_np6.np6.errors import Np6Error


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Turn errors that are not retryable into :class:`AirflowFailException`; leave the others to Airflow."""
    try:
        yield
    except Np6Error as error:
        if not error.retryable:
            raise AirflowFailException(str(error)) from None
        raise
