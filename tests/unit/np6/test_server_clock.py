"""What time it is by the server's clock, as far as that can be believed."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_np6.np6.server_clock import content_age, content_time

pytestmark = pytest.mark.core

NOW = 1_800_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
YEARS = 10 * 365 * DAY


def headers(date: int | None = None, age: str | None = None) -> CaseInsensitiveDict[str]:
    """The headers of a response.

    :param date: in ms since the epoch.
    :param age: in s.
    """
    made = {}
    if date is not None:
        made["date"] = formatdate(date / 1_000, usegmt=True)
    if age is not None:
        made["age"] = age
    return CaseInsensitiveDict(made)


@pytest.mark.parametrize(
    ("date", "age", "expected"),
    [
        # Without a cache.
        (NOW, None, NOW),
        (NOW - 5 * MINUTE, None, NOW - 5 * MINUTE),
        (NOW + 5 * MINUTE, None, NOW + 5 * MINUTE),
        (NOW - DAY, None, NOW - DAY),
        (NOW + DAY, None, NOW + DAY),
        (NOW, "0", NOW),
        # A proxy that renews Date.
        (NOW, "3600", NOW - HOUR),
        (NOW, "60", NOW - MINUTE),
        (NOW - MINUTE, "172800", NOW - MINUTE - 2 * DAY),
        (NOW - DAY, "60", NOW - DAY - MINUTE),
        # A cache that keeps the Date of the origin: the earlier time counts.
        (NOW - HOUR, "3600", NOW - 2 * HOUR),
        (NOW - 3 * DAY, "259200", NOW - 6 * DAY),
        (NOW - 3 * DAY, "345600", NOW - 7 * DAY),
        # Implausible: no clock but this machine's counts.
        (NOW - DAY - 1_000, None, None),
        (NOW + DAY + 1_000, None, None),
        (NOW - DAY - 1_000, "0", None),
        (NOW - 3 * DAY, "60", NOW - MINUTE),
        (NOW + 3 * DAY, "60", NOW - MINUTE),
        (NOW - 3 * DAY, "518401", NOW - 518_401_000),
        # No Date.
        (None, None, None),
        (None, "0", None),
        (None, "3600", NOW - HOUR),
        # Absurd ages count as ten years; what is not a number does not count.
        (NOW, "999999999999", NOW - YEARS),
        (None, "999999999999", NOW - YEARS),
        (NOW, "-5", NOW),
        (NOW, "old", NOW),
    ],
)
def test_the_time_of_a_response_is_its_date_less_its_age(
    date: int | None, age: str | None, expected: int | None
) -> None:
    assert content_time(headers(date, age), NOW) == expected


def test_an_unreadable_date_does_not_count() -> None:
    assert content_time({"Date": "yesterday"}, NOW) is None
    assert content_time({"Date": "yesterday", "Age": "60"}, NOW) == NOW - MINUTE


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        ("1", 1_000),
        (" 17 ", 17_000),
        ("315359999", YEARS - 1_000),
        ("315360000", YEARS),
        ("315360001", YEARS),
        ("9" * 19, YEARS),
        ("9" * 20, 0),
        ("9" * 5_000, 0),
        ("-1", 0),
        ("+1", 0),
        ("1.5", 0),
        ("1e3", 0),
        ("1, 2", 0),
        ("0x1", 0),
        ("\u0661", 0),  # a digit, but not of HTTP
        ("\u00b2", 0),
        ("NaN", 0),
    ],
)
def test_the_age_is_a_number_of_seconds(age: str | None, expected: int) -> None:
    assert content_age(headers(age=age)) == expected
