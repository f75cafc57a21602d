from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from airflow_provider_np6.sandbox import Fault, Sandbox
from tests.support.postgres import free_port
from tests.support.run import KEY

pytestmark = pytest.mark.core


def client_of(url: str, **options: Any) -> Np6Client:
    return Np6Client(Np6Config(base_url=url, api_key=KEY, account="test", max_attempts=1, **options))


def test_the_key_is_sent_and_accepted(client: Np6Client, sandbox: Sandbox) -> None:
    assert [action["id"] for action in client.list_actions({})] == sandbox.account.action_ids
    assert [request.authorized for request in sandbox.received] == [True]


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (400, errors.Np6RefusedError, "refused the request"),
        (401, errors.Np6AuthenticationError, "does not accept the API key"),
        (403, errors.Np6PermissionError, "may not read"),
        (404, errors.Np6NotFoundError, "knows no such resource"),
        (410, errors.Np6NotFoundError, "no longer has this resource"),
        (418, errors.Np6RefusedError, "refused the request"),
        (429, errors.Np6RateLimitError, "limits the rate"),
        (500, errors.Np6ServerError, "NP6 failed"),
        (503, errors.Np6ServerError, "NP6 failed"),
        (304, errors.Np6ResponseError, "neither with events nor with an error"),
    ],
)
def test_each_status_has_its_error(
    client: Np6Client, sandbox: Sandbox, status: int, kind: type, says: str
) -> None:
    body = b"" if status == 304 else b'{"recipient": "a@b.c"}'
    sandbox.plan.add(
        Fault(status=status, body=body, framing="length", headers={"x-request-id": "r-1"}), times=2
    )
    with pytest.raises(errors.Np6Error, match=says) as caught:
        client.get_json("/actions")
    assert type(caught.value) is kind
    assert f"HTTP status {status}; x-request-id r-1" in str(caught.value)
    assert "a@b.c" not in str(caught.value)


def test_a_wrong_key_is_an_error(sandbox: Sandbox) -> None:
    wrong = Np6Client(Np6Config(base_url=sandbox.url, api_key="wrong", account="test"))
    with pytest.raises(errors.Np6AuthenticationError):
        wrong.list_actions({})
    assert len(sandbox.received) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_failure_that_may_pass_is_retried(client: Np6Client, sandbox: Sandbox, status: int) -> None:
    sandbox.plan.add(Fault(status=status))
    assert client.list_actions({})
    assert len(sandbox.received) == 2


def test_a_delay_that_the_server_requests_is_kept(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    sandbox.plan.add(Fault(status=429, headers={"Retry-After": "7"}))
    client.list_actions({})
    assert slept == [pytest.approx(7, abs=0.1)]
    assert slept[0] >= 7


def test_a_delay_beyond_max_wait_is_an_error(sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=429, headers={"Retry-After": "7"}))
    patient = Np6Client(Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_wait=5))
    with pytest.raises(errors.Np6RateLimitError) as caught:
        patient.list_actions({})
    assert caught.value.delay == 7.0


def test_without_a_list_of_actions_the_error_says_what_to_do(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(status=410, framing="length"))
    with pytest.raises(errors.Np6NotFoundError, match="give the ids of your actions by hand"):
        client.list_actions({})


@pytest.mark.parametrize("body", [b"{}", b"[5]", b'[{"name": "x"}]'])
def test_a_list_of_something_else_is_refused(client: Np6Client, sandbox: Sandbox, body: bytes) -> None:
    sandbox.plan.add(Fault(body=body))
    with pytest.raises(errors.Np6ResponseError):
        client.list_actions({})


def test_no_server() -> None:
    with pytest.raises(errors.Np6ConnectionError, match="could not be reached"):
        client_of(f"http://127.0.0.1:{free_port()}").get_json("/actions")


def test_unknown_host() -> None:
    with pytest.raises(errors.Np6ConnectionError, match="name is unknown"):
        client_of("https://no-such-host.invalid").get_json("/actions")


def test_no_tls(sandbox: Sandbox) -> None:
    with pytest.raises(errors.Np6ConnectionError, match="TLS"):
        client_of(sandbox.url.replace("http:", "https:")).get_json("/actions")


def test_a_proxy_that_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(errors.Np6ConnectionError, match="proxy"):
        client_of("https://no-such-host.invalid").get_json("/actions")


def test_a_stalled_response_ends_at_the_read_timeout(sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(stall=2))
    with pytest.raises(errors.Np6TimeoutError, match="no byte came within read_timeout"):
        client_of(sandbox.url, read_timeout=0.2).get_json("/actions")


