"""Keeps personal data out of a destination."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.privacy.fast import make_redactor

if TYPE_CHECKING:
    from airflow_provider_np6.np6.pull import Spool
    from airflow_provider_np6.privacy.policy import Policy


class RedactingSpool:
    """A spool that replaces personal data.

    Of invalid events it passes on the reason, position and sha256 only.

    :param spool: receives the redacted events.
    :param policy: how personal data is replaced.
    """

    def __init__(self, spool: Spool, policy: Policy) -> None:
        self._spool = spool
        self._redact = make_redactor(policy)

    def write(self, events: Events) -> None:
        self._spool.write(Events(self._redact(events.items), events.timestamps))

    def set_aside(self, invalid: Invalid) -> None:
        self._spool.set_aside(replace(invalid, item=None))

    def restart(self, pulled_at: int) -> None:
        self._spool.restart(pulled_at)
