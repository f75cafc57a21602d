"""A person's events are taken out of files and SQL, and no later pull brings them back."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_np6.destinations import FileDestination, SqlDestination, resolve_destination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.files.formats import FORMATS, events
from airflow_provider_np6.destinations.files.storage import open_store
from airflow_provider_np6.destinations.files.storage.local import LocalStore
from airflow_provider_np6.erasure import erase
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, Np6InputError
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms, normalize
from airflow_provider_np6.privacy.subjects import identifiers, scan_identifiers
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.databases import ask, payloads
from tests.support.files import data_paths, lines, slices, verify
from tests.support.operator_pulls import connect, pull
from tests.support.people import KEY, percented, unicoded

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db")]

SPAN = {"window_start": "2024-10-04", "window_end": "2024-10-06"}
TYPES = ("bounces", "cancellations", "responses/reply", "responses/stop")
PERSON = "björn.3@exämple.example"
OTHER = "o'neill.1@example.com"
PSEUDONYMS = Pseudonyms(KEY)


class Few(FakeAccount):
    """The same few persons again and again, some of them written in other letter case."""

    def _generate(self, event_type: str, action_id: str, hour: int) -> Any:
        for at, event in enumerate(super()._generate(event_type, action_id, hour)):
            text = re.sub(rb"\.(\d{1,4})@", lambda digits: b".%d@" % (int(digits[1]) % 4), event.json)
            if at % 3 == 0:
                text = text.replace("björn".encode(), "BJÖRN".encode())
            yield FakeEvent(event.timestamp, event.id, text)


@pytest.fixture
def account() -> FakeAccount:
    return Few(events_per_day=960)


@pytest.fixture(autouse=True)
def _connected(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    connect(monkeypatch, sandbox)


def pull_all(destination: object, mode: str = "keep") -> list[dict[str, Any]]:
    return [pull(destination, mode, event_type=event_type, **SPAN) for event_type in TYPES]


def in_files(root: str) -> Callable[[], list[bytes]]:
    """All events that manifests name, each file compared with its manifest."""

    def read() -> list[bytes]:
        found = []
        for event_type in TYPES:
            for slice_ in slices(root, event_type, "000PE4", *SPAN.values()):
                verify(root, slice_)
                if slice_.data is not None:
                    with (Path(root) / slice_.data).open("rb") as file:
                        lines = [item for items in events(file, slice_.format) for item in items]
                    assert len(lines) == slice_.events
                    times = [json.loads(line)["timestamp"] for line in lines]
                    assert (slice_.first_timestamp, slice_.last_timestamp) == (at(times[0]), at(times[-1]))
                    assert times == sorted(times)
                    found += lines
        return sorted(found)

    return read


def at(ms: int) -> str:
    from airflow_provider_np6.np6.window import iso

    return iso(ms)


def in_sql() -> list[bytes]:
    """All rows; what is recorded of the windows counts them."""
    assert ask("SELECT SUM(events) FROM np6_events_windows") == ask("SELECT COUNT(*) FROM np6_events")
    return sorted(payloads())


@pytest.fixture(params=[*FORMATS, "sqlite", "postgres", "mariadb"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Destination, Callable[[], list[bytes]]]:
    """A destination of each kind, and what reads all of it."""
    if request.param in FORMATS:
        return FileDestination(str(tmp_path / "lake"), request.param), in_files(str(tmp_path / "lake"))
    connection: dict[str, object] = {"conn_type": request.param, "host": str(tmp_path / "np6.db")}
    if request.param in ("postgres", "mariadb"):
        connection = request.getfixturevalue(request.param).database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    return SqlDestination("test_sql"), in_sql


def about(line: bytes, *names: str) -> bool:
    return not {normalize(name) for name in names}.isdisjoint(scan_identifiers(line))


@pytest.mark.parametrize("mode", ["keep", "pseudonymize", "pseudonymize+domain"])
def test_a_person_goes_and_does_not_come_back(
    place: tuple[Destination, Callable[[], list[bytes]]], mode: str
) -> None:
    destination, read = place
    pull_all(destination, mode)
    before = read()
    tokens = {name: PSEUDONYMS.token(name) for name in (PERSON, OTHER)}
    spelled = {
        "keep": {name: (name,) for name in tokens},
        "pseudonymize": {name: (token,) for name, token in tokens.items()},
        "pseudonymize+domain": {name: (f"{token}@{name.split('@')[1]}",) for name, token in tokens.items()},
    }[mode]
    kept = [line for line in before if not about(line, *spelled[PERSON])]
    assert 0 < len(before) - len(kept) < len(before) / 4
    report = erase(destination, f" {PERSON.upper()} ")
    assert report["events"] == len(before) - len(kept)
    assert list(report.values())[1] > 0
    assert read() == kept
    # Again, it is nothing new.
    assert erase(destination, PERSON)["events"] == 0
    assert read() == kept
    # A full backfill brings nobody back.
    reports = pull_all(destination, mode)
    assert read() == kept
    assert sum(report["erased"] for report in reports) == len(before) - len(kept)
    assert sum(report["events"] for report in reports) == len(kept)
    # Another one, by the token where that is what is stored.
    given = OTHER if mode == "keep" else tokens[OTHER]
    assert erase(destination, given)["events"] > 0
    kept = [line for line in kept if not about(line, *spelled[OTHER])]
    assert read() == kept
    pull_all(destination, mode)
    assert read() == kept


def test_persons_are_not_named_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "lake"
    pull_all(str(root))
    erase(str(root), PERSON)
    pull_all(str(root))
    stored = json.loads((root / "_erasures/1.json").read_text())
    assert stored == {"version": 1, "key": PSEUDONYMS.fingerprint, "persons": [PSEUDONYMS.token(PERSON)]}
    assert PERSON.split("@", maxsplit=1)[0] not in caplog.text.lower()


def test_an_id_is_a_person_too(tmp_path: Path, sandbox: Sandbox) -> None:
    root = str(tmp_path)
    pull_all(FileDestination(root, "jsonl"))
    receiver = next(min(found) for found in map(scan_identifiers, in_files(root)()) if found)
    assert erase(root, receiver)["events"] >= 1
    assert not any(about(line, receiver) for line in in_files(root)())


def test_without_the_key_nothing_is_pulled_into_what_keeps_persons_out(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, sqlite_connection: Path
) -> None:
    for destination in (str(tmp_path / "lake"), SqlDestination("np6_sql")):
        connect(monkeypatch, sandbox)
        pull(destination, "keep")
        erase(destination, PERSON)
        asked = len(sandbox.received)
        for key, match in ((None, "is not set"), ("x" * 40, "with another key")):
            connect(monkeypatch, sandbox, key)
            with pytest.raises(AirflowFailException, match=match):
                pull(destination, "keep")
            with pytest.raises(Np6InputError, match=match):
                erase(destination, OTHER)
        assert len(sandbox.received) == asked


def test_what_cannot_be_erased(tmp_path: Path, sqlite_connection: Path, sandbox: Sandbox) -> None:
    with pytest.raises(Np6InputError, match="there is no destination at"):
        erase(str(tmp_path), PERSON)
    with pytest.raises(Np6InputError, match="no table np6_events of connection 'np6_sql'"):
        erase(SqlDestination("np6_sql"), PERSON)
    for destination in (str(tmp_path / "lake"), SqlDestination("np6_sql")):
        pull(destination, "drop")
        with pytest.raises(Np6InputError, match="personal_data is 'drop'"):
            erase(destination, PERSON)
        with pytest.raises(Np6InputError, match="no person"):
            erase(destination)
        with pytest.raises(Np6InputError, match="is empty"):
            erase(destination, " ")


def test_quarantine_names_nobody(tmp_path: Path, sandbox: Sandbox, sqlite_connection: Path) -> None:
    escaped = PERSON.replace("@", "\\u0040").encode()
    broken = [b'{"id":"x","to":"%b"}' % escaped, b'{"id":"y","to":"anna@np6.com"}']
    for destination in (str(tmp_path / "lake"), SqlDestination("np6_sql")):
        for item in broken:
            sandbox.plan.add(Fault(change=faults.broken(3, item)))
            pull(destination, "keep")
            erase(destination, PERSON)
            if destination == str(tmp_path / "lake"):
                (path,) = (tmp_path / "lake/_quarantine").rglob("*.bad")
                text = path.read_text()
            else:
                ((text,),) = ask("SELECT event FROM np6_events_quarantine", conn_id="np6_sql")
            # What names the person goes; after that nothing is kept of any broken event.
            assert "björn" not in (text or "")
            assert "anna" not in (text or "")


@pytest.mark.parametrize(
    "item",
    [
        f'{{"id":"x","to":"{PERSON}"}}'.encode("latin-1"),
        f'{{"id":"x","to":"\0{PERSON}"}}'.encode(),
        json.dumps({"id": "x", "to": PERSON.upper()}).encode(),
        f'{{"id":"x","to":"{unicoded(PERSON)}"}}'.encode(),
        f'{{"id":"x","to":"{percented(PERSON)}"}}'.encode(),
    ],
    ids=["latin-1", "NUL", "upper case", "escaped", "percent-encoded"],
)
def test_quarantine_names_nobody_in_any_encoding(
    tmp_path: Path, sandbox: Sandbox, sqlite_connection: Path, item: bytes
) -> None:
    nobody = b'{"id":"y","to":"anna@np6.com"}'
    for destination in (str(tmp_path / "lake"), SqlDestination("np6_sql")):
        for day, broken in (("2024-10-04", item), ("2024-10-05", nobody)):
            sandbox.plan.add(Fault(change=faults.broken(3, broken)))
            pull(destination, "keep", window_start=day, window_end=day[:-1] + str(int(day[-1]) + 1))
        erase(destination, PERSON)
        if destination == str(tmp_path / "lake"):
            paths = sorted((tmp_path / "lake/_quarantine").rglob("*.bad"))
            kept = [json.loads(path.read_text()).get("event") for path in paths]
        else:
            rows = ask("SELECT event FROM np6_events_quarantine ORDER BY near", conn_id="np6_sql")
            kept = [event for (event,) in rows]
        assert kept == [None, nobody.decode()]


NUMBERS = (b"+33612345678", b"0033 6 12 34 56 78", b"+33 6-12-34-56-78", b"0033612345678", b"+33612345679")
"""One person's, written in many ways, and another's."""


class Texted(FakeAccount):
    """Sends to two phone numbers."""

    def _generate(self, event_type: str, action_id: str, hour: int) -> Any:
        for at, event in enumerate(super()._generate(event_type, action_id, hour)):
            text = re.sub(rb'"recipient":"[^"]*"', b'"recipient":"%b"' % NUMBERS[at % 5], event.json)
            yield FakeEvent(event.timestamp, event.id, text)


@pytest.mark.parametrize("mode", ["keep", "pseudonymize"])
@pytest.mark.parametrize("kind", ["files", "sql"])
def test_a_phone_number_is_a_person_however_it_is_written(
    tmp_path: Path, sandbox: Sandbox, sqlite_connection: Path, kind: str, mode: str
) -> None:
    sandbox.account = Texted(events_per_day=240)
    destination: object = str(tmp_path / "lake") if kind == "files" else SqlDestination("np6_sql")
    pulled = pull(destination, mode)["events"]
    assert erase(resolve_destination(destination), "(+33) 612.345.678")["events"] == pulled * 4 / 5
    assert pull(destination, mode)["erased"] == pulled * 4 / 5


@pytest.mark.parametrize("kind", ["files", "sql"])
def test_another_accounts_persons_are_not_erased(
    tmp_path: Path, sandbox: Sandbox, sqlite_connection: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    destination: object = str(tmp_path / "lake") if kind == "files" else SqlDestination("np6_sql")
    pull(destination, "keep")
    name = "AIRFLOW_CONN_NP6_DEFAULT"
    connection = json.loads(os.environ[name])
    monkeypatch.setenv(name, json.dumps({**connection, "extra": {**connection["extra"], "account": "two"}}))
    with pytest.raises(Np6ConflictError, match=r"has events of account 'np6_default'.*'two'"):
        erase(resolve_destination(destination), PERSON)
    connect(monkeypatch, sandbox)
    assert pull(destination, "keep")["erased"] == 0


@pytest.mark.parametrize("kind", ["files", "sql"])
@pytest.mark.parametrize("mode", ["pseudonymize", "pseudonymize+domain"])
def test_tokens_of_another_key_are_not_erased(
    *,
    tmp_path: Path,
    sandbox: Sandbox,
    sqlite_connection: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    mode: str,
) -> None:
    destination: object = str(tmp_path / "lake") if kind == "files" else SqlDestination("np6_sql")
    pull(destination, mode)
    connect(monkeypatch, sandbox, KEY[::-1])
    for given in (PERSON, PSEUDONYMS.token(PERSON)):
        with pytest.raises(Np6InputError, match="tokens of another pseudonym_key"):
            erase(resolve_destination(destination), given)
    connect(monkeypatch, sandbox)
    assert pull(destination, mode)["erased"] == 0


@pytest.mark.parametrize("mode", ["keep", "pseudonymize"])
def test_a_pull_under_way_does_not_bring_a_person_back(
    place: tuple[Destination, Callable[[], list[bytes]]], sandbox: Sandbox, mode: str
) -> None:
    """It is made again, without the person's events; another erasure meanwhile is one time more."""
    destination, read = place
    pull(destination, mode)
    whole = len(read())
    left = [OTHER, PERSON]
    erased: list[int] = []

    def meanwhile(events: list[FakeEvent]) -> list[FakeEvent]:
        erased.append(erase(destination, left.pop())["events"])
        return events

    sandbox.plan.add(Fault(change=meanwhile), times=2)
    sandbox.received.clear()
    report = pull(destination, mode)
    assert (left, len(erased), all(erased)) == ([], 2, True)
    assert (len(sandbox.received), report["requests"]) == (3, 3)
    assert (report["erased"], report["events"]) == (sum(erased), whole - sum(erased))
    spelled = [name if mode == "keep" else PSEUDONYMS.token(name) for name in (PERSON, OTHER)]
    assert len(read()) == whole - sum(erased)
    assert not any(about(line, *spelled) for line in read())
    assert destination.verify().is_ok


