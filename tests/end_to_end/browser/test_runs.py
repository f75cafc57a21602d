"""Runs of the example DAGs: how they are started, what their pulls are called, what their asset tells."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import product

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: it is in the dependency group browser")

from playwright.sync_api import Browser, Locator, Page, expect

from airflow_provider_np6.np6.window import to_ms
from airflow_provider_np6.sandbox import Sandbox
from airflow_provider_np6.sandbox.account import EVENT_TYPES
from tests.support.airflow_runs import AIRFLOW_3
from tests.support.standalone import Standalone

pytestmark = [
    pytest.mark.skipif(not AIRFLOW_3, reason="the pages of Airflow 3"),
    pytest.mark.timeout(1200),
]


def wait_for_runs(deployment: Standalone, dag_id: str) -> None:
    """Until every run of a DAG, one at least, has succeeded."""

    def through() -> bool:
        states = {
            state for (state,) in deployment.ask(f"SELECT state FROM dag_run WHERE dag_id = '{dag_id}'")
        }
        assert "failed" not in states
        return states == {"success"}

    deployment.wait_for(through, 240)


@pytest.fixture(scope="package")
def daily(browser: Browser, deployment: Standalone) -> str:
    """The address of a run of ``np6_events_daily`` that is through, and so is the summary that it started."""
    with closing(browser.new_context(base_url=deployment.url)) as context:
        asked = {"dag_run_id": "third_of_january", "logical_date": "2026-01-04T00:00:00Z"}
        answer = context.request.post("/api/v2/dags/np6_events_daily/dagRuns", data=asked)
        assert answer.ok, answer.text()
    for dag_id in ("np6_events_daily", "np6_bounces_summary"):
        wait_for_runs(deployment, dag_id)
    return "/dags/np6_events_daily/runs/third_of_january"


def test_each_pull_of_a_fan_out_has_its_name(
    page: Page, daily: str, sandbox: Sandbox, picture: Callable[[str], None]
) -> None:
    page.goto(f"{daily}/tasks/pull/mapped")
    for event_type, action in product(EVENT_TYPES, sandbox.account.action_ids):
        expect(page.get_by_role("link", name=f"{event_type} · {action}", exact=True)).to_be_visible()
    picture("fan_out")


def test_a_dag_shows_what_it_does(page: Page, daily: str, picture: Callable[[str], None]) -> None:
    page.goto("/dags/np6_events_daily")
    page.get_by_role("button", name="Dag Docs").click()
    expect(page.get_by_role("dialog")).to_contain_text("Every day, every action of the account")
    picture("dag_docs")


def test_the_asset_tells_what_landed(
    page: Page, daily: str, deployment: Standalone, sandbox: Sandbox, picture: Callable[[str], None]
) -> None:
    page.goto("/assets")
    page.get_by_role("link", name=f"file://{deployment.home}/np6").click()
    page.locator(".codicon-folding-collapsed").click()
    extra = page.locator(".view-lines")
    expect(extra).to_contain_text("2026-01-03T00:00:00.000Z")
    extra.click()
    page.keyboard.press("Control+End")
    expect(extra).to_contain_text("_manifests")
    day = [to_ms(datetime(2026, 1, number, tzinfo=UTC)) for number in (3, 4)]
    events = sum(len(list(sandbox.account.events(event_type, None, *day))) for event_type in EVENT_TYPES)
    expect(extra).to_contain_text(f'"events": {events},')
    picture("asset")


def test_a_pull_by_hand_takes_what_the_form_says(
    page: Page, deployment: Standalone, sandbox: Sandbox, picture: Callable[[str], None]
) -> None:
    page.set_viewport_size({"width": 1280, "height": 1080})
    page.goto("/dags/np6_events_on_demand")
    page.get_by_role("button", name="Trigger Dag").click()
    form = page.get_by_role("dialog").first

    def field(label: str, description: str) -> Locator:
        found = form.get_by_role("group").filter(has_text=description)
        expect(found).to_contain_text(label)
        return found

    def fill(moment: Locator, day: str, time: str) -> None:
        moment.get_by_test_id("datetime-input").click()
        picker = page.get_by_role("dialog").last
        picker.get_by_placeholder("YYYY/MM/DD").fill(day)
        picker.get_by_placeholder("HH:mm").fill(time)
        picker.get_by_placeholder("HH:mm").press("Enter")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(1)

    expect(field("Event types", "What to pull of each action")).to_contain_text("responses/stop")
    field("Actions", "Ids of the actions, one per line").get_by_role("textbox").fill("000PE4\n000PEB")
    fill(field("Start", "Start of the window"), "2026/11/05", "06:00")
    fill(field("End", "End of the window"), "2026/11/05", "12:00")
    picture("trigger_form")
    form.get_by_role("button", name="Trigger", exact=True).click()
    page.wait_for_url("**/np6_events_on_demand/runs/*")
    wait_for_runs(deployment, "np6_events_on_demand")

    hours = [to_ms(datetime(2026, 11, 5, hour, tzinfo=UTC)) for hour in (6, 12)]
    pairs = product(EVENT_TYPES, ("000PE4", "000PEB"))
    with closing(sqlite3.connect(deployment.home / "np6.db")) as database:
        landed = {id_ for (id_,) in database.execute("SELECT event_id FROM np6_events")}
    assert landed == {event.id for pair in pairs for event in sandbox.account.events(*pair, *hours)}