def test_a_redirect_to_another_origin_does_not_carry_the_key(client: Np6Client, sandbox: Sandbox) -> None:
    with Sandbox(sandbox.account, key=KEY) as elsewhere:
        sandbox.plan.add(
            Fault(status=302, headers={"Location": f"{elsewhere.url}/actions"}, framing="length")
        )
        with pytest.raises(errors.Np6RefusedError, match="would carry the API key away") as caught:
            client.list_actions({})
        assert elsewhere.received == []
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed(client: Np6Client, sandbox: Sandbox, status: int) -> None:
    sandbox.plan.add(
        Fault(path="/actions/old", status=status, headers={"Location": "/actions"}, framing="length")
    )
    assert len(client.get_json("/actions/old")) == 4


def test_the_session_that_users_get_goes_nowhere_else(client: Np6Client, sandbox: Sandbox) -> None:
    with Sandbox(key="other") as elsewhere:
        with pytest.raises(errors.Np6RefusedError):
            client.session.get(elsewhere.url)
        assert elsewhere.received == []


def test_another_scheme_or_port_is_another_origin() -> None:
    session = client_of("https://127.0.0.1:8443").session
    for url in ("http://127.0.0.1:8443/", "https://127.0.0.1:8444/", "https://localhost:8443/"):
        with pytest.raises(errors.Np6RefusedError, match="would carry the API key away"):
            session.get(url)


def test_responses_may_be_compressed(sandbox: Sandbox) -> None:
    with Sandbox(sandbox.account, key=KEY, packed=True) as packed:
        assert client_of(packed.url).list_actions({}) == client_of(sandbox.url).list_actions({})


def test_a_compressed_response_without_its_checksum_is_broken(sandbox: Sandbox) -> None:
    with Sandbox(sandbox.account, key=KEY, packed=True) as packed:
        whole = compressed_size(packed)
        packed.plan.add(Fault(cut=whole - 4, framing="close"))
        with pytest.raises(errors.Np6TruncatedError, match="before its checksum"):
            client_of(packed.url).get_json("/actions")


def compressed_size(sandbox: Sandbox) -> int:
    sandbox.plan.add(Fault(framing="length"))
    with client_of(sandbox.url).get_ok("/actions") as response:
        return int(response.headers["Content-Length"])


def test_another_compression_is_refused(client: Np6Client, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(headers={"Content-Encoding": "br"}))
    with pytest.raises(errors.Np6ResponseError, match="compressed as 'br'"):
        client.list_actions({})


def test_actions_with_values_that_no_single_parser_takes(client: Np6Client, sandbox: Sandbox) -> None:
    body = rb'[{"id":"a","name":"\ud83d","n":1e999}]'
    sandbox.plan.add(Fault(body=body), times=1)
    assert client.list_actions({}) == [{"id": "a", "name": "\ufffd", "n": Decimal("1e999")}]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "the response is not valid JSON"),
        (b'[{"id":"\xff"}]', "the response is not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "the response is nested too deeply"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_our_error(
    client: Np6Client, sandbox: Sandbox, body: bytes, says: str
) -> None:
    sandbox.plan.add(Fault(body=body, headers={"x-request-id": "r-7"}))
    with pytest.raises(errors.Np6ResponseError, match=says) as caught:
        client.list_actions({})
    assert "(/actions; HTTP status 200; x-request-id r-7)" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "has_events"),
    [(b" [ ]", False), (b"[ {", True), (b'[{"id":"\\ud83d"}]', True)],
)
def test_whether_there_are_events_is_known_from_the_first_bytes(
    client: Np6Client, sandbox: Sandbox, body: bytes, has_events: bool
) -> None:
    query = EventQuery.checked("bounces", sandbox.account.action_ids[0], Window(0, 1_000))
    sandbox.plan.add(Fault(body=body))
    assert client.has_events(query) is has_events
    assert "sort" not in sandbox.received[0].parameters


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", errors.Np6TruncatedError, "the response ends before its first event"),
        (b"[ ", errors.Np6TruncatedError, "the response ends before its first event"),
        (b"{}", errors.Np6ResponseError, "not the array that NP6 documents"),
    ],
)
def test_without_an_array_nothing_is_known_of_events(
    client: Np6Client, sandbox: Sandbox, body: bytes, error: type[Exception], says: str
) -> None:
    query = EventQuery.checked("bounces", sandbox.account.action_ids[0], Window(0, 1_000))
    sandbox.plan.add(Fault(body=body), times=2)
    with pytest.raises(error, match=says):
        client.has_events(query)


def test_failures_are_logged_with_what_support_needs_and_no_key(
    client: Np6Client, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.plan.add(Fault(status=500, headers={"x-request-id": "r-\x1b[31m2"}))
    query = EventQuery.checked("bounces", sandbox.account.action_ids[0], Window(0, 1_000))
    with caplog.at_level(logging.WARNING):
        client.get_json(query.path, query.parameters(query.window))
    assert "NP6 failed (" in caplog.text
    assert "x-request-id r-[31m2" in caplog.text
    assert KEY not in caplog.text
