"""Lone surrogates are replaced, and nothing else is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from airflow_provider_np6.np6.lone_surrogates import replace_lone_surrogates
from tests.support.json_arrays import JSON_STRINGS, without_lone_surrogates
from tests.support.properties import examples

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("json_text", "replaced"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uDBFF x"', rb'"\ufffd x"'),
        (rb'"\udc00"', rb'"\ufffd"'),
        (rb'"\uDfFf"', rb'"\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ud83d\ude00\ude00"', rb'"\ud83d\ude00\ufffd"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\\ude00"', rb'"\ufffd\\ude00"'),
        (rb'"\\ud83d\ude00"', rb'"\\ud83d\ufffd"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\ud83d\u00e9"', rb'"\ufffd\u00e9"'),
        (rb'{"\ud83d":"\"\ud83d"}', rb'{"\ufffd":"\"\ufffd"}'),
    ],
)
def test_a_lone_surrogate_is_replaced(json_text: bytes, replaced: bytes) -> None:
    assert replace_lone_surrogates(json_text) == replaced


@pytest.mark.parametrize(
    "json_text",
    [
        rb'"\ud83d\ude00"',
        rb'"\uD83D\uDE00\ud83d\ude00"',
        rb'"\\ud83d"',
        rb'"\\\\ud83d \\udc00"',
        rb'"\ud7ff\ue000\u00e9\n"',
        rb'"\ud83"',
        rb'"\Ud83d"',
        '"é📫"'.encode(),
        b"",
    ],
)
def test_without_lone_surrogates_the_same_object_is_returned(json_text: bytes) -> None:
    assert replace_lone_surrogates(json_text) is json_text


@examples(400)
@given(JSON_STRINGS)
def test_replacing_keeps_all_other_bytes_and_makes_any_string_valid(json_text: bytes) -> None:
    replaced = replace_lone_surrogates(json_text)
    assert msgspec.json.decode(replaced) == without_lone_surrogates(json_text)
    assert len(replaced) == len(json_text)
    assert replace_lone_surrogates(replaced) is replaced
