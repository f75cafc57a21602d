"""How many events were dropped because their id had come already."""

from __future__ import annotations

import pytest

from airflow_provider_np6.np6.duplicates import Duplicates
from airflow_provider_np6.np6.window import DAY, Window

pytestmark = pytest.mark.core

WINDOW = Window(DAY - 10_000, DAY + 10_000)


def test_nothing_is_counted_at_first() -> None:
    duplicates = Duplicates(WINDOW)
    duplicates.begin()
    duplicates.conclude()
    assert duplicates.by_day == {}


def test_duplicates_of_the_window_are_counted_by_day() -> None:
    duplicates = Duplicates(WINDOW)
    times = (WINDOW.start - 1, WINDOW.start, DAY - 1, DAY, WINDOW.end - 1, WINDOW.end)
    for number, time in enumerate(times):
        duplicates.add(str(number), time)
    assert duplicates.by_day == {0: 2, 1: 2}


def test_of_one_id_the_most_of_one_response_count() -> None:
    duplicates = Duplicates(WINDOW)
    for of_a, of_b in ((2, 1), (1, 3), (2, 0)):
        duplicates.begin()
        for _ in range(of_a):
            duplicates.add("a", DAY)
        for _ in range(of_b):
            duplicates.add("b", DAY)
    assert duplicates.by_day == {1: 5}


def test_duplicates_that_do_not_come_again_are_counted_without_their_ids() -> None:
    duplicates = Duplicates(WINDOW)
    duplicates.conclude()
    assert duplicates.by_day == {}
    for _ in range(3):
        duplicates.begin()
        duplicates.add("a", DAY)
        duplicates.add("a", DAY + 500)
        duplicates.add("b", DAY + 500)
    assert duplicates.by_day == {1: 3}
    duplicates.conclude()
    assert duplicates.by_day == {1: 3}
    duplicates.add("a", DAY + 1_000)  # in the same response, but of another second
    assert duplicates.by_day == {1: 4}
    duplicates.conclude()
    duplicates.begin()
    duplicates.add("a", DAY + 2_000)
    assert duplicates.by_day == {1: 5}


def test_duplicates_of_one_id_and_two_days_count_at_each_day() -> None:
    duplicates = Duplicates(WINDOW)
    duplicates.add("a", DAY - 1)
    duplicates.conclude()
    duplicates.add("a", DAY)
    assert duplicates.by_day == {0: 1, 1: 1}
