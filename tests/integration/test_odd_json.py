"""Valid JSON that parsers refuse: it is stored as it came, and never breaks a pull into any destination."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.files.formats import FORMATS
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.events import Events, Invalid
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.verified_pull import VerifiedPull
from airflow_provider_np6.np6.window import DAY
from airflow_provider_np6.privacy.erasure_filter import ErasureFilter, ErasureList
from airflow_provider_np6.sandbox import Sandbox
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.accounts import FixedAccount
from tests.support.databases import ask, payloads
from tests.support.files import all_slices, lines
from tests.support.people import KEY
from tests.support.personal_events import PSEUDONYMS
from tests.support.pulls import MIDNIGHT, TODAY, MemorySpool, land
from tests.support.writes import TimedEvent, write_events

pytestmark = pytest.mark.core

DIGITS = "7" * 5_000
ODD = {
    "a lone high surrogate": ('"cut \\ud83d"', "cut \ufffd"),
    "a lone low surrogate": ('"\\uDE00 cut"', "\ufffd cut"),
    "surrogates in the wrong order": ('"\\ude00\\ud83d\\ud83d\\ude00"', "\ufffd\ufffd\U0001f600"),
    "a backslash before what looks like one": ('"\\\\ud83d"', "\\ud83d"),
    "1e999": ("1e999", "1e999"),
    "-1e999": ("-1e999", "-1e999"),
    "1E+99999999999999999999": ("1E+99999999999999999999", "1E+99999999999999999999"),
    "an integer of 5,000 digits": (DIGITS, DIGITS),
    "a negative one": (f"-{DIGITS}", f"-{DIGITS}"),
    "a fraction of 5,000 digits": (f"0.{DIGITS}", f"0.{DIGITS}"),
    "NUL": ('"a\\u0000b"', "a\0b"),
    "200 arrays": ("[" * 200 + "]" * 200, None),
    "900 objects": ('{"a":' * 900 + "{}" + "}" * 900, None),
}
"""A value as it is written, and what its columns hold."""

QUERIES = {action: EventQuery.checked("bounces", action, TODAY) for action in ("000PE4", "*")}
TEXTS = ("customer", "recipient", "bounce_code")
COLUMNS = ("event_id", *TEXTS, "sent_at")

PLAIN = (
    '{"id":"%s","timestamp":%d,"identity":{"customer":CUSTOMER},"source":{"detail":{"activation":{"id":ACTION,'
    '"recipient":RECIPIENT,"stamp":{"time":TIME}},"bounce":{"status":{"code":{"enhanced":CODE}}}}},"new":NEW}'
)
DOCUMENTED = {
    "CUSTOMER": '"028"',
    "ACTION": '"000PE4"',
    "RECIPIENT": '"anna@example.com"',
    "TIME": "86400000",
    "CODE": '"5.1.1"',
    "NEW": "[]",
}


def event(number: int, **changes: str) -> TimedEvent:
    """A documented bounce.

    :param changes: other values of it, in JSON.
    """
    time = MIDNIGHT + number * 60_000
    text = PLAIN % (f"e{number:02}", time)
    for name, value in {**DOCUMENTED, **changes}.items():
        text = text.replace(name, value)
    return time, text.encode()


def make_destination(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    """An empty destination.

    :param kind: a format of files, or a database.
    """
    if kind in FORMATS:
        return FileDestination(str(tmp_path / "lake"), kind)
    connection: dict[str, object] = {"conn_type": kind, "host": str(tmp_path / "np6.db")}
    if kind in ("postgres", "mariadb"):
        connection = request.getfixturevalue(kind).database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    return SqlDestination("test_sql")


@pytest.fixture(params=[*FORMATS, "sqlite", "postgres", "mariadb"])
def destination(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    """An empty destination of each kind and format."""
    return make_destination(request.param, request, tmp_path, monkeypatch)


def stored(destination: Destination) -> list[bytes]:
    """The raw events, in order."""
    if not isinstance(destination, FileDestination):
        return payloads()
    (slice_,) = all_slices(Path(destination.path))
    if slice_.data is None:
        return []
    path = Path(destination.path) / slice_.data
    if destination.format == "parquet":
        return [text.encode() for text in pq.read_table(path)["payload"].to_pylist()]
    if destination.format == "jsonl.zst":
        with pa.CompressedInputStream(str(path), "zstd") as unpacked:
            return list(unpacked.read().splitlines())
    return lines(path)


def columns(destination: Destination, names: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """Columns of the events, in order; None where only lines are stored."""
    if not isinstance(destination, FileDestination):
        rows = ask(f"SELECT {', '.join(names)} FROM np6_events ORDER BY event_id")
        return [dict(zip(names, row, strict=True)) for row in rows]
    if destination.format != "parquet":
        return None
    (slice_,) = all_slices(Path(destination.path))
    rows = pq.read_table(Path(destination.path) / str(slice_.data), columns=list(names)).to_pylist()
    return sorted(rows, key=lambda row: str(row["event_id"]))


def holds_nul(destination: Destination) -> bool:
    """Whether its strings may have a NUL; PostgreSQL's may not, and are NULL."""
    from airflow.providers.common.compat.sdk import BaseHook

    if isinstance(destination, FileDestination):
        return True
    return bool(BaseHook.get_hook("test_sql").conn_type != "postgres")


