"""What Compose makes of ``docker-compose.yaml``, read as it prints it, and the Dockerfile beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from cryptography.fernet import Fernet

from airflow_provider_np6.np6.config import Np6Config
from cluster.settings import Settings, shared
from tests.support import ROOT
from tests.support.services import require

Config = Callable[..., subprocess.CompletedProcess[str]]
Services = dict[str, dict[str, Any]]

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SECRETS = ["FERNET_KEY", "JWT_SECRET", "API_SECRET_KEY", "POSTGRES_PASSWORD", "NP6_SQL_PASSWORD"]
AIRFLOW_SERVICES = {
    "airflow-init",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-worker",
    "airflow-triggerer",
}


def find_compose() -> list[str] | None:
    """The command of an installed Compose: the plugin, or else the program of its own."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if not shutil.which(command[0]):
            continue
        if not subprocess.run([*command, "version"], capture_output=True, check=False, timeout=60).returncode:
            return command
    return None


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """``compose config`` with nothing in its environment, and in no ``.env``, but what is given."""
    compose = require("Compose", find_compose())
    no_env = tmp_path_factory.mktemp("compose") / "env"
    no_env.touch()
    command = [*compose, "--env-file", str(no_env), "--file", str(ROOT / "docker-compose.yaml"), "config"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        env = kept | environment
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="module")
def services(config: Config) -> Services:
    """The services as they are when nothing is set."""
    return read(config())


def read(printed: subprocess.CompletedProcess[str]) -> Services:
    services: Services = yaml.safe_load(printed.stdout)["services"]
    return services


def airflow_of(services: Services) -> Services:
    return {name: service for name, service in services.items() if name.startswith("airflow-")}


def connection(services: Services, conn_id: str, of: str = "airflow-worker") -> dict[str, Any]:
    # Compose prints what it could read again, so each dollar twice.
    text = services[of]["environment"][f"AIRFLOW_CONN_{conn_id.upper()}"].replace("$$", "$")
    fields: dict[str, Any] = json.loads(text)
    return fields


def settings(services: Services, name: str) -> set[str]:
    """What the Airflow services have under that name in their environments."""
    return {service["environment"][name] for service in airflow_of(services).values()}


def words(service: dict[str, Any]) -> list[str]:
    """What runs: the entrypoint and the command."""
    return [*(service.get("entrypoint") or []), *(service.get("command") or [])]


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """By path in the container: what is mounted and whether read-only, from either notation."""
    found = {}
    for volume in service.get("volumes") or []:
        if isinstance(volume, str):
            source, target, mode = volume.split(":")
            found[target] = (source, mode == "ro")
        else:
            found[volume["target"]] = (volume["source"], volume.get("read_only", False))
    return found


def test_the_file_parses(config: Config) -> None:
    printed = config()
    assert printed.returncode == 0, printed.stderr


def test_nothing_has_to_be_set(config: Config) -> None:
    assert "variable is not set" not in config().stderr


def test_every_part_of_airflow_has_a_service(services: Services) -> None:
    assert set(airflow_of(services)) == AIRFLOW_SERVICES


def test_airflow_and_the_sandbox_share_one_image(services: Services) -> None:
    sharing = [*airflow_of(services).values(), services["sandbox"]]
    assert len({service["image"] for service in sharing}) == 1


def test_one_service_builds_the_image(services: Services) -> None:
    # Several builds of one tag at a time fail with "already exists".
    assert [name for name, service in services.items() if service.get("build")] == ["sandbox"]


def test_the_building_service_waits_for_none(services: Services) -> None:
    # Older Compose makes images in the order of dependencies, and would look for this one in a registry.
    assert not services["sandbox"].get("depends_on")


def test_every_airflow_service_waits_for_the_init(services: Services) -> None:
    waiting = [service for name, service in airflow_of(services).items() if name != "airflow-init"]
    conditions = {service["depends_on"]["airflow-init"]["condition"] for service in waiting}
    assert conditions == {"service_completed_successfully"}


def test_every_service_that_stays_has_a_healthcheck(services: Services) -> None:
    assert [name for name, service in services.items() if "healthcheck" not in service] == ["airflow-init"]


def test_servers_are_pinned(services: Services) -> None:
    images = [services["postgres"]["image"], services["redis"]["image"]]
    assert [re.sub(r"\.\d+$", "", image) for image in images] == ["postgres:16", "redis:7.2"]


def test_the_init_creates_the_pool(services: Services) -> None:
    assert "airflow pools set np6_api 4 " in words(services["airflow-init"])[-1]


def test_the_executor_is_celery(services: Services) -> None:
    assert settings(services, "AIRFLOW__CORE__EXECUTOR") == {"CeleryExecutor"}


