"""The fast path returns what the plain walk returns, whichever events are in a batch."""

from __future__ import annotations

import json
import re
import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.privacy.fast import make_redactor
from airflow_provider_np6.privacy.redaction import redact_event
from airflow_provider_np6.sandbox import FakeAccount
from tests.support.personal_events import (
    REDACTING_MODES,
    documented_events,
    policy,
    strange_events,
)
from tests.support.properties import examples

pytestmark = pytest.mark.core


def redact_plain(items: list[bytes], mode: str) -> list[bytes]:
    """The specification: the plain walk, event by event."""
    return [redact_event(item.decode(), policy(mode)).encode() for item in items]


def redact_fast(items: list[bytes], mode: str) -> list[bytes]:
    redact = make_redactor(policy(mode))
    lines = redact(items)
    assert redact(items) == lines  # what was learned from the first batch changes nothing
    return lines


@examples(300, derandomize=True)
@given(events=st.lists(documented_events(), min_size=1, max_size=4), mode=st.sampled_from(REDACTING_MODES))
def test_documented_events_are_redacted_as_by_the_plain_walk(events: list[bytes], mode: str) -> None:
    assert redact_fast(events, mode) == redact_plain(events, mode)


@examples(100, derandomize=True)
@given(
    cases=st.lists(st.one_of(strange_events().map(lambda case: case[0].encode()), documented_events())),
    order=st.randoms(use_true_random=False),
    mode=st.sampled_from(REDACTING_MODES),
)
def test_events_of_all_kinds_are_redacted_as_by_the_plain_walk(
    cases: list[bytes], order: Random, mode: str
) -> None:
    items = [*cases, *cases]
    order.shuffle(items)
    assert redact_fast(items, mode) == redact_plain(items, mode)


BOUNCE = (
    '{"type":"bounce","id":"86bc","timestamp":5,"identity":{},"source":{"type":"email","detail":'
    '{"activation":{"id":"000PE4","kind":"message","receiver":{"type":"id","value":"0013KDC0"},'
    '"recipient":"anna@example.com"},"bounce":{"status":{"diagnostic":"TEXT"}}}}}'
)


@pytest.mark.parametrize("text", ["{0}{0}", "{0}.{0}", "{0} {0}", "x{0}", "{0}.", "<{0}>{0}", "0{1}0", "{1}"])
def test_identifiers_beside_each_other_are_redacted_as_by_the_plain_walk(text: str) -> None:
    event = BOUNCE.replace("TEXT", text.format("anna@example.com", "0013kdc0"))
    redacted = redact_event(event, policy("pseudonymize"))
    assert "anna" not in redacted
    assert "0013" not in redacted
    assert redact_fast([event.encode()], "pseudonymize") == [redacted.encode()]


@pytest.mark.parametrize("mode", REDACTING_MODES)
@pytest.mark.parametrize(
    ("target", "recipient", "text"),
    [
        ("0013KDC0", "tom@example.com", "550 \\tom@example.com"),  # a tab, and om@example.com
        ("0013KDC0", "nanna@example.com", "550\\r\\nanna@example.com"),
        ("0013KDC0", "anna@example.com", "anna@example.com\\u0065u"),
        ("ab", "62/x@example.com", "%61%62/x@example.com"),
        ("ab", "%61%62/x@example.com", "<%61%62/x@example.com>"),
        ("ab", "u0062/x@example.com", "\\\\u0061\\\\u0062/x@example.com"),
        ("ab", "\\\\u0061\\\\u0062/x@example.com", "<\\\\u0061\\\\u0062/x@example.com>"),
        ("x/a", "a/b@example.com", "x/a/b@example.com"),
        ("0013KDC0", "anna@", "anna%40 is gone"),
        ("0013KDC0", " anna@example.com", "550: anna@example.com"),
        ("0013KDC0", "anna@example.com\u00a0", "<anna@example.com\u00a0(gone)"),
        ("0013KDC0", "", "gone"),
    ],
)
def test_addresses_inside_other_strings_are_redacted_as_by_the_plain_walk(
    mode: str, target: str, recipient: str, text: str
) -> None:
    event = BOUNCE.replace("0013KDC0", target).replace("anna@example.com", recipient).replace("TEXT", text)
    redacted = redact_event(event, policy(mode))
    json.loads(redacted)
    assert redact_fast([event.encode()] * 2, mode) == [redacted.encode()] * 2


@pytest.mark.parametrize("mode", REDACTING_MODES)
@pytest.mark.parametrize("event_type", ["bounces", "cancellations", "responses/stop"])
def test_events_of_the_sandbox_are_redacted_as_by_the_plain_walk(event_type: str, mode: str) -> None:
    items = [event.json for event in FakeAccount().events(event_type, None, 0, 7 * 86_400_000)]
    assert len(items) > 10
    lines = make_redactor(policy(mode))(items)
    assert lines == redact_plain(items, mode)
    assert all(b"@" not in line for line in lines) or mode == "pseudonymize+domain"
    assert (lines == items) == (event_type == "responses/stop")


