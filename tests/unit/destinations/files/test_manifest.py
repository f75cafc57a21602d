"""Manifests in JSON, and what one that replaces another lists as removed."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.destinations.files.manifest import VERSION, Manifest, Slice
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError
from airflow_provider_np6.np6.window import DAY, Window
from tests.support.files import make_manifest, make_slice
from tests.support.pulls import HOUR, MIDNIGHT

pytestmark = pytest.mark.core

SCHEMA = json.loads(
    files("airflow_provider_np6.destinations.files").joinpath("manifest.schema.json").read_text()
)


def test_the_schema_has_the_fields_of_a_manifest_and_of_its_slices() -> None:
    slice_schema = SCHEMA["$defs"]["slice"]
    for schema, kind in ((SCHEMA, Manifest), (slice_schema, Slice)):
        names = [field.name for field in fields(kind)]
        assert schema["required"] == list(schema["properties"]) == names
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "manifest",
    [
        make_manifest(),
        make_manifest(make_slice(), removed=("old",), erasures=7),
        make_manifest(
            make_slice(
                Window(MIDNIGHT, MIDNIGHT + HOUR),
                None,
                events=0,
                invalid=2,
                quarantine="_quarantine/type=bounces/action=000PE4/date=2024-10-04/a.bad",
                quarantine_sha256="1" * 64,
                first_timestamp=None,
                last_timestamp=None,
                bytes=0,
                sha256=None,
                expired=True,
            ),
            make_slice(Window(MIDNIGHT + HOUR, MIDNIGHT + DAY)),
        ),
    ],
    ids=["without slices", "a day", "an empty hour and the rest"],
)
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    data = manifest.encode()
    jsonschema.validate(json.loads(data), SCHEMA)
    assert Manifest.decode(data, "m.json") == manifest
    assert list(json.loads(data)) == SCHEMA["required"]


def test_fields_of_later_releases_are_ignored() -> None:
    manifest = make_manifest(make_slice())
    record = {**asdict(manifest), "new": 1}
    record["slices"] = [{**record["slices"][0], "newer": {}}]
    assert Manifest.decode(json.dumps(record).encode(), "m.json") == manifest


def test_a_later_format_is_not_read() -> None:
    record = {"version": VERSION + 1, "what": "nobody knows"}
    with pytest.raises(Np6ConflictError, match=r"the manifest /lake/m\.json is of format 2"):
        Manifest.decode(json.dumps(record).encode(), "/lake/m.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"{",
        lambda _: b"[]",
        lambda _: b"\xff",
        lambda record: json.dumps({**record, "slices": None}).encode(),
        lambda record: json.dumps({**record, "slices": [{}]}).encode(),
        lambda record: json.dumps({**record, "slices": ["a"]}).encode(),
        lambda record: json.dumps({**record, "version": "1"}).encode(),
        lambda record: json.dumps({name: record[name] for name in record if name != "removed"}).encode(),
        lambda record: json.dumps({**record, "slices": [{**record["slices"][0], "window_end": 5}]}).encode(),
        lambda record: json.dumps(record).replace("2024-10-05T00:00:00.000Z", "2024-10-04").encode(),
    ],
)
def test_what_is_no_manifest_is_an_error_that_names_its_file(change: Any) -> None:
    data = change(asdict(make_manifest(make_slice())))
    with pytest.raises(Np6DestinationError, match=r"the manifest /lake/m\.json cannot be read") as caught:
        Manifest.decode(data, "/lake/m.json")
    assert caught.value.retryable


names = st.sampled_from("abcdef")


@given(
    old=st.sets(names, max_size=3),
    removed=st.sets(names, max_size=3),
    new=st.sets(names, max_size=3),
    orphans=st.sets(names, max_size=3),
    gone=st.sets(names, max_size=3),
)
def test_what_is_no_longer_named_is_listed_as_removed_until_it_is_gone(
    old: set[str], removed: set[str], new: set[str], orphans: set[str], gone: set[str]
) -> None:
    removed -= old  # no manifest names a file that it lists as removed
    new -= removed
    hours = {name: Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR) for n, name in enumerate("abcdef")}

    def named(wanted: set[str]) -> list[Slice]:
        return [make_slice(hours[name], data=None, quarantine=name) for name in sorted(wanted, reverse=True)]

    before = make_manifest(*named(old), removed=tuple(sorted(removed)), erasures=1)
    after = before.with_slices(named(new), erasures=2, orphans=orphans, gone=gone)
    assert after.names == new
    assert set(after.removed) == (removed - gone) | (old - new) | (orphans - new)
    assert list(after.removed) == sorted(set(after.removed))
    assert after.names.isdisjoint(after.removed)
    assert [slice_.quarantine for slice_ in after.slices] == sorted(new)  # in order of time
    assert (after.erasures, after.date, after.event_type) == (2, before.date, before.event_type)


def test_no_two_manifests_are_equal() -> None:
    slices = [make_slice()]
    manifests = [make_manifest(*slices)]
    for _ in range(3):
        manifests.append(manifests[-1].with_slices(slices, erasures=0))
    assert len({manifest.encode() for manifest in manifests}) == 4


def test_slices_that_a_window_touches_are_found() -> None:
    hours = [make_slice(Window(MIDNIGHT + n * HOUR, MIDNIGHT + (n + 1) * HOUR)) for n in range(4)]
    manifest = make_manifest(*hours)
    assert manifest.overlapping(Window(MIDNIGHT + HOUR, MIDNIGHT + 3 * HOUR)) == hours[1:3]
    assert manifest.overlapping(Window(MIDNIGHT + HOUR - 1, MIDNIGHT + HOUR)) == hours[:1]
    assert manifest.overlapping(Window(MIDNIGHT + 4 * HOUR, MIDNIGHT + DAY)) == []


def test_the_files_of_a_manifest_are_data_and_quarantine() -> None:
    first = make_slice(quarantine="q")
    assert first.names == [first.data, "q"]
    assert make_manifest(first, replace(first, data=None, quarantine=None)).names == {first.data, "q"}
