"""Every block of code of the README and of docs/: run, parsed as a DAG, or read as what it is."""

from __future__ import annotations

import configparser
import gzip
import importlib.util
import json
import re
import shlex
import textwrap
import tomllib
import uuid
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.requirements import Requirement

import airflow_provider_np6.destinations as destinations_package
from airflow_provider_np6.np6.window import iso
from airflow_provider_np6.sandbox import Sandbox
from tests.support import ROOT
from tests.support.airflow_runs import AIRFLOW_3, AIRFLOW_3_2, DAGS_FOLDER
from tests.support.pages import PAGES, Block, Page
from tests.support.place import Place
from tests.support.pulls import MIDNIGHT

pytestmark = pytest.mark.core

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPERATORS = re.compile(r"\bNp6\w+(?:Operator|Sensor)\b")

RUN_ELSEWHERE = {
    "README.md": "tests/docs/test_readme.py",
    "docs/command-line.md": "tests/docs/test_command_line.py",
    "docs/reading.md": "tests/docs/test_reading.py",
    "docs/sql.md": "tests/docs/test_sql.py",
    "docs/start.md": "tests/docs/test_start.py",
}
"""Pages that are run by tests of their own, which look at what comes out."""

GIVEN = """
from datetime import datetime, timedelta, timezone

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.sensors.events import Np6EventsSensor

FILES = "/data/np6"
"""
"""What a block that is a part of a DAG file, or of a script, need not repeat."""


def of(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in page.blocks if block.language in languages]


DAG_FILES = [block for block in of("python") if OPERATORS.search(block.text)]


def test_every_block_is_of_a_language_that_is_looked_at_here() -> None:
    languages = {"", "bash", "dockerfile", "ini", "json", "python", "sql", "text", "yaml"}
    pages = [page for page in PAGES if page.path not in RUN_ELSEWHERE]
    assert [str(block) for page in pages for block in page.blocks if block.language not in languages] == []


def test_pages_with_tests_of_their_own_have_them() -> None:
    for page, tests in RUN_ELSEWHERE.items():
        assert f'"{page}")' in (ROOT / tests).read_text()


@pytest.mark.parametrize("block", DAG_FILES, ids=str)
def test_what_belongs_into_a_dag_file_is_a_dag(block: Block) -> None:
    source = block.text
    if "with DAG(" not in source:
        source = f'with DAG("{uuid.uuid4().hex}", schedule=None):\n{textwrap.indent(source, "    ")}'
    future, given = "from __future__ import annotations", GIVEN
    path = DAGS_FOLDER / f"page_{uuid.uuid4().hex}.py"
    path.write_text(f"{future if future in source else ''}\n{given}\n{source.replace(future, '')}")
    try:
        bag = dag_bag(path)
    finally:
        path.unlink()
    assert not bag.import_errors
    (dag,) = bag.dags.values()
    assert any(OPERATORS.fullmatch(task.task_type) for task in dag.tasks)


def dag_bag(path: Path) -> Any:
    """A file as Airflow reads it."""
    module = "airflow.dag_processing.dagbag" if AIRFLOW_3_2 else "airflow.models.dagbag"
    return resolve_name(f"{module}.DagBag")(dag_folder=str(path))


SCRIPTS = [
    page
    for page in PAGES
    if page.path not in RUN_ELSEWHERE
    and any(block.language == "python" and block not in DAG_FILES for block in page.blocks)
]


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.path)
def test_scripts_run(page: Page, place: Place, sandbox: Sandbox, airflow_db: None) -> None:
    """A page's blocks go on from one to the next."""
    event = next(sandbox.account.events("bounces", "000PE4", MIDNIGHT, MIDNIGHT + 86_400_000))
    activation = json.loads(event.json)["source"]["detail"]["activation"]
    receiver = activation["receiver"]
    names: dict[str, Any] = {
        "address": activation["recipient"],
        "target_id": receiver.get("id") or receiver.get("value"),
        "token": "3096b55a2b64fb7c0e85a9db1992f363",
    }
    exec(GIVEN, names)  # noqa: S102
    for block in page.blocks:
        if block.language == "python" and block not in DAG_FILES:
            exec(compile(place.here(block.text), block.place, "exec"), names)  # noqa: S102 - the page's words


def test_queries_are_run_elsewhere() -> None:
    assert {block.place.split(":")[0] for block in of("sql")} <= set(RUN_ELSEWHERE)


def test_the_hooks_page_counts_what_there_is(place: Place, sandbox: Sandbox, airflow_db: None) -> None:
    page = Page("docs/hook.md")
    names: dict[str, Any] = {}
    for block in page.blocks:
        if block.language == "python":
            exec(block.text, names)  # noqa: S102 - the page's own words
    bounds = (20_778 * 86_400_000, 20_779 * 86_400_000)
    assert [iso(bound)[:10] for bound in bounds] == [*names["window"].values()]
    there = sum(1 for _ in sandbox.account.events("bounces", "000PE4", *bounds))
    assert sum(names["verdicts"].values()) == names["counted"] == there > 0


