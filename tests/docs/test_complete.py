"""Nothing public is missing from the pages, and nothing that they list is gone."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from airflow_provider_np6 import erasure, fan_out
from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.coverage import Coverage, UtcWindow
from airflow_provider_np6.destinations.files.manifest import Manifest, Slice
from airflow_provider_np6.destinations.inventory import Verification
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6 import errors
from airflow_provider_np6.np6.config import _EXTRAS, Np6Config
from airflow_provider_np6.operators.events import Np6EventsOperator
from airflow_provider_np6.provider_info import get_provider_info
from airflow_provider_np6.sensors.events import Np6EventsSensor
from tests.support import ROOT
from tests.support.airflow_runs import load, run_source
from tests.support.pages import PAGES, Page, code

CODE = ROOT / "airflow_provider_np6"
OPERATOR = Page("docs/operator.md")
ERRORS = Page("docs/errors.md")
REFERENCE = re.findall(r"^::: (\S+)$", Page("docs/reference.md").text, re.MULTILINE)


def parameters(made: Callable[..., Any]) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    given = inspect.signature(made).parameters.values()
    return [one.name for one in given if one.kind in kinds and one.name != "self"]


def listed(page: Page, heading: str) -> list[str]:
    return [name for row in page.rows(heading) for name in code(row[0])]


# Arguments


@pytest.mark.parametrize(
    ("page", "heading", "made"),
    [
        (OPERATOR, "## Arguments", Np6EventsOperator.__init__),
        (Page("docs/sensor.md"), "# Waiting for events", Np6EventsSensor.__init__),
        (Page("docs/files.md"), "# Files", FileDestination),
        (Page("docs/sql.md"), "# SQL", SqlDestination),
    ],
    ids=lambda value: value.path if isinstance(value, Page) else "",
)
def test_every_argument_is_listed(page: Page, heading: str, made: Callable[..., Any]) -> None:
    table = page.section(heading).partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert [name for row in rows for name in code(row)] == parameters(made)


@pytest.mark.parametrize(
    ("page", "heading", "made"),
    [
        (OPERATOR, "## Arguments", Np6EventsOperator),
        (Page("docs/files.md"), "# Files", FileDestination),
        (Page("docs/sql.md"), "# SQL", SqlDestination),
    ],
    ids=["operator", "files", "sql"],
)
def test_templates_are_marked(page: Page, heading: str, made: Any) -> None:
    marked = [name for row in page.rows(heading) if "*Template" in row[-1] for name in code(row[0])]
    alone = {"path", "format", "conn_id"} if made is FileDestination else set()  # said of all three at once
    assert set(marked) | alone == set(made.template_fields)


def test_every_extra_of_the_connection_is_listed_with_its_default() -> None:
    rows = Page("docs/connection.md").rows("## The fields")
    assert [code(row[0])[0] for row in rows] == list(_EXTRAS)
    defaults: dict[str, Any] = {field.name: field.default for field in fields(Np6Config)}
    for name, told in ((code(row[0])[0], row[1]) for row in rows):
        number = re.match(r"(\d+)( MiB)?", told)
        if number:
            assert int(number[1]) * (1024 * 1024 if number[2] else 1) == defaults[name]
        elif name != "account":
            assert told == {None: "", False: "false"}[defaults[name]]


RUN = """
from datetime import datetime, timezone
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_np6.destinations import SqlDestination
from airflow_provider_np6.operators.events import Np6EventsOperator

with DAG(DAG_ID, schedule=None) as dag:
    for name, destination in (("files", "FILES"), ("sql", SqlDestination("np6_sql"))):
        Np6EventsOperator(
            task_id=name,
            event_type="bounces",
            action_id="000PE4",
            destination=destination,
            window_start="2024-10-04",
            window_end="2024-10-05",
        )
