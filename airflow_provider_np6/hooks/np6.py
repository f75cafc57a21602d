"""A client of NP6, made from an Airflow connection."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import date, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook, conf

from airflow_provider_np6.hooks._connection_form import widgets
from airflow_provider_np6.hooks._connection_test import outcome_within
from airflow_provider_np6.np6.config import Np6Config, unknown_extras
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery, check_action_id
from airflow_provider_np6.np6.window import iso_seconds, parse_time
from airflow_provider_np6.provider_info import CONNECTION_TYPE, DEFAULT_CONN_ID, FIELD_BEHAVIOUR
from airflow_provider_np6.version_compat import mask_secret

if TYPE_CHECKING:
    import requests

    from airflow_provider_np6.np6.client import Np6Client

TEST_SECONDS = 15
"""Seconds that :meth:`Np6Hook.test_connection` takes at most."""


class Np6Hook(BaseHook):
    """Sends requests to NP6 as an Airflow connection says.

    :param np6_conn_id: connection of type ``np6``: host (default ``https://api-cm.np6.com``), the API key
        as its password, and extras.
    """

    conn_name_attr = "np6_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = CONNECTION_TYPE
    hook_name = "NP6"

    def __init__(self, np6_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.np6_conn_id = np6_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form's own fields for Airflow up to 3.1; later versions read the provider's metadata."""
        return widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Which standard fields the form shows, for Airflow up to 3.1."""
        return {name.replace("-", "_"): value for name, value in FIELD_BEHAVIOUR.items()}

    @cached_property
    def config(self) -> Np6Config:
        """The connection, checked.

        :raises Np6InputError: for a field that cannot be used, which it names.
        """
        config, extra = self._read_connection()
        for sentence in unknown_extras(extra):
            self.log.warning("Connection %r: %s", self.np6_conn_id, sentence)
        return config

    @cached_property
    def client(self) -> Np6Client:
        """A client that does not depend on Airflow."""
        from airflow_provider_np6.np6.client import Np6Client

        return Np6Client(self.config)

    def get_conn(self) -> requests.Session:
        """A session with the ``X-Key`` header set, bound to the connection's scheme, host and port."""
        return self.client.session

    def test_connection(self) -> tuple[bool, str]:
        """Request the actions created from now on, and say in one sentence whether that works.

        It takes :data:`TEST_SECONDS` at most.
        """
        return outcome_within(TEST_SECONDS, self._read_connection)

    def list_actions(
        self,
        *,
        created_after: datetime | date | str | None = None,
        created_before: datetime | date | str | None = None,
        types: Collection[str] | None = None,
        states: Collection[int] | None = None,
        names: str | None = None,
    ) -> list[dict[str, Any]]:
        """The account's actions in order of their ids, as ``GET /actions`` returns them.

        That endpoint and its filters ``creation_start`` (>=) and ``creation_end`` (<) are documented, and
        marked deprecated without a replacement.

        :param created_after: earliest creation, in whole seconds: aware datetime, ISO string with an offset,
            or date (midnight UTC); None means no limit.
        :param created_before: latest creation (exclusive), as ``created_after``.
        :param types: types to keep, such as ``mailMessage``; None keeps all.
        :param states: states to keep, such as 50; None keeps all.
        :param names: pattern of the whole ``name``, with ``*`` and ``?``, which ignores case: ``"welcome*"``;
            None keeps all.
        :raises Np6NotFoundError: if the endpoint no longer exists.
        :raises Np6Error: if the request fails.
        """
        parameters = {}
        if created_after is not None:
            parameters["creation_start"] = iso_seconds(parse_time("created_after", created_after))
        if created_before is not None:  # rounded up, because the parameter has whole seconds
            parameters["creation_end"] = iso_seconds(parse_time("created_before", created_before) + 999)
        actions = [
            action
            for action in self.client.list_actions(parameters)
            if (types is None or action.get("type") in types)
            and (states is None or (action.get("informations") or {}).get("state") in states)
            and (names is None or fnmatchcase(str(action.get("name") or "").casefold(), names.casefold()))
        ]
        return sorted(actions, key=lambda action: str(action["id"]))

    def list_action_ids(self, **filters: Any) -> list[str]:
        """Ids of the account's actions, ready for ``.expand(action_id=…)``.

        :param filters: those of :meth:`list_actions`.
        :raises Np6InputError: if the account has more actions than Airflow maps a task over.
        :raises Np6Error: if the request fails.
        """
        ids = [action["id"] for action in self.list_actions(**filters)]
        most = conf.getint("core", "max_map_length", fallback=1_024)
        if len(ids) > most:
            raise Np6InputError(
                f"there are {len(ids)} actions, and Airflow maps a task over {most} at most"
                " ([core] max_map_length)",
                hint="Pull them by one request, action_id='*'; or choose fewer by types, states, names or"
                " creation; or raise that setting.",
            )
        return ids

    def get_action(self, action_id: str) -> dict[str, Any]:
        """One action with its settings and content, as ``GET /actions/{id}`` returns it (documented).

        :param action_id: the action's id.
        :raises Np6NotFoundError: if no action has this id.
        :raises Np6Error: if the request fails.
        """
        return self.client.get_action(_check_one_action(action_id))

    def iter_events(
        self,
        event_type: str,
        action_id: str,
        *,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the events of ``[start, end)``, each once, in order of time.

        Each event is verified as it arrives. That none is missing is known once the iterator ends without an
        error, so keep nothing before that. A string that ends in half a character (an escape such as
        ``\\ud83d`` alone) has U+FFFD in its place; a number beyond Python's ``int`` and ``float`` is a
        :class:`decimal.Decimal`.

        :param event_type: path of the event type, such as ``bounces``.
        :param action_id: the action's id, or ``"*"`` for all.
        :param start: aware datetime, ISO string with an offset, or date (midnight UTC).
        :param end: likewise (exclusive).
        :param classification: classes of robots, for hits only.
        :raises Np6InputError: for an argument that cannot be used.
        :raises Np6ResponseError: if an event is invalid, or is nested too deeply to be decoded.
        :raises Np6Error: if a response breaks off or is not what was requested.
        """
        from airflow_provider_np6.np6.decode import decode_event
        from airflow_provider_np6.np6.pull import iter_verified

        query = EventQuery.between(event_type, action_id, start, end, classification)
        for events in iter_verified(self.client, query):
            for item in events.items:
                yield decode_event(item)

    def count_events(
        self,
        event_type: str,
        action_id: str,
        *,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> int:
        """Count the events of ``[start, end)``, each once; they are verified as in a pull, and not kept.

        :param event_type: path of the event type, such as ``bounces``.
        :param action_id: the action's id, or ``"*"`` for all.
        :param start: aware datetime, ISO string with an offset, or date (midnight UTC).
        :param end: likewise (exclusive).
        :param classification: classes of robots, for hits only.
        :raises Np6InputError: for an argument that cannot be used.
        :raises Np6Error: if a response breaks off or is not what was requested.
        """
        from airflow_provider_np6.np6.pull import count

        query = EventQuery.between(event_type, action_id, start, end, classification)
        return count(self.client, query).events

    def _read_connection(self) -> tuple[Np6Config, dict[str, Any]]:
        connection = self.get_connection(self.np6_conn_id)
        extra = _parse_extra(self.np6_conn_id, connection.extra)
        for secret in (connection.password, extra.get("pseudonym_key")):
            if isinstance(secret, str) and secret.strip():
                mask_secret(secret)
                mask_secret(secret.strip())  # as it is sent
        config = Np6Config.from_connection(
            self.np6_conn_id,
            host=connection.host,
            port=connection.port,
            password=connection.password,
            extra=extra,
        )
        return config, extra


def _check_one_action(action_id: str) -> str:
    if action_id == ALL_ACTIONS:
        raise Np6InputError("'*' is not the id of one action", hint="Give one action's id.")
    return check_action_id(action_id)


def _parse_extra(conn_id: str, extra: str | None) -> dict[str, Any]:
    """Decode a connection's extra, which Airflow does not check."""
    try:
        options = json.loads(extra or "{}")
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict):
        raise Np6InputError(
            f"the extra of connection {conn_id!r} is not a JSON object",
            hint='Write it as {"read_timeout": 60}, or leave it empty.',
        )
    return options
