"""The page of ``coverage --html``: complete, small, and safe whatever the names are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from airflow_provider_np6.cli.coverage_html import to_html

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.coverage import State

pytestmark = pytest.mark.core

STATES: Sequence[State] = ("complete", "empty", "partial", "missing", "invalid", "expired")
EMPTY_ELEMENTS = {"meta", "rect", "line", "stop"}


def days(number: int) -> list[str]:
    return [(date(2024, 10, 4) + timedelta(days=day)).isoformat() for day in range(number)]


def mixed(number: int, first: int = 0) -> list[State]:
    """States of which no two neighbors are the same."""
    return [STATES[(first + day) % len(STATES)] for day in range(number)]


class Reader(HTMLParser):
    """Checks that elements are closed in order, and keeps what there is."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY_ELEMENTS:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def bars(page: str) -> list[tuple[str, str, str]]:
    """Row, dates and state of each bar."""
    return re.findall(r"<title>([^<\n]*)\n([^<\n]*): (\w+)(?:, on the [^<]*)?</title></rect>", page)


def test_a_row_of_three_days() -> None:
    page = to_html("/data/np6", days(3), [("bounces · 000PE4", ["complete", "missing", "missing"])])
    reader = Reader(page)
    assert bars(page) == [
        ("bounces · 000PE4", "2024-10-04", "complete"),
        ("bounces · 000PE4", "2024-10-05 to 2024-10-06", "missing"),
    ]
    assert "1 row, 3 UTC days: 2024-10-04 to 2024-10-06." in page
    counts = re.findall(r"<b>([\d,]+)</b> (\w+) <small>", page)
    assert counts == [
        ("1", "complete"),
        ("0", "empty"),
        ("0", "partial"),
        ("2", "missing"),
        ("0", "invalid"),
        ("0", "expired"),
    ]
    cells = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>', page)
    assert cells == [("bounces · 000PE4", "2024-10-05", "2024-10-06", "missing")]
    assert ("details", {"open": None}) in reader.tags
    assert [attributes["aria-label"] for _, attributes in reader.tags if attributes.get("role") == "img"]


def test_each_state_has_a_color_in_light_and_dark() -> None:
    page = to_html("/data/np6", days(6), [("bounces · 000PE4", mixed(6))])
    light, dark = page.split("prefers-color-scheme: dark")
    for state in STATES:
        assert f"--{state}: #" in light
        assert f"--{state}: #" in dark
        assert f".{state} {{ fill: " in page
        assert f'<rect class="{state}"' in page


def test_it_needs_nothing_beside_it() -> None:
    reader = Reader(to_html("/data/np6", days(6), [("bounces · 000PE4", mixed(6))]))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert not [
        name for _, attributes in reader.tags for name in attributes if name in ("src", "href", "style")
    ]
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]


def test_names_are_text() -> None:
    name = "/<script>alert('a&amp;b')</script>\"$body · 000PE4"
    reader = Reader(to_html(f"/data/{name}", days(3), [(name, mixed(3))]))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.texts.count(f"Coverage of /data/{name}") == 2
    assert name in reader.texts


def test_a_long_name_is_shortened_and_still_shown_whole() -> None:
    name = "hits/redirection by genericrobot,gsr,mpp · an-action-with-a-long-id"
    texts = Reader(to_html("/data/np6", days(3), [(name, mixed(3))])).texts
    assert f"{name[:21]}…{name[-22:]}" in texts
    assert name in texts


def test_nothing_at_all() -> None:
    page = to_html("/data/np6", days(3), [])
    Reader(page)
    assert "Nothing is stored in this range." in page


def test_a_complete_page_lists_no_problem() -> None:
    page = to_html("/data/np6", days(3), [("bounces · 000PE4", ["complete", "empty", "expired"])])
    assert "<details" not in page


@pytest.mark.parametrize("number", [1, 2, 14, 62, 90, 365, 400, 2_000])
def test_the_axis_fits_its_labels(number: int) -> None:
    page = to_html("/data/np6", days(number), [("bounces · 000PE4", mixed(number))])
    axis = page.split('<svg class="axis"')[1].split("</svg>")[0]
    labels = [(float(x), day) for x, day in re.findall(r'<text x="([\d.]+)" y="16">(.*?)</text>', axis)]
    assert labels
    assert all(
        later[0] - earlier[0] >= 80 for earlier, later in zip(labels, islice(labels, 1, None), strict=False)
    )
    width = float(re.findall(r'width="([\d.]+)"', axis)[0])
    assert labels[-1][0] + 75 <= width <= 1_400


def test_300_rows_of_a_year_show_each_day() -> None:
    complete: list[State] = ["complete"] * 364
    states: list[State] = [*complete, "missing"]
    page = to_html("/data/np6", days(365), [(f"bounces · {row:06}", states) for row in range(300)])
    assert len(page) < 250_000
    assert len(bars(page)) == 600
    assert ("bounces · 000299", "2025-10-03", "missing") in bars(page)
    assert "Each column" not in page
    assert page.count('<th scope="row">') == 300
    assert ("details", {}) in Reader(page).tags


def test_columns_are_weeks_where_days_are_too_many() -> None:
    page = to_html("/data/np6", days(365), [(f"bounces · {row:06}", mixed(365, row)) for row in range(300)])
    assert len(page) < 3_000_000
    assert "Each column is 7 days and shows the worst of them." in page
    assert bars(page)[0] == ("bounces · 000000", "2024-10-04 to 2025-10-02", "missing")
    assert "And 54,250 more." in page


def test_any_number_of_rows_and_days_is_bounded() -> None:
    rows: list[tuple[str, list[State]]] = [
        (f"bounces · {row:06}", ["complete"] * 1_000) for row in range(1_500)
    ]
    rows += [(f"hits · {row:06}", mixed(1_000)) for row in range(200)]
    page = to_html("/data/np6", days(1_000), rows)
    assert len(page) < 3_000_000
    assert "1,700 rows, 1,000 UTC days" in page
    assert "1,000 rows are shown, those with problems first." in page
    shown = {name for name, _, _ in bars(page)}
    assert len(shown) == 1_000
    assert {name for name, states in rows if "missing" in states} <= shown
