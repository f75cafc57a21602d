"""Retries that keep to what NP6 asked for, on Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.errors import Np6Error, Np6TransientError
from airflow_provider_np6.version_compat import HAS_RETRY_POLICIES, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

MARGIN = 1.0
"""Seconds added to the delay, for clocks do not tick together."""


class Np6RetryPolicy(RetryPolicy):  # type: ignore[misc]
    """Waits as long as NP6 asked for before the task's next try, without holding a slot.

    :class:`~airflow_provider_np6.operators.events.Np6EventsOperator` installs it unless it is given a
    ``retry_policy``. It cannot exceed the task's ``retries``; errors without a delay are left to the task's
    ``retry_delay``; errors that are not retryable end the task.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Airflow calls this on the worker, with the exception that ended the try."""
        if isinstance(exception, Np6TransientError) and exception.delay is not None:
            delay = timedelta(seconds=exception.delay + MARGIN)
            return RetryDecision.retry(delay=delay, reason="NP6 asked to wait that long")
        if isinstance(exception, Np6Error) and not exception.retryable:
            return RetryDecision.fail(reason="another try cannot help")
        return RetryDecision.default()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Np6RetryPolicy)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return "Np6RetryPolicy()"

    def serialize(self) -> dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Np6RetryPolicy:  # noqa: ARG003 - Airflow's signature
        """It has no settings."""
        return cls()


def default_retry_policy() -> Np6RetryPolicy | None:
    """What an operator installs where the DAG gives no ``retry_policy``; None before Airflow 3.3."""
    return Np6RetryPolicy() if HAS_RETRY_POLICIES else None
