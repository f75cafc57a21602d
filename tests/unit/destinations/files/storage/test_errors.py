"""Errors of stores as errors of this provider."""

from __future__ import annotations

import errno
import os

import pytest

from airflow_provider_np6.destinations.files.storage import StoreError, store_errors
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6Error, Np6InputError

pytestmark = pytest.mark.core

URL = "https://lake.example.com/np6?X-Amz-Signature=s3cret"


@store_errors("s3://lake/np6", "could not be written", Np6InputError)
def fail_with(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            StoreError("AccessDenied", "PutObject", "s3://lake/np6/a", is_permanent=True),
            Np6InputError,
            "AccessDenied on PutObject s3://lake/np6/a. Check the path, its connection and the rights",
        ),
        (
            StoreError("SlowDown", "PutObject", "s3://lake/np6/a", is_permanent=False),
            Np6DestinationError,
            "SlowDown on PutObject s3://lake/np6/a. What was stored is unchanged",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/lake/a"),
            Np6InputError,
            "Permission denied (/lake/a)",
        ),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Np6DestinationError, "No space left on device."),
        (ValueError(URL), Np6InputError, "ValueError."),
        (ImportError(URL), Np6InputError, "ImportError."),
        (RuntimeError(URL), Np6DestinationError, "RuntimeError."),
    ],
)
def test_an_error_says_what_could_not_be_done_and_why(
    error: Exception, kind: type[Np6Error], says: str
) -> None:
    with pytest.raises(Np6Error) as caught:
        fail_with(error)
    assert type(caught.value) is kind
    assert f"the destination s3://lake/np6 could not be written: {says}" in str(caught.value)
    assert caught.value.retryable is (kind is Np6DestinationError)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_our_own_errors_pass() -> None:
    error = Np6ConflictError("this window partly overlaps a stored one")
    with pytest.raises(Np6ConflictError) as caught:
        fail_with(error)
    assert caught.value is error


def test_a_missing_connection_is_named() -> None:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    with pytest.raises(Np6InputError, match="its connection does not exist"):
        fail_with(AirflowNotFoundException("s3cret"))