SUBJECT = '"receiver":{"type":"id","value":"0013KDC0"},"recipient":"anna@example.com"'
COMMON = f'{{"type":"x","id":"a","timestamp":1,"source":{{"detail":{{"activation":{{{SUBJECT}}}}}}}}}'
ODD = [
    COMMON.replace(",", ", "),
    COMMON.replace("anna", "\\u0061nna"),
    COMMON.replace("anna@example.com", 'anna\\\\","recipient":"bob@example.com'),
    COMMON.replace("anna@example.com", 'anna\\",\\"x\\":\\"@example.com'),
    COMMON.replace("anna@example.com", 'anna@example.com\\" y'),
    COMMON.replace(SUBJECT, '"recipient":"anna@example.com"'),
    COMMON.replace(SUBJECT, '"recipient":"anna@example.com","kind":"x"'),
    COMMON.replace("}}}}", ',"recipient":"bob"}}}}'),
    COMMON.replace("anna@example.com", ""),
    COMMON.replace("anna@example.com", "\u00a0"),
    COMMON.replace("anna@example.com", "+33 6 12 34 56 78"),
    COMMON.replace('"anna@example.com"', "33612345678"),
    COMMON.replace('"a"', '"a@b.c"'),
    COMMON.replace('"x"', '"a%40b.c"'),
    COMMON.replace('"x"', '"0612345678"'),
    COMMON.replace('"type":"x",', '"type":"x","recipient":"bob@example.com",'),
    COMMON.replace("}}}}", ',"recipient":"bob@example.com"}}}}'),
    COMMON.replace("}}}}", ',"unicity":{"a":["bob"]}}}}}'),
    COMMON.replace("}}}}", '},"bounce":{"status":{"diagnostic":"<anna@example.com> 0013kdc0 %61nna"}}}}}'),
    COMMON.replace("}}}}", '},"bounce":{"status":{"diagnostic":"a caf\\u00e9, 100 %, 0013kdc\\u0030"}}}}}'),
    COMMON.replace("}}}}", '},"more":[7,13579135,{"anna@example.com":null}]}}}'),
    COMMON.replace(SUBJECT, f'{SUBJECT},"data":{{"a":[{{"b":[[[[[[[["anna"]]]]]]]]}}]}}').replace(
        "activation", "execution"
    ),
    COMMON.replace(SUBJECT, f'"data":"\\"}}",{SUBJECT}').replace("activation", "execution"),
    COMMON.replace(SUBJECT, SUBJECT.replace('"value":', '"value":"0013KDC0","value":')),
    COMMON.replace(SUBJECT, '"recipient":["anna@example.com","bob"]'),
    COMMON.replace(SUBJECT, '"recipient":["anna\\","]'),
    '{"timestamp":1,"id":"a"}',
    COMMON.replace("anna", "\\ud83danna"),
    COMMON.replace("0013KDC0", "0013\\ude00KDC0"),
    COMMON.replace("}}}}", '},"bounce":{"status":{"diagnostic":"\\ud83danna@example.com \\ud83d"}}}}}'),
    COMMON.replace(
        "}}}}", '},"bounce":{"status":{"diagnostic":"bob@\\ud83dexample.com 0013\\ud83dKDC0"}}}}}'
    ),
    COMMON.replace("}}}}", '},"\\ud83d":{"\\udc00":"\\ud83d"}}}}'),
    COMMON.replace('"0013KDC0"', "1e999"),
    COMMON.replace('"x"', "-1e999"),
    COMMON.replace('"a"', '"a\\u0000b"').replace("anna", "an\\u0000na"),
    COMMON.replace("recipient", "recip\\u0069ent"),
    COMMON.replace("activation", "\\u0061ctivation"),
    COMMON.replace("}}}}", f'}},"activation":{{{SUBJECT.replace("anna", "bob")}}}}}}}}}'),
    COMMON[:-1] + f',"source":{{"detail":{{"activation":{{{SUBJECT.replace("anna", "bob")}}}}}}}}}',
    COMMON.replace("}}}}", '},"":{},"more":[[],{}]}}}'),
]
LONG = [
    COMMON.replace('"0013KDC0"', "7" * 5_000),
    COMMON.replace("}}}}", '},"more":' + "[" * 900 + '"anna@example.com"' + "]" * 900 + "}}}"),
    COMMON.replace("}}}}", '},"more":' + '{"a":' * 2_000 + "1" + "}" * 2_000 + "}}}"),
    COMMON.replace(SUBJECT, f'{SUBJECT},"data":{"[" * 900}"anna"{"]" * 900}').replace(
        "activation", "execution"
    ),
]
NESTED = [
    COMMON[:-1] + f',"copy":{COMMON}}}',
    f'{{"copy":{COMMON}}}',
    f'{{"copy":[{COMMON},{COMMON}],"id":"a","timestamp":1}}',
]


@pytest.mark.parametrize("odd", [ODD, [*ODD, *NESTED]], ids=["odd", "copies"])
@pytest.mark.parametrize("mode", REDACTING_MODES)
def test_odd_events_among_others_are_redacted_as_by_the_plain_walk(mode: str, odd: list[str]) -> None:
    """Whichever event comes first, and so gives the first layout, and whatever is beside it."""
    for first in (COMMON, *odd):
        events = [first, COMMON, *odd, COMMON, *reversed(odd)]
        items = [event.encode() for event in events]
        assert redact_fast(items, mode) == redact_plain(items, mode)


@pytest.mark.parametrize("mode", REDACTING_MODES)
def test_long_events_among_others_are_redacted_as_by_the_plain_walk(mode: str) -> None:
    items = [event.encode() for event in (COMMON, *LONG, COMMON, *LONG)]
    assert redact_fast(items, mode) == redact_plain(items, mode)
    assert redact_fast(items[1:], mode) == redact_plain(items[1:], mode)
    assert b"anna" not in b"".join(redact_fast(items, mode))


def test_long_strings_that_all_differ_are_not_all_remembered() -> None:
    event = next(FakeAccount().events("bounces", "000PE4", 0, 86_400_000)).json
    before, after = re.split(rb'(?<="diagnostic":")[^"]*', event)
    redact_batch = make_redactor(policy("pseudonymize"))
    tracemalloc.start()
    for hundred in range(0, 1_000, 100):
        texts = [f"{number:x}:" + "no such user here " * 180 for number in range(hundred, hundred + 100)]
        redact_batch([before + text.encode() + after for text in texts])
    remembered, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert remembered < 5_500_000
