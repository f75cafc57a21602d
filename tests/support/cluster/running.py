"""A running deployment, and how much is pulled through it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from cluster.deployment import Deployment
from tests.support.cluster.api import Api

DAYS = int(os.environ.get("NP6_CLUSTER_DAYS", "30"))
"""How many days are pulled; a multiple of 5."""

ACTIONS = int(os.environ.get("NP6_CLUSTER_ACTIONS", "20"))
"""Of how many actions; at least 8."""

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=DAYS)
TYPES = ("bounces", "cancellations", "responses/stop")


@dataclass(frozen=True)
class Cluster:
    """A running deployment, its API, and the NP6 that it pulls from."""

    deployment: Deployment
    api: Api
    sandbox: Sandbox
    account: FakeAccount

    def restart(self, name: str) -> None:
        """Stop one program as an operator would, and start it again."""
        self.deployment.processes[name].stop()
        self.deployment.processes[name].start()
