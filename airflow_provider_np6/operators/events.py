"""Pull the events of an action into a destination."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, BaseOperator, conf

from airflow_provider_np6._errors import fail_without_retry
from airflow_provider_np6.destinations import resolve_destination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.event_writer import ON_SHRINK
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.lineage import openlineage
from airflow_provider_np6.np6.errors import Np6InputError, Np6TransientError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.operators._pull import EventPull
from airflow_provider_np6.operators._window import describe, resolve_window, wait_until
from airflow_provider_np6.privacy.policy import check_mode, resolve_policy
from airflow_provider_np6.provider_info import DEFAULT_CONN_ID
from airflow_provider_np6.retry_policies import default_retry_policy
from airflow_provider_np6.version_compat import get_task_terminated

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage


class Np6EventsOperator(BaseOperator):
    """Pull one event type of one action, over the run's data interval, into files or a SQL table.

    A pull replaces what is stored of its window: run it again as often as you like. It is all or nothing,
    and nothing is published before the whole response is read and verified. Made to be mapped:
    ``Np6EventsOperator.partial(…).expand(action_id=[…], event_type=[…])``.

    Returns a report, never events: ``event_type, action_id, classification, window_start, window_end,
    pulled_at, outcome, slices, changed, events, previous_events, duplicates, invalid, erased, ids_compared,
    bytes_read, requests, seconds, destination``, and ``manifests`` and ``bytes_written``, or ``table``; times
    are ISO UTC with ms. Each asset among the ``outlets`` gets it as its event's extra.

    .. seealso:: the example DAGs in ``dags/``.

    :param event_type: path of the event type below ``/actions/{id}/events/``: one of
        :class:`~airflow_provider_np6.np6.event_types.EventType`, or any other as ``"/custom/path"``.
        (templated)
    :param action_id: id of the action, such as ``000PE4``; ``"*"`` for all, with one request. (templated)
    :param destination: absolute path or URI of the root of a file destination, or a
        :class:`~airflow_provider_np6.destinations.FileDestination` or
        :class:`~airflow_provider_np6.destinations.SqlDestination`. (templated, its fields too)
    :param window_start: start of the window: aware datetime, string with an offset, or ``YYYY-MM-DD`` for
        midnight UTC; default: the run's data interval. (templated)
    :param window_end: end of the window (exclusive). (templated)
    :param window_length: length of the window where the run's interval is empty, as with a cron string on
        Airflow 3: the window is that long before the logical date.
    :param classification: for hits only: the classes of robots whose hits are wanted, a comma list of
        ``genericrobot``, ``mpp`` and ``gsr``; they are a series of their own. Without it hits of robots
        are left out, as far as is known. (templated)
    :param grace_period: how long ago a window must have ended before it is pulled; a younger one waits.
    :param on_invalid: what to do about an invalid event: ``fail``, or ``quarantine`` to set it aside with its
        reason: at most 1 % of all and 1,000, or up to 10 if they are fewer than half.
    :param on_shrink: what to do about a UTC day of which more events are stored than NP6 has, once a second
        pull brings the same: ``fail``, and leave the whole window as it is; ``keep`` the day as it is stored,
        and publish the others; or ``replace`` it. (templated)
    :param personal_data: what to do with personal data: ``keep``; ``pseudonymize``, to replace it with keyed
        tokens; ``pseudonymize+domain``, to leave an address's domain after its token; or ``drop``. Tokens
        need the connection's extra ``pseudonym_key``.
    :param np6_conn_id: connection of type ``np6``. (templated)
    :param deferrable: wait in the triggerer instead of on a worker: for ``grace_period``, and where NP6's
        first response asks for a wait longer than ``max_wait``.
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
        "on_shrink",
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
        window_length: timedelta | None = None,
        classification: str | None = None,
        grace_period: timedelta = timedelta(minutes=1),
        on_invalid: str = "fail",
        on_shrink: str = "fail",
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
        self.window_length = window_length
        self.classification = classification
        self.grace_period = grace_period
        self.on_invalid = on_invalid
        self.on_shrink = on_shrink
        self.personal_data = personal_data
        self.np6_conn_id = np6_conn_id
        self.deferrable = deferrable
        self._pulling = False
        self._report: dict[str, Any] | None = None
        if getattr(self, "retry_policy", None) is None:
            self.retry_policy = default_retry_policy()

    def render_template(self, content: Any, *args: Any, **kwargs: Any) -> Any:
        """Render a destination as a copy: Airflow would write into the DAG file's own object, which
        other tasks, mapped instances and later runs share."""
        if isinstance(content, Destination):
            content = copy.copy(content)
        return super().render_template(content, *args, **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Pull the window; see the class."""
        with fail_without_retry():
            return self._execute(context, None)

    def execute_complete(
        self, context: Context, event: Any = None, *, start: int | None = None, end: int | None = None
    ) -> dict[str, Any]:
        """Continue after a deferral.

        :param start: the window's, in ms: templates may render to another one by now.
        :param end: likewise.
        """
        with fail_without_retry():
            return self._execute(context, None if start is None or end is None else Window(start, end))

    def on_kill(self) -> None:
        """End the pull: Airflow 3 calls this from its signal handler, and else lets the task go on."""
        if self._pulling:
            raise get_task_terminated()("the task was stopped")

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any] | None:
        """Where the task reads and writes; see :mod:`airflow_provider_np6.lineage`."""
        return self._lineage()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """The same, with rows and bytes."""
        return self._lineage(self._report)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """The same as on start: nothing was written."""
        return self._lineage()

    def _lineage(self, report: dict[str, Any] | None = None) -> OperatorLineage[Any, Any] | None:
        return openlineage(self.np6_conn_id, self.event_type, self.action_id, self.destination, report)

    def _execute(self, context: Context, window: Window | None) -> dict[str, Any]:
        self._check_modes()
        window = window or resolve_window(context, self.window_start, self.window_end, self.window_length)
        query = EventQuery.checked(self.event_type, self.action_id, window, self.classification)
        destination = resolve_destination(self.destination)
        self._name_map_index(context, query)
        hook = Np6Hook(self.np6_conn_id)
        policy = resolve_policy(self.personal_data, hook.config, self.np6_conn_id)
        quarantine = self.on_invalid == "quarantine"
        pulling = EventPull(hook, query, destination, policy, self.grace_period, quarantine, self.on_shrink)
        ready = wait_until(
            window,
            grace_period=self.grace_period,
            max_wait=hook.config.max_wait,
            now=time.time_ns() // 1_000_000,
        )
        if ready is not None:
            self._wait(window, ready, "The grace period ends")
        self._pulling = True
        try:
            report = pulling.pull().to_dict()
        except Np6TransientError as error:
            if self.deferrable and error.delay is not None and hook.client.requests <= 1:
                self._wait(window, round((time.time() + error.delay) * 1_000), "NP6's rate limit is reset")
            raise
        finally:
            self._pulling = False
            hook.client.close()
        self._report = report
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(report)
        return report

    def _check_modes(self) -> None:
        """Refuse what cannot be done before anything else is."""
        if self.on_invalid not in ("fail", "quarantine"):
            raise Np6InputError(f"on_invalid is {self.on_invalid!r}", hint="Give 'fail' or 'quarantine'.")
        if self.on_shrink not in ON_SHRINK:
            raise Np6InputError(f"on_shrink is {self.on_shrink!r}", hint="Give 'fail', 'keep' or 'replace'.")
        check_mode(self.personal_data)

    def _name_map_index(self, context: Any, query: EventQuery) -> None:
        """Name mapped instances, ``bounces · 000PE4``, unless the DAG names them itself."""
        instance = context.get("ti")
        if instance is not None and instance.map_index >= 0 and not context.get("map_index_template"):
            context["np6_map_index"] = f"{query.event_type} · {query.action_id}"
            context["map_index_template"] = "{{ np6_map_index }}"

    def _wait(self, window: Window, until: int, event: str) -> None:
        from airflow_provider_np6.triggers.wait_until import WaitUntilTrigger

        self.log.info("%s at %s: waiting until then.", event, describe(until))
        if self.deferrable:
            bounds = {"start": window.start, "end": window.end}
            self.defer(trigger=WaitUntilTrigger(until), method_name="execute_complete", kwargs=bounds)
        while (left := until / 1_000 - time.time()) > 0:
            time.sleep(left)
