"""Whole pulls: what destinations, logs and reports hold of an account whose people are known."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_np6.destinations import FileDestination, SqlDestination, resolve_destination
from airflow_provider_np6.destinations.files.publication import DayPublication
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.errors import Np6ResponseError
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.privacy.subjects import scan_identifiers
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.files import all_slices, change_manifest, data_paths
from tests.support.operator_pulls import connect, pull
from tests.support.people import KEY, SPELLINGS, plain
from tests.support.pulls import land, query_of

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db")]

REPLACING = ("pseudonymize", "pseudonymize+domain", "drop")
PSEUDONYMS = Pseudonyms(KEY)
PHONE = "+33 (0)6 12 34 56 78"


class Strange(FakeAccount):
    """Bounces with more than is documented, each person's address in every spelling, and halves of characters
    beside it."""

    def _generate(self, event_type: str, action_id: str, hour: int) -> Iterator[FakeEvent]:
        for at, event in enumerate(super()._generate(event_type, action_id, hour)):
            yield self._strange(event, at) if event_type == "bounces" else event

    def _strange(self, event: FakeEvent, at: int) -> FakeEvent:
        address = json.loads(event.json)["source"]["detail"]["activation"]["recipient"]
        spell = SPELLINGS[at % len(SPELLINGS)]
        extra = f',"{spell(address)}":["\\ude00{spell(address)}\\ud83d tel {PHONE}"]}}'
        text = event.json.decode()
        return FakeEvent(event.timestamp, event.id, (text[:-1] + extra).encode() if at % 2 else event.json)


@pytest.fixture
def account() -> FakeAccount:
    return Strange(events_per_day=240)


@pytest.fixture(autouse=True)
def _connected(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    connect(monkeypatch, sandbox)


def raw(sandbox: Sandbox, event_type: str = "bounces") -> list[bytes]:
    start = 1_728_000_000_000
    return [event.json for event in sandbox.account.events(event_type, "000PE4", start, start + 86_400_000)]


def shown(root: Path) -> str:
    """All that stands in the files below ``root``, unpacked."""
    texts = []
    for path in root.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix in (".zst", ".parquet"):
            import pyarrow
            import pyarrow.parquet

            if path.suffix == ".parquet":
                data = json.dumps(pyarrow.parquet.read_table(path).to_pylist(), default=str).encode()
            else:
                with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd") as lines:
                    data = lines.read()
        texts.append(data.decode("utf-8", "replace"))
    return "\n".join(texts)


def assert_nobody(sandbox: Sandbox, *texts: str) -> None:
    people = set().union(*map(scan_identifiers, raw(sandbox)))
    assert len(people) > 400
    for text in texts:
        folded = text.casefold()
        for person in people:
            assert person not in folded
            assert plain(json.dumps(person)[1:-1]) not in folded
        assert "12 34 56 78" not in folded


@pytest.mark.parametrize("mode", REPLACING)
@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet", "sql"])
def test_nobody_is_in_a_destination_its_log_or_its_report(
    *,
    sandbox: Sandbox,
    tmp_path: Path,
    sqlite_connection: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    mode: str,
) -> None:
    if kind in ("jsonl.zst", "parquet"):
        pytest.importorskip("pyarrow")
    caplog.set_level(logging.DEBUG)
    bad = json.dumps({"id": "x", "timestamp": "anna@np6.com", "to": "anna@np6.com"}).encode()
    sandbox.plan.add(Fault(change=faults.broken(3, bad)))
    destination = (
        SqlDestination("np6_sql") if kind == "sql" else FileDestination(str(tmp_path / "lake"), kind)
    )
    report = pull(destination, mode)
    assert (report["events"], report["invalid"]) == (240, 1)
    if kind == "sql":
        with closing(sqlite3.connect(sqlite_connection)) as database:
            held = "\n".join(database.iterdump())
            (aside,) = database.execute("SELECT reason, event, sha256 FROM np6_events_quarantine")
            assert aside[1] is None
            common = "SELECT account, personal_data FROM np6_events_header WHERE event_type = ''"
            assert [*database.execute(common)] == [("np6_default", recorded_as(mode))]
    else:
        held = shown(tmp_path / "lake")
        (path,) = (tmp_path / "lake/_quarantine").rglob("*.bad")
        assert set(json.loads(path.read_text())) == {"near", "reason", "position", "sha256"}
        header = json.loads((tmp_path / "lake/_header.json").read_text())
        assert (header["account"], header["personal_data"]) == ("np6_default", recorded_as(mode))
    assert held.count("user unknown") > 20
    assert "anna@np6.com" not in held
    logged = "\n".join(map(str, [*caplog.messages, *(record.args for record in caplog.records)]))
    assert_nobody(sandbox, held, logged, json.dumps(report))
    assert KEY not in held + logged + json.dumps(report)


def recorded_as(mode: str) -> str:
    return mode if mode == "drop" else f"{mode}:{PSEUDONYMS.fingerprint}"


def test_equal_people_have_equal_tokens_in_runs_fields_and_destinations(
    sandbox: Sandbox, tmp_path: Path, sqlite_connection: Path
) -> None:
    pull(str(tmp_path / "one"), "pseudonymize")
    pull(FileDestination(str(tmp_path / "two"), "jsonl"), "pseudonymize")
    pull(SqlDestination("np6_sql"), "pseudonymize")
    with closing(sqlite3.connect(sqlite_connection)) as database:
        rows = database.execute(
            "SELECT recipient, target_id, payload FROM np6_events ORDER BY event_id"
        ).fetchall()
    people = {}
    for line in raw(sandbox):
        event = json.loads(line)
        activation = event["source"]["detail"]["activation"]
        people[event["id"]] = (activation["recipient"], activation["receiver"]["value"])
    wanted = [tuple(map(PSEUDONYMS.token, people[id_])) for id_ in sorted(people)]
    assert [row[:2] for row in rows] == wanted
    for recipient, _, payload in rows:
        assert payload.count(recipient) in (1, 2, 3, 4)
    first, second = (sorted(shown(tmp_path / name).splitlines()) for name in ("one", "two"))
    events = {line for line in first if line.startswith('{"type"')}
    assert events == {line for line in second if line.startswith('{"type"')} == {row[2] for row in rows}
    assert sum(payload.count(recipient) > 1 for recipient, _, payload in rows) > 120


def test_everything_else_of_the_sandboxs_events_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.account = FakeAccount(events_per_day=240)
    pull(FileDestination(str(tmp_path), "jsonl"), "pseudonymize")
    (path,) = tmp_path.rglob("*.jsonl")
    lines = path.read_bytes().splitlines()
    wanted = []
    for line in raw(sandbox):
        activation = json.loads(line)["source"]["detail"]["activation"]
        for value in (activation["recipient"], activation["receiver"]["value"]):
            line = line.replace(value.encode(), PSEUDONYMS.token(value).encode())  # noqa: PLW2901
        wanted.append(line)
    assert sorted(lines) == sorted(wanted)


@pytest.mark.parametrize("kind", ["files", "sql"])
@pytest.mark.parametrize(
    ("first", "then", "key", "message"),
    [
        ("keep", "pseudonymize", KEY, "was written with personal_data 'keep'"),
        ("pseudonymize", "keep", KEY, "this pull's is 'keep'"),
        ("pseudonymize", "drop", KEY, "this pull's is 'drop'"),
        ("drop", "pseudonymize", KEY, "was written with personal_data 'drop'"),
        ("pseudonymize", "pseudonymize+domain", KEY, "this pull's is 'pseudonymize\\+domain:"),
        ("pseudonymize", "pseudonymize", KEY[::-1], "has tokens of another pseudonym_key"),
    ],
)
def test_another_mode_or_key_is_refused_before_any_request(
    *,
    sandbox: Sandbox,
    tmp_path: Path,
    sqlite_connection: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    first: str,
    then: str,
    key: str,
    message: str,
) -> None:
    destination = str(tmp_path / "lake") if kind == "files" else SqlDestination("np6_sql")
    pull(destination, first)
    connect(monkeypatch, sandbox, key)
    received = len(sandbox.received)
    with pytest.raises(AirflowFailException, match=message):
        pull(destination, then, event_type="responses/stop")
    assert len(sandbox.received) == received
    connect(monkeypatch, sandbox)
    assert pull(destination, first)["events"] == 240


@pytest.mark.parametrize("kind", ["files", "sql"])
def test_another_mode_that_came_during_the_pull_is_refused_at_publication(
    sandbox: Sandbox, client: Np6Client, tmp_path: Path, sqlite_connection: Path, kind: str
) -> None:
    destination = str(tmp_path / "lake") if kind == "files" else SqlDestination("np6_sql")
    between = False

    def interfere(events: list[FakeEvent]) -> list[FakeEvent]:
        nonlocal between
        if not between:
            between = True
            query = query_of(sandbox, event_type="responses/stop")
            land(client, resolve_destination(destination), query, account="np6_default")
        return events

    sandbox.plan.add(Fault(change=interfere))
    with pytest.raises(AirflowFailException, match="personal_data 'keep'"):
        pull(destination, "drop")
    assert between
    if kind == "files":
        (manifest,) = (tmp_path / "lake/_manifests").rglob("*.json")
        assert json.loads(manifest.read_text())["event_type"] == "responses/stop"
    else:
        with closing(sqlite3.connect(sqlite_connection)) as database:
            assert database.execute("SELECT DISTINCT event_type FROM np6_events").fetchall() == [
                ("responses/stop",)
            ]


def test_another_mode_that_came_during_the_publication_is_refused_at_the_switch(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store without conditions may take two first headers at once: the pull whose header was replaced
    stores nothing."""
    put_data = DayPublication.put_data

    def put_data_and_lose(day: DayPublication) -> None:
        put_data(day)
        change_manifest(tmp_path / "_header.json", lambda header: header.update(personal_data="keep"))

    monkeypatch.setattr(DayPublication, "put_data", put_data_and_lose)
    with pytest.raises(AirflowFailException, match="personal_data 'keep'"):
        pull(str(tmp_path), "drop")
    assert all_slices(tmp_path) == []
    assert data_paths(tmp_path) == []


