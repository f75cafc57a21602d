"""Names of files, made and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.inventory import Series
from airflow_provider_np6.np6.event_types import EventType
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from tests.support.pulls import HOUR, MIDNIGHT, TODAY

pytestmark = pytest.mark.core

SUFFIXES = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "bad")

queries = st.builds(
    EventQuery,
    st.sampled_from([*EventType, "/custom/path.v2"]),
    st.just("*") | st.from_regex(r"[A-Za-z0-9-][A-Za-z0-9_-]{0,7}", fullmatch=True),
    st.just(TODAY),
    st.sampled_from(["", "gsr", "gsr,mpp"]),
)


def test_names_are_those_of_the_contract() -> None:
    folder = layout.series_folder(EventQuery("bounces", "000PE4", TODAY))
    window = Window(20_773 * DAY, 20_774 * DAY)
    assert window.date == "2026-11-16"
    assert layout.manifest_name(folder, window.date) == (
        "_manifests/type=bounces/action=000PE4/2026-11-16.json"
    )
    data = layout.data_name(window, 0, "0123456789abcdef", "jsonl.gz")
    assert f"{layout.day_folder(folder, window.date)}/{data}" == (
        "type=bounces/action=000PE4/date=2026-11-16"
        "/20261116T000000Z_20261117T000000Z-e0-0123456789abcdef.jsonl.gz"
    )
    assert layout.erasure_list_name(3) == "_erasures/3.json"


@pytest.mark.parametrize(
    ("query", "folder"),
    [
        (EventQuery("responses/stop", "*", TODAY), "type=responses%2Fstop/action=__all__"),
        (EventQuery("hits/open", "A", TODAY, "gsr,mpp"), "type=hits%2Fopen~gsr~mpp/action=A"),
        (EventQuery("/custom/x", "A-_b", TODAY), "type=%2Fcustom%2Fx/action=A-_b"),
    ],
)
def test_a_series_has_a_folder(query: EventQuery, folder: str) -> None:
    assert layout.series_folder(query) == folder


@given(queries, st.integers(0, 99), st.sampled_from(SUFFIXES), st.integers(0, DAY - 2), st.integers(1, DAY))
def test_what_a_name_says_is_read_back(
    query: EventQuery, erasures: int, suffix: str, start: int, length: int
) -> None:
    folder = layout.series_folder(query)
    assert layout.parse_series(folder) == Series(query.event_type, query.classification, query.action_id)
    window = Window(MIDNIGHT + start, MIDNIGHT + min(start + length, DAY))
    name = layout.data_name(window, erasures, "0123456789abcdef", suffix)
    manifest = layout.manifest_name(folder, window.date)
    assert layout.parse_manifest(manifest) == (folder, window.date)
    for place in (layout.day_folder(folder, window.date), f"_quarantine/{folder}/date={window.date}"):
        assert layout.parse_data(f"{place}/{name}") == erasures
        assert layout.parse_data(f"{place}/.{name}.tmp") == erasures
        assert layout.manifest_of(f"{place}/{name}") == manifest
    assert Window.from_name(name) == window


@pytest.mark.parametrize(
    "name",
    [
        "type=bounces/action=A/2026-11-22.json",
        "_manifests/type=bounces/action=A/date=2026-11-22.json",
        "_manifests/type=bounces/action=A/.2026-11-22.json.tmp",
        "_manifests/type=bounces/2026-11-22.json",
        "_manifests/bounces/action=A/2026-11-22.json",
        "_manifests/type=bounces/A/2026-11-22.json",
        "_manifests/type=bounces/action=A/more/2026-11-22.json",
        "_manifests/README.md",
        "_header.json",
    ],
)
def test_other_files_are_no_manifests(name: str) -> None:
    assert layout.parse_manifest(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "20241004T000000Z_20241005T000000Z.jsonl.gz",
        "20241004T000000Z_20241005T000000Z-e0-.jsonl",
        "20241004T000000Z_20241005T000000Z-e-0123456789abcdef.jsonl",
        "20241004T000000Z-e0-0123456789abcdef.jsonl",
        "my-20241004T000000Z_20241005T000000Z-e0-0123456789abcdef.jsonl",
        "20241004T000000Z_20241005T000000Z-e0-0123456789ABCDEF.jsonl",
    ],
)
def test_other_files_are_no_data(name: str) -> None:
    assert layout.parse_data(f"type=bounces/action=A/date=2024-10-04/{name}") is None


@pytest.mark.parametrize("folder", ["", "type=a", "type=a/x=b", "a/action=b", "type=a/action=b/date=c"])
def test_other_folders_are_no_series(folder: str) -> None:
    assert layout.parse_series(folder) is None


def test_each_window_has_a_name_of_its_own() -> None:
    starts = [MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + 999, MIDNIGHT + 1_000, MIDNIGHT + HOUR]
    names = [layout.data_name(Window(start, start + 1), 0, "0", "jsonl") for start in starts]
    assert len(set(names)) == len(names)
