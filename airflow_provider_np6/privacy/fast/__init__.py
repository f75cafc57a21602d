"""Redacts events in batches: the fast path, with the same result as the plain walk of :mod:`.redaction`.

Most events of a pull have the same layout. A layout is the pattern of one event, and a cut is a pattern that
splits a whole batch into columns. The columns are redacted one by one and joined again. Events that do not
fit, and events that a quick look cannot clear, go through the plain walk. A property test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.fast.batches import BatchRedactor

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Item
    from airflow_provider_np6.privacy.policy import Policy


def make_redactor(policy: Policy) -> Callable[[Sequence[Item]], list[bytes]]:
    """Make a function that redacts the events of a batch, and learns the layout of events from each batch.

    :param policy: how personal data is replaced.
    """
    return BatchRedactor(policy).redact