def test_a_first_pull_under_way_of_another_type_does_not_bring_a_person_back(
    place: tuple[Destination, Callable[[], list[bytes]]], sandbox: Sandbox
) -> None:
    """There is no manifest yet that an erasure could put again."""
    destination, read = place
    pull(destination, "keep")

    def meanwhile(events: list[FakeEvent]) -> list[FakeEvent]:
        erase(destination, PERSON)
        return events

    sandbox.plan.add(Fault(change=meanwhile))
    report = pull(destination, "keep", event_type="cancellations")
    assert (report["outcome"], report["requests"]) == ("created", 2)
    assert report["erased"] > 0
    assert not any(about(line, PERSON) for line in read())
    assert destination.verify().is_ok


def test_a_pull_beside_erasures_without_end_is_left_to_airflows_retries(
    place: tuple[Destination, Callable[[], list[bytes]]], sandbox: Sandbox
) -> None:
    destination, read = place
    pull(destination, "keep")
    before = read()
    persons = iter(range(99))

    def meanwhile(events: list[FakeEvent]) -> list[FakeEvent]:
        erase(destination, f"nobody.{next(persons)}@example.com")
        return events

    sandbox.plan.add(Fault(change=meanwhile), times=99)
    with pytest.raises(Np6DestinationError, match="during this pull") as raised:
        pull(destination, "keep")
    assert raised.value.retryable
    assert read() == before
    assert next(persons) < 10


