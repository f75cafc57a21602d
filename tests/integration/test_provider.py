"""What Airflow itself sees of the provider."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import airflow_provider_np6
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.config import _EXTRAS
from airflow_provider_np6.provider_info import CONN_FIELDS, get_provider_info
from airflow_provider_np6.sandbox import Sandbox
from tests.support import ROOT
from tests.support.airflow_runs import AIRFLOW_3_2
from tests.support.command_line import airflow
from tests.support.postgres import free_port
from tests.support.run import KEY

pytestmark = pytest.mark.core

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_metadata_fits_airflows_schema() -> None:
    import jsonschema
    from airflow import __file__ as airflow_module

    schema = json.loads((Path(airflow_module).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_entry_point_leads_to_the_metadata() -> None:
    (entry,) = (
        one
        for one in entry_points(group="apache_airflow_provider")
        if one.module.startswith("airflow_provider_np6")
    )
    assert entry.load() is get_provider_info
    assert get_provider_info()["package-name"] == PROJECT["name"]
    assert version(PROJECT["name"]) == airflow_provider_np6.__version__


def test_all_that_the_metadata_names_is_there() -> None:
    import importlib

    info = get_provider_info()
    for section in ("hooks", "operators", "sensors", "triggers"):
        for entry in info[section]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    (connection,) = info["connection-types"]
    module, _, name = connection["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is Np6Hook
    assert (connection["connection-type"], connection["hook-name"]) == (Np6Hook.conn_type, Np6Hook.hook_name)


def test_every_extra_has_a_field_in_the_form() -> None:
    assert set(CONN_FIELDS) == set(_EXTRAS)


def test_airflow_lists_the_provider() -> None:
    printed = airflow("providers", "get", "airflow-provider-np6", "--full", "--output", "json")
    assert "airflow_provider_np6.hooks.np6" in printed
    assert "airflow_provider_np6.operators.events" in printed


@pytest.mark.skipif(not AIRFLOW_3_2, reason="Airflow before 3.2 makes the form from the hook")
def test_the_form_comes_from_the_metadata() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    widgets = manager.connection_form_widgets
    fields = {widgets[f"extra__np6__{name}"].field_name for name in CONN_FIELDS}
    assert fields == set(CONN_FIELDS)
    assert "password" in json.dumps(widgets["extra__np6__pseudonym_key"].field, default=vars)
    behaviour = manager.field_behaviours["np6"]
    assert behaviour["relabeling"] == {"password": "API key (X-Key)"}


@pytest.mark.skipif(AIRFLOW_3_2, reason="Airflow from 3.2 on makes the form from the metadata")
def test_the_form_comes_from_the_hook() -> None:
    pytest.importorskip("flask_appbuilder")  # Airflow 3.1 does without, and shows no extras then
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    widgets = manager.connection_form_widgets
    assert {f"extra__np6__{name}" for name in CONN_FIELDS} <= set(widgets)
    assert widgets["extra__np6__pseudonym_key"].field.field_class.__name__ == "PasswordField"
    assert manager.field_behaviours["np6"]["relabeling"] == {"password": "API key (X-Key)"}


def test_airflow_tests_the_connection_and_tells_causes_apart(sandbox: Sandbox, airflow_db: None) -> None:
    def tested(host: str, key: str) -> str:
        connection = json.dumps({"conn_type": "np6", "host": host, "password": key})
        return airflow("connections", "test", "np6_default", AIRFLOW_CONN_NP6_DEFAULT=connection)

    sentences = {
        "right key": tested(sandbox.url, KEY),
        "wrong key": tested(sandbox.url, "wrong"),
        "no server": tested(f"http://127.0.0.1:{free_port()}", KEY),
    }
    assert "Connection success" in sentences["right key"]
    assert "does not accept the API key" in sentences["wrong key"]
    assert "could not be reached" in sentences["no server"]
    assert KEY not in "".join(sentences.values())


IMPORTED = """
import sys
from airflow.providers.common.compat.sdk import BaseOperator, conf, BaseHook
before = set(sys.modules)
import airflow_provider_np6.operators.events, airflow_provider_np6.destinations
import airflow_provider_np6.sensors.events
new = set(sys.modules) - before
heavy = {"requests", "urllib3", "msgspec", "isal", "pyarrow", "sqlite3", "psycopg", "psycopg2", "fsspec"}
print("HEAVY", sorted(heavy & {name.split(".")[0] for name in new}))
"""


def test_a_dag_file_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTED], capture_output=True, text=True, check=True
    )
    assert "HEAVY []" in done.stdout


def test_metadata_and_api_load_no_airflow() -> None:
    code = (
        "import sys, airflow_provider_np6.provider_info, airflow_provider_np6.sandbox,"
        " airflow_provider_np6.np6.pull, airflow_provider_np6.destinations;"
        " print('AIRFLOW', 'airflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "AIRFLOW False" in done.stdout
