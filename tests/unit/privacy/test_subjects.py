from __future__ import annotations

import pytest
from hypothesis import given

from airflow_provider_np6.privacy.subjects import Subject, identifiers, scan_identifiers
from tests.support.personal_events import PSEUDONYMS, documented_events
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


SEND = '{"receiver":{"type":"id","value":"A1"},"recipient":"anna@example.com"}'
OTHER = '{"receiver":{"type":"id","value":"B2"},"recipient":"bob@example.com"}'
EVENT = '{"id":"1","timestamp":5,"source":{"detail":{"activation":%s}}}'
WIDE = "7" * 5_000


@pytest.mark.parametrize(
    ("event", "values"),
    [
        (EVENT % f'{SEND},"activation":{OTHER}', {"a1", "anna@example.com", "b2", "bob@example.com"}),
        (EVENT % f'{SEND},"execution":{OTHER}', {"a1", "anna@example.com", "b2", "bob@example.com"}),
        (EVENT % f'{SEND},"activation":{{}}', {"a1", "anna@example.com"}),
        (EVENT % '{"receiver":{"id":"A1"}},"activation":{"recipient":"bob"}', {"a1", "bob"}),
        (EVENT % '{"receiver":{"id":"A1","id":"B2"}}', {"a1", "b2"}),
        (EVENT % '{"receiver":{"id":"A1","i\\u0064":"B2"}}', {"a1", "b2"}),
        (EVENT % '{"recipient":"a","r\\u0065cipient":"b"}', {"a", "b"}),
        (EVENT % '{"recipient":"a","\\u0072ecipient":null}', {"a"}),
        (EVENT % '{"recipient":{"id":"a"},"recipient":"b"}', {"a", "b"}),
        (EVENT % '{"receiver":{"id":"A1","new":{"id":["B2"]}},"recipient":"a"}', {"a1", "b2", "a"}),
        (EVENT % '{"receiver":{"id":"A1}","hash":"x"}}', {"a1}", "x"}),
        (EVENT % '{"receiver":{"id":7,"value":null}}', {"7"}),
        (EVENT % '{"receiver":{},"recipient":"a"}', {"a"}),
        (EVENT % "{}", set()),
        (EVENT % SEND + " ", {"a1", "anna@example.com"}),
        (EVENT % SEND.replace(":", " : ").replace(",", " , "), {"a1", "anna@example.com"}),
        ('{"source":{"detail":{}},' + EVENT[1:] % SEND, {"a1", "anna@example.com"}),
        (EVENT[:-1] % SEND + ',"source":{"detail":{}}}', {"a1", "anna@example.com"}),
        (EVENT[:-1] % SEND + ',"source":5}', {"a1", "anna@example.com"}),
        (EVENT % f'{{"receiver":{{"id":{WIDE},"value":1e999}}}}', {WIDE, "1e999"}),
        (EVENT % '{"recipient":"an\\ud83dna@example.com"}', {"an\ufffdna@example.com"}),
        (EVENT[:-1] % SEND + ',"new":"\\ude00"}', {"a1", "anna@example.com"}),
        (EVENT[:-1] % SEND + ',"new":' + "[" * 9_000 + "]" * 9_000 + "}", {"a1", "anna@example.com"}),
    ],
)
def test_identifiers_of_odd_events_are_those_that_a_scan_finds(event: str, values: set[str]) -> None:
    """Whatever is written twice, or is refused by parsers."""
    assert identifiers(event.encode()) == scan_identifiers(event.encode()) == values


@pytest.mark.parametrize("identifier", ["an\ud83dna@example.com", "AN\ufffdna@example.com"])
@pytest.mark.parametrize("personal_data", ["keep", f"pseudonymize:{PSEUDONYMS.fingerprint}"])
def test_an_address_with_a_lone_surrogate_is_found_as_columns_show_it(
    identifier: str, personal_data: str
) -> None:
    event = EVENT % '{"recipient":"an\\ud83dna@example.com"}'
    (value,) = identifiers(event.encode())
    subject = Subject(identifier, personal_data, PSEUDONYMS)
    assert subject.tokens == {PSEUDONYMS.token(value)}
    assert subject.is_among([value if personal_data == "keep" else PSEUDONYMS.token(value)])
    assert personal_data != "keep" or subject.is_maybe_in(event)
