"""One scratch folder for the whole run, and an Airflow for each of its processes.

The API key is looked for in all of it at the end.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.run import KEY, LOG, SCRATCH, WORKER, files_with

# isort: split
# Airflow, which the following imports bring, reads its settings just then.

from airflow_provider_np6.destinations import FileDestination, SqlDestination
from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.np6.client import Np6Client
from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.airflow_runs import migrate
from tests.support.command_line import Run, runner
from tests.support.mariadb import Mariadb
from tests.support.postgres import Postgres
from tests.support.properties import load_profile
from tests.support.services import require


def pytest_configure(config: pytest.Config) -> None:
    """Keep all that tests write, and all that is logged, in one place."""
    if config.option.basetemp is None:
        config.option.basetemp = str(SCRATCH / "tmp")
    handler = logging.FileHandler(LOG)
    handler.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    logging.getLogger("airflow_provider_np6").setLevel(logging.DEBUG)
    load_profile()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a test printed and how it failed, for the search at the end."""
    with LOG.open("a") as log:
        log.write(f"{report.capstdout}{report.capstderr}{report.caplog}{report.longreprtext}\n")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No log, XCom, error or manifest of the whole run may hold the key: fail the run if one does."""
    if WORKER:
        return
    found = files_with(KEY, SCRATCH, Path(session.config.option.basetemp))
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nThe API key is in {', '.join(map(str, found))}")
    else:
        shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A migrated metadata database."""
    migrate()


@pytest.fixture
def account() -> FakeAccount:
    """Few events, so that tests are fast."""
    return FakeAccount(events_per_day=96)


@pytest.fixture
def sandbox(account: FakeAccount) -> Iterator[Sandbox]:
    with Sandbox(account, key=KEY) as running:
        yield running


@pytest.fixture
def settings(sandbox: Sandbox) -> Np6Config:
    return Np6Config(base_url=sandbox.url, api_key=KEY, account="test", max_attempts=2, read_timeout=5)


@pytest.fixture
def client(settings: Np6Config) -> Iterator[Np6Client]:
    made = Np6Client(settings)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait for backoff."""
    monkeypatch.setattr("airflow_provider_np6.np6.retry.FIRST_WAIT", 0.001)


@pytest.fixture
def np6_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ``np6_default``, to the sandbox."""
    connection = {"conn_type": "np6", "host": sandbox.url, "password": KEY, "extra": {"max_attempts": 2}}
    monkeypatch.setenv("AIRFLOW_CONN_NP6_DEFAULT", json.dumps(connection))


@pytest.fixture
def np6(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line of ours in this process."""
    for name in ("_AIRFLOW_PROCESS_CONTEXT", "AIRFLOW__LOGGING__LOGGING_LEVEL"):
        monkeypatch.setenv(name, "")  # restored at the end
        del os.environ[name]
    return runner(capsys)


@pytest.fixture
def sqlite_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The connection ``np6_sql``, to a SQLite file, whose path is returned."""
    path = tmp_path / "np6.db"
    monkeypatch.setenv("AIRFLOW_CONN_NP6_SQL", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A server of the S3 protocol; its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket, as a URI with the connection that opens it."""
    import boto3

    options = {"endpoint_url": s3_server, "region_name": "us-east-1"}
    boto3.client("s3", aws_access_key_id="a", aws_secret_access_key="b", **options).create_bucket(
        Bucket="lake"
    )
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": options}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_TEST", json.dumps(connection))
    return "s3://aws_test@lake"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this run's own."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Mariadb]:
    """A MariaDB server of this run's own."""
    require("mysqlclient", find_spec("MySQLdb"))
    require("MariaDB", shutil.which("mariadbd") and shutil.which("mariadb-install-db"))
    with Mariadb() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def sql(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDestination:
    """A destination in an empty database of each kind, at the connection ``test_sql``."""
    return _sql_destination(request, tmp_path, monkeypatch)


@pytest.fixture(params=["files", "sqlite", "postgres", "mariadb"])
def destination(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    """An empty destination of each kind."""
    if request.param == "files":
        return FileDestination(str(tmp_path / "lake"))
    return _sql_destination(request, tmp_path, monkeypatch)


def _sql_destination(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SqlDestination:
    connection: dict[str, object] = {
        "conn_type": request.param,
        "host": str(tmp_path / f"np6.{request.param}"),
    }
    if request.param in ("postgres", "mariadb"):
        connection = request.getfixturevalue(request.param).database()
    monkeypatch.setenv("AIRFLOW_CONN_TEST_SQL", json.dumps(connection))
    return SqlDestination("test_sql")