@pytest.mark.parametrize("action", QUERIES)
def test_odd_values_are_stored_as_they_came_in_every_destination(
    destination: Destination, action: str
) -> None:
    """Each in all typed columns at once, and each beside documented events."""
    odd = [
        event(number, CUSTOMER=text, RECIPIENT=text, TIME=text, CODE=text, NEW=text)
        for number, (text, _) in enumerate(ODD.values(), 10)
    ]
    events = [event(0), *odd, event(99 - len(odd))]
    report = write_events(destination, QUERIES[action], events, batch=5)
    assert report["events"] == len(events)
    assert stored(destination) == [raw for _, raw in events]
    assert destination.verify().is_ok
    rows = columns(destination, COLUMNS)
    if rows is None:
        return
    for row in (rows[0], rows[-1]):
        assert [row[name] for name in TEXTS] == ["028", "anna@example.com", "5.1.1"]
        assert row["sent_at"] is not None
    for name, row, (_, value) in zip(ODD, rows[1:-1], ODD.values(), strict=True):
        expected = value if "\0" not in str(value) or holds_nul(destination) else None
        assert [row[column] for column in TEXTS] == [expected] * 3, name
        assert row["sent_at"] is None, name


@pytest.mark.parametrize("action", QUERIES)
def test_odd_values_pass_through_a_pull(
    client: Np6Client, sandbox: Sandbox, destination: Destination, action: str
) -> None:
    events = [
        event(number, CUSTOMER=text, RECIPIENT=text, TIME=text, CODE=text, NEW=text)
        for number, (text, _) in enumerate(ODD.values())
    ]
    sandbox.account = FixedAccount(FakeEvent(time, raw[7:10].decode(), raw) for time, raw in events)
    report = land(client, destination, QUERIES[action])
    assert report["events"] == len(events)
    assert stored(destination) == [raw for _, raw in events]


@pytest.mark.parametrize("name", ODD)
def test_one_odd_value_changes_no_other_column(destination: Destination, name: str) -> None:
    events = [event(0), event(1, NEW=ODD[name][0]), event(2, CODE=ODD[name][0])]
    write_events(destination, QUERIES["000PE4"], events)
    assert stored(destination) == [raw for _, raw in events]
    rows = columns(destination, ("event_id", "customer", "recipient"))
    assert rows in (
        None,
        [{"event_id": f"e0{n}", "customer": "028", "recipient": "anna@example.com"} for n in range(3)],
    )


def test_ids_of_actions_of_any_length_are_stored_as_they_came(destination: Destination) -> None:
    """In a pull of all actions, where they are taken from the events; only short ones fit into a key."""
    ids = {DIGITS: None, f'"{"x" * 5_000}"': None, f'"{"é" * 100}"': "é" * 100, f'"{"é" * 101}"': None}
    events = [event(number, ACTION=text) for number, text in enumerate(ids)]
    write_events(destination, QUERIES["*"], events)
    assert stored(destination) == [raw for _, raw in events]
    rows = columns(destination, ("event_id", "action_id"))
    assert rows is None or [row["action_id"] for row in rows] == list(ids.values())


