"""What `make dist` built: the same from anywhere, with all that belongs in it, and at work where nothing else
of the project is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

from airflow_provider_np6 import __version__
from airflow_provider_np6.destinations import FileDestination
from airflow_provider_np6.sandbox import FakeAccount
from airflow_provider_np6.sandbox.account import EVENT_TYPES
from tests.support import ROOT
from tests.support.files import slices, verify
from tests.support.postgres import free_port
from tests.support.run import KEY

DIST = Path(os.environ.get("NP6_DIST", "dist")).resolve()
WHEEL_PYTHON = ROOT / os.environ.get("NP6_WHEEL", ".venv-wheel/bin/python")
WHEEL = DIST / f"airflow_provider_np6-{__version__}-py3-none-any.whl"
SDIST = DIST / f"airflow_provider_np6-{__version__}.tar.gz"

pytestmark = pytest.mark.skipif("NP6_DIST" not in os.environ, reason="`make dist` runs it")


def test_a_second_build_elsewhere_and_later_is_the_same() -> None:
    passed_over = shutil.ignore_patterns(
        ".venv*", ".git", ".airflow", ".demo", ".*_cache", "dist", "__pycache__"
    )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "another"
        shutil.copytree(ROOT, copy, ignore=passed_over)
        for path in copy.rglob("*"):
            os.utime(path, (1, 1))
        command = [str(ROOT / ".venv/bin/uv"), "build", "--quiet", "--out-dir", str(Path(folder) / "built")]
        subprocess.run(command, check=True, cwd=copy)
        for first in (WHEEL, SDIST):
            assert _sha256(Path(folder) / "built" / first.name) == _sha256(first)


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    package = ROOT / "airflow_provider_np6"
    there = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(WHEEL) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = message_from_bytes(wheel.read(f"airflow_provider_np6-{__version__}.dist-info/METADATA"))
        entry_points = wheel.read(f"airflow_provider_np6-{__version__}.dist-info/entry_points.txt").decode()
    assert names == there
    assert {
        "airflow_provider_np6/py.typed",
        "airflow_provider_np6/destinations/files/erasures.schema.json",
        "airflow_provider_np6/destinations/files/header.schema.json",
        "airflow_provider_np6/destinations/files/manifest.schema.json",
        "airflow_provider_np6/sandbox/__main__.py",
    } <= names
    assert (metadata["Name"], metadata["Version"]) == ("airflow-provider-np6", __version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "pytest" not in str(metadata.get_all("Requires-Dist"))
    assert "[apache_airflow_provider]" in entry_points


def test_the_changelog_tells_of_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in ("Unreleased", __version__)


@pytest.fixture
def airflow_home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An Airflow that has the wheel and no other part of the project, and its sandbox, as environment."""
    port = free_port()
    connection = {"conn_type": "np6", "host": f"http://127.0.0.1:{port}", "password": KEY}
    (tmp_path / "dags").mkdir()
    shutil.copy(ROOT / "dags/np6_events_daily.py", tmp_path / "dags")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW_CONN_NP6_DEFAULT": json.dumps(connection),
        "NO_PROXY": "127.0.0.1",
        "PYTHONWARNINGS": "ignore",
    }
    command = [str(WHEEL_PYTHON), "-m", "airflow_provider_np6.sandbox", "--port", str(port), "--key", KEY]
    sandbox = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE)
    assert sandbox.stdout is not None
    sandbox.stdout.readline()  # it says where it listens
    yield environment
    sandbox.terminate()
    sandbox.wait()
    sandbox.stdout.close()


def test_the_wheel_alone_pulls_a_day(airflow_home: dict[str, str], tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(WHEEL_PYTHON), *arguments],
            env=airflow_home,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = run("-c", "import airflow_provider_np6; print(airflow_provider_np6.__file__)")
    assert Path(where.strip()).is_relative_to(WHEEL_PYTHON.parent.parent)
    listed = json.loads(run("-m", "airflow", "providers", "list", "--output", "json"))
    (provider,) = (one for one in listed if one["package_name"] == "airflow-provider-np6")
    assert provider["version"] == __version__

    lake = str(tmp_path / "lake")
    run("-m", "airflow", "db", "migrate")
    run("-m", "airflow", "pools", "set", "np6_api", "4", "Requests to NP6")
    conf = json.dumps({"files": lake})
    run("-m", "airflow", "dags", "test", "np6_events_daily", "2026-11-02", "--conf", conf)

    account = FakeAccount()
    start = 1_793_491_200_000  # 2026-11-01
    expected = Counter(
        {
            (event_type, action): sum(
                1 for _ in account.events(event_type, action, start, start + 86_400_000)
            )
            for event_type in EVENT_TYPES
            for action in account.action_ids
        }
    )
    stored: Counter[tuple[str, str]] = Counter()
    for event_type in EVENT_TYPES:
        for action in FileDestination(lake).action_ids(event_type):
            for slice_ in slices(lake, event_type, action, "2026-11-01", "2026-11-02"):
                verify(lake, slice_)
                stored[event_type, action] += slice_.events
    assert stored == expected


def test_the_list_of_parts_names_what_the_wheel_needs() -> None:
    told = json.loads((DIST / "sbom.cdx.json").read_text())
    assert told["bomFormat"] == "CycloneDX"
    parts = {part["name"]: part["version"] for part in told["components"]}
    constraints = (ROOT / "constraints/airflow-3.3.2.txt").read_text()
    for name in ("apache-airflow", "msgspec", "requests"):
        assert f"{name}=={parts[name]}\n" in constraints
    assert "pytest" not in parts


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
