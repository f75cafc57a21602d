"""Takes personal data out of many events at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.fast.batches import Batches

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verify import Item
    from airflow_provider_np6.privacy.policy import Policy


def make_redactor(policy: Policy) -> Callable[[Sequence[Item]], list[bytes]]:
    """A function that takes personal data out of the events of a batch, each on one line as it came."""
    return Batches(policy).redacted
