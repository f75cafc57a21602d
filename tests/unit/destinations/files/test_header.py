"""What all pulls into a destination root have in common, and how it is changed."""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.header import (
    Header,
    Patience,
    Requirements,
    change_header,
    probe_conditions,
    read_erasure_list,
    read_header,
)
from airflow_provider_np6.destinations.files.manifest import VERSION, make_token
from airflow_provider_np6.destinations.files.storage import ConditionRefusedError
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6PullAgainError
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.privacy.erasure_filter import ErasureList
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import Sandbox
from tests.support.pulls import TODAY, land, query_of

pytestmark = pytest.mark.core

TOKENS = "pseudonymize:0123456789abcdef"


def schema(name: str) -> dict[str, Any]:
    path = files("airflow_provider_np6.destinations.files").joinpath(f"{name}.schema.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def make_header(**changes: Any) -> Header:
    values = {
        "account": "ours",
        "personal_data": "keep",
        "series": {"type=bounces": "by_action", "type=hits%2Fopen~gsr": "all_actions"},
        "erasures": 0,
        "is_conditional": True,
        "token": make_token(),
    }
    return Header(**{**values, **changes})


def requirements(event_type: str = "bounces", action: str = "000PE4", **changes: str) -> Requirements:
    query = EventQuery(event_type, action, TODAY, changes.pop("classification", ""))
    return Requirements(query, **{"account": "ours", "personal_data": "keep", **changes})


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


def test_the_schema_has_the_fields_of_a_header() -> None:
    found = schema("header")
    names = [field.name for field in fields(Header)]
    assert found["required"] == list(found["properties"]) == names
    jsonschema.Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("personal_data", ["keep", "drop", TOKENS, "pseudonymize+domain:0123456789abcdef"])
def test_a_header_comes_back_as_it_was(personal_data: str) -> None:
    header = make_header(personal_data=personal_data, erasures=2)
    jsonschema.validate(json.loads(header.encode()), schema("header"))
    assert Header.decode(header.encode(), "h.json") == header
    later = json.dumps({**asdict(header), "new": 1}).encode()
    assert Header.decode(later, "h.json") == header


def test_the_header_of_a_pull_follows_its_schema(client: Np6Client, sandbox: Sandbox, root: Path) -> None:
    land(client, FileDestination(str(root)), query_of(sandbox))
    land(client, FileDestination(str(root)), query_of(sandbox, event_type="responses/stop", action="*"))
    record = json.loads((root / "_header.json").read_text())
    jsonschema.validate(record, schema("header"))
    assert record == {
        "account": "test",
        "personal_data": "keep",
        "series": {"type=bounces": "by_action", "type=responses%2Fstop": "all_actions"},
        "erasures": 0,
        "is_conditional": True,
        "token": record["token"],
        "verified": record["verified"],
        "version": 1,
    }
    sizes = {series: size["events"] for series, size in record["verified"].items()}
    assert sizes == {"type=bounces": 98, "type=responses%2Fstop": 392}  # with what lies at the edges


def test_a_later_format_is_neither_read_nor_replaced(store: LocalStore) -> None:
    data = json.dumps({"version": VERSION + 1}).encode()
    store.put_if(layout.HEADER, data, None)
    with pytest.raises(Np6ConflictError, match="the destination is of format 2"):
        change_header(store, lambda _: make_header())
    stored = store.read(layout.HEADER)
    assert stored is not None
    assert stored.data == data


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"version": 1}', b"\xff", b'{"version": "1"}'])
def test_what_is_no_header_is_an_error_that_names_its_file(store: LocalStore, data: bytes) -> None:
    store.put_if(layout.HEADER, data, None)
    with pytest.raises(Np6DestinationError, match=r"the header .*/lake/_header\.json cannot be read"):
        read_header(store)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (requirements(account="theirs"), "events of account 'ours', this connection's is 'theirs'"),
        (
            requirements(personal_data="drop"),
            "was written with personal_data 'keep', and this pull's is 'drop'",
        ),
        (requirements(action="*"), "has bounces pulled for single actions, and this pull is for all actions"),
        (requirements("hits/open", classification="gsr"), "has hits/open pulled for all actions at once"),
    ],
)
def test_what_may_not_be_added_is_refused(wanted: Requirements, says: str) -> None:
    with pytest.raises(Np6ConflictError, match=says) as caught:
        wanted.check(make_header())
    assert "window [2024-10-04T00:00:00.000Z" in str(caught.value)


def test_tokens_of_another_key_are_refused_by_that_name() -> None:
    other = requirements(personal_data="pseudonymize:fedcba9876543210")
    with pytest.raises(Np6ConflictError, match="has tokens of another pseudonym_key"):
        other.check(make_header(personal_data=TOKENS))


