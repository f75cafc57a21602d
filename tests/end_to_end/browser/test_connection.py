"""The form of a connection, what it gives away, and its test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: it is in the dependency group browser")

from playwright.sync_api import Locator, Page, Response, expect

from airflow_provider_np6.provider_info import CONN_FIELDS
from airflow_provider_np6.sandbox import Sandbox
from tests.support.airflow_runs import AIRFLOW_3
from tests.support.postgres import free_port
from tests.support.run import KEY

pytestmark = [
    pytest.mark.skipif(not AIRFLOW_3, reason="the pages of Airflow 3"),
    pytest.mark.timeout(1200),
]

PSEUDONYM_KEY = "f2c1" * 8


def new_form(page: Page) -> Locator:
    """The form for a connection of type NP6."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox", name="Connection Type").click()
    page.get_by_role("option", name="NP6", exact=True).click()
    expect(form.get_by_label("Host")).to_be_visible()
    return form


def field(form: Locator, label: str) -> Locator:
    """One field with its label and description."""
    return form.get_by_role("group").filter(has=form.page.get_by_text(label, exact=True))


def test_the_form_has_every_field_and_says_what_it_means(page: Page, picture: Callable[[str], None]) -> None:
    form = new_form(page)
    expect(form.get_by_label("Host")).to_have_attribute("placeholder", "https://api-cm.np6.com")
    expect(form.get_by_label("API key (X-Key)")).to_have_attribute("type", "password")
    expect(form.get_by_label("Port")).to_have_attribute("placeholder", "443")
    for hidden in ("Login", "Schema"):
        expect(form.get_by_label(hidden)).to_have_count(0)
    picture("connection")

    page.set_viewport_size({"width": 1280, "height": 1650})
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for described in CONN_FIELDS.values():
        expect(field(form, described["label"])).to_contain_text(described["description"])
    secret = field(form, CONN_FIELDS["pseudonym_key"]["label"]).get_by_role("textbox")
    expect(secret).to_have_attribute("type", "password")
    picture("connection_extras")


def save(form: Locator) -> None:
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)


def test_secrets_are_kept_and_never_shown_again_and_the_test_tells_causes_apart(
    page: Page, sandbox: Sandbox, picture: Callable[[str], None]
) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks what it calls
    host, _, port = sandbox.url.rpartition(":")
    form = new_form(page)
    form.get_by_label("Connection ID").fill("np6_marketing")
    form.get_by_label("Host").fill(host)
    form.get_by_label("API key (X-Key)").fill(KEY)
    form.get_by_label("Port").fill(port)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    field(form, "Pseudonym key").get_by_role("textbox").fill(PSEUDONYM_KEY)
    save(form)
    row = page.get_by_role("row").filter(has_text="np6_marketing")

    def tested(says: str) -> None:
        row.get_by_role("button", name="Test Connection").click()
        expect(page.get_by_role("status").filter(has_text=says)).to_be_visible()

    def change(label: str, value: str) -> None:
        row.get_by_role("button", name="Edit Connection").click()
        form.get_by_label(label).fill(value)
        save(form)

    tested(f"{sandbox.url} accepts the API key.")
    picture("connection_test")
    dead = free_port()
    change("Port", str(dead))
    tested(f"{host}:{dead}: the host could not be reached.")
    change("Port", port)
    change("API key (X-Key)", "wrong")
    tested(f"{sandbox.url}: NP6 does not accept the API key")

    row.get_by_role("button", name="Edit Connection").click()
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(field(form, "Pseudonym key").get_by_role("textbox")).to_have_value("***")
    form.get_by_role("button", name="Extra Fields JSON").click()
    expect(form.locator(".view-lines")).to_contain_text('"pseudonym_key"')
    told = [page.content(), *(answer.text() for answer in answers if "/api/v2/connections" in answer.url)]
    assert len(told) > 10
    assert not [text for text in told if KEY in text or PSEUDONYM_KEY in text]