def test_tasks_find_the_api_server(services: Services) -> None:
    urls = settings(services, "AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
    assert urls == {"http://airflow-api-server:8080/execution/"}


def test_there_are_two_workers(services: Services) -> None:
    assert services["airflow-worker"]["scale"] == 2


def test_tasks_that_wait_for_a_worker_outlive_a_restart_of_redis(services: Services) -> None:
    assert words(services["redis"]) == ["redis-server", "--appendonly", "yes"]
    assert mounts(services["redis"])["/data"] == ("redis", False)


def test_the_deployment_without_containers_has_the_same_settings(services: Services, tmp_path: Path) -> None:
    database = {"conn_type": "postgres", "login": "me", "host": "127.0.0.1", "port": 5432, "schema": "db"}
    native = Settings(
        folder=tmp_path,
        dags=tmp_path,
        url="http://127.0.0.1:8080",
        np6={},
        metadata=database,
        events=database,
        broker=6379,
    ).environment()
    composed = services["airflow-worker"]["environment"]
    folders = {"AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER"}  # where the image has them already
    assert {name for name in native if name.startswith("AIRFLOW")} - folders == composed.keys() - {
        "DUMB_INIT_SETSID"
    }
    assert shared() == {name: composed[name] for name in shared()}


def test_airflows_own_examples_are_not_loaded(services: Services) -> None:
    assert settings(services, "AIRFLOW__CORE__LOAD_EXAMPLES") == {"False"}


def test_ports_are_published_on_loopback_only(services: Services) -> None:
    ports = [port for service in services.values() for port in service.get("ports") or []]
    hosts = [port.split(":")[0] if isinstance(port, str) else port.get("host_ip") for port in ports]
    assert hosts == ["127.0.0.1"]


@pytest.mark.parametrize("name", sorted(AIRFLOW_SERVICES))
def test_every_airflow_service_has_the_same_connections(services: Services, name: str) -> None:
    for conn_id in ("np6_default", "np6_sql"):
        assert connection(services, conn_id, of=name) == connection(services, conn_id)


def test_np6_default_is_a_connection_to_the_sandbox(services: Services) -> None:
    fields = connection(services, "np6_default")
    assert fields.pop("conn_type") == "np6"
    made = Np6Config.from_connection("np6_default", port=None, **fields)
    assert made.base_url == "http://sandbox:8086"


def test_np6_default_allows_the_sandboxes_plain_http(services: Services) -> None:
    assert connection(services, "np6_default")["extra"]["allow_http"] is True


def test_the_sandbox_takes_the_key_of_np6_default(services: Services) -> None:
    command = words(services["sandbox"])
    assert command[command.index("--key") + 1] == connection(services, "np6_default")["password"]


def test_the_sandbox_listens_where_np6_default_points(services: Services) -> None:
    command = " ".join(words(services["sandbox"]))
    assert command.startswith("python -m airflow_provider_np6.sandbox --host 0.0.0.0 --port 8086 ")


def test_np6_sql_is_a_database_of_its_own(services: Services) -> None:
    fields = connection(services, "np6_sql")
    assert (fields["conn_type"], fields["host"], fields["schema"]) == ("postgres", "postgres", "np6")


def test_the_server_creates_the_role_and_database_of_np6_sql(services: Services) -> None:
    fields = connection(services, "np6_sql")
    created = " ".join(words(services["postgres"]))
    assert f"CREATE ROLE {fields['login']} LOGIN PASSWORD '{fields['password']}'" in created
    assert f"CREATE DATABASE {fields['schema']} OWNER {fields['login']}" in created


def test_the_environment_names_another_np6_account(config: Config) -> None:
    given = {"NP6_HOST": "https://api-cm.np6.com", "NP6_API_KEY": "k{e}y$1", "NP6_ACCOUNT": "shop"}
    fields = connection(read(config(**given)), "np6_default")
    assert [fields["host"], fields["password"], fields["extra"]["account"]] == list(given.values())


def test_a_given_key_does_not_reach_the_sandboxes_command_line(config: Config) -> None:
    assert "given-key" not in words(read(config(NP6_API_KEY="given-key"))["sandbox"])


def test_the_environment_names_another_database(config: Config) -> None:
    given = {"HOST": "db.example", "PORT": "5433", "DATABASE": "events", "LOGIN": "me", "PASSWORD": "secret"}
    services = read(config(**{f"NP6_SQL_{name}": value for name, value in given.items()}))
    fields = connection(services, "np6_sql")
    read_back = [str(fields[name]) for name in ("host", "port", "schema", "login", "password")]
    assert read_back == list(given.values())


def test_no_development_secret_is_left_once_all_are_set(config: Config, services: Services) -> None:
    printed = config(**dict.fromkeys(SECRETS, "given"))
    defaults = [
        *settings(services, "AIRFLOW__CORE__FERNET_KEY"),
        *settings(services, "AIRFLOW__API_AUTH__JWT_SECRET"),
        *settings(services, "AIRFLOW__API__SECRET_KEY"),
        ":airflow@postgres",
        "POSTGRES_PASSWORD: airflow",
        '"password": "np6"',
        "PASSWORD 'np6'",
    ]
    assert [default for default in defaults if default in printed.stdout] == []


def test_the_development_fernet_key_is_one(services: Services) -> None:
    assert [Fernet(key) for key in settings(services, "AIRFLOW__CORE__FERNET_KEY")]


def test_the_development_jwt_secret_is_as_long_as_its_algorithm_asks(services: Services) -> None:
    assert [len(secret) >= 64 for secret in settings(services, "AIRFLOW__API_AUTH__JWT_SECRET")] == [True]


def test_workers_share_the_volume_of_the_files(services: Services) -> None:
    workers = [service for service in services.values() if words(service) == ["celery", "worker"]]
    assert [mounts(worker)["/tmp/np6"] for worker in workers] == [("files", False)]


def test_dags_are_mounted_read_only(services: Services) -> None:
    mounted = {mounts(service)["/opt/airflow/dags"] for service in airflow_of(services).values()}
    assert mounted == {(str(ROOT / "dags"), True)}


def test_the_image_is_airflow_3_3_2() -> None:
    assert re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE) == ["apache/airflow:3.3.2"]


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["airflow"]


def test_the_image_has_the_folder_that_the_volume_takes_its_owner_from() -> None:
    assert re.search(r"^RUN install --directory .*/tmp/np6$", DOCKERFILE, re.MULTILINE)


def test_the_build_context_holds_what_the_image_copies() -> None:
    copied = " ".join(re.findall(r"^COPY --chown=\S+ (.+) \S+$", DOCKERFILE, re.MULTILINE)).split()
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert copied == [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