def test_the_page_on_files_covers_what_was_pulled(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(place.here(Page("docs/files.md").block("python", "coverage(")), names)  # noqa: S102 - its own words
    assert len(names["files"]) == 2
    assert [slice_.events for manifest in names["manifests"] for slice_ in manifest.slices] == [
        len(gzip.decompress(Path(file).read_bytes()).splitlines()) for file in names["files"]
    ]
    ((events,),) = place.query("SELECT count(*) FROM np6_events")
    assert capsys.readouterr().out == f"000PE4 {events} True [] []\nTrue 2 {events} []\n"


def test_its_manifest_is_one() -> None:
    import jsonschema

    schema = json.loads(
        (Path(destinations_package.__file__).parent / "files/manifest.schema.json").read_text()
    )
    shown = json.loads(Page("docs/files.md").block("json", "sha256"))
    jsonschema.validate(shown, schema)
    assert [*shown] == schema["required"]
    (slice_,) = shown["slices"]
    assert [*slice_] == schema["$defs"]["slice"]["required"]


# Commands


def checked_requirement(text: str) -> None:
    """A requirement of pip's that can be met, as far as this package goes."""
    requirement = Requirement(text.replace("${AIRFLOW_VERSION}", "3.3.2"))
    if requirement.name == PROJECT["name"]:
        assert requirement.extras <= set(PROJECT["optional-dependencies"])


def make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(words) <= targets


def airflow(words: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    if AIRFLOW_3 or words[0] != "backfill":  # which Airflow 2 has elsewhere
        get_parser().parse_args(words)


def pip(words: list[str]) -> None:
    assert words[0] == "install"
    for word in words[1:]:
        if not word.startswith("-"):
            checked_requirement(word)


def python(words: list[str]) -> None:
    assert words[0] == "-m"
    assert importlib.util.find_spec(words[1])


def export(words: list[str]) -> None:
    for word in words:
        name, _, value = word.partition("=")
        if name.startswith("AIRFLOW_CONN_"):
            assert json.loads(value)["conn_type"]
        elif name.startswith("AIRFLOW__"):
            from airflow.configuration import conf

            _, section, option = name.split("__", 2)
            assert conf.has_option(section.lower(), option.lower())


def gcloud(words: list[str]) -> None:
    checked_requirement(words[words.index("--update-pypi-package") + 1])


def known(words: list[str]) -> None:
    """A command of the system's own."""


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "airflow": airflow,
    "export": export,
    "gcloud": gcloud,
    "make": make,
    "pip": pip,
    "python": python,
    "docker": known,
    "find": known,
    "python3": known,
}


@pytest.mark.parametrize("block", of("bash"), ids=str)
def test_commands_are_such(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").strip().splitlines():
        words = shlex.split(line.removesuffix(" &"), comments=True)
        if words:
            COMMANDS[words[0]](words[1:])


# Files of other programs


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_yaml(block: Block) -> None:
    found = yaml.safe_load(block.text)
    for secret in found.get("secret", []):
        assert secret["envName"] == "AIRFLOW_CONN_NP6_DEFAULT"


@pytest.mark.parametrize("block", of("dockerfile"), ids=str)
def test_dockerfile(block: Block) -> None:
    ours = (ROOT / "Dockerfile").read_text()
    base, install = block.lines
    assert base in ours.splitlines()
    words = shlex.split(install)
    assert words[:3] == ["RUN", "pip", "install"]
    pip(words[2:])


@pytest.mark.parametrize("block", [block for block in of("text") if ".txt" in block.title], ids=str)
def test_requirements(block: Block) -> None:
    lowest = {one.name: one.specifier for one in map(Requirement, PROJECT["dependencies"])}
    for line in block.lines:
        if line.startswith("--constraint "):
            continue
        checked_requirement(line)
        requirement = Requirement(line)
        if "constraints" in block.title:
            assert str(requirement.specifier).replace("==", ">=") == str(lowest[requirement.name])


@pytest.mark.parametrize("block", of("ini"), ids=str)
def test_settings(block: Block) -> None:
    settings = configparser.ConfigParser()
    settings.read_string(block.text)
    assert isinstance(json.loads(settings["secrets"]["backend_kwargs"]), dict)


def test_a_connection_comes_from_secrets_manager(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the settings of docs/connection.md, from AWS's stand-in."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server,
    }.items():
        monkeypatch.setenv(name, value)
    page = Page("docs/connection.md")
    (exported,) = (line for line in page.block("bash", "export").splitlines() if line)
    secret = shlex.split(exported)[1].partition("=")[2]
    boto3.client("secretsmanager").create_secret(Name="airflow/connections/np6_default", SecretString=secret)
    settings = configparser.ConfigParser()
    settings.read_string(page.block("ini", "aws"))
    arguments = json.loads(settings["secrets"]["backend_kwargs"])
    connection = resolve_name(settings["secrets"]["backend"])(**arguments).get_connection("np6_default")
    assert (connection.conn_type, connection.password) == ("np6", "KEY")
