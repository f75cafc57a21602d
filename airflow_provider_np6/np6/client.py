"""Sends requests to NP6, without Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from airflow_provider_np6 import __version__
from airflow_provider_np6.np6.bracket_scan import JSON_SPACE
from airflow_provider_np6.np6.decode import decode_json
from airflow_provider_np6.np6.errors import (
    Np6Error,
    Np6NotFoundError,
    Np6RefusedError,
    Np6ResponseError,
    Np6TruncatedError,
)
from airflow_provider_np6.np6.http_errors import add_facts, facts, refusal, translate_errors
from airflow_provider_np6.np6.rate_limit import RateLimit
from airflow_provider_np6.np6.response_body import chunks
from airflow_provider_np6.np6.retry import Attempts, wait_for_limit

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config
    from airflow_provider_np6.np6.query import EventQuery

__all__ = ["Np6Client", "Np6Session", "chunks"]


class Np6Session(requests.Session):
    """Sends ``X-Key`` (documented) and a timeout with every request, to the connection's origin only.

    An origin is a scheme, a host and a port. ``requests`` follows redirects to any host and keeps custom
    headers, so that a redirect would hand over the key. Here a request that leaves the origin, by a redirect
    or by its own URL, raises :class:`Np6RefusedError` before it is sent.

    :param config: the origin, the key, the timeouts and the trusted authorities.
    """

    def __init__(self, config: Np6Config) -> None:
        super().__init__()
        self._origin = _origin(config.base_url)
        self._timeout = (config.connect_timeout, config.read_timeout)
        self._ca_bundle = config.ca_bundle
        self.max_redirects = 5
        self.headers.update(
            {
                "X-Key": config.api_key,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"airflow-provider-np6/{__version__}",
            }
        )

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request; each hop of a redirect is sent by this method too.

        :param request: the request.
        :param kwargs: those of :meth:`requests.Session.send`.
        :raises Np6RefusedError: if the request would leave the connection's origin.
        """
        target = _origin(request.url or "")
        if target != self._origin:
            raise Np6RefusedError(
                f"a request to {_to_url(target)} was stopped, because it would carry the API key away"
                f" from {_to_url(self._origin)}",
                hint="If NP6 moved, set the new address as the connection's host.",
            )
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        if self._ca_bundle is not None:
            # The environment's REQUESTS_CA_BUNDLE would win over the session's own setting.
            kwargs["verify"] = self._ca_bundle
        return super().send(request, **kwargs)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def _to_url(origin: tuple[str, str, int]) -> str:
    scheme, host, port = origin
    return f"{scheme}://{host}:{port}"


class Np6Client:
    """Requests events and actions of one NP6 account.

    :param config: the account's origin and key, and the limits of waiting.
    """

    def __init__(self, config: Np6Config) -> None:
        self.config = config
        self.session = Np6Session(config)
        self.limit = RateLimit()
        self.requests = 0
        """Requests sent so far, retries included."""

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    @contextmanager
    def get(
        self,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        timeout: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """Send one GET; yields the response, whatever its status, before its body is read.

        :param path: path below the connection's origin.
        :param parameters: those of the query string.
        :param timeout: seconds for connecting and between bytes; None means the connection's own.
        :param headers: headers besides those of every request.
        :raises Np6RefusedError: if it is redirected to another origin.
        :raises Np6TransientError: if no response arrives, or the rate limit is reset after ``max_wait``.
        """
        wait_for_limit(self.limit.wait(), self.config.max_wait)
        self.requests += 1
        with translate_errors():
            response = self.session.get(
                self.config.base_url + path, params=parameters, stream=True, timeout=timeout, headers=headers
            )
        self.limit.learn(response.headers)
        try:
            yield response
        finally:
            response.close()

    @contextmanager
    def get_ok(
        self,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        timeout: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """Send one GET; yields the response of status 200, before its body is read.

        :param path: path below the connection's origin.
        :param parameters: those of the query string.
        :param timeout: seconds for connecting and between bytes; None means the connection's own.
        :param headers: headers besides those of every request.
        :raises Np6Error: for any other status, as :func:`~.http_errors.refusal` maps it, and as :meth:`get`.
        """
        with self.get(path, parameters, timeout=timeout, headers=headers) as response:
            if response.status_code != requests.codes.ok:
                raise refusal(response)
            yield response

    def get_json(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """Send one GET, again while failures may pass, and decode the whole body.

        :param path: path below the connection's origin.
        :param parameters: those of the query string.
        :raises Np6ResponseError: if the body is not JSON.
        :raises Np6Error: the last failure.
        """
        attempts = Attempts(self.config)
        while True:
            try:
                with self.get_ok(path, parameters) as response, add_facts(response):
                    return decode_json(b"".join(chunks(response)), "the response")
            except Np6Error as error:
                attempts.wait_or_raise(error.at(path))

    def has_events(self, query: EventQuery) -> bool:
        """Whether a query has any event; reads the first bytes of the response and closes the connection.

        :param query: event type, action and window.
        :raises Np6ResponseError: if the response is not an array.
        :raises Np6Error: the last failure.
        """
        parameters = query.parameters(query.window)
        del parameters["sort"]  # sorting costs NP6 time, and does not matter here
        attempts = Attempts(self.config)
        while True:
            try:
                with self.get_ok(query.path, parameters) as response:
                    return _begins_with_element(response)
            except Np6Error as error:
                attempts.wait_or_raise(error.at(query.description))

    def list_actions(self, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Send ``GET /actions``, which is documented, but marked deprecated without a replacement.

        :param parameters: ``creation_start`` and ``creation_end`` (documented) filter by creation date.
        :raises Np6NotFoundError: if the endpoint no longer exists.
        :raises Np6ResponseError: if the response is not a list of actions with ids.
        :raises Np6Error: the last failure.
        """
        path = "/actions"
        try:
            actions = self.get_json(path, parameters)
        except Np6NotFoundError as error:
            error.hint = "NP6 marks this listing deprecated: give the ids of your actions by hand, or '*'."
            raise
        if not isinstance(actions, list) or not all(
            isinstance(action, dict) and isinstance(action.get("id"), str) for action in actions
        ):
            raise Np6ResponseError("the response is not a list of actions with ids", context=path)
        return actions

    def get_action(self, action_id: str) -> dict[str, Any]:
        """Send ``GET /actions/{id}`` (documented), which has the action's settings and content.

        :param action_id: the action's id, checked already.
        :raises Np6NotFoundError: if no action has this id.
        :raises Np6ResponseError: if the response is not an object.
        :raises Np6Error: the last failure.
        """
        path = f"/actions/{action_id}"
        action = self.get_json(path)
        if not isinstance(action, dict):
            raise Np6ResponseError("the response is not an action", context=path)
        return action


def _begins_with_element(response: requests.Response) -> bool:
    start = b""
    for piece in chunks(response):
        start = (start + piece).lstrip(JSON_SPACE)
        if start[:1] not in (b"", b"["):
            raise Np6ResponseError("the response is not the array that NP6 documents", **facts(response))
        elements = start[1:].lstrip(JSON_SPACE)
        if elements:
            return elements[:1] != b"]"
    raise Np6TruncatedError("the response ends before its first event", **facts(response))
