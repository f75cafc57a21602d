"""Log lines that show how far a pull is."""

from __future__ import annotations

import json
import logging
import re

import pytest

from airflow_provider_np6.np6 import progress
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.progress import Progress
from airflow_provider_np6.np6.pull import pull
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.pulls import MemorySpool, held, query_of

pytestmark = pytest.mark.core

START = 20_000 * DAY  # 2024-10-04
QUERY = EventQuery.checked("bounces", "000PE4", Window(START, START + DAY))
NAME = "Pulling bounces of action 000PE4, window [2024-10-04T00:00:00.000Z, 2024-10-05T00:00:00.000Z): "


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    caplog.set_level(logging.INFO, progress.__name__)
    return clock


def test_a_line_comes_every_ten_seconds(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    assert progress.INTERVAL == 10
    shown = Progress(QUERY)
    lines = []
    for passed in (0, 9.9, 0.1, 0.1, 9.8, 0.1, 25.0, 9.0, 1.0):
        clock.now += passed
        shown.show(1, 1, START)
        lines.append(len(caplog.records))
    assert lines == [0, 0, 1, 1, 1, 2, 3, 3, 4]
    assert {record.levelname for record in caplog.records} == {"INFO"}


@pytest.mark.parametrize(
    ("events", "bytes_read", "reached", "line"),
    [
        (
            50_000,
            12_345_678,
            START + DAY // 4,
            "50000 events, 12.3 MB, 2500 events/s, at 2024-10-04T06:00:00.000Z (25 %)",
        ),
        (0, 2, START, "0 events, 0.0 MB, 0 events/s, at 2024-10-04T00:00:00.000Z (0 %)"),
        (1, 0, START + DAY - 1, "1 events, 0.0 MB, 0 events/s, at 2024-10-04T23:59:59.999Z (100 %)"),
        # Events just outside of the window, within its whole seconds.
        (1, 0, START - 5_000_000, "1 events, 0.0 MB, 0 events/s, at 2024-10-03T22:36:40.000Z (0 %)"),
        (1, 0, START + 2 * DAY, "1 events, 0.0 MB, 0 events/s, at 2024-10-06T00:00:00.000Z (100 %)"),
    ],
)
def test_a_line_has_numbers_and_the_share_of_the_window(
    clock: Clock, caplog: pytest.LogCaptureFixture, events: int, bytes_read: int, reached: int, line: str
) -> None:
    shown = Progress(QUERY)
    clock.now += 20
    shown.show(events, bytes_read, reached)
    assert caplog.messages == [NAME + line]


def test_the_rate_is_that_of_the_whole_pull(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    shown = Progress(QUERY)
    for events in (1_000, 3_000):
        clock.now += 10
        shown.show(events, 0, START)
    assert ["100 events/s" in caplog.messages[0], "150 events/s" in caplog.messages[1]] == [True, True]


def test_a_pull_shows_how_far_it_is_and_never_an_event(
    client: Np6Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    sandbox.account = FakeAccount(events_per_day=2_401)
    query = query_of(sandbox)
    with caplog.at_level(logging.INFO):
        pull(client, query, MemorySpool())
    lines = [message for message in caplog.messages if message.startswith(NAME)]
    shares = [int(re.search(r"\((\d+) %\)", line)[1]) for line in lines]  # type: ignore[index]
    assert len(lines) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 100
    some = json.loads(held(sandbox, query)[1_000])
    assert some["id"] not in caplog.text
    assert some["source"]["detail"]["activation"]["recipient"] not in caplog.text


def test_a_short_pull_shows_nothing(
    client: Np6Client, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        pull(client, query_of(sandbox), MemorySpool())
    assert "Pulling " not in caplog.text
