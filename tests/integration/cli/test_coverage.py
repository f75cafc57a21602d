"""``coverage``, of real files and tables."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.coverage import states_by_day
from airflow_provider_np6.destinations.inventory import Scope, Series
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import DAY, Window
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox, faults
from tests.support.command_line import Run
from tests.support.pulls import HOUR, MIDNIGHT, land

pytestmark = pytest.mark.core

SPAN = ("--start", "2024-10-04", "--end", "2024-10-07")
DAYS = ("2024-10-04", "2024-10-05", "2024-10-06")


@pytest.fixture
def account() -> FakeAccount:
    """Enough events to set one aside."""
    return FakeAccount(events_per_day=300)


def day(n: int, hours: tuple[int, int] = (0, 24)) -> Window:
    """Of the days that are looked at, or a part of it."""
    return Window(*(MIDNIGHT + n * DAY + hour * HOUR for hour in hours))


def fill(client: Np6Client, sandbox: Sandbox, destination: Destination) -> None:
    """A day of each kind."""

    def pull(window: Window, event_type: str = "bounces", action: str = "000PE4", **more: Any) -> None:
        query = EventQuery.checked(event_type, action, window, more.pop("classification", None))
        land(client, destination, query, **more)

    pull(day(0))
    sandbox.plan.add(Fault(body=b"[]"))
    pull(day(1))
    sandbox.plan.add(Fault(change=faults.broken(3, b'{"id": 1}')))
    pull(day(2), quarantine=True)
    for hour in range(0, 24, 6):
        if hour != 6:
            pull(day(0, (hour, hour + 6)), action="000PEB")
        pull(day(2, (hour, hour + 6)), action="000PEB")
    pull(day(0), "hits/open", classification="gsr,mpp")
    pull(day(0), "cancellations", "*")


EXPECTED = {
    ("bounces", "", "000PE4"): ["complete", "empty", "invalid"],
    ("bounces", "", "000PEB"): ["partial", "missing", "complete"],
    ("cancellations", "", "*"): ["complete", "missing", "missing"],
    ("hits/open", "gsr,mpp", "000PE4"): ["complete", "missing", "missing"],
}


def rows(report: Any) -> dict[tuple[str | None, str, str | None], list[str]]:
    for row in report["rows"]:
        assert tuple(row["days"]) == DAYS
    return {
        (row["event_type"], row["classification"], row["action_id"]): [*row["days"].values()]
        for row in report["rows"]
    }


@pytest.fixture(params=["files", "sqlite"])
def filled(
    request: pytest.FixtureRequest,
    client: Np6Client,
    sandbox: Sandbox,
    tmp_path: Path,
    sqlite_connection: Path,
) -> tuple[str, ...]:
    """How a destination with a day of each kind is named on the command line."""
    if request.param == "files":
        fill(client, sandbox, FileDestination(str(tmp_path / "np6")))
        return (str(tmp_path / "np6"),)
    fill(client, sandbox, SqlDestination("np6_sql", "bounces_and_more"))
    return ("--sql", "np6_sql", "--table", "bounces_and_more")


def test_a_day_of_each_kind(np6: Run, filled: tuple[str, ...]) -> None:
    ended = np6("coverage", *filled, *SPAN, "--json")
    assert ended.code == 1
    assert rows(ended.json) == EXPECTED
    assert ended.json["counts"] == {
        "complete": 4,
        "empty": 1,
        "partial": 1,
        "missing": 5,
        "invalid": 1,
        "expired": 0,
    }
    assert (ended.json["ok"], ended.json["start"]) == (False, "2024-10-04T00:00:00.000Z")

    table = np6("coverage", *filled, *SPAN).out.splitlines()
    assert [line.split() for line in table if line.startswith((" bounces", " hits"))] == [
        ["bounces", "000PE4", "#.!", "1"],
        ["bounces", "000PEB", "/-#", "1", "1"],
        ["hits/open", "by", "gsr,mpp", "000PE4", "#--", "2"],
    ]
    assert "bounces of action 000PEB: 2024-10-04 partial" in table
    assert "bounces of action 000PEB: 2024-10-05 missing" in table
    assert "hits/open by gsr,mpp of action 000PE4: 2024-10-05 to 2024-10-06 missing" in table
    assert "bounces of action 000PE4: 2024-10-06 invalid" in table


def test_what_is_asked_for(np6: Run, filled: tuple[str, ...]) -> None:
    whole = np6(
        "coverage", *filled, "--type", "bounces", "--action", "000PE4", "--end", "2024-10-06", *SPAN[:2]
    )
    assert whole.code == 0
    # Parts of days, and a moment with an offset.
    part = np6(
        *("coverage", *filled, "--type", "bounces", "--action", "000PEB", "--json"),
        *("--start", "2024-10-04T14:00:00+02:00", "--end", "2024-10-05"),
    )
    assert (part.code, part.json["counts"]["complete"]) == (0, 1)
    never = np6(
        "coverage", *filled, "--type", "bounces", "--action", "000PE4", "--action", "other", "--json", *SPAN
    )
    assert rows(never.json) == {
        ("bounces", "", "000PE4"): EXPECTED["bounces", "", "000PE4"],
        ("bounces", "", "other"): ["missing"] * 3,
    }


NEVER = ["missing"] * 3


@pytest.mark.parametrize(
    ("names", "absent", "line"),
    [
        (("--action", "000PE4", "--action", "NEVER"), (None, "", "NEVER"), "any type of action NEVER"),
        (("--action", "NEVER"), (None, "", "NEVER"), "any type of action NEVER"),
        (("--action", "000PE4", "--action", "*"), None, ""),
        (("--type", "bounces", "--type", "executions"), ("executions", "", None), "executions of any action"),
        (("--type", "executions"), ("executions", "", None), "executions of any action"),
        (("--type", "bounces", "--action", "NEVER"), ("bounces", "", "NEVER"), "bounces of action NEVER"),
        (("--type", "hits/open", "--action", "*"), ("hits/open", "", "*"), "hits/open of all actions"),
        (
            ("--type", "bounces", "--type", "executions", "--action", "000PE4"),
            ("executions", "", "000PE4"),
            "executions of action 000PE4",
        ),
    ],
)
def test_whatever_is_named_has_a_row(
    np6: Run,
    filled: tuple[str, ...],
    names: tuple[str, ...],
    absent: tuple[str | None, str, str | None] | None,
    line: str,
) -> None:
    ended = np6("coverage", *filled, *SPAN, *names, "--json")
    assert (ended.code, ended.json["ok"]) == (1, False)
    found = rows(ended.json)
    assert {name: states for name, states in found.items() if name not in EXPECTED} == (
        {absent: NEVER} if absent else {}
    )
    table = np6("coverage", *filled, *SPAN, *names)
    assert table.code == 1
    if absent:
        assert f"{line}: 2024-10-04 to 2024-10-06 missing" in table.out.splitlines()
        cells = [row.split() for row in table.out.splitlines()]
        assert [absent[0] or "any", absent[2] or "any", "---", "3"] in [row[:4] for row in cells]


def test_what_is_named_is_missing_on_days_that_were_never_pulled(np6: Run, filled: tuple[str, ...]) -> None:
    later = ("--start", "2024-11-04", "--end", "2024-11-05")
    ended = np6("coverage", *filled, *later)
    assert (ended.code, ended.out) == (1, "Nothing is stored in this range.\n")
    ended = np6("coverage", *filled, *later, "--json")
    assert (ended.code, ended.json["ok"], ended.json["rows"]) == (1, False, [])
    ended = np6("coverage", *filled, *later, "--action", "000PE4", "--json")
    assert (ended.code, [row["days"] for row in ended.json["rows"]]) == (1, [{"2024-11-04": "missing"}])


def test_an_hour_of_a_day_is_a_part(np6: Run, client: Np6Client, tmp_path: Path) -> None:
    query = EventQuery.checked("bounces", "000PE4", day(0, (5, 6)))
    land(client, FileDestination(str(tmp_path)), query)
    ended = np6("coverage", tmp_path, *SPAN, "--json")
    assert (ended.code, rows(ended.json)) == (1, {("bounces", "", "000PE4"): ["partial", *NEVER[1:]]})
    # That hour alone is complete.
    hour = ("--start", "2024-10-04T05:00:00Z", "--end", "2024-10-04T06:00:00Z")
    assert np6("coverage", tmp_path, *hour).code == 0


def test_data_that_is_gone_is_missing(np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    fill(client, sandbox, FileDestination(str(tmp_path)))
    (data,) = tmp_path.glob("type=bounces/action=000PE4/date=2024-10-04/*")
    data.unlink()
    next(tmp_path.glob("type=bounces/action=000PEB/date=2024-10-06/20241006T06*")).unlink()
    found = rows(np6("coverage", tmp_path, *SPAN, "--json").json)
    assert found["bounces", "", "000PE4"] == ["missing", "empty", "invalid"]
    assert found["bounces", "", "000PEB"] == ["partial", "missing", "partial"]


def test_expired_days_are_shown_and_not_missing(
    np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    destination = FileDestination(str(tmp_path / "np6"))
    fill(client, sandbox, destination)
    destination.expire("2024-10-05")
    mine = ("coverage", destination.path, *SPAN, "--type", "bounces", "--action", "000PE4")
    ended = np6(*mine, "--json")
    assert rows(ended.json) == {("bounces", "", "000PE4"): ["expired", "empty", "invalid"]}
    assert (ended.code, ended.json["counts"]["expired"]) == (1, 1)  # because of the last day
    destination.expire("2024-10-07")
    page = tmp_path / "coverage.html"
    ended = np6(*mine, "--html", page)
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["bounces", "000PE4", "xxx"] in lines
    assert "Days: 3 expired (x). One character per day." in ended.out
    assert "2024-10-04 to 2024-10-06: expired" in page.read_text()
    # A part that was never pulled is still missing.
    found = rows(np6("coverage", destination.path, *SPAN, "--json").json)
    assert found["bounces", "", "000PEB"] == ["partial", "missing", "expired"]
    # What is pulled again is stored again.
    land(client, destination, EventQuery.checked("bounces", "000PE4", day(0)))
    assert rows(np6(*mine, "--json").json)["bounces", "", "000PE4"] == ["complete", "expired", "expired"]


def test_a_year_is_shown_by_weeks(np6: Run, client: Np6Client, sandbox: Sandbox, tmp_path: Path) -> None:
    destination = FileDestination(str(tmp_path))
    fill(client, sandbox, destination)
    land(client, destination, EventQuery.checked("bounces", "000PE4", Window(day(3).start, day(6).end)))
    ended = np6("coverage", tmp_path, "--start", "2024-10-04", "--end", "2025-10-04", "--type", "bounces")
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["bounces", "000PE4", "!" + "-" * 52, str(365 - 7), "1"] in lines


@pytest.mark.usefixtures("airflow_db")
def test_each_database(client: Np6Client, sandbox: Sandbox, sql: SqlDestination) -> None:
    fill(client, sandbox, sql)
    span = Window(day(0).start, day(2).end)
    found = states_by_day(span, sql.stored_windows(Scope(span)))
    assert found == {Series(*series): states for series, states in EXPECTED.items()}
    some = Scope(day(0), frozenset({"bounces", "hits/open"}), frozenset({"000PE4"}))
    assert [str(series) for series in states_by_day(day(0), sql.stored_windows(some))] == [
        "bounces of action 000PE4",
        "hits/open by gsr,mpp of action 000PE4",
    ]


@pytest.mark.usefixtures("airflow_db")
def test_an_object_store_is_listed_by_action_and_read_once(
    client: Np6Client, sandbox: Sandbox, s3: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two listings per action, however many days there are; in one process each manifest is read once."""
    destination = FileDestination(f"{s3}/coverage")
    span = Window(day(0).start, day(2).end)

    def requests() -> tuple[int, int]:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "botocore.endpoint"):
            found = states_by_day(span, destination.stored_windows(Scope(span)))
        assert set(map(tuple, found.values())) == {("complete", "complete", "missing")}
        sent = [message for message in caplog.messages if message.startswith("Making request")]
        listed, read = ([name in message for message in sent] for name in ("ListObjectsV2", "GetObject"))
        return sum(listed), sum(read)

    for n, action in enumerate(sandbox.account.action_ids[:3], 1):
        for at in range(2):
            land(client, destination, EventQuery.checked("bounces", action, day(at)))
        assert requests() == (2 + 2 * n, 2)
        assert requests() == (2 + 2 * n, 0)