class BrokenDiskError(OSError):
    def __init__(self) -> None:
        super().__init__(5, "Input/output error")


@pytest.mark.parametrize(
    ("operation", "after"), [*product(["put"], range(4)), *product(["put_if"], range(6)), ("delete", 0)]
)
def test_an_erasure_that_broke_off_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, after: int
) -> None:
    """All that manifests name is whole, whatever was done before; the next erasure does the rest."""
    root = str(tmp_path / "lake")
    pull_all(FileDestination(root, "jsonl.gz"))
    before = in_files(root)()
    kept = [line for line in before if not about(line, PERSON)]
    whole = getattr(LocalStore, operation)
    left = [None] * after

    def broken(self: LocalStore, *arguments: Any) -> Any:
        if not left:
            raise BrokenDiskError
        left.pop()
        return whole(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, operation, broken)
        if operation == "delete":
            erase(root, PERSON)  # replaced files are removed later
            assert in_files(root)() == kept
        else:
            with pytest.raises(Np6DestinationError, match="Input/output error"):
                erase(root, PERSON)
            assert set(kept) <= set(in_files(root)()) <= set(before)
    erase(root, PERSON)
    assert in_files(root)() == kept
    assert FileDestination(root).verify(remove_orphans=True).problems == []
    assert not any(about(line, PERSON) for path in data_paths(Path(root)) for line in lines(path))