def test_a_table_that_lost_its_form_of_personal_data_is_refused(
    sandbox: Sandbox, sqlite_connection: Path
) -> None:
    pull(SqlDestination("np6_sql"), "keep")
    with closing(sqlite3.connect(sqlite_connection)) as database, database:
        database.execute("UPDATE np6_events_header SET personal_data = NULL WHERE event_type = ''")
    received = len(sandbox.received)
    for mode in ("keep", *REPLACING):
        with pytest.raises(AirflowFailException, match="was written with personal_data"):
            pull(SqlDestination("np6_sql"), mode)
    assert len(sandbox.received) == received


@pytest.mark.parametrize(
    ("mode", "key", "message"),
    [
        ("hide", KEY, "personal_data is 'hide'.*pseudonymize\\+domain"),
        ("", KEY, "personal_data is ''"),
        ("pseudonymize", None, "extra 'pseudonym_key' of connection 'np6_default' is not set"),
        ("pseudonymize+domain", "", "extra 'pseudonym_key' of connection 'np6_default' is not set"),
        ("pseudonymize", "guess" * 6, "'pseudonym_key' of connection 'np6_default' has fewer than 32"),
    ],
)
def test_unknown_modes_and_unusable_keys_are_refused_before_any_request(
    *,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    key: str | None,
    message: str,
) -> None:
    connect(monkeypatch, sandbox, key)
    with pytest.raises(AirflowFailException, match=message) as caught:
        pull(str(tmp_path / "lake"), mode)
    assert sandbox.received == []
    assert not (tmp_path / "lake").exists()
    assert "guess" not in str(caught.value)


def test_a_pull_that_fails_tells_nothing_of_an_event(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bad = json.dumps({"id": "x", "timestamp": "anna@np6.com", "to": raw(sandbox)[0].decode()}).encode()
    sandbox.plan.add(Fault(change=faults.broken(3, bad)))
    with pytest.raises(Np6ResponseError, match="has a timestamp that is not a number") as caught:
        pull(str(tmp_path / "lake"), "pseudonymize", on_invalid="fail")
    told = [str(caught.value), *caplog.messages]
    error: BaseException | None = caught.value
    while error is not None:
        told.append(repr(error))
        error = error.__cause__ or error.__context__
    assert "anna@np6.com" not in "".join(told)
    assert_nobody(sandbox, *told)