"""


@pytest.mark.usefixtures("airflow_db", "np6_connection", "sqlite_connection")
def test_every_field_of_the_report_is_listed(tmp_path: Path) -> None:
    run = run_source(RUN.replace("FILES", str(tmp_path / "np6")), datetime(2026, 11, 23, tzinfo=UTC))
    (files,), (sql,) = run.reports("files"), run.reports("sql")
    assert {*files, *sql} == set(listed(OPERATOR, "## The report"))


# Errors


CLASSES = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.Np6Error)]


def test_every_class_of_errors_has_a_section_that_says_whether_it_is_retried() -> None:
    headed = re.findall(r"^## (Np6\w+)", ERRORS.text, re.MULTILINE)
    assert headed == [one.__name__ for one in CLASSES if one is not errors.Np6Error]
    for one in CLASSES[1:]:
        assert (
            ERRORS.section(f"## {one.__name__}").strip().startswith("*Not retried.*") is not one.retryable
        ), one


def test_the_tree_of_errors_is_drawn_right() -> None:
    drawn = re.findall(r"^([│├└─ ]*)(Np6\w+)(.*)$", ERRORS.block("text", "├──"), re.MULTILINE)
    assert [name for _, name, _ in drawn] == [one.__name__ for one in CLASSES]
    above: list[type] = []
    for (lines, _, told), one in zip(drawn, CLASSES, strict=True):
        above[len(lines) // 4 :] = [one]
        assert len(above) == 1 or above[-2] in one.__bases__, one
        assert told.strip().startswith("not retried") is not one.retryable, one


def sentences() -> Iterator[str]:
    """Every text in the code; what is put in at run time is left out."""
    for path in CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


COMMANDS = ("airflow ", "except ", "openssl ", "pip ")
QUOTED = [
    quote
    for text in [
        *(ERRORS.section(f"## {one.__name__}") for one in CLASSES[1:]),
        *(row[0] for row in Page("docs/connection.md").rows("## Test it")),
    ]
    for quote in code(text)
    if " " in quote and not quote.startswith(COMMANDS)
]


def test_what_errors_say_is_quoted_rightly() -> None:
    said = list(sentences())
    parts = [(quote, part.strip(" :,")) for quote in QUOTED for part in quote.split("…")]
    assert len(parts) > 60
    assert not [quote for quote, part in parts if not any(part in sentence for sentence in said)]


def test_airflows_own_exceptions_are_told() -> None:
    raised = {
        name
        for path in CODE.rglob("*.py")
        for names in re.findall(r"raise (Airflow\w+)|\.(AirflowTask\w+)$", path.read_text(), re.MULTILINE)
        for name in filter(None, names)
    }
    assert raised == {"AirflowFailException", "AirflowSkipException", "AirflowTaskTerminated"}
    assert [name for name in sorted(raised) if f"`{name}`" not in ERRORS.text] == []


# Names


def public_names() -> Iterator[str]:
    """What the provider's metadata and the packages say is theirs to use."""
    info = get_provider_info()
    for section in ("hooks", "operators", "sensors"):
        for entry in info[section]:
            for module in entry["python-modules"]:
                yield from (
                    f"{module}.{name}" for name in defined(importlib.import_module(module)) if "Np6" in name
                )
    for package in ("conformance", "destinations", "sandbox"):
        module = importlib.import_module(f"airflow_provider_np6.{package}")
        yield from (f"{module.__name__}.{name}" for name in module.__all__)
    for module in (erasure, fan_out):
        yield from (f"{module.__name__}.{name}" for name in functions_of(module))
    yield from (
        f"{made.__module__}.{made.__name__}" for made in (Coverage, UtcWindow, Verification, Manifest, Slice)
    )
    yield from (
        "airflow_provider_np6.np6.event_types.EventType",
        "airflow_provider_np6.retry_policies.Np6RetryPolicy",
    )


def functions_of(module: Any) -> list[str]:
    """Names of a module's own public functions."""
    return [name for name in defined(module) if name.islower()]


def defined(module: Any) -> list[str]:
    """Names of a module's own classes and functions."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def test_the_reference_has_every_public_name() -> None:
    assert [name for name in public_names() if name not in REFERENCE] == []


def test_the_reference_names_what_there_is() -> None:
    text = Page("docs/reference.md").text
    for name, options in re.findall(r"^::: (\S+)\n((?:    .*\n)*)", text, re.MULTILINE):
        found = resolve(name)
        for member in (yaml.safe_load(options) or {"options": {}})["options"].get("members", []):
            assert (
                hasattr(found, member)
                or member in getattr(found, "__annotations__", {})
                or named_in_init(found, member)
            ), f"{name}.{member}"


def resolve(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, rest = name.rpartition(".")
        return getattr(importlib.import_module(module), rest)


def named_in_init(found: Any, member: str) -> bool:
    return re.search(rf"self\.{member}(: [^\n]+)? = ", inspect.getsource(found)) is not None


FORM = {"get_connection_form_widgets", "get_ui_field_behaviour"}  # Airflow's own to call


def test_the_page_on_the_hook_has_each_of_its_methods() -> None:
    names = [
        name
        for name, value in vars(Np6Hook).items()
        if not name.startswith("_") and (callable(value) or hasattr(value, "func"))
    ]
    text = Page("docs/hook.md").text
    assert len(names) > 8
    assert [name for name in names if name not in FORM and not re.search(rf"\b{name}\b", text)] == []


def test_public_functions_are_shown_at_work() -> None:
    public = {row[0]: code(row[1]) for row in Page("docs/releases.md").rows("## What is public")}
    methods, functions = public["reading back"], public["functions"]
    on_all, on_files = {"coverage", "action_ids", "verify"}, {"manifests", "data_files", "expire"}
    assert {*methods} == {*on_all, *on_files, "missing_windows"}
    assert {*functions} == {name for module in (erasure, fan_out) for name in functions_of(module)}
    shown = " ".join(block.text for page in PAGES for block in page.blocks if block.language == "python")
    assert [name for name in [*methods, *functions] if not re.search(rf"\b{name}\(", shown)] == []
    assert all(hasattr(FileDestination, name) or hasattr(Coverage, name) for name in methods)
    assert all(hasattr(SqlDestination, name) for name in on_all)


# The pages as a whole


def test_every_page_has_its_place_and_is_there() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed_pages = [page for group in settings["nav"] for page in pages_of(group)]
    assert sorted(f"docs/{page}" for page in listed_pages) == sorted(page.path for page in PAGES[1:])


def pages_of(entry: dict[str, Any]) -> Iterator[str]:
    for value in entry.values():
        if isinstance(value, str):
            yield value
        else:
            for inner in value:
                yield from pages_of(inner)


def test_the_picture_of_the_architecture_has_todays_layers() -> None:
    drawing = load(ROOT / "docs/architecture.py")
    assert drawing.PICTURE.read_text() == drawing.picture(), "draw it again: python docs/architecture.py"
    for *_, module in drawing._STEPS:
        assert (CODE / module).is_dir() or (CODE / f"{module}.py").is_file(), module