@pytest.mark.parametrize(
    "wanted",
    [
        requirements(),
        requirements(action="another"),
        requirements("cancellations", action="*"),
        requirements("hits/open"),  # without a classification it is another series
        requirements("hits/open", action="*", classification="gsr"),
    ],
)
def test_what_may_be_added_is_not(wanted: Requirements) -> None:
    header = make_header()
    wanted.check(header, 0)
    assert wanted.add_to(header).series == {**header.series, wanted.series: wanted.form}


def test_who_was_erased_since_the_pull_began_needs_another_pull() -> None:
    header = make_header(erasures=2)
    requirements().check(header, 2)
    requirements().check(header)  # before there are events
    with pytest.raises(Np6PullAgainError, match="persons were erased from the destination") as caught:
        requirements().check(header, 1)
    assert not caught.value.is_short


def test_a_header_is_created_once_and_changed_with_another_token(store: LocalStore) -> None:
    assert read_header(store) is None
    first = change_header(store, lambda header: make_header() if header is None else None)
    second = change_header(store, lambda header: None)  # noqa: ARG005 - as it is
    third = change_header(store, lambda header: replace(header, erasures=1) if header else None)
    assert first == second
    assert third == replace(first, erasures=1, token=third.token)
    assert len({first.token, third.token}) == 2
    stored = read_header(store)
    assert stored is not None
    assert stored[0] == third


def test_a_change_that_another_comes_before_is_made_to_the_new_header(store: LocalStore) -> None:
    change_header(store, lambda _: make_header(series={}))
    seen: list[Header] = []

    def add(header: Header | None) -> Header:
        assert header is not None
        seen.append(header)
        if len(seen) == 1:
            change_header(store, lambda _: requirements("cancellations").add_to(header))
        return requirements().add_to(header)

    changed = change_header(store, add)
    assert len(seen) == 2
    assert set(changed.series) == {"type=bounces", "type=cancellations"}


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    clock = iter([0.0, 299.0, 301.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    patience = Patience("bounces of action 000PE4")
    patience.wait()
    with pytest.raises(Np6DestinationError, match="others changed the same day") as caught:
        patience.wait()
    assert caught.value.retryable
    assert "bounces of action 000PE4" in str(caught.value)
    assert len(slept) == 1


def test_waits_grow_to_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)  # noqa: ARG005 - the longest
    patience = Patience("")
    for _ in range(9):
        patience.wait()
    assert slept[:2] == [0.04, 0.08]
    assert slept[-1] == 2.0


class OverwritingStore(LocalStore):
    """A store that ignores conditions."""

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        self.delete(name)
        return super().put_if(name, data, None)


class HalfConditionalStore(LocalStore):
    """A store that knows only the condition that there is no file."""

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        if version is not None:
            self.delete(name)
        return super().put_if(name, data, None)


class RepeatingStore(LocalStore):
    """A client that repeats a put whose response was lost: the repeat is refused, and the put was applied."""

    def put_if(self, name: str, data: bytes, version: str | None) -> str:
        super().put_if(name, data, version)
        raise ConditionRefusedError(name)


@pytest.mark.parametrize(
    ("kind", "honors"),
    [(LocalStore, True), (OverwritingStore, False), (HalfConditionalStore, False), (RepeatingStore, True)],
)
def test_a_probe_sees_whether_conditions_are_honored(
    kind: type[LocalStore], honors: bool, root: Path
) -> None:
    assert probe_conditions(kind(root)) is honors
    assert [path.name for path in root.iterdir()] == [".lock"]


def test_a_store_without_conditions_is_not_probed(root: Path) -> None:
    store = LocalStore(root)
    store.is_conditional = False
    assert not probe_conditions(store)
    assert not root.exists()


def test_an_erasure_list_follows_its_schema_and_is_read_by_version(store: LocalStore) -> None:
    assert read_erasure_list(store, 0) is None
    pseudonyms = Pseudonyms("a key")
    erased = ErasureList(
        pseudonyms.fingerprint, frozenset(pseudonyms.tokens(["a@example.com", "+33612345678"]))
    )
    found = schema("erasures")
    jsonschema.Draft202012Validator.check_schema(found)
    jsonschema.validate(json.loads(erased.encode()), found)
    assert found["required"] == list(found["properties"]) == list(json.loads(erased.encode()))
    store.put_if(layout.erasure_list_name(3), erased.encode(), None)
    assert read_erasure_list(store, 3) == erased


def test_a_missing_erasure_list_is_an_error(store: LocalStore) -> None:
    with pytest.raises(Np6DestinationError, match=r"the erasure list .*_erasures/3\.json does not exist"):
        read_erasure_list(store, 3)
