"""Pulls, erasures and cleaners at once, in every order with two changes of turn, with kills and lost puts.

What is promised must hold in all of them. Without a condition, or without one rule of the protocol, it must
not, or these tests could not see it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_np6.destinations.files import day, decision, manifest, publication
from airflow_provider_np6.destinations.files.day import StoredDay
from tests.support import scenarios
from tests.support.scenarios import (
    SCENARIOS,
    Scenario,
    check,
    random_orders,
    two_changes_of_turn,
    with_faults,
)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_np6.destinations.files.header.time.sleep", lambda _: None)


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Scenario:
    found = SCENARIOS[request.param]
    found.folder[:] = [tmp_path]
    return found


def test_every_order_with_two_changes_of_turn(scenario: Scenario) -> None:
    total, wrong = check(scenario, two_changes_of_turn(scenario))
    assert wrong[:1] == []
    assert total > 100


def test_random_orders(scenario: Scenario) -> None:
    total, wrong = check(scenario, random_orders(scenario, 200, seed=17))
    assert wrong[:1] == []
    assert total == 200


def test_clocks_that_are_two_days_ahead(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pull takes each file that its manifest does not name for an old one."""
    monkeypatch.setattr(publication, "SLOW_WRITER", -172_800)
    _, wrong = check(scenario, random_orders(scenario, 100, seed=5))
    assert wrong[:1] == []


def test_kills_and_lost_late_and_refused_puts(scenario: Scenario) -> None:
    total, wrong = check(scenario, with_faults(scenario))
    assert wrong[:1] == []
    assert total > 100


def _ignore_conditions(_: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"honors_conditions": False}


def _without_tokens(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """R1: no token distinguishes one manifest, or one pull's slice, from another."""
    whole = publication.DayPublication.__init__

    def init(self: publication.DayPublication, *arguments: Any) -> None:
        whole(self, *arguments)
        self._token = "same"

    patch.setattr(publication.DayPublication, "__init__", init)
    for module in (manifest, day):
        patch.setattr(module, "make_token", lambda: "same")
    return {}


def _removing_own_data_at_once(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """R2: a pull that fails removes its data, whatever may still arrive."""

    def withdraw(self: publication.DayPublication) -> None:
        if not hasattr(self, "outcome"):
            for name in self._own:
                self._store.delete(name)

    patch.setattr(publication.DayPublication, "withdraw", withdraw)
    return {}


def _removing_without_listing(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """R4: a cleaner removes what the manifest that it read does not name."""

    def remove(stored: StoredDay, before: float) -> None:
        stored.list_files()
        stored.read()
        for name in stored.unreferenced(before):
            stored._store.delete(name)

    patch.setattr(scenarios, "remove_orphans", remove)
    return {}


def _without_header_at_the_switch(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """R5: the header is not read again between manifest and put."""
    patch.setattr(publication.DayPublication, "_check_header", lambda _: None)
    return {}


def _without_times(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """R6: no stored slice counts as newer."""
    patch.setattr(decision, "is_superseded", lambda *_: False)
    return {}


BROKEN: dict[str, Callable[[pytest.MonkeyPatch], dict[str, Any]]] = {
    "no condition": _ignore_conditions,
    "no R1": _without_tokens,
    "no R2": _removing_own_data_at_once,
    "no R4": _removing_without_listing,
    "no R5": _without_header_at_the_switch,
    "no R6": _without_times,
}


@pytest.mark.parametrize("rule", BROKEN)
def test_without_a_rule_something_is_lost(
    rule: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    options = BROKEN[rule](monkeypatch)
    total, wrong = 0, []
    for scenario in (
        list(SCENARIOS.values()) if rule != "no R2" else [SCENARIOS["equal windows, other events"]]
    ):
        scenario.folder[:] = [tmp_path]
        cases = with_faults(scenario) if rule == "no R2" else random_orders(scenario, 40, seed=3, **options)
        count, found = check(scenario, cases)
        total += count
        wrong += found
    record_property("violations", f"{len(wrong)} of {total}")
    print(f"{rule}: {len(wrong)} of {total}")
    assert wrong
