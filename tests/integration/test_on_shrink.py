"""Days of which NP6 has fewer events than are stored: requested twice, then as ``on_shrink`` says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.sql.replacement import Replacement
from airflow_provider_np6.erasure import erase
from airflow_provider_np6.np6.client import Np6Session
from airflow_provider_np6.np6.errors import (
    Np6DestinationError,
    Np6InputError,
    Np6ResponseError,
    Np6ShrunkError,
)
from airflow_provider_np6.np6.window import DAY, Window, iso
from airflow_provider_np6.operators import _pull as operators_pull
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.sandbox import FakeAccount, Fault, ListedAccount, Sandbox, ServerBehavior, faults
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.support.databases import ask, payloads
from tests.support.files import all_lines, all_manifests
from tests.support.operator_pulls import BOUNDS, connect, pull
from tests.support.pulls import HOUR, MIDNIGHT, TODAY, whole
from tests.support.verified_sizes import verified_size

if TYPE_CHECKING:
    import requests

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db")]

PER_DAY = 240
DATES = ("2024-10-04", "2024-10-05", "2024-10-06")
THREE_DAYS = {"window_start": "2024-10-04", "window_end": "2024-10-07"}
RULES = ("fail", "keep", "replace")
NOTHING = Fault(body=b"[]")
WHOLE = whole(TODAY)
"""The first request of a pull, and no check."""


class Purging(FakeAccount):
    """An account that can purge events, and bring them back."""

    def __init__(self) -> None:
        super().__init__(events_per_day=PER_DAY)
        self.purged: set[str] = set()

    def _generate(self, event_type: str, action_id: str, hour: int) -> Iterator[FakeEvent]:
        for event in super()._generate(event_type, action_id, hour):
            if event.id not in self.purged:
                yield event

    def day(self, day: int) -> list[FakeEvent]:
        """The bounces that are left of a day."""
        start = MIDNIGHT + day * DAY
        return [*self.events("bounces", "000PE4", start, start + DAY)]

    def purge(self, day: int, number: int | None = None) -> None:
        """Purge some bounces of a day, the first ones; all of them if no number is given."""
        self.purged |= {event.id for event in self.day(day)[:number]}


@pytest.fixture
def account() -> Purging:
    return Purging()


@pytest.fixture(autouse=True)
def _connected(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    connect(monkeypatch, sandbox)
    monkeypatch.setattr(operators_pull, "CONFIRM_AFTER", 0.01)


@dataclass(frozen=True)
class Place:
    """A destination, and what is stored in it."""

    destination: Destination

    def lines(self) -> list[bytes]:
        """All events."""
        if isinstance(self.destination, FileDestination):
            return all_lines(Path(self.destination.path))
        return payloads()

    def ids(self) -> set[str]:
        lines = self.lines()
        ids = {json.loads(line)["id"] for line in lines}
        assert len(ids) == len(lines)
        return ids

    def counts(self) -> list[int]:
        """Events of each day."""
        counts = Counter(json.loads(line)["timestamp"] // DAY - MIDNIGHT // DAY for line in self.lines())
        return [counts[day] for day in range(3)]

    def everything(self) -> object:
        """What may not change if a pull fails."""
        if isinstance(self.destination, FileDestination):
            root = Path(self.destination.path)
            return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        return ask("SELECT * FROM np6_events ORDER BY event_id"), self.windows()

    def windows(self) -> list[tuple[Window, int, str]]:
        """What is recorded: windows, their numbers of events, and when they were pulled."""
        if isinstance(self.destination, FileDestination):
            slices = [
                slice_
                for manifest in all_manifests(Path(self.destination.path))
                for slice_ in manifest.slices
            ]
            return [(slice_.window, slice_.events, slice_.pulled_at) for slice_ in slices]
        assert isinstance(self.destination, SqlDestination)
        database = self.destination._database()
        rows = ask(
            "SELECT window_start, window_end, events, pulled_at FROM np6_events_windows ORDER BY window_start"
        )
        return [
            (Window(database.ms(start), database.ms(end)), events, iso(database.ms(pulled_at)))
            for start, end, events, pulled_at in rows
        ]

    def check(self) -> None:
        """All that is stored matches what is recorded, and nothing is missing."""
        verification = self.destination.verify()
        assert verification.problems == verification.orphans == []
        assert verification.events == len(self.lines())


@pytest.fixture(params=["files", "sqlite", "postgres", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A destination of each kind."""
    if request.param == "files":
        return Place(FileDestination(str(tmp_path / "lake")))
    connection: dict[str, object] = {"conn_type": request.param, "host": str(tmp_path / "np6.db")}
    if request.param in ("postgres", "mariadb"):
        connection = request.getfixturevalue(request.param).database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    return Place(SqlDestination("test_sql"))


