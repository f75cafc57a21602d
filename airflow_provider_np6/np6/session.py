"""A ``requests.Session`` that carries the API key to one origin and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from airflow_provider_np6 import __version__
from airflow_provider_np6.np6.errors import Np6RefusedError

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Settings


class Np6Session(requests.Session):
    """Sends ``X-Key`` (documented) with every request, always with time-outs.

    ``requests`` follows redirects to any host with custom headers kept, so that a redirect would hand
    the key to whoever is at its end: here a request that leaves the connection's origin (scheme, host
    and port), by a redirect or by its own URL, raises :class:`Np6RefusedError` before it is sent.
    """

    def __init__(self, settings: Np6Settings) -> None:
        super().__init__()
        self._origin = _origin(settings.base_url)
        self._timeout = (settings.connect_timeout, settings.read_timeout)
        self._ca_bundle = settings.ca_bundle
        self.max_redirects = 5
        self.headers.update(
            {
                "X-Key": settings.api_key,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"airflow-provider-np6/{__version__}",
            }
        )

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request; every hop of a redirect comes through here too.

        :raises Np6RefusedError: if the request would leave the connection's origin.
        """
        target = _origin(request.url or "")
        if target != self._origin:
            raise Np6RefusedError(
                f"a request to {_named(target)} was stopped, for it would carry the API key away"
                f" from {_named(self._origin)}",
                cure="If NP6 moved, set the new address as the connection's host.",
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


def _named(origin: tuple[str, str, int]) -> str:
    scheme, host, port = origin
    return f"{scheme}://{host}:{port}"
