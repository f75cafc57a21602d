from __future__ import annotations

import pytest

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.query import EventQuery, EventType
from airflow_provider_np6.np6.window import Window

pytestmark = pytest.mark.core

WINDOW = Window(1_000_000_000_001, 1_000_000_001_500)


@pytest.mark.parametrize(
    ("event_type", "action_id", "path"),
    [
        ("bounces", "000PE4", "/actions/000PE4/events/bounces"),
        (EventType.RESPONSES_STOP, "000PE4", "/actions/000PE4/events/responses/stop"),
        ("cancellations", "*", "/actions/events/cancellations"),
        ("/hits/open", "a_b-C", "/actions/a_b-C/events/hits/open"),
    ],
)
def test_paths(event_type: str, action_id: str, path: str) -> None:
    assert EventQuery.checked(event_type, action_id, WINDOW).path == path


def test_requests_are_in_whole_seconds_rounded_outward_and_in_order() -> None:
    parameters = EventQuery.checked("bounces", "000PE4", WINDOW).parameters(WINDOW)
    assert parameters == {"start": "2001-09-09T01:46:40Z", "end": "2001-09-09T01:46:42Z", "sort": "asc"}


@pytest.mark.parametrize(
    "action_id", [None, "", " ", "None", 5, "a/b", "../x", "a b", "__all__", "*x", "é", "a\n"]
)
def test_unusable_action_ids_are_refused(action_id: object) -> None:
    with pytest.raises(Np6InputError, match="action_id"):
        EventQuery.checked("bounces", action_id, WINDOW)


@pytest.mark.parametrize(
    "event_type", [None, "", "None", "bounce", "/", "//x", "/a/../b", "/a?b", "/a/", "BOUNCES"]
)
def test_unknown_event_types_are_refused(event_type: object) -> None:
    with pytest.raises(Np6InputError, match=r"event.type"):
        EventQuery.checked(event_type, "000PE4", WINDOW)


def test_the_closest_event_type_is_suggested() -> None:
    with pytest.raises(Np6InputError, match="Did you mean 'bounces'"):
        EventQuery.checked("bounce", "000PE4", WINDOW)
