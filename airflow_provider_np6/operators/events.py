"""Pull the events of an action into a destination."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator, conf

from airflow_provider_np6.destinations import destination_of
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.errors import Np6Error, Np6InputError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import iso
from airflow_provider_np6.operators.window import describe, resolve_window, wait_until
from airflow_provider_np6.provider_info import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class Np6EventsOperator(BaseOperator):
    """Pull one event type of one action, over the run's data interval, into files or a SQL table.

    A pull replaces what the destination holds for its window: run it again as often as you like. It is
    all or nothing, and nothing is published before the whole answer was read and proven. Made to be
    mapped: ``Np6EventsOperator.partial(…).expand(action_id=[…], event_type=[…])``.

    Returns a report, never events: ``event_type, action_id, classification, window_start, window_end,
    pulled_at, events, duplicates, invalid, bytes_read, requests, seconds, destination``, and ``manifest``
    or ``table``; times are ISO UTC with ms.

    .. seealso:: the example DAGs in ``dags/``.

    :param event_type: path of the event type below ``/actions/{id}/events/``: one of
        :class:`~airflow_provider_np6.np6.query.EventType`, or any other as ``"/custom/path"``. (templated)
    :param action_id: id of the action, such as ``000PE4``; ``"*"`` for all, by one request. (templated)
    :param destination: absolute path or URI of a tree of files, or a
        :class:`~airflow_provider_np6.destinations.FileDestination` or
        :class:`~airflow_provider_np6.destinations.SqlDestination`. (templated, its fields too)
    :param window_start: first moment of the window: aware datetime, text with an offset, or
        ``YYYY-MM-DD`` for midnight UTC; default: the run's data interval. (templated)
    :param window_end: first moment beyond the window. (templated)
    :param period: length of the window where the run's interval is empty, as with a cron string on
        Airflow 3: the window is that long before the logical date.
    :param classification: classes of robots among hits; for hits only. (templated)
    :param settle: how long ago a window must have ended before it is pulled; a younger one waits.
    :param on_invalid: what to do about an event that cannot be proven: ``fail``.
    :param personal_data: what to do with personal data: ``keep``.
    :param np6_conn_id: connection of type ``np6``. (templated)
    :param deferrable: wait for ``settle`` in the triggerer instead of on a worker.
    :raises AirflowFailException: where another try cannot help: bad arguments, a refused key, a window
        that crosses what is stored.
    :raises Np6Error: where it can: see :mod:`airflow_provider_np6.np6.errors`.
    """

    template_fields: Sequence[str] = (
        "event_type",
        "action_id",
        "destination",
        "window_start",
        "window_end",
        "classification",
        "np6_conn_id",
    )
    ui_color = "#e8f4f0"

    def __init__(
        self,
        *,
        event_type: str,
        action_id: str,
        destination: str | Destination,
        window_start: datetime | str | None = None,
        window_end: datetime | str | None = None,
        period: timedelta | None = None,
        classification: str | None = None,
        settle: timedelta = timedelta(minutes=1),
        on_invalid: str = "fail",
        personal_data: str = "keep",
        np6_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event_type = event_type
        self.action_id = action_id
        self.destination = destination
        self.window_start = window_start
        self.window_end = window_end
        self.period = period
        self.classification = classification
        self.settle = settle
        self.on_invalid = on_invalid
        self.personal_data = personal_data
        self.np6_conn_id = np6_conn_id
        self.deferrable = deferrable

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a destination as a copy: Airflow would write into the DAG file's own object, which
        other tasks, mapped instances and later runs share."""
        if isinstance(content, Destination):
            content = copy.copy(content)
        return super().render_template(content, *args, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Pull the window; see the class."""
        try:
            return self._execute(context)
        except Np6Error as error:
            if error.final:
                raise AirflowFailException(str(error)) from None
            raise

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after a deferral: the window has settled."""
        return self.execute(context)

    def _execute(self, context: Context) -> dict[str, Any]:
        self._check_modes()
        window = resolve_window(context, self.window_start, self.window_end, self.period)
        query = EventQuery.checked(self.event_type, self.action_id, window)
        destination = destination_of(self.destination)
        self._name_map_index(context, query)
        hook = Np6Hook(self.np6_conn_id)
        ready = wait_until(
            window, settle=self.settle, max_wait=hook.settings.max_wait, now=time.time_ns() // 1_000_000
        )
        if ready is not None:
            self._wait(ready)
        return self._pull(hook, query, destination)

    def _pull(self, hook: Np6Hook, query: EventQuery, destination: Destination) -> dict[str, Any]:
        from airflow_provider_np6.np6.pull import pull

        begun = time.monotonic()
        try:
            with destination.open(query, hook.settings.account) as landing:
                proof = pull(hook.client, query, landing.spool)
                landed = landing.publish(proof)
        finally:
            hook.client.close()
        report = {
            "event_type": query.event_type,
            "action_id": query.action_id,
            "classification": query.classification,
            "window_start": iso(query.window.start),
            "window_end": iso(query.window.end),
            "pulled_at": iso(proof.pulled_at),
            "events": proof.events,
            "duplicates": proof.duplicates,
            "invalid": proof.invalid,
            "bytes_read": proof.bytes_read,
            "requests": proof.requests,
            "seconds": round(time.monotonic() - begun, 3),
            "destination": destination.uri,
            **landed,
        }
        self.log.info(
            "Pulled %s: %d events (%d duplicates dropped), %d bytes, %d requests, %.1f s, into %s",
            *(query.where, proof.events, proof.duplicates, proof.bytes_read, proof.requests),
            *(report["seconds"], report["destination"]),
        )
        return report

    def _check_modes(self) -> None:
        """Refuse what this version does not do yet, before it does anything else."""
        given = {"on_invalid": self.on_invalid, "personal_data": self.personal_data}
        for (name, value), known in zip(given.items(), ("fail", "keep"), strict=True):
            if value != known:
                raise Np6InputError(f"{name} is {value!r}", cure=f"This version knows {known!r} only.")
        if self.classification not in (None, "", "None"):
            raise Np6InputError(f"{self.event_type} take no classification", cure="It is for hits only.")

    def _name_map_index(self, context: Any, query: EventQuery) -> None:
        """Name mapped instances, ``bounces · 000PE4``, unless the DAG names them itself."""
        instance = context.get("ti")
        if instance is not None and instance.map_index >= 0 and not context.get("map_index_template"):
            context["np6_map_index"] = f"{query.event_type} · {query.action_id}"
            context["map_index_template"] = "{{ np6_map_index }}"

    def _wait(self, moment: int) -> None:
        from airflow_provider_np6.triggers.moment import MomentTrigger

        self.log.info("The window settles at %s: waiting until then.", describe(moment))
        if self.deferrable:
            self.defer(trigger=MomentTrigger(moment), method_name="execute_complete")
        while (left := moment / 1_000 - time.time()) > 0:
            time.sleep(left)
