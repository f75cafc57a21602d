from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.np6.config import Np6Config, unknown_extras
from airflow_provider_np6.np6.errors import Np6InputError

pytestmark = pytest.mark.core


def settings(
    host: str | None = None,
    port: int | None = None,
    password: str | None = "k",
    extra: dict[str, Any] | None = None,
) -> Np6Config:
    return Np6Config.from_connection(
        "np6_default", host=host, port=port, password=password, extra=extra or {}
    )


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        (None, None, "https://api-cm.np6.com"),
        ("", None, "https://api-cm.np6.com"),
        ("api.example.org", None, "https://api.example.org"),
        ("api.example.org", 8443, "https://api.example.org:8443"),
        ("https://api.example.org/", None, "https://api.example.org"),
        ("http://127.0.0.1:8086", None, "http://127.0.0.1:8086"),
        ("http://localhost", 8086, "http://localhost:8086"),
        ("http://[::1]:8086", None, "http://[::1]:8086"),
    ],
)
def test_hosts(host: str | None, port: int | None, url: str) -> None:
    assert settings(host, port).base_url == url


@pytest.mark.parametrize(
    "host",
    [
        "http://api.example.org",
        "ftp://x",
        "https://user:secret@x",
        "https://x/path",
        "https://x?a=b",
        "https://x:y",
        "//",
    ],
)
def test_unusable_hosts_are_refused_without_showing_secrets(host: str) -> None:
    with pytest.raises(Np6InputError, match="the host of connection 'np6_default'") as caught:
        settings(host)
    assert "secret" not in str(caught.value)


def test_plain_http_beyond_this_machine_needs_an_extra() -> None:
    assert (
        settings("http://api.example.org", extra={"allow_http": "true"}).base_url == "http://api.example.org"
    )


@pytest.mark.parametrize("password", [None, "", "  ", "a\nb", "clé"])
def test_unusable_keys_are_refused(password: str | None) -> None:
    with pytest.raises(Np6InputError, match="API key") as caught:
        settings(password=password)
    assert repr(password)[1:-1] not in str(caught.value) or not (password or "").strip()


def test_extras_of_a_uri_are_strings() -> None:
    made = settings(
        extra={
            "connect_timeout": "1.5",
            "max_attempts": "3",
            "allow_http": "False",
            "account": "shop",
            "max_wait": 0,
        }
    )
    assert (made.connect_timeout, made.max_attempts, made.allow_http, made.account, made.max_wait) == (
        *(1.5, 3, False, "shop"),
        0.0,
    )


def test_empty_extras_are_unset() -> None:
    assert settings(extra={"read_timeout": None, "account": "", "ca_bundle": ""}) == settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", "soon"),
        ("connect_timeout", -1),
        ("read_timeout", "nan"),
        ("read_timeout", True),
        ("max_attempts", 1.5),
        ("max_attempts", 0),
        ("max_wait", []),
        ("max_event_bytes", "1k"),
        ("allow_http", "maybe"),
        ("account", 5),
        ("ca_bundle", "/nowhere.pem"),
        ("pseudonym_key", 5),
    ],
)
def test_an_unusable_extra_is_named(name: str, value: object) -> None:
    with pytest.raises(Np6InputError, match=f"extra '{name}' of connection 'np6_default'"):
        settings(extra={name: value})


def test_a_readable_ca_bundle_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    assert settings(extra={"ca_bundle": str(tmp_path / "ca.pem")}).ca_bundle == str(tmp_path / "ca.pem")


def test_unknown_extras_are_reported_with_the_closest_name() -> None:
    assert unknown_extras({"read_timout": 1, "account": "x"}) == [
        "unknown extra 'read_timout'; did you mean 'read_timeout'?"
    ]


def test_secrets_are_not_shown() -> None:
    shown = repr(settings(password="k3y", extra={"pseudonym_key": "p5eudo"}))
    assert "k3y" not in shown
    assert "p5eudo" not in shown
