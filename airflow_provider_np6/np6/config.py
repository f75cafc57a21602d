"""The settings of a connection to NP6, from the fields of an Airflow connection.

A connection that is a URI has strings for all its extras, so strings of numbers and booleans are valid. Null
and empty extras are unset.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_np6.np6.errors import Np6InputError

DEFAULT_HOST = "https://api-cm.np6.com"


@dataclass(frozen=True, kw_only=True)
class Np6Config:
    """How to reach one NP6 account.

    :param base_url: scheme, host and port, without a slash at the end.
    :param api_key: value of the ``X-Key`` header (documented); never printed.
    :param account: label of the account, recorded with all stored data.
    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait between two bytes of a response.
    :param max_attempts: successive tries of a request that bring nothing new, the first one included.
    :param max_wait: longest sleep of a worker, in seconds, until NP6 accepts requests again.
    :param max_event_bytes: size beyond which an event is refused, in bytes.
    :param ca_bundle: path of a PEM file with the authorities to trust.
    :param allow_http: whether plain http may be used beyond this machine.
    :param pseudonym_key: secret for pseudonyms of personal data; never printed.
    """

    base_url: str
    api_key: str = field(repr=False)
    account: str
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    max_attempts: int = 8
    max_wait: float = 300.0
    max_event_bytes: int = 16 * 1024 * 1024
    ca_bundle: str | None = None
    allow_http: bool = False
    pseudonym_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_connection(
        cls,
        conn_id: str,
        *,
        host: str | None,
        port: int | None,
        password: str | None,
        extra: Mapping[str, Any],
    ) -> Np6Config:
        """Check the fields of an Airflow connection; unknown extras are ignored.

        :param conn_id: the connection's id, which is also the default account.
        :param host: host name or URL; None or "" means NP6's documented host.
        :param port: port, unless ``host`` has one.
        :param password: the API key; white space around it is removed.
        :param extra: the connection's extra, decoded.
        :raises Np6InputError: for a field that cannot be used, which it names.
        """
        connection = f"connection {conn_id!r}"
        options: dict[str, Any] = {"account": conn_id}
        for name, parse in _EXTRAS.items():
            value = extra.get(name)
            if value is None or value == "":
                continue
            try:
                options[name] = parse(value)
            except ValueError as error:
                raise Np6InputError(f"extra {name!r} of {connection} must be {error}") from None
        if not password or not password.strip():
            raise Np6InputError(
                f"{connection} has no API key", hint="Put the key into the connection's password field."
            )
        key = password.strip()
        if not key.isascii() or not key.isprintable():
            raise Np6InputError(
                f"the API key of {connection} has characters that no HTTP header may have",
                hint="Copy the key again, without quotes or line breaks.",
            )
        allow_http = options.get("allow_http", False)
        return cls(base_url=_base_url(connection, host, port, allow_http), api_key=key, **options)


def unknown_extras(extra: Mapping[str, Any]) -> list[str]:
    """A sentence for each unknown extra, with the closest valid name.

    :param extra: the connection's extra, decoded.
    """
    sentences = []
    for name in sorted(set(extra) - set(_EXTRAS)):
        closest = get_close_matches(name, list(_EXTRAS), n=1, cutoff=0.5)
        hint = f"; did you mean {closest[0]!r}?" if closest else f"; known are {', '.join(_EXTRAS)}"
        sentences.append(f"unknown extra {name!r}{hint}")
    return sentences


def _base_url(connection: str, host: str | None, port: int | None, allow_http: bool) -> str:
    address = (host or "").strip() or DEFAULT_HOST
    url = urlsplit(address if "://" in address else f"https://{address}")
    try:
        port = url.port or port
    except ValueError:
        raise Np6InputError(f"the host of {connection} has an unusable port") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise Np6InputError(
            f"the host of {connection} is not an address",
            hint=f"Give a host name or a URL such as {DEFAULT_HOST}, which is also the default.",
        )
    if url.username or url.password or url.query or url.fragment or url.path.strip("/"):
        raise Np6InputError(
            f"the host of {connection} has more than scheme, name and port",
            hint="Put the key into the password field; the provider adds paths itself.",
        )
    if url.scheme == "http" and not allow_http and not _is_loopback(url.hostname):
        raise Np6InputError(
            f"the host of {connection} is plain http, which would show the API key to the network",
            hint="Use https, or set the extra allow_http to true if you trust that network.",
        )
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{name}{f':{port}' if port else ''}"


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _number(low: float, high: float, unit: str) -> Callable[[Any], float]:
    def parse(value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"a number of {unit} from {low:g} to {high:g}, not {value!r}")
        return number

    return parse


def _whole_number(low: int, high: int, unit: str) -> Callable[[Any], int]:
    parse_number = _number(low, high, unit)

    def parse(value: Any) -> int:
        number = parse_number(value)
        if not number.is_integer():
            raise ValueError(f"a whole number of {unit}, not {value!r}")
        return int(number)

    return parse


def _parse_boolean(value: Any) -> bool:
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"true or false, not {value!r}")


def _parse_string(value: Any) -> str:
    """The string; an error must not show ``value``, which may be a secret."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a string that is not blank")
    return value.strip()


def _parse_readable_path(value: Any) -> str:
    path = _parse_string(value)
    try:
        with Path(path).open("rb"):
            return path
    except OSError:
        raise ValueError(f"the path of a readable PEM file, not {path!r}") from None


_EXTRAS: dict[str, Callable[[Any], Any]] = {
    "account": _parse_string,
    "connect_timeout": _number(0.1, 3_600, "seconds"),
    "read_timeout": _number(0.1, 86_400, "seconds"),
    "max_attempts": _whole_number(1, 1_000, "tries"),
    "max_wait": _number(0, 86_400, "seconds"),
    "max_event_bytes": _whole_number(1_024, 2**30, "bytes"),
    "ca_bundle": _parse_readable_path,
    "allow_http": _parse_boolean,
    "pseudonym_key": _parse_string,
}