def run(place: Place, on_shrink: str = "fail", **arguments: Any) -> dict[str, Any]:
    """One pull with the operator, of one day unless ``arguments`` say otherwise; its report."""
    return pull(place.destination, "keep", on_shrink=on_shrink, **arguments)


@pytest.fixture
def cache_controls(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The header Cache-Control of each request that is sent."""
    seen: list[str | None] = []
    send = Np6Session.send

    def spy(self: Np6Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        seen.append(request.headers.get("Cache-Control"))
        return send(self, request, **kwargs)

    monkeypatch.setattr(Np6Session, "send", spy)
    return seen


def test_an_old_run_that_is_cleared_after_np6_purged_fails_and_changes_nothing(
    place: Place, account: Purging, sandbox: Sandbox, cache_controls: list[str | None]
) -> None:
    run(place)
    before = place.everything()
    account.purge(0)
    for _ in range(2):  # Airflow's retries bring the same
        sandbox.received.clear()
        cache_controls.clear()
        with pytest.raises(Np6ShrunkError) as raised:
            run(place)
        assert isinstance(raised.value, Np6DestinationError)
        assert raised.value.retryable
        assert f"NP6 has 0 events of 2024-10-04, and {PER_DAY} are stored" in str(raised.value)
        assert 'on_shrink="keep"' in str(raised.value)
        assert len(sandbox.received) == 2
        assert cache_controls == [None, "no-cache"]
        assert place.everything() == before


def test_an_old_run_that_is_cleared_after_np6_purged_keeps_what_is_stored(
    place: Place, account: Purging, caplog: pytest.LogCaptureFixture
) -> None:
    run(place)
    before = place.everything()
    account.purge(0)
    for _ in range(2):
        report = run(place, "keep")
        assert (report["outcome"], report["slices"], report["changed"]) == ("shrunk", {"shrunk": 1}, [])
        assert (report["events"], report["previous_events"], report["requests"]) == (0, PER_DAY, 2)
        assert place.everything() == before
    assert f"NP6 has 0 events of 2024-10-04, and {PER_DAY} are stored" in caplog.text
    place.check()


def test_an_old_run_that_is_cleared_after_np6_purged_replaces_what_is_stored(
    place: Place, account: Purging
) -> None:
    run(place)
    account.purge(0)
    report = run(place, "replace")
    assert (report["outcome"], report["events"], report["previous_events"]) == ("changed", 0, PER_DAY)
    assert report["changed"] == [["2024-10-04T00:00:00.000Z", "2024-10-05T00:00:00.000Z"]]
    assert place.lines() == []
    assert [(window.date, events) for window, events, _ in place.windows()] == [("2024-10-04", 0)]
    assert place.destination.coverage("bounces", "000PE4", *BOUNDS.values()).is_complete
    place.check()


def test_a_window_of_which_np6_purged_the_first_half(place: Place, account: Purging) -> None:
    """The half is a day and a half: a whole day, and the first hours of the next."""
    run(place, **THREE_DAYS)
    stored = place.ids()
    before = place.everything()
    account.purge(0)
    account.purge(1, PER_DAY // 2)
    with pytest.raises(Np6ShrunkError, match=f"0 events of 2024-10-04, and {PER_DAY} are stored"):
        run(place, **THREE_DAYS)
    assert place.everything() == before
    report = run(place, "keep", **THREE_DAYS)
    assert report["outcome"] == "shrunk"
    assert (report["events"], report["previous_events"]) == (PER_DAY, 3 * PER_DAY)
    assert place.ids() == stored
    place.check()
    report = run(place, "replace", **THREE_DAYS)
    assert (report["events"], report["previous_events"]) == (PER_DAY * 3 // 2, 3 * PER_DAY)
    assert place.counts() == [0, PER_DAY // 2, PER_DAY]
    place.check()


def test_days_are_compared_and_not_their_sum(place: Place, account: Purging) -> None:
    """Five events more on one day, three fewer on another."""
    account.purge(1, 5)
    run(place, **THREE_DAYS)
    before, stored = place.everything(), place.ids()
    account.purged.clear()
    account.purge(0, 3)
    with pytest.raises(Np6ShrunkError) as raised:
        run(place, **THREE_DAYS)
    assert f"NP6 has {PER_DAY - 3} events of 2024-10-04, and {PER_DAY} are stored" in str(raised.value)
    assert place.everything() == before

    report = run(place, "keep", **THREE_DAYS)
    assert report["outcome"] == "shrunk"
    assert report["slices"]["shrunk"] == 1
    assert (report["events"], report["previous_events"]) == (2 * PER_DAY, 3 * PER_DAY - 5)
    assert report["changed"][0][0] == "2024-10-05T00:00:00.000Z"
    assert place.counts() == [PER_DAY] * 3
    assert stored < place.ids()
    place.check()

    report = run(place, "replace", **THREE_DAYS)
    assert report["outcome"] == "changed"
    assert place.counts() == [PER_DAY - 3, PER_DAY, PER_DAY]
    place.check()


def test_a_first_pull_of_one_day_beside_a_day_that_is_short_is_not_published(
    place: Place, account: Purging
) -> None:
    run(place)
    before = place.everything()
    account.purge(0, 1)
    with pytest.raises(Np6ShrunkError):
        run(place, **THREE_DAYS)
    assert place.everything() == before
    report = run(place, "keep", **THREE_DAYS)
    assert (report["outcome"], report["slices"]["shrunk"]) == ("shrunk", 1)
    assert report["changed"] == [["2024-10-05T00:00:00.000Z", "2024-10-07T00:00:00.000Z"]]
    assert place.counts() == [PER_DAY] * 3
    place.check()


@pytest.mark.parametrize("on_shrink", RULES)
def test_a_false_empty_response_fails_the_try_and_the_next_is_right(
    place: Place, sandbox: Sandbox, cache_controls: list[str | None], on_shrink: str
) -> None:
    """Whatever the rule: two responses that disagree decide nothing."""
    run(place)
    before, stored = place.everything(), place.ids()
    sandbox.plan.add(NOTHING)
    cache_controls.clear()
    with pytest.raises(Np6ResponseError, match=f"first 0 and then {PER_DAY} events") as raised:
        run(place, on_shrink)
    assert raised.value.retryable
    assert cache_controls == [None, "no-cache"]
    assert place.everything() == before
    report = run(place, on_shrink)
    assert (report["events"], report["previous_events"], report["requests"]) == (PER_DAY, PER_DAY, 1)
    assert place.ids() == stored
    place.check()


@pytest.mark.parametrize("on_shrink", RULES)
def test_a_false_empty_response_to_the_second_request_decides_nothing(
    place: Place, sandbox: Sandbox, on_shrink: str
) -> None:
    run(place)
    before = place.everything()
    sandbox.plan.add(Fault(change=faults.without(7)))
    sandbox.plan.add(NOTHING)
    with pytest.raises(Np6ResponseError, match=f"first {PER_DAY - 1} and then 0 events"):
        run(place, on_shrink)
    assert place.everything() == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(faults.doubled(9), id="a duplicate"),
        pytest.param(faults.broken(9, b'{"id": 1}'), id="an invalid event"),
    ],
)
def test_duplicates_and_invalid_events_count_as_received(
    place: Place, account: Purging, sandbox: Sandbox, change: faults.Change
) -> None:
    run(place)
    account.purge(0, 1)
    sandbox.plan.add(Fault(change=change))
    report = run(place)
    assert report["duplicates"] + report["invalid"] == 1
    assert (report["outcome"], report["events"], report["requests"]) == ("changed", PER_DAY - 1, 1)
    assert place.counts() == [PER_DAY - 1, 0, 0]
    place.check()
    # They are no stored events, so the next pull without them is not short.
    assert run(place)["requests"] == 1


def test_duplicates_and_invalid_events_count_for_their_own_day(
    place: Place, account: Purging, sandbox: Sandbox
) -> None:
    run(place, **THREE_DAYS)
    account.purge(1, 2)
    for change in (faults.doubled(9), faults.broken(9, b'{"id": 1}')):  # of the first day
        sandbox.plan.add(Fault(change=change), times=2)
        with pytest.raises(Np6ShrunkError, match=f"{PER_DAY - 2} events of 2024-10-05, and {PER_DAY} are"):
            run(place, **THREE_DAYS)


def test_events_of_erased_persons_count_on_neither_side(place: Place, account: Purging) -> None:
    run(place)
    first, last = account.day(0)[0], account.day(0)[-1]
    person = json.loads(last.json)["source"]["detail"]["activation"]["recipient"]
    erased = erase(place.destination, person)["events"]
    assert 0 < erased < PER_DAY // 2
    # NP6 still has them: nothing is short.
    report = run(place)
    assert (report["erased"], report["requests"]) == (erased, 1)
    # It purges one of them: still nothing is short.
    account.purged = {last.id}
    report = run(place)
    assert (report["erased"], report["requests"]) == (erased - 1, 1)
    # It purges another person's: what it still has of the erased person does not make up for it.
    account.purged = {first.id}
    before = place.everything()
    received, stored = PER_DAY - erased - 1, PER_DAY - erased
    with pytest.raises(Np6ShrunkError, match=f"NP6 has {received} events of 2024-10-04, and {stored} are"):
        run(place)
    assert place.everything() == before
    place.check()


def test_what_is_empty_or_missing_never_shrinks(place: Place, sandbox: Sandbox) -> None:
    """One request each time."""
    for outcome in ("created", "unchanged"):
        sandbox.plan.add(NOTHING)
        report = run(place)
        assert (report["outcome"], report["events"], report["requests"]) == (outcome, 0, 1)
    report = run(place)
    assert (report["outcome"], report["events"], report["requests"]) == ("changed", PER_DAY, 1)
    report = run(place)
    assert report["requests"] == 1
    place.check()


def test_what_expired_never_shrinks(place: Place, account: Purging) -> None:
    run(place)
    assert isinstance(place.destination, FileDestination | SqlDestination)
    assert place.destination.expire("2024-10-05")["events"] == PER_DAY
    account.purge(0)
    report = run(place)
    assert (report["outcome"], report["events"], report["requests"]) == ("created", 0, 1)
    place.check()


@pytest.mark.parametrize("on_shrink", RULES)
def test_whether_a_newer_pull_is_stored_is_decided_first(
    place: Place, sandbox: Sandbox, on_shrink: str
) -> None:
    sandbox.plan.add(Fault(clock=60))
    run(place)
    before = place.everything()
    sandbox.plan.add(NOTHING)
    report = run(place, on_shrink)
    assert (report["outcome"], report["requests"]) == ("superseded", 1)
    assert place.everything() == before


def test_a_part_of_a_day_is_compared_with_what_is_stored_of_it(place: Place, account: Purging) -> None:
    """Hour by hour; then the whole day over the hours."""
    hours = [MIDNIGHT + hour * HOUR for hour in range(3)]
    for start in hours:
        run(place, window_start=iso(start), window_end=iso(start + HOUR))
    account.purge(0, 1)
    with pytest.raises(Np6ShrunkError, match="NP6 has 9 events of 2024-10-04, and 10 are stored"):
        run(place, window_start=iso(hours[0]), window_end=iso(hours[1]))
    assert run(place, window_start=iso(hours[1]), window_end=iso(hours[2]))["requests"] == 1
    with pytest.raises(Np6ShrunkError, match="NP6 has 29 events of 2024-10-04, and 30 are stored"):
        run(place, window_start=iso(hours[0]), window_end=iso(hours[2] + HOUR))
    assert run(place)["outcome"] == "changed"  # the rest of the day has more than what is short
    assert place.counts() == [PER_DAY - 1, 0, 0]
    place.check()


def other_pull(place: Place, sandbox: Sandbox, number: int, then: faults.Change) -> faults.Change:
    """A change of a response, before which another pull stores the day with ``number`` events."""

    def change(events: list[FakeEvent]) -> list[FakeEvent]:
        missing = PER_DAY - number  # in the middle, where no check looks
        sandbox.plan.add(Fault(path=WHOLE, change=lambda all_: all_[:3] + all_[3 + missing :]), times=2)
        report = run(place, "replace")
        assert (report["outcome"], report["events"]) == ("changed", number)
        sandbox.plan.clear()
        sandbox.plan.add(Fault(path=WHOLE, change=then))
        return then(events)

    return change


def test_what_is_stored_at_the_end_decides_and_not_what_was_stored_before(
    place: Place, sandbox: Sandbox
) -> None:
    """A day is short at first; during the second request another pull stores even less of it."""
    run(place)
    sandbox.plan.add(Fault(path=WHOLE, change=faults.without(3)))
    sandbox.plan.add(Fault(path=WHOLE, change=other_pull(place, sandbox, PER_DAY - 5, faults.without(3))))
    report = run(place)
    assert (report["outcome"], report["previous_events"]) == ("changed", PER_DAY - 5)
    assert place.counts() == [PER_DAY - 1, 0, 0]
    place.check()


def test_a_day_that_is_short_only_since_the_pull_began(place: Place, sandbox: Sandbox) -> None:
    sandbox.plan.add(Fault(change=faults.capped(5)))
    run(place)
    sandbox.plan.add(Fault(path=WHOLE, change=other_pull(place, sandbox, PER_DAY, faults.without(3))))
    with pytest.raises(Np6ShrunkError, match=f"{PER_DAY - 1} events of 2024-10-04, and {PER_DAY} are stored"):
        run(place)
    assert place.counts() == [PER_DAY, 0, 0]
    place.check()


@pytest.mark.parametrize("place", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_sql_decides_under_its_lock(place: Place, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another pull that comes while a pull decides waits, and compares with what that one stored."""
    run(place)
    decide = Replacement._decide
    others: list[Future[dict[str, Any]]] = []
    waited: list[bool] = []

    def pause(self: Replacement, *arguments: Any) -> Any:
        decision = decide(self, *arguments)
        if not others:
            others.append(pool.submit(run, place, "keep"))
            waited.append(not wait(others, timeout=1).done)
        return decision

    sandbox.plan.add(Fault(path=WHOLE, change=faults.without(3)), times=2)  # of the first pull

    def without_two(events: list[FakeEvent]) -> list[FakeEvent]:
        return events[:3] + events[5:]

    sandbox.plan.add(Fault(path=WHOLE, change=without_two), times=2)  # of the other one
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(Replacement, "_decide", pause)
        report = run(place, "replace")
    assert waited == [True]
    assert (report["outcome"], report["events"]) == ("changed", PER_DAY - 1)
    other = others[0].result()
    assert (other["outcome"], other["previous_events"]) == ("shrunk", PER_DAY - 1)
    assert place.counts() == [PER_DAY - 1, 0, 0]
    place.check()


@pytest.mark.parametrize("place", ["sqlite", "postgres", "mariadb"], indirect=True)
@pytest.mark.parametrize("short", [0, 1, 2])
def test_a_sql_window_of_three_days_of_which_one_is_kept(
    place: Place, account: Purging, sandbox: Sandbox, short: int
) -> None:
    """The rows of that day stay, all others are replaced, and the slices record that."""
    more = [day for day in range(3) if day != short]
    for day in more:
        account.purge(day, 4)
    sandbox.plan.add(Fault(clock=-60))
    run(place, **THREE_DAYS)
    before = place.windows()
    assert [window.date for window, _, _ in before] == [*DATES]
    assert sum(events for _, events, _ in before) == 3 * PER_DAY - 8
    ids = {event.id for event in account.day(short)}
    kept = {row[0]: row for row in ask("SELECT * FROM np6_events") if row[0] in ids}
    assert len(kept) == PER_DAY

    account.purged.clear()
    account.purge(short, 3)
    report = run(place, "keep", **THREE_DAYS)
    assert (report["outcome"], report["slices"]) == ("shrunk", {"changed": 2, "shrunk": 1})
    assert (report["events"], report["previous_events"]) == (2 * PER_DAY, 3 * PER_DAY - 8)
    rows = {row[0]: row for row in ask("SELECT * FROM np6_events")}
    assert {id_: row for id_, row in rows.items() if id_ in ids} == kept
    assert place.counts() == [PER_DAY] * 3
    assert rows.keys() - ids == {event.id for day in more for event in account.day(day)}

    stored = place.windows()
    assert stored[short] == before[short]
    for day in more:
        assert stored[day] == (before[day][0], PER_DAY, report["pulled_at"])
    place.check()
    coverage = place.destination.coverage("bounces", "000PE4", *THREE_DAYS.values())
    assert (coverage.is_complete, coverage.events) == (True, 3 * PER_DAY)
    # Again: the same day is kept, and the others are stored already.
    report = run(place, "keep", **THREE_DAYS)
    assert report["slices"] == {"unchanged": 2, "shrunk": 1}
    again = place.windows()
    assert [part[:2] for part in again] == [part[:2] for part in stored]
    assert again[short] == before[short]
    assert {again[day][2] for day in more} == {report["pulled_at"]}
    place.check()


def test_quarantine_of_a_day_that_is_kept_stays(place: Place, account: Purging, sandbox: Sandbox) -> None:
    broken = faults.broken(9, b'{"id": 1}')
    sandbox.plan.add(Fault(change=broken))
    run(place, **THREE_DAYS)
    account.purge(0, 2)
    sandbox.plan.add(Fault(change=faults.broken(PER_DAY + 9, b'{"id": 2}')), times=2)  # on the second day
    report = run(place, "keep", **THREE_DAYS)
    assert (report["outcome"], report["invalid"]) == ("shrunk", 1)
    place.check()
    coverage = place.destination.coverage("bounces", "000PE4", *THREE_DAYS.values())
    assert {window.start.strftime("%Y-%m-%d") for window in coverage.invalid} >= {DATES[0], DATES[1]}


@pytest.mark.parametrize("kept", ["oldest", "newest"])
@pytest.mark.parametrize("on_shrink", RULES)
def test_a_limit_that_came_after_a_larger_response_was_verified(
    place: Place, sandbox: Sandbox, on_shrink: str, kept: Literal["oldest", "newest"]
) -> None:
    """The first response is smaller than that, and believed; but fewer events came than are stored, and the
    second response is checked."""
    sandbox.account = ListedAccount(MIDNIGHT + HOUR + minute * 60_000 for minute in range(150))
    run(place)
    assert verified_size(place.destination)[0] == 150
    before = place.ids()
    sandbox.behavior = ServerBehavior(max_events=100, kept=kept)
    sandbox.received.clear()
    report = run(place, on_shrink)
    assert (report["outcome"], report["events"], report["previous_events"]) == ("unchanged", 150, 150)
    assert (report["duplicates"], report["invalid"]) == (0, 0)
    assert report["requests"] == len(sandbox.received) > 3
    assert [request.uncached for request in sandbox.received[:3]] == [False, True, True]
    assert place.ids() == before
    assert 0 < verified_size(place.destination)[0] <= 100
    place.check()
    # No response of that size is believed then: no day is short, and so no pull is made again.
    sandbox.received.clear()
    assert run(place, on_shrink)["events"] == 150
    bounds = {"start": "2024-10-03T23:59:59Z", "end": "2024-10-05T00:00:01Z"}
    wholes = [request for request in sandbox.received if bounds.items() <= request.parameters.items()]
    assert [request.uncached for request in wholes] == [False, True][: 1 + (kept == "newest")]
    assert place.ids() == before


@pytest.mark.parametrize("value", ["", "None", "ignore", "Keep", None])
def test_another_value_is_refused_before_any_request(
    place: Place, sandbox: Sandbox, value: str | None
) -> None:
    with pytest.raises(AirflowFailException, match=r"on_shrink is .*Give 'fail', 'keep' or 'replace'\."):
        run(place, value)  # type: ignore[arg-type]
    task = Np6EventsOperator(
        task_id="pull",
        event_type="bounces",
        action_id="000PE4",
        destination=place.destination,
        on_shrink=value,  # type: ignore[arg-type]
    )
    with pytest.raises(Np6InputError, match="on_shrink is"):
        task._check_modes()
    assert sandbox.received == []


def test_it_is_templated(place: Place, account: Purging) -> None:
    run(place)
    account.purge(0)
    for on_shrink in ("keep", "fail"):
        task = Np6EventsOperator(
            task_id="pull",
            event_type="bounces",
            action_id="000PE4",
            destination=place.destination,
            on_shrink="{{ params.on_shrink }}",
            **BOUNDS,  # type: ignore[arg-type]
        )
        task.render_template_fields({"params": {"on_shrink": on_shrink}})
        assert task.on_shrink == on_shrink
        if on_shrink == "keep":
            assert task.execute({})["outcome"] == "shrunk"
        else:
            with pytest.raises(Np6ShrunkError):
                task.execute({})
