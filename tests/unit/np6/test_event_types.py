from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.np6.event_types import COMMON, EVENT_TYPES, EventType
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window
from tests.support import ROOT
from tests.support.airflow_runs import load

pytestmark = pytest.mark.core

WINDOW = Window(1_000_000_000_000, 1_000_000_001_000)


def test_every_event_type_has_a_row() -> None:
    assert list(EVENT_TYPES) == list(EventType)
    assert all(row.event_type == event_type and row.what for event_type, row in EVENT_TYPES.items())


def test_paths_of_one_action_and_of_all() -> None:
    for event_type in EventType:
        below = "" if event_type == "events" else f"/{event_type}"
        assert EventQuery.checked(str(event_type), "000PE4", WINDOW).path == f"/actions/000PE4/events{below}"
        assert EventQuery.checked(event_type, "*", WINDOW).path == f"/actions/events{below}"


def test_columns_are_those_of_destinations() -> None:
    known = {column.name for column in COLUMNS}
    for row in EVENT_TYPES.values():
        filled = (*COMMON, *row.columns)
        assert len(set(filled)) == len(filled)
        assert set(filled) <= known
    # The mixed stream fills all columns, and so do all types together.
    assert {*COMMON, *EVENT_TYPES[EventType.EVENTS].columns} == known
    assert {name for row in EVENT_TYPES.values() for name in (*COMMON, *row.columns)} == known


def test_only_hits_have_a_classification() -> None:
    assert {row.event_type for row in EVENT_TYPES.values() if row.has_classification} == {
        event_type for event_type in EventType if event_type.partition("/")[0] == "hits"
    }


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, ""),
        ("", ""),
        ("None", ""),
        ("gsr", "gsr"),
        ("mpp, gsr ,mpp", "gsr,mpp"),
        ("later-class", "later-class"),
    ],
)
@pytest.mark.parametrize("event_type", ["hits", "hits/open", "/hits/open"])
def test_a_classification_is_sorted_and_sent(event_type: str, value: object, kept: str) -> None:
    query = EventQuery.checked(event_type, "000PE4", WINDOW, value)
    assert query.classification == kept
    assert query.parameters(WINDOW).get("classification") == (kept or None)


@given(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=5), st.randoms())
def test_one_set_of_classes_is_one_series(classes: list[str], chance: Random) -> None:
    def kept(names: list[str], comma: str) -> str:
        return EventQuery.checked("hits", "*", WINDOW, comma.join(names)).classification

    once = kept(classes, ",")
    again = classes * 2
    chance.shuffle(again)
    assert kept(again, " , ") == kept(once.split(","), ",") == once
    assert once.split(",") == sorted(set(classes))


@pytest.mark.parametrize(
    "value", ["gsr,", ",", "g sr", "gsr;mpp", ["gsr"], 5, "x" * 101, "a/b", "gsr&x=1", "é"]
)
def test_an_invalid_classification_is_refused(value: object) -> None:
    with pytest.raises(Np6InputError, match="is not a list of classes"):
        EventQuery.checked("hits", "000PE4", WINDOW, value)


@pytest.mark.parametrize("event_type", ["bounces", "events", "responses/reply"])
def test_a_type_without_classes_refuses_them(event_type: str) -> None:
    with pytest.raises(Np6InputError, match=f"{event_type} take no classification"):
        EventQuery.checked(event_type, "000PE4", WINDOW, "gsr")


@pytest.mark.parametrize(
    ("value", "near"),
    [
        ("hit", "hits"),
        ("activation", "activations"),
        ("opens", "hits/open"),
        ("stop", "responses/stop"),
        ("hit/redirection", "hits/redirection"),
    ],
)
def test_the_closest_event_type_is_suggested(value: str, near: str) -> None:
    with pytest.raises(Np6InputError, match=f"Did you mean '{near}'"):
        EventQuery.checked(value, "000PE4", WINDOW)


def test_the_page_shows_all_event_types() -> None:
    table = load(ROOT / "docs/event_types.py")
    page = table.PAGE.read_text()
    assert table.with_table(page) == page, "write it again: python docs/event_types.py"
    assert all(f"\n| `{event_type}` |" in page for event_type in EventType)
