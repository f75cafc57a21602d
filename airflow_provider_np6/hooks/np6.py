"""An Airflow connection made into a client of NP6."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_np6.np6.errors import Np6Error, Np6InputError, Np6NotFoundError
from airflow_provider_np6.np6.window import Window, iso_seconds
from airflow_provider_np6.provider_info import (
    CONN_FIELDS,
    CONNECTION_TYPE,
    DEFAULT_CONN_ID,
    FIELD_BEHAVIOUR,
)

if TYPE_CHECKING:
    import requests

    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.settings import Np6Settings

TEST_SECONDS = 15
"""Longest that :meth:`Np6Hook.test_connection` takes."""


class Np6Hook(BaseHook):
    """Talks to NP6 with what an Airflow connection says.

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
        """The form's own fields for Airflow up to 3.1; later ones read the provider's metadata."""
        from flask_appbuilder.fieldwidgets import (
            BS3PasswordFieldWidget,
            BS3TextFieldWidget,
        )
        from wtforms import BooleanField, PasswordField, StringField
        from wtforms.validators import Optional

        widgets: dict[str, Any] = {}
        for name, field in CONN_FIELDS.items():
            label, description, schema = field["label"], field["description"], field["schema"]
            if "boolean" in schema["type"]:
                widgets[name] = BooleanField(label, default=schema["default"], description=description)
                continue
            secret = schema.get("format") == "password"
            widgets[name] = (PasswordField if secret else StringField)(
                label,
                widget=(BS3PasswordFieldWidget if secret else BS3TextFieldWidget)(),
                description=description,
                validators=[Optional()],
            )
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Which standard fields the form shows, for Airflow up to 3.1."""
        return {name.replace("-", "_"): value for name, value in FIELD_BEHAVIOUR.items()}

    @cached_property
    def settings(self) -> Np6Settings:
        """The connection, checked.

        :raises Np6InputError: naming the field that cannot be used.
        """
        from airflow_provider_np6.np6.settings import unknown_extras

        settings, extra = self._read_connection()
        for sentence in unknown_extras(extra):
            self.log.warning("Connection %r: %s", self.np6_conn_id, sentence)
        return settings

    @cached_property
    def client(self) -> Np6Client:
        """A client that knows nothing of Airflow."""
        from airflow_provider_np6.np6.client import Np6Client

        return Np6Client(self.settings)

    def get_conn(self) -> requests.Session:
        """A session with the ``X-Key`` header set, bound to the connection's scheme, host and port."""
        return self.client.session

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the actions created from now on, and tell what came of it in one sentence.

        Takes :data:`TEST_SECONDS` at most.
        """
        outcome = (False, f"No answer within {TEST_SECONDS} s: check the host and the way to it.")

        def ask() -> None:
            nonlocal outcome
            outcome = self._tested()

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(TEST_SECONDS - 0.5)
        return outcome

    def list_actions(
        self,
        *,
        created_after: datetime | date | str | None = None,
        created_before: datetime | date | str | None = None,
        types: Collection[str] | None = None,
        states: Collection[int] | None = None,
    ) -> list[dict[str, Any]]:
        """The account's actions in order of their ids, as ``GET /actions`` gives them.

        That endpoint and its filters ``creation_start`` (>=) and ``creation_end`` (<) are documented, and
        marked deprecated without a replacement.

        :param created_after: earliest creation.
        :param created_before: first creation that is too late.
        :param types: types to keep, such as ``mailMessage``; None keeps all.
        :param states: states to keep, such as 50; None keeps all.
        :raises Np6Error: if NP6 cannot be asked; Np6NotFoundError if the endpoint is gone.
        """
        from airflow_provider_np6.np6.moments import parse_moment

        parameters = {}
        if created_after is not None:
            parameters["creation_start"] = iso_seconds(parse_moment("created_after", created_after))
        if created_before is not None:  # up, for the parameter has whole seconds
            parameters["creation_end"] = iso_seconds(parse_moment("created_before", created_before) + 999)
        actions = [
            action
            for action in self.client.list_actions(parameters)
            if (types is None or action.get("type") in types)
            and (states is None or (action.get("informations") or {}).get("state") in states)
        ]
        return sorted(actions, key=lambda action: str(action["id"]))

    def get_action(self, action_id: str) -> dict[str, Any]:
        """One action with its settings and content, as ``GET /actions/{id}`` gives it (documented).

        :raises Np6Error: if NP6 cannot be asked; Np6NotFoundError if there is no such action.
        """
        from airflow_provider_np6.np6.query import ALL_ACTIONS, check_action_id

        if action_id == ALL_ACTIONS:
            raise Np6InputError("'*' is no action", cure="Give one action's id.")
        return self.client.get_action(check_action_id(action_id))

    def iter_events(
        self,
        event_type: str,
        action_id: str,
        *,
        start: datetime | date | str,
        end: datetime | date | str,
        classification: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Events of ``[start, end)``, lazily, in order of timestamp, each once.

        Every event is proven as it comes; that none is missing is known when the iterator ends without an
        error, so keep nothing before that.

        :param event_type: path of the event type, such as ``bounces``.
        :param action_id: the action's id, or ``"*"`` for all.
        :param start: first moment, aware, or text with an offset, or a date meaning midnight UTC.
        :param end: first moment beyond the window.
        :raises Np6Error: if the answer broke or is not what was asked for.
        """
        import msgspec

        from airflow_provider_np6.np6.moments import parse_moment
        from airflow_provider_np6.np6.pull import iter_proven
        from airflow_provider_np6.np6.query import EventQuery

        if classification:
            raise Np6InputError(f"{event_type} take no classification", cure="It is for hits only.")
        window = Window(parse_moment("start", start), parse_moment("end", end))
        query = EventQuery.checked(event_type, action_id, window)
        for events in iter_proven(self.client, query):
            for item in events.items:
                yield msgspec.json.decode(item)

    def _read_connection(self) -> tuple[Np6Settings, dict[str, Any]]:
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_np6.np6.settings import Np6Settings

        connection = self.get_connection(self.np6_conn_id)
        extra = _object(self.np6_conn_id, connection.extra)
        for secret in (connection.password, extra.get("pseudonym_key")):
            if isinstance(secret, str) and secret.strip():
                mask_secret(secret)
                mask_secret(secret.strip())  # as it is sent
        settings = Np6Settings.from_connection(
            self.np6_conn_id,
            host=connection.host,
            port=connection.port,
            password=connection.password,
            extra=extra,
        )
        return settings, extra

    def _tested(self) -> tuple[bool, str]:
        from airflow_provider_np6.np6.client import Np6Client, chunks
        from airflow_provider_np6.np6.settings import unknown_extras

        try:
            settings, extra = self._read_connection()
            unknown = unknown_extras(extra)
            if unknown:
                return False, f"The connection has an {'; an '.join(unknown)}."
            now = iso_seconds(time.time_ns() // 1_000_000)
            with (
                closing(Np6Client(settings)) as client,
                client.answer("/actions", {"creation_start": now}, timeout=(5, 8)) as response,
            ):
                start = next(chunks(response), b"").lstrip()[:1]
            if start == b"[":
                return True, f"{settings.base_url} accepts the API key."
            return False, f"{settings.base_url} answered, but not as NP6 does: check the host."
        except Np6NotFoundError:
            return True, "NP6 answers, but has no list of actions for this account: key not verifiable."
        except Np6Error as error:
            return False, str(error)
        except Exception as error:  # whatever else it is, its text may hold the key
            return False, f"The test failed: {type(error).__name__}."


def _object(conn_id: str, extra: str | None) -> dict[str, Any]:
    """A connection's extra, which Airflow hands on as text whatever it is."""
    try:
        found = json.loads(extra or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Np6InputError(f"the extra of connection {conn_id!r} is not a JSON object")
    return found
