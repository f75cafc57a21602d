"""What earlier versions stored is read, verified, replaced, compared and erased in; what later ones stored
is not changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.files.formats import events
from airflow_provider_np6.destinations.files.layout import type_key
from airflow_provider_np6.destinations.inventory import Scope
from airflow_provider_np6.erasure import erase
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError
from airflow_provider_np6.np6.window import Window, parse_time
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.sandbox import FakeAccount, Fault, Sandbox
from airflow_provider_np6.sandbox.account import FakeEvent
from tests.fixtures.make import PSEUDONYM_KEY
from tests.support import ROOT
from tests.support.databases import ask
from tests.support.files import Covered, coverage, manifests, slices, to_covered, verify
from tests.support.operator_pulls import connect
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("airflow_db")]

VERSIONS = sorted((ROOT / "tests/fixtures").glob("v*"))
KINDS = ("files", "sqlite", "postgres")
BOUNCES = {"event_type": "bounces", "action_id": "000PE4"}
OTHER = {"event_type": "bounces", "action_id": "000PEP"}

Pull = dict[str, Any]


class Place:
    """What a version stored, in files or a database, as a copy.

    :param contents: ``held.json``.
    """

    def __init__(self, contents: dict[str, Any], plain: Destination, pseudonymous: Destination) -> None:
        self.contents = contents
        self.plain = plain
        self.pseudonymous = pseudonymous
        self.window = {name: contents[name] for name in ("window_start", "window_end")}

    def ids(self, pull: Pull, destination: Destination | None = None) -> list[str]:
        """Ids of the events that are there, in order of time; files are compared with their manifests."""
        destination = destination or self.plain
        dataset = {name: pull.get(name, "") for name in ("event_type", "action_id", "classification")}
        if isinstance(destination, SqlDestination):
            action = "" if dataset["action_id"] == "*" else "AND action_id = ?"
            values = [value for value in dataset.values() if value != "*"]
            where = f"event_type = ? {action} AND classification = ?"
            order = f"SELECT event_id FROM {destination.table} WHERE {where} ORDER BY occurred_at, event_id"
            return [row[0] for row in ask(order, *values)]
        assert isinstance(destination, FileDestination)
        found = []
        dataset["classification"] = dataset["classification"] or None
        classes = {"classification": dataset.pop("classification")}
        for slice_ in slices(destination.path, *dataset.values(), *self.window.values(), **classes):
            verify(destination.path, slice_)
            if slice_.data is not None:
                with (Path(destination.path) / slice_.data).open("rb") as file:
                    lines = [json.loads(item) for items in events(file, slice_.format) for item in items]
                assert len(lines) == slice_.events
                found += sorted((line["timestamp"], line["id"]) for line in lines)
        return [id_ for _, id_ in found]

    def covers(self, pull: Pull, start: Any, end: Any) -> Covered:
        series = (pull["event_type"], pull["action_id"])
        return to_covered(self.plain.coverage(*series, start, end, pull.get("classification")))

    def pull(self, pull: Pull, **given: Any) -> Any:
        arguments = {"destination": self.plain, **self.window, **pull, **given}
        arguments.pop("ids", None)
        return Np6EventsOperator(task_id="pull", **arguments).execute({})

    def everything(self) -> dict[str, Any]:
        """All that is stored."""
        if isinstance(self.plain, FileDestination):
            root = Path(self.plain.path)
            return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        names = [f"np6_events{suffix}" for suffix in ("", "_windows", "_header", "_quarantine", "_erased")]
        return {name: sorted(map(repr, ask(f"SELECT * FROM {name}"))) for name in names}


@pytest.fixture(params=VERSIONS, ids=lambda path: str(path.name))
def version(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest, version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    contents = json.loads((version / "held.json").read_text())
    if request.param == "files":
        for name in ("lake", "lake-pseudonymous"):
            shutil.copytree(version / name, tmp_path / name)
        return Place(
            contents,
            FileDestination(str(tmp_path / "lake")),
            FileDestination(str(tmp_path / "lake-pseudonymous")),
        )
    shutil.copy(version / "np6.db", tmp_path)
    connection: dict[str, object] = {"conn_type": "sqlite", "host": str(tmp_path / "np6.db")}
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        connection = server.database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    if request.param == "postgres":
        ask((version / "np6.sql").read_text())
    return Place(contents, SqlDestination("test_sql"), SqlDestination("test_sql", "np6_pseudonymous"))


@pytest.fixture(autouse=True)
def _connected(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    connect(monkeypatch, sandbox, PSEUDONYM_KEY)


@pytest.fixture
def account() -> FakeAccount:
    """One without the events that were stored."""
    return FakeAccount(seed=7, events_per_day=480)


def test_all_of_it_is_read_and_verified(place: Place) -> None:
    for held in place.contents["held"]:
        assert sorted(place.ids(held)) == sorted(held["ids"])
        found = place.covers(held, *place.window.values())
        assert (found.events, found.missing) == (len(held["ids"]), [])
        assert bool(found.invalid) is (held["event_type"] == "responses/reply")
        day = place.covers(held, "2024-10-04", "2024-10-05")
        assert day.missing == [
            Window(parse_time("end", place.window["window_end"]), parse_time("end", "2024-10-05"))
        ]
    pseudonymous = place.contents["pseudonymous"]
    assert sorted(place.ids(pseudonymous, place.pseudonymous)) == sorted(pseudonymous["ids"])
    for destination in (place.plain, place.pseudonymous):
        verification = destination.verify()
        assert (verification.problems, verification.orphans) == ([], [])
        assert verification.events > 0


def test_each_format_and_every_action_is_among_it(version: Path) -> None:
    root = str(version / "lake")
    contents = json.loads((version / "held.json").read_text())
    found = [
        manifest
        for event_type in {held["event_type"] for held in contents["held"]}
        for action in FileDestination(root).action_ids(event_type)
        for manifest in manifests(root, event_type, action, contents["window_start"], contents["window_end"])
    ]
    found_slices = [slice_ for manifest in found for slice_ in manifest.slices]
    assert {slice_.format for slice_ in found_slices} == {"jsonl", "jsonl.gz", "jsonl.zst", "parquet"}
    assert {manifest.version for manifest in found} == {int(version.name.removeprefix("v"))}
    assert any(slice_.data is None for slice_ in found_slices)
    assert any(slice_.quarantine for slice_ in found_slices)
    assert any(manifest.removed for manifest in found)
    assert any(manifest.action_id == "*" for manifest in found)


def test_what_expired_is_not_missing(place: Place) -> None:
    before = Window(parse_time("start", "2024-10-03"), parse_time("end", "2024-10-04"))
    covered = place.covers(BOUNCES, "2024-10-03", "2024-10-04")
    assert (covered.events, covered.missing, covered.expired) == (0, [], [before])
    report = place.pull(BOUNCES, window_start="2024-10-03", window_end="2024-10-04")
    assert (report["outcome"], report["previous_events"]) == ("created", 0)
    covered = place.covers(BOUNCES, "2024-10-03", "2024-10-04")
    assert (covered.events, covered.missing, covered.expired) == (report["events"], [], [])
    assert place.plain.verify().problems == []


@pytest.mark.parametrize("place", ["sqlite", "postgres"], indirect=True)
def test_headers_of_tables_have_what_those_of_files_have(place: Place, version: Path) -> None:
    header = json.loads((version / "lake/_header.json").read_text())
    columns = "version, account, personal_data, erasures"
    common = tuple(header[name] for name in columns.split(", "))
    assert ask(f"SELECT {columns} FROM np6_events_header WHERE event_type = ''") == [common]
    columns = "event_type, classification, form, verified_events, verified_bytes"
    rows = {
        type_key(event_type, classification): (form, events, size)
        for event_type, classification, form, events, size in ask(
            f"SELECT {columns} FROM np6_events_header WHERE event_type <> ''"
        )
    }
    assert {key: row[0] for key, row in rows.items()} == header["series"]
    verified = {key: row[1:] for key, row in rows.items() if row[1] is not None}
    assert verified == {key: (size["events"], size["bytes"]) for key, size in header["verified"].items()}
    assert len(verified) > 1


def test_a_pull_replaces_its_window_and_nothing_else(place: Place, sandbox: Sandbox) -> None:
    for held in place.contents["held"]:
        before = {str(other): place.ids(other) for other in place.contents["held"] if other != held}
        report = place.pull(held)
        ids = place.ids(held)
        assert report["events"] == len(ids) > 0
        assert set(ids).isdisjoint(held["ids"])
        assert place.covers(held, *place.window.values()).invalid == []
        assert {str(other): place.ids(other) for other in place.contents["held"] if other != held} == before


def test_all_actions_and_one_stay_apart(place: Place, sandbox: Sandbox) -> None:
    for pull in (
        {"event_type": "activations", "action_id": "000PE4"},
        {"event_type": "bounces", "action_id": "*"},
    ):
        with pytest.raises(AirflowFailException, match="pulled for"):
            place.pull(pull)
    assert sandbox.received == []


def test_whom_it_keeps_out_is_kept_out(place: Place, sandbox: Sandbox) -> None:
    def about_the_person(stored: list[FakeEvent]) -> list[FakeEvent]:
        event = json.loads(stored[9].json)
        event["source"]["detail"]["activation"]["recipient"] = place.contents["person"]
        changed = FakeEvent(stored[9].timestamp, stored[9].id, json.dumps(event).encode())
        return [*stored[:9], changed, *stored[10:]]

    sandbox.plan.add(Fault(change=about_the_person))
    report = place.pull(BOUNCES)
    assert report["erased"] == 1
    assert len(place.ids(BOUNCES)) == report["events"]


def test_others_are_erased_in_it(place: Place, version: Path, sandbox: Sandbox) -> None:
    other = _recipient(version)
    erased = erase(place.plain, other)
    assert erased["events"] == 1
    ids = place.contents["held"][3]["ids"]
    assert len(place.ids(OTHER)) == len(ids) - 1
    assert place.covers(OTHER, *place.window.values()).events == len(ids) - 1
    if isinstance(place.plain, FileDestination):
        listed = json.loads((Path(place.plain.path) / "_erasures/2.json").read_text())["persons"]
    else:
        listed = [row[0] for row in ask("SELECT person FROM np6_events_erased")]
    tokens = map(Pseudonyms(PSEUDONYM_KEY).token, (other, place.contents["person"]))
    assert sorted(listed) == sorted(tokens)


def test_tokens_are_those_of_today(place: Place, sandbox: Sandbox) -> None:
    pseudonymous = place.contents["pseudonymous"]
    assert erase(place.pseudonymous, place.contents["person"])["events"] == 1
    assert len(place.ids(pseudonymous, place.pseudonymous)) == len(pseudonymous["ids"]) - 1
    with pytest.raises(AirflowFailException, match="was written with personal_data"):
        place.pull(BOUNCES, destination=place.pseudonymous)
    assert place.pull(BOUNCES, destination=place.pseudonymous, personal_data="pseudonymize")["events"] > 0


def _recipient(version: Path) -> str:
    """To whom the last bounce in the Parquet file was sent."""
    import pyarrow.parquet as pq

    (path,) = (version / "lake").rglob("*.parquet")
    return str(pq.ParquetFile(path).read(["recipient"])["recipient"][-1].as_py())


def later(place: Place) -> None:
    """Make one day of it, or the table, what a later version might write, which has other fields."""
    if isinstance(place.plain, SqlDestination):
        ask("UPDATE np6_events_header SET version = 2 WHERE event_type = ''")
        ask("ALTER TABLE np6_events DROP COLUMN agency")
        return
    for path in (Path(place.plain.uri) / "_manifests/type=bounces").rglob("*.json"):
        path.write_text('{"version": 2, "windows": []}')


ACTS: dict[str, Callable[[Place], Any]] = {
    "pull": lambda place: place.pull(BOUNCES),
    "pull of more": lambda place: place.pull(BOUNCES, window_end="2024-10-06"),
    "erase": lambda place: erase(place.plain, "anna@np6.com"),
    "coverage": lambda place: place.covers(BOUNCES, *place.window.values()),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_a_later_version_wrote_is_refused(place: Place, sandbox: Sandbox, act: str) -> None:
    later(place)
    before = place.everything()
    with pytest.raises((AirflowFailException, Np6ConflictError)) as refused:
        ACTS[act](place)
    what = "the manifest " if isinstance(place.plain, FileDestination) else "table np6_events"
    assert str(refused.value).startswith(what)
    assert " is of format 2, and this version of the provider knows none beyond 1" in str(refused.value)
    assert "install that one here too" in str(refused.value)
    after = place.everything()
    if act == "pull of more" and isinstance(place.plain, FileDestination):
        # The manifests of whole days are read when they are replaced.
        assert len(sandbox.received) == 1
    else:
        assert sandbox.received == []
    if act == "erase" and isinstance(place.plain, FileDestination):
        # The erasure is on record, and unfinished.
        begun = {name for name in after if before.get(name) != after[name]}
        assert {Path(name).name for name in begun} >= {"_header.json", "2.json"}
        assert all(after[name] == text for name, text in before.items() if "type=bounces" in name)
    else:
        assert after.keys() - before.keys() <= {f"{place.plain.uri}/.lock"}
        assert {name: after[name] for name in before} == before


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    shutil.copytree(VERSIONS[-1] / "lake", tmp_path / "lake")
    return tmp_path / "lake"


@pytest.mark.parametrize(
    ("name", "what"), [("_header.json", "the destination"), ("_erasures/1.json", "the erasure list")]
)
def test_a_root_of_a_later_version_is_refused_before_any_request(
    lake: Path, sandbox: Sandbox, name: str, what: str
) -> None:
    record = json.loads((lake / name).read_text())
    (lake / name).write_text(json.dumps({**record, "version": 2}))
    place = Place(json.loads((VERSIONS[-1] / "held.json").read_text()), FileDestination(str(lake)), None)  # type: ignore[arg-type]
    before = place.everything()
    for act in ("pull", "erase"):
        with pytest.raises((AirflowFailException, Np6ConflictError), match=f"^{what} is of format 2"):
            ACTS[act](place)
    assert sandbox.received == []
    assert place.everything() == before


MANIFEST = "_manifests/type=bounces/action=000PE4/2024-10-04.json"


def test_the_manifest_of_a_later_version_is_named(lake: Path) -> None:
    path = lake / MANIFEST
    path.write_text('{"version": 2}')
    with pytest.raises(Np6ConflictError) as refused:
        coverage(str(lake), "bounces", "000PE4", "2024-10-04", "2024-10-05")
    assert f"the manifest {path} is of format 2" in str(refused.value)
    path.write_text("{}")
    with pytest.raises(Np6DestinationError, match="cannot be read"):
        coverage(str(lake), "bounces", "000PE4", "2024-10-04", "2024-10-05")


def test_a_listing_names_the_manifest_of_a_later_version(lake: Path) -> None:
    (path,) = (lake / "_manifests/type=cancellations").rglob("*.json")
    path.write_text('{"version": 2}')
    span = Window(parse_time("start", "2024-10-04"), parse_time("end", "2024-10-05"))
    with pytest.raises(Np6ConflictError) as refused:
        list(FileDestination(str(lake)).stored_windows(Scope(span)))
    assert f"the manifest {path} is of format 2" in str(refused.value)


@pytest.mark.parametrize("more", [{}, {"window_end": "2024-10-06"}], ids=["the same window", "a larger one"])
def test_a_manifest_that_a_later_version_wrote_meanwhile_is_left(
    lake: Path, sandbox: Sandbox, more: Pull
) -> None:
    path = lake / MANIFEST
    text = '{"version": 2}'

    def change(stored: list[FakeEvent]) -> list[FakeEvent]:
        path.write_text(text)
        return stored

    sandbox.plan.add(Fault(change=change))
    place = Place(json.loads((VERSIONS[-1] / "held.json").read_text()), FileDestination(str(lake)), None)  # type: ignore[arg-type]
    with pytest.raises(AirflowFailException, match="is of format 2"):
        place.pull(BOUNCES, **more)
    assert path.read_text() == text


@pytest.mark.parametrize("place", ["sqlite", "postgres"], indirect=True)
def test_what_a_later_version_wrote_into_a_table_meanwhile_is_left(place: Place, sandbox: Sandbox) -> None:
    def change(stored: list[FakeEvent]) -> list[FakeEvent]:
        ask("UPDATE np6_events_header SET version = 2 WHERE event_type = ''")
        return stored

    before = place.ids(BOUNCES)
    sandbox.plan.add(Fault(change=change))
    with pytest.raises(AirflowFailException, match=r"table np6_events .* is of format 2"):
        place.pull(BOUNCES)
    assert place.ids(BOUNCES) == before
