"""Whatever JSON allows is decoded, and no parser's own error gets out."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from airflow_provider_np6.np6.decode import decode_event, decode_json
from airflow_provider_np6.np6.errors import Np6ResponseError

pytestmark = pytest.mark.core

MANY_DIGITS = "7" * 5_000


@pytest.mark.parametrize(
    ("json_text", "value"),
    [
        ("1", 1),
        ("-0.5", -0.5),
        ("1" * 4_300, int("1" * 4_300)),
        (MANY_DIGITS, Decimal(MANY_DIGITS)),
        (f"-{MANY_DIGITS}", Decimal(f"-{MANY_DIGITS}")),
        ("1e999", Decimal("1e999")),
        ("-1E+400", Decimal("-1e400")),
        (f"{MANY_DIGITS}.25", Decimal(f"{MANY_DIGITS}.25")),
        ("1e-999", 0.0),
        ("[1e999, 1, 0.5, 1e308]", [Decimal("1e999"), 1, 0.5, 1e308]),
        (r'"\ud83d \ud83d\ude00 \\ud83d"', "\ufffd 😀 \\ud83d"),
    ],
)
def test_values_that_no_single_parser_takes(json_text: str, value: Any) -> None:
    event = decode_event(f'{{"name":{json_text}}}'.encode())
    assert event == {"name": value}
    assert type(event["name"]) is type(value)


def test_all_of_them_in_one_event() -> None:
    item = rf'{{"a\udc00":"\ud83d","n":{{"b":[1e999,{MANY_DIGITS},true,null,1.5,{2**70}]}}}}'.encode()
    values = [Decimal("1e999"), Decimal(MANY_DIGITS), True, None, 1.5, 2**70]
    for form in (item, msgspec.Raw(item)):
        assert decode_event(form) == {"a\ufffd": "\ufffd", "n": {"b": values}}


def test_large_numbers_do_not_depend_on_the_decimal_context() -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        context.traps[decimal.InvalidOperation] = False
        assert decode_event(b'{"a":12345e999}') == {"a": Decimal("12345e999")}
        with pytest.raises(Np6ResponseError, match="a number that is too large"):
            decode_event(b'{"a":1e99999999999999999999}')


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (b'{"a":1e99999999999999999999}', "an event has a number that is too large even for decimal.Decimal"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "an event is nested too deeply"),
        (b'{"n":1e999,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "an event is nested too deeply"),
        (b'{"n":"\\ud83d","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "an event is nested too deeply"),
        (b"[1]", "an event is not a JSON object"),
        (b"1e999", "an event is not a JSON object"),
        (b"", "an event is not valid JSON"),
        (b'{"secret":1', "an event is not valid JSON"),
        (b'{"secret":1e999', "an event is not valid JSON"),
        (b'{"secret":1e999} x', "an event is not valid JSON"),
        (b'{"secret":NaN}', "an event is not valid JSON"),
        (b'{"secret":1e999,"b":NaN}', "an event is not valid JSON"),
        (b'{"secret":1e999,"b":-Infinity}', "an event is not valid JSON"),
        (b'{"secret":"\xff"}', "an event is not valid JSON"),
        (b'{"secret":1e999,"b":"\xed\xa0\x80"}', "an event is not valid JSON"),
        (b'{"secret":1e999,"b":"\x01"}', "an event is not valid JSON"),
        (b'{"secret":"\\ud83"}', "an event is not valid JSON"),
    ],
)
def test_an_item_that_cannot_be_decoded_is_our_error_without_its_content(item: bytes, says: str) -> None:
    with pytest.raises(Np6ResponseError, match=says) as caught:
        decode_event(item)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_errors_name_the_value() -> None:
    with pytest.raises(Np6ResponseError, match=r"^the list is not valid JSON"):
        decode_json(b"[", "the list")
    assert decode_json(b"[0.5]", "the list") == [0.5]
