"""Wait for events of an action."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_np6._errors import fail_without_retry
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.errors import Np6InputError, Np6TransientError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window, parse_time
from airflow_provider_np6.provider_info import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_UNSET = (None, "", "None")


class Np6EventsSensor(BaseSensorOperator):
    """Wait until there is an event of a type, for one action or any, since some time.

    Cheap: each poke reads the first bytes of a response and hangs up. It shows that there is an event, not
    how many, nor that they are complete: pull the window once it has ended.

    A rate limit that outlasts ``max_wait`` is not a failure: the next poke tries again.

    :param event_type: path of the event type, such as ``hits/open``. (templated)
    :param action_id: id of the action; ``"*"`` for any. (templated)
    :param since: start of the time that counts: aware datetime, string with an offset, or ``YYYY-MM-DD``
        for midnight UTC; default: the start of the run's data interval. (templated)
    :param classification: classes of robots, for hits only. (templated)
    :param np6_conn_id: connection of type ``np6``. (templated)
    :param mode: Airflow's; ``reschedule``, by default here, takes no slot between two pokes.
    :raises AirflowFailException: where another try cannot help: bad arguments, a refused key.
    :raises Np6Error: where it can.
    """

    template_fields: Sequence[str] = ("event_type", "action_id", "since", "classification", "np6_conn_id")
    ui_color = "#e8f4f0"

    def __init__(
        self,
        *,
        event_type: str,
        action_id: str,
        since: datetime | str | None = None,
        classification: str | None = None,
        np6_conn_id: str = DEFAULT_CONN_ID,
        mode: str = "reschedule",
        **kwargs: Any,
    ) -> None:
        super().__init__(mode=mode, **kwargs)
        self.event_type = event_type
        self.action_id = action_id
        self.since = since
        self.classification = classification
        self.np6_conn_id = np6_conn_id

    def poke(self, context: Context) -> bool:
        """Whether there is an event by now."""
        with fail_without_retry():
            since = parse_time("since", self._since(context))
            now = time.time_ns() // 1_000_000
            if since >= now:
                EventQuery.checked(
                    self.event_type, self.action_id, Window(since, since + 1), self.classification
                )
                return False
            query = EventQuery.checked(
                self.event_type, self.action_id, Window(since, now), self.classification
            )
            client = Np6Hook(self.np6_conn_id).client
            try:
                return client.has_events(query)
            except Np6TransientError as error:
                if error.delay is None:
                    raise
                self.log.warning("%s Trying again later.", error)
                return False
            finally:
                client.close()

    def _since(self, context: Any) -> object:
        if self.since not in _UNSET:
            return self.since
        start = context.get("data_interval_start")
        if start is None:
            raise Np6InputError("this run has no data interval", hint="Give the sensor since.")
        return start