def test_odd_keys_are_stored_as_they_came(destination: Destination) -> None:
    """Keys with lone surrogates, with escapes, twice, and empty; of two members the last counts."""
    odd = [
        '{"id":"e0","timestamp":%d,"\\ud83d":{"\\udc00":1},"":{}}',
        '{"id":"x","\\u0069d":"e1","timestamp":%d,"identity":{"custom\\u0065r":"028"}}',
        '{"id":"e2","timestamp":1,"timestamp":%d,"identity":{"customer":5},"identity":{"customer":"028"}}',
        '{"id":"e3","timestamp":%d,"identity":{"customer":"028","customer":1e999}}',
        '{"id":"e4","timestamp":%d,"identity":{"customer":"028"},"identity":{}}',
        '{"id":"e5","timestamp":%d,"identity":{"customer":"028"},"identity":7}',
        '{"id":"e6","timestamp":%d,"identity":7,"identity":{"customer":"\\ud83d"},"source":{},"source":{}}',
        '{"id":"e7","timestamp":%d,"identity":{},"source":{"detail":{"activation":{}}}}',
    ]
    events = [(MIDNIGHT + n, (text % (MIDNIGHT + n)).encode()) for n, text in enumerate(odd)]
    write_events(destination, QUERIES["000PE4"], events)
    assert stored(destination) == [raw for _, raw in events]
    rows = columns(destination, ("event_id", "customer"))
    customers = [None, "028", "028", "1e999", None, None, "\ufffd", None]
    assert rows in (None, [{"event_id": f"e{n}", "customer": text} for n, text in enumerate(customers)])


@pytest.mark.parametrize("mode", ["keep", f"pseudonymize:{PSEUDONYMS.fingerprint}"])
def test_persons_are_erased_from_odd_events(destination: Destination, mode: str) -> None:
    names = {"anna@example.com": '"anna@example.com"', "an\ufffdna@example.com": '"an\\ud83dna@example.com"'}
    if mode != "keep":
        names = {name: f'"{PSEUDONYMS.token(name)}"' for name in names}
    anna, half = names.values()
    odd = list(enumerate(text for text, _ in ODD.values()))
    events = [event(number, RECIPIENT=anna if number % 2 else '"bob"', NEW=text) for number, text in odd]
    events += [event(number + 50, RECIPIENT=half, CUSTOMER=text) for number, text in odd]
    write_events(destination, QUERIES["000PE4"], events, personal_data=mode)
    assert destination.erase([*names], PSEUDONYMS, "test")["events"] == len(odd) // 2 + len(odd)
    assert stored(destination) == [raw for _, raw in events[: len(odd) : 2]]
    assert destination.verify().is_ok


@pytest.mark.parametrize("name", ODD)
def test_an_erased_person_does_not_come_back_with_odd_events(name: str) -> None:
    recipients = [
        '"anna@example.com"',
        '"Anna@example.com"',
        '"bob"',
        '"\\ud83danna@example.com"',
        ODD[name][0],
    ]
    events = [event(number, RECIPIENT=text, NEW=ODD[name][0]) for number, text in enumerate(recipients)]
    erased = ErasureList(PSEUDONYMS.fingerprint, frozenset({PSEUDONYMS.token("anna@example.com")}))
    config = Np6Config(base_url="https://x", api_key="k", account="test", pseudonym_key=KEY)
    spool = MemorySpool()
    spool.restart(0)
    kept_out = ErasureFilter(spool, erased, config, "np6_default")
    kept_out.write(Events([raw for _, raw in events], [time for time, _ in events]))
    assert spool.lines == [raw for _, raw in events[2:]]
    assert kept_out.dropped == 2


@pytest.mark.parametrize("kind", ["files", "sqlite", "postgres", "mariadb"])
def test_what_is_set_aside_keeps_its_text(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escapes are ASCII; what is not UTF-8, such as half a character in bytes, is kept in Base64."""
    destination = make_destination(kind if kind != "files" else "jsonl", request, tmp_path, monkeypatch)
    items = [b'{"a":"\\ud83d"}', b'{"a":"\xed\xa0\xbd"}', b'{"a":"\\u0000"}', b'{"a":"\0"}', b"[" * 9_000]
    with destination.open(QUERIES["000PE4"], "test") as writer:
        writer.restart(MIDNIGHT + 2 * DAY)
        for number, item in enumerate(items):
            writer.set_aside(Invalid(item, "is odd", number, MIDNIGHT + number, f"{number}"))
        writer.publish(VerifiedPull(MIDNIGHT + 2 * DAY, {}, {}, len(items), 0, 1, "all"))
    if isinstance(destination, FileDestination):
        (path,) = (tmp_path / "lake/_quarantine").rglob("*.bad")
        texts = [json.loads(line)["event"] for line in path.read_bytes().splitlines()]
    else:
        texts = [text for (text,) in ask("SELECT event FROM np6_events_quarantine ORDER BY position")]
    encoded = [text.startswith("base64:") for text in texts]
    assert encoded == [False, True, False, True, False]
    assert [
        base64.b64decode(text.removeprefix("base64:")) if is_encoded else text.encode()
        for text, is_encoded in zip(texts, encoded, strict=True)
    ] == items