def test_an_unfinished_erasure_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(tmp_path / "lake")
    pull_all(root)

    def broken(*_: object) -> None:
        raise BrokenDiskError

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "put", broken)
        with pytest.raises(Np6DestinationError, match="Input/output error"):
            erase(root, PERSON)
    problems = FileDestination(root).verify().problems
    assert problems
    assert all(problem.endswith("an erasure is not finished: call erase() again") for problem in problems)
    erase(root, PERSON)
    assert FileDestination(root).verify().is_ok


def test_all_events_of_all_days_can_go(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    pull(str(root), "keep", **SPAN)
    everybody = {value for line in in_files(str(root))() for value in identifiers(line)}
    erase(str(root), *everybody)
    assert data_paths(root) == []
    assert in_files(str(root))() == []
    assert FileDestination(str(root)).coverage("bounces", "000PE4", *SPAN.values()).is_complete


def test_what_killed_pulls_left_names_nobody(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    pull_all(FileDestination(str(root), "jsonl"))
    kept = [line for line in in_files(str(root))() if not about(line, PERSON)]
    data = next(root.glob("type=bounces/*/*/*"))
    whole = data.read_bytes()
    stem = "20241004T010000Z_20241004T020000Z-e0-0123456789abcdef"
    left = [
        data.with_name(f"{stem}.jsonl"),  # before its manifest
        data.with_name(f".{stem}.jsonl.gz.tmp"),  # while it was copied
        root / "_quarantine" / data.parent.relative_to(root) / f"{stem}.bad",
        root / "type=hits" / data.parent.relative_to(root / "type=bounces") / f"{stem}.jsonl",  # a first pull
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole)
    erase(str(root), PERSON)
    assert [path for path in left if path.exists()] == []
    assert in_files(str(root))() == kept


def test_an_object_store_likewise(s3: str) -> None:
    root = f"{s3}/erased"

    def read() -> list[bytes]:
        found = []
        for slice_ in slices(root, "bounces", "000PE4", *SPAN.values()):
            verify(root, slice_)
            with open_store(root, None).open(str(slice_.data)) as file:
                found += [item for items in events(file, slice_.format) for item in items]
        return found

    pull(root, "keep", **SPAN)
    kept = [line for line in read() if not about(line, PERSON)]
    assert erase(root, PERSON)["events"] > 0
    assert read() == kept
    assert pull(root, "keep", **SPAN)["erased"] > 0
    assert read() == kept


def test_persons_are_read_alike_fast_and_slow(sandbox: Sandbox) -> None:
    from airflow_provider_np6.sandbox.account import ALL_EVENT_TYPES

    for event_type in ALL_EVENT_TYPES:
        for event in sandbox.account.events(event_type, "000PE4", 20_000 * 86_400_000, 20_001 * 86_400_000):
            assert identifiers(event.json) == scan_identifiers(event.json), event_type
    odd = (
        b'{"id":"1","timestamp":5,"source":{"detail":{"activation":{"receiver":{"value":42},"recipient":7}}}}'
    )
    assert identifiers(odd) == scan_identifiers(odd)
    assert identifiers(b'{"id":"1","receiver":"A@b.c"}') == {"a@b.c"}