def test_a_page(np6: Run, filled: tuple[str, ...], tmp_path: Path) -> None:
    page = tmp_path / "coverage.html"
    ended = np6("coverage", *filled, *SPAN, "--html", page, "--action", "NEVER", "--action", "000PEB")
    assert ended.code == 1
    assert "bounces of action 000PEB: 2024-10-04 partial" in ended.out
    html = page.read_text()
    titles = re.findall(r"<title>([^<\n]*)\n([^<]*)</title>", html)
    assert titles == [
        ("any · NEVER", "2024-10-04 to 2024-10-06: missing"),
        ("bounces · 000PEB", "2024-10-04: partial"),
        ("bounces · 000PEB", "2024-10-05: missing"),
        ("bounces · 000PEB", "2024-10-06: complete"),
    ]
    later = ("--start", "2024-11-04", "--end", "2024-11-05")
    assert np6("coverage", *filled, *later, "--html", page).code == 1
    assert "Nothing is stored in this range." in page.read_text()
    ended = np6("coverage", *filled, *SPAN, "--html", tmp_path / "no" / "such.html")
    assert (ended.code, "cannot be written" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give the PATH of a file destination, or --sql CONN_ID."),
        (("/a", "--sql", "np6_sql"), "Give the PATH of a file destination, or --sql CONN_ID."),
        (("/nowhere/at/all",), "nothing was ever pulled into it"),
        (("--sql", "np6_sql"), "there is no table np6_events of connection 'np6_sql'"),
        (("--sql", "np6_sql", "--table", "no;table"), "'no;table' is not a table's"),
        (("--sql", "nowhere"), "connection 'nowhere' does not exist"),
        (("/a", "--type", "bounce"), "Did you mean 'bounces'?"),
        (("/a", "--start", "yesterday"), "--start 'yesterday' is not a time"),
        (("/a", "--start", "2024-10-08"), "not after its start"),
    ],
)
@pytest.mark.usefixtures("airflow_db", "sqlite_connection")
def test_wrong_use(np6: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = np6("coverage", *SPAN, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_path_may_be_relative_here(
    np6: Run, client: Np6Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(
        client,
        FileDestination(str(tmp_path / "np6")),
        EventQuery.checked("bounces", "000PE4", Window(MIDNIGHT, MIDNIGHT + DAY)),
    )
    monkeypatch.chdir(tmp_path)
    ended = np6("coverage", "np6", "--start", "2024-10-04", "--end", "2024-10-05")
    assert (ended.code, ended.err) == (0, "")
