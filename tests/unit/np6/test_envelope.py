"""What makes an element of a response an event of what was requested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_np6.np6.envelope import MARGIN, Elements, EnvelopeReader
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.raw_batch import RawBatch, decode_array
from airflow_provider_np6.np6.window import Window
from tests.support.json_arrays import JSON_STRINGS

pytestmark = pytest.mark.core

PART = Window(10_000, 20_000)
NO_ID = "has no id"
NO_TIMESTAMP = "has no timestamp"
BAD_ID = "has an id that is not a string of 1 to 64 characters"
BAD_TIMESTAMP = "has a timestamp that is not a number of milliseconds"
UNPRINTABLE = "has an id with unprintable characters"
TOO_DEEP = "is nested too deeply"


def reader_of(event_type: str = "bounces", action_id: str = "000PE4") -> EnvelopeReader:
    return EnvelopeReader(EventQuery.checked(event_type, action_id, PART))


READER = reader_of()


def batch_of(*elements: bytes) -> RawBatch:
    return decode_array(b"[" + b",".join(elements) + b"]") or RawBatch(elements, None)


def encode(id_: Any, timestamp: Any, **members: Any) -> bytes:
    return json.dumps({"id": id_, "timestamp": timestamp, **members}).encode()


def sent(name: str, action_id: Any) -> dict[str, Any]:
    """The part of an event that shows its action."""
    return {"source": {"type": "email", "detail": {name: {"id": action_id, "kind": "message"}}}}


FINE = encode("fine", 12_000)
OTHER = encode("other", 13_000)


def read(*elements: bytes, reader: EnvelopeReader = READER) -> Elements:
    """The events of a batch; they are the same if its elements are read one by one."""
    batch = batch_of(*elements)
    whole, one_by_one = reader.read(batch, PART), reader.read(replace(batch, array=None), PART)
    assert in_bytes(whole) == in_bytes(one_by_one)
    return in_bytes(whole)


def in_bytes(elements: Elements) -> Elements:
    return replace(
        elements,
        items=[bytes(item) for item in elements.items],
        ids=list(elements.ids),
        timestamps=list(elements.timestamps),
        rejected=list(elements.rejected),
    )


def reason_of(element: bytes, reader: EnvelopeReader = READER) -> str | None:
    """Why an element among others is invalid; None if it is not."""
    elements = read(FINE, element, OTHER, reader=reader)
    assert not elements.is_broken
    if not elements.rejected:
        assert elements.items == [FINE, element, OTHER]
        return None
    assert (elements.items, elements.ids) == ([FINE, OTHER], ["fine", "other"])
    assert elements.timestamps == [12_000, 13_000]
    ((raw, reason, before),) = elements.rejected
    assert (raw, before) == (element, 1)
    return reason


def test_events_pass_as_they_came_with_their_ids_and_times() -> None:
    event = encode("a", 10_000, type="bounce", **sent("activation", "000PE4"))
    later = encode("b", 19_999, type=None, source=None)
    assert read(event, later) == Elements(
        [event, later], ["a", "b"], [10_000, 19_999], [], False, False, False
    )


def test_events_that_are_as_documented_are_decoded_at_once() -> None:
    batch = batch_of(encode("a", 10_000), encode("b", 19_999, type="bounce", **sent("execution", "000PE4")))
    assert READER.read(batch, PART).items is batch.items
    other = batch_of(encode("a", 10_000, type="hit", **sent("activation", "000PE5")))
    assert reader_of("/custom/path").read(other, PART).items is other.items
    assert reader_of("hits", "*").read(other, PART).items is other.items
    assert reader_of("events", "000PE5").read(other, PART).items is other.items
    lone = batch_of(FINE, encode("b", 19_999, x="\ud83d"))
    assert lone.has_lone_surrogates
    assert READER.read(lone, PART).items is lone.items
    replacement = batch_of(encode("\ufffd", 19_999))
    assert READER.read(replacement, PART).items is replacement.items


def test_a_batch_without_elements_has_no_events() -> None:
    assert READER.read(batch_of(), PART) == Elements([], [], [], (), False, False, False)
    assert READER.read(RawBatch([], None), PART) == Elements([], [], [], [], False, False, False)


@pytest.mark.parametrize(
    ("time", "is_begun", "is_ended"),
    [(8_000, True, False), (9_999, True, False), (20_000, False, True), (21_999, False, True)],
)
def test_what_lies_up_to_two_seconds_outside_is_dropped(time: int, is_begun: bool, is_ended: bool) -> None:
    assert MARGIN == 2_000
    elements = read(FINE, encode("edge", time), OTHER)
    assert elements == Elements(
        [FINE, OTHER], ["fine", "other"], [12_000, 13_000], [], is_begun, is_ended, False
    )
    alone = read(encode("edge", time))
    assert alone == Elements([], [], [], [], is_begun, is_ended, False)


def test_what_lies_outside_on_both_sides_is_dropped() -> None:
    inside = [encode("first", 10_000), FINE, encode("last", 19_999)]
    assert read(encode("a", 9_999), *inside, encode("b", 20_000)) == Elements(
        inside, ["first", "fine", "last"], [10_000, 12_000, 19_999], [], True, True, False
    )


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (7_999, "1970-01-01T00:00:07.999Z"),
        (22_000, "1970-01-01T00:00:22.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-1, "beyond the calendar"),
        (253_402_300_800_000, "beyond the calendar"),
        (2**70, "beyond the calendar"),
        (-(2**70), "beyond the calendar"),
    ],
)
def test_what_lies_further_outside_is_invalid(time: int, shown: str) -> None:
    assert reason_of(encode("a", time)) == f"has the time {shown}, outside of what was requested"
    # Alone too, where it is not between others.
    (rejected,) = read(encode("a", time)).rejected
    assert rejected[2] == 0


@pytest.mark.parametrize(
    "element",
    [
        b'{"timestamp":9999}',
        b'{"id":null,"timestamp":9999}',
        b'{"id":5,"timestamp":9999}',
        b'{"id":"\\u0000","timestamp":9999}',
        b'{"id":"a","timestamp":9999,"x":"\xff"}',
        encode("a" * 65, 9_999),
        encode("a", 9_999, type="hit"),
        encode("a", 9_999, **sent("activation", "000PE5")),
    ],
)
def test_what_is_dropped_is_not_checked_further(element: bytes) -> None:
    dropped = Elements([FINE], ["fine"], [12_000], [], True, False, False)
    assert read(element, FINE) == dropped
    beyond = element.replace(b"9999", b"20000")
    assert read(FINE, beyond) == replace(dropped, is_begun=False, is_ended=True)


@pytest.mark.parametrize(
    "element",
    [
        b"5",
        b"null",
        b"true",
        b'"a string"',
        b"[]",
        b'[{"id":"a","timestamp":15000}]',
        b"{}",
        b'{"id":null}',
        b'{"timestamp":null}',
        b'{"id":null,"timestamp":null}',
        b'{ "timestamp" : null , "x" : 1 }',
        b'{"error":{"message":"internal","id":"a","timestamp":15000}}',
    ],
)
def test_an_element_with_neither_id_nor_timestamp_breaks_the_response(element: bytes) -> None:
    invalid = b'{"id":"invalid"}'
    elements = read(FINE, invalid, element, OTHER, invalid)
    assert elements.is_broken
    assert (elements.items, elements.ids, elements.timestamps) == ([FINE], ["fine"], [12_000])
    assert elements.rejected == [(invalid, NO_TIMESTAMP, 1)]
    assert read(element) == Elements([], [], [], [], False, False, True)


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"timestamp":15000}', NO_ID),
        (b'{"id":null,"timestamp":15000}', NO_ID),
        (b'{"id":"a"}', NO_TIMESTAMP),
        (b'{"id":"a","timestamp":null}', NO_TIMESTAMP),
        (b'{"id":null,"timestamp":"15000"}', BAD_TIMESTAMP),
        (b'{"id":"","timestamp":15000}', BAD_ID),
        (b'{"id":5,"timestamp":15000}', BAD_ID),
        (b'{"id":true,"timestamp":15000}', BAD_ID),
        (b'{"id":["a"],"timestamp":15000}', BAD_ID),
        (b'{"id":{},"timestamp":15000}', BAD_ID),
        (encode("a" * 65, 15_000), BAD_ID),
        (b'{"id":"a","timestamp":"15000"}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":15000.0}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":1.5e4}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":true}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":[15000]}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":{}}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":1e999}', BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":' + b"7" * 5_000 + b"}", BAD_TIMESTAMP),
        (b'{"id":"a","timestamp":NaN}', "is not valid JSON"),
        (b'{"id":"a","timestamp":15000,}', "is not valid JSON"),
        (b'{"id":"a\xff","timestamp":15000}', "is not UTF-8"),
        (b'{"id":"a","timestamp":15000,"x":"\xff"}', "is not UTF-8"),
        (b'{"id":"a","timestamp":15000,"\xff":1}', "is not UTF-8"),
        (b'{"id":"a","timestamp":15000,"x":' + DEEP + b"}", TOO_DEEP),
        (b'{"id":' + DEEP + b',"timestamp":15000}', TOO_DEEP),
        *((encode(f"a{sign}", 15_000), UNPRINTABLE) for sign in "\0\x1f\x7f\xa0\u200b\u2028"),
        (rb'{"id":"a\ud83d","timestamp":15000}', UNPRINTABLE),
        (rb'{"id":"\ude00a","timestamp":15000}', UNPRINTABLE),
    ],
)
def test_an_element_without_its_envelope_is_invalid_and_not_shown(element: bytes, reason: str) -> None:
    assert reason_of(element) == reason


@pytest.mark.parametrize(
    "element",
    [
        encode("a", 10_000),
        encode("a" * 64, 15_000),
        encode("é📫 a", 15_000),
        '{"id":"é📫","timestamp":15000}'.encode(),
        encode("\ufffd", 15_000),
        b'{ "timestamp" : 15000 , "id" : "a" }',
        rb'{"\u0069d":"a","timestamp":15000}',
        b'{"id":5,"id":"b","timestamp":null,"timestamp":15000}',  # the last one counts, as in most parsers
        # Half of a character, anywhere but in the id.
        rb'{"id":"a","timestamp":15000,"x":"\ud83d"}',
        rb'{"id":"a","timestamp":15000,"\ud83d":["\ude00", "\ud83d\ude00"]}',
        rb'{"id":"\ud83d\ude00","timestamp":15000,"x":"\udbff"}',
        # Numbers that no parser takes, and deep nesting.
        b'{"id":"a","timestamp":15000,"x":1e999,"y":-1e999,"z":' + b"7" * 5_000 + b"}",
        b'{"id":"a","timestamp":15000,"source":1e999,"type":' + b"7" * 5_000 + b"}",
        b'{"id":"a","timestamp":15000,"x":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"id":"a","timestamp":15000,"source":{"detail":' + b"[" * 200 + b"]" * 200 + b"}}",
        b'{"id":"a","timestamp":15000,"x":"\\u0000"}',
    ],
)
def test_all_else_may_be_anything(element: bytes) -> None:
    assert reason_of(element) is None


def test_ids_are_decoded() -> None:
    elements = read(
        rb'{"id":"\ud83d\ude00\u00e9","timestamp":15000}', b'{"id":"5","id":"b","timestamp":15001}'
    )
    assert elements.ids == ["😀é", "b"]
    assert elements.timestamps == [15_000, 15_001]


@pytest.mark.parametrize(
    ("space", "kept"), [(b"\r", b" "), (b"\n", b" "), (b"\r\n", b"  "), (b"\t", b"\t"), (b" ", b" ")]
)
@pytest.mark.parametrize("others", [(), (b'{"id":"invalid"}',)])
def test_line_ends_between_members_become_spaces(space: bytes, kept: bytes, others: Sequence[bytes]) -> None:
    element, invalid = b'{"id":"a",%b"timestamp":15000,"x":"\\n\\r"}', b'{"id":%b"a"}'
    elements = read(element % space, FINE, *others)
    assert elements.items == [element % kept, FINE]
    elements = read(element % space, encode("edge", 9_000))
    assert elements.items == [element % kept]
    # What is invalid stays as it came.
    assert [raw for raw, _, _ in read(invalid % space).rejected] == [invalid % space]


FOREIGN_TYPE = "has the type {}, not bounce"
FOREIGN_ACTION = "belongs to action {} by its source.detail.{}.id, not to action 000PE4"
HIDDEN = "(a value that is not an id)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("hit", "hit"),
        ("bounces", "bounces"),
        ("Bounce", "Bounce"),
        ("_-09azAZ", "_-09azAZ"),
        ("a" * 32, "a" * 32),
        ("a" * 33, HIDDEN),
        ("", HIDDEN),
        ("a@example.com", HIDDEN),
        ("a b", HIDDEN),
        ("hit\n", HIDDEN),
        ("\ud83d", HIDDEN),
    ],
)
def test_an_event_of_another_type_or_action_is_invalid(value: str, shown: str) -> None:
    assert reason_of(encode("a", 15_000, type=value)) == FOREIGN_TYPE.format(shown)
    for name in ("activation", "execution"):
        element = encode("a", 15_000, type="bounce", **sent(name, value))
        assert reason_of(element) == FOREIGN_ACTION.format(shown, name)


def test_each_of_the_two_actions_counts() -> None:
    detail = {"activation": {"id": "000PE4"}, "execution": {"id": "000PE5"}}
    element = encode("a", 15_000, source={"detail": detail})
    assert reason_of(element) == FOREIGN_ACTION.format("000PE5", "execution")
    detail = {"activation": {"id": "000PE6"}, "execution": {"id": "000PE5"}}
    element = encode("a", 15_000, source={"detail": detail})
    assert reason_of(element) == FOREIGN_ACTION.format("000PE6", "activation")


@pytest.mark.parametrize("value", [None, 5, True, 1.5, [], ["000PE5"], {}, {"id": "000PE5"}])
def test_a_type_or_action_that_is_not_a_string_shows_nothing(value: Any) -> None:
    assert reason_of(encode("a", 15_000, type=value)) is None
    assert reason_of(encode("a", 15_000, **sent("activation", value))) is None
    assert reason_of(encode("a", 15_000, **sent("execution", value))) is None


@pytest.mark.parametrize(
    "source",
    [
        None,
        "email",
        5,
        [],
        {},
        {"detail": None},
        {"detail": "000PE5"},
        {"detail": [{"activation": {"id": "000PE5"}}]},
        {"detail": {"activation": None, "execution": 5}},
        {"detail": {"activation": ["000PE5"], "execution": "000PE5"}},
        {"detail": {"activation": {}, "execution": {"ID": "000PE5"}}},
        {"detail": {"id": "000PE5", "bounce": {"id": "000PE5"}}},
        {"id": "000PE5", "activation": {"id": "000PE5"}},
    ],
)
def test_another_form_of_the_source_shows_no_action(source: Any) -> None:
    assert reason_of(encode("a", 15_000, source=source)) is None


@pytest.mark.parametrize(
    ("event_type", "type_"),
    [
        ("executions", "execution"),
        ("activations", "activation"),
        ("cancellations", "cancellation"),
        ("bounces", "bounce"),
        ("responses/stop", None),
        ("responses/reply", None),  # its type is unknown
        ("hits", "hit"),
        ("hits/open", "hit"),
        ("hits/redirection", "hit"),
        ("hits/unsubscribe", "hit"),
        ("hits/mirror", "hit"),
        ("hits/form", "hit"),
        ("events", None),
        ("/custom/path", None),
    ],
)
def test_only_types_that_are_documented_or_inferred_are_compared(event_type: str, type_: str | None) -> None:
    reader = reader_of(event_type)
    for name in ("execution", "activation", "cancellation", "bounce", "hit", "reply", "later"):
        reason = reason_of(encode("a", 15_000, type=name), reader)
        assert reason == (None if type_ in (None, name) else f"has the type {name}, not {type_}")


def test_of_all_actions_any_action_is_taken() -> None:
    reader = reader_of(action_id="*")
    for name in ("activation", "execution"):
        assert reason_of(encode("a", 15_000, **sent(name, "000PE5")), reader) is None
    assert reason_of(encode("a", 15_000, type="hit"), reader) == FOREIGN_TYPE.format("hit")


def test_of_a_custom_path_only_id_and_timestamp_are_known() -> None:
    reader = reader_of("/custom/path")
    assert reason_of(encode("a", 15_000, type="hit", **sent("activation", "000PE5")), reader) is None
    assert reason_of(b'{"id":"a"}', reader) == NO_TIMESTAMP


def test_of_the_mixed_stream_the_action_is_compared() -> None:
    reader = reader_of("events", "000PE7")
    reason = reason_of(encode("a", 15_000, type="hit", **sent("activation", "000PE5")), reader)
    assert reason == ("belongs to action 000PE5 by its source.detail.activation.id, not to action 000PE7")
    assert reason_of(encode("a", 15_000, **sent("activation", "000PE7")), reader) is None


def test_a_replacement_character_beside_half_a_character_may_be_one_itself() -> None:
    """Both look the same once they can be decoded, and two ids must never become equal."""
    assert reason_of(rb'{"id":"\ufffd","timestamp":15000,"x":"\ud83d"}') == UNPRINTABLE
    elements = read(encode("\ufffd", 15_000), rb'{"id":"a","timestamp":15000,"x":"\ud83d"}')
    assert elements.ids == ["\ufffd", "a"]


def test_invalid_elements_know_how_many_events_of_the_batch_came_before() -> None:
    invalid = [b'{"id":"%d"}' % n for n in range(4)]
    elements = read(invalid[0], FINE, encode("edge", 9_000), invalid[1], invalid[2], OTHER, invalid[3])
    assert elements.rejected == [(raw, NO_TIMESTAMP, n) for raw, n in zip(invalid, (0, 1, 1, 2), strict=True)]


MEMBERS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(['"a"', '"b"', '""', "null", "5", r'"\ud83d"', r'"\ufffd"', r'"\u0000"', "[]"]),
        "timestamp": st.sampled_from(
            [
                "15000",
                "10000",
                "19999",
                "9999",
                "8000",
                "7999",
                "20000",
                "22000",
                "null",
                '"15000"',
                "1.5",
                "-1",
            ]
        ),
    },
    optional={
        "type": st.sampled_from(['"bounce"', '"hit"', "null", "5", r'"\ud83d"', "[]"]),
        "source": st.sampled_from(
            [
                "null",
                "5",
                '{"detail":{"activation":{"id":"000PE4"}}}',
                '{"detail":{"activation":{"id":"000PE5"}}}',
                '{"detail":{"execution":{"id":"000PE5"},"activation":5}}',
                '{"detail":{"execution":null}}',
                '{"detail":[]}',
            ]
        ),
        "x": JSON_STRINGS.map(bytes.decode) | st.sampled_from(["1e999", "7" * 4_400, "{}", "\n5\r"]),
    },
)


@st.composite
def elements_of_all_kinds(draw: st.DrawFn) -> list[bytes]:
    """Most are as documented, and few are not."""
    elements = []
    for _ in range(draw(st.integers(0, 6))):
        members = draw(MEMBERS)
        if draw(st.booleans()):
            members |= {"id": '"a"', "timestamp": "15000", "type": '"bounce"', "source": "null"}
        space = draw(st.sampled_from(["", " ", "\n", "\r\n"]))
        element = "{" + ",".join(f'{space}"{name}":{value}' for name, value in members.items()) + "}"
        elements.append(element.encode() if draw(st.integers(0, 19)) else b'{"id":"\xff","timestamp":15000}')
    return elements + draw(st.sampled_from([[], [], [], [b"5"], [b"{}"]]))


@given(elements_of_all_kinds())
@example([b'{"id":"a","timestamp":15000,"source":null,"source":{"detail":{"activation":{"id":"000PE5"}}}}'])
@example([b'{"id":"a","timestamp":15000,"source":{"detail":{"activation":{"id":"000PE5"}}},"source":null}'])
@example([b'{"id":"a","timestamp":15000,"type":"hit","type":"bounce"}'])
@example([b'{"id":"a","timestamp":15000,"type":"bounce","type":"hit"}'])
def test_a_batch_is_read_as_its_elements_are(elements: list[bytes]) -> None:
    for reader in (READER, reader_of("/custom/path"), reader_of(action_id="*")):
        read(*elements, reader=reader)
