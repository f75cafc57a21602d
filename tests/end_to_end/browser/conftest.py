"""Chromium before one Airflow, with the sandbox behind it, for all tests of this folder.

xdist hands out the tests of a run in stretches and this folder is the first, so one worker has them all. If
another takes some over, it starts an Airflow of its own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_np6.sandbox import FakeAccount, Sandbox
from tests.support.run import KEY
from tests.support.services import require
from tests.support.standalone import Standalone, example

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DAGS = ("np6_bounces_summary", "np6_events_daily", "np6_events_on_demand")
PATIENCE = 60_000
"""Longest wait, in ms, for what a page is to show."""
ARGUMENTS = [
    "--no-sandbox",  # Chromium's own, which root cannot have
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = require("chromium", shutil.which("chromium"))
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="package")
def sandbox(browser: Browser) -> Iterator[Sandbox]:
    """What NP6 holds; asked for after the browser, so that nothing starts where there is none."""
    with Sandbox(FakeAccount(events_per_day=96), key=KEY) as running:
        yield running


@pytest.fixture(scope="package")
def deployment(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """An Airflow with :data:`DAGS`, whose connections are set as the documentation asks for."""
    home = tmp_path_factory.mktemp("lake", numbered=False)
    (home / "dags").mkdir()
    for name in DAGS:
        (home / "dags" / f"{name}.py").write_text(example(name, home))
    with Standalone(
        home,
        {"conn_type": "np6", "host": sandbox.url, "password": KEY},
        AIRFLOW_CONN_NP6_SQL=json.dumps({"conn_type": "sqlite", "host": str(home / "np6.db")}),
        AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
        AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES="pseudonym_key",
    ) as running:
        assert running.run("pools", "set", "np6_api", "4", "Requests to NP6")
        running.wait_for(lambda: len(running.ask("SELECT dag_id FROM dag")) == len(DAGS), 240)
        yield running


@pytest.fixture
def page(browser: Browser, deployment: Standalone) -> Iterator[Page]:
    """A page of a browser that knows nothing of other tests."""
    context = browser.new_context(
        base_url=deployment.url,
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@pytest.fixture
def picture(page: Page, tmp_path: Path) -> Callable[[str], None]:
    """Keeps what the page shows, under a name, where ``NP6_PICTURES`` says."""
    folder = Path(os.environ.get("NP6_PICTURES") or tmp_path)

    def keep(name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    return keep
