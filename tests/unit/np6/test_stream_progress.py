from __future__ import annotations

import json
import logging
import re

import pytest

from airflow_provider_np6.np6 import stream
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.pulls import held, query_of
from tests.unit.np6.test_pull import Taken

pytestmark = pytest.mark.core


def test_progress_tells_how_far_a_pull_is_and_never_an_event(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream, "INTERVAL", 0.0)
    sandbox.account = FakeAccount(events_per_day=2_401)
    query = query_of(sandbox)
    with caplog.at_level(logging.INFO):
        pull(client, query, Taken())
    lines = [record.message for record in caplog.records if record.message.startswith("Pulling ")]
    shares = [int(re.search(r"\((\d+) %\)", line)[1]) for line in lines]  # type: ignore[index]
    assert len(lines) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 100
    some = json.loads(held(sandbox, query)[1_000])
    assert some["id"] not in caplog.text
    assert some["source"]["detail"]["activation"]["recipient"] not in caplog.text


def test_progress_waits_for_its_interval(
    client: Np6Client, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        pull(client, query_of(sandbox), Taken())
    assert "Pulling " not in caplog.text
