"""``python -m cluster``: the deployment with the sandbox behind it, until Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import sys

from airflow_provider_np6.sandbox import Sandbox
from cluster.deployment import Deployment
from cluster.settings import ROOT

FOLDER = ROOT / ".cluster"


def main() -> None:
    """Start all of it afresh, and say where it is."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    print("Starting: about a minute", flush=True)
    with Sandbox() as sandbox, Deployment(FOLDER, ROOT / "dags", sandbox.url, sandbox.key) as running:
        print(f"Airflow: {running.url}\nNP6 sandbox: {sandbox.url}\nLogs: {running.logs}")
        print("Ctrl-C stops it.", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
