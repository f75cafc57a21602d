from __future__ import annotations

import pytest
from hypothesis import given

from airflow_provider_np6.privacy.subjects import identifiers, scan_identifiers
from tests.support.personal_events import documented_events
from tests.support.properties import examples

pytestmark = pytest.mark.core


def test_identifiers_are_normalized() -> None:
    event = (
        b'{"source":{"detail":{"activation":{"receiver":{"type":"id","value":7,"hash":""},'
        b'"recipient":" Anna\\u0040Example.com"}}}}'
    )
    assert identifiers(event) == scan_identifiers(event) == {"7", "anna@example.com"}


@examples(100, derandomize=True)
@given(event=documented_events())
def test_identifiers_of_documented_events_are_those_that_a_scan_finds(event: bytes) -> None:
    assert identifiers(event) == scan_identifiers(event)
