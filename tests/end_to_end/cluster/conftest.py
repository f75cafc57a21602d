"""One deployment for all of these tests, with a sandbox in this process behind it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from cluster.deployment import Deployment
from tests.support.cluster.api import Api
from tests.support.cluster.running import ACTIONS, DAYS, Cluster
from tests.support.run import KEY

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "dags"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    # Fewer than a hundred a day and type, so that a pull is one request.
    account = FakeAccount(actions=ACTIONS, events_per_day=96)
    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(HERE / "dags" / "np6_cluster.py", dags)
    example = (EXAMPLES / "np6_account_daily.py").read_text()
    (dags / "np6_account_daily.py").write_text(example.replace("/tmp/np6_account", str(folder / "account")))
    settings = {
        "NP6_CLUSTER_DAYS": str(DAYS),
        "NP6_CLUSTER_ACTION_IDS": " ".join(account.action_ids),
        "NP6_CLUSTER_FILES": str(folder / "files"),
    }
    with (
        Sandbox(account, key=KEY) as sandbox,
        Deployment(folder, dags, sandbox.url, KEY, **settings) as deployment,
    ):
        api = Api(deployment.url)
        deployment.wait_for(lambda: api.ask("GET", "dags")["total_entries"] == 4, "four DAGs")
        yield Cluster(deployment, api, sandbox, account)
