"""The trigger that waits for a time, as the triggerer makes it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from airflow_provider_np6.triggers.wait_until import WaitUntilTrigger

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

pytestmark = pytest.mark.core


def test_the_triggerer_can_make_it_from_what_is_stored() -> None:
    path, arguments = WaitUntilTrigger(1_732_320_000_000).serialize()
    module, _, name = path.rpartition(".")
    assert (module, name) == (WaitUntilTrigger.__module__, WaitUntilTrigger.__name__)
    assert WaitUntilTrigger(**arguments).serialize() == (path, arguments)


@pytest.mark.parametrize("ahead", [-1_000, 200], ids=["past", "future"])
def test_it_fires_at_its_time(ahead: int) -> None:
    until = time.time_ns() // 1_000_000 + ahead

    async def first() -> TriggerEvent:
        return await anext(WaitUntilTrigger(until).run())

    event = asyncio.run(first())
    assert event.payload == until
    assert time.time() * 1_000 >= until
