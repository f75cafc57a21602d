from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_np6.privacy.redaction import redact_event
from tests.support.people import LONE_SURROGATES, LOST, SPELLINGS, addresses, digits, plain, readable
from tests.support.personal_events import (
    ENVELOPE,
    PSEUDONYMS,
    REDACTING_MODES,
    policy,
    spelled,
    strange_events,
)
from tests.support.properties import examples

pytestmark = pytest.mark.core


@examples(300, derandomize=True)
@given(case=strange_events(), mode=st.sampled_from(REDACTING_MODES))
def test_no_address_id_or_number_survives(case: tuple[str, list[str], list[str]], mode: str) -> None:
    event, named, numbers = case
    json.loads(event)
    redacted = redact_event(event, policy(mode))
    json.loads(redacted)
    assert "\n" not in redacted
    assert ENVELOPE in redacted
    assert '"data"' not in redacted
    tokens = [PSEUDONYMS.token(text) for text in named]
    left = re.sub(r"(\\u[0-9a-fA-F]{4})|[0-9a-f]{32}", lambda found: found[1] or " token ", redacted)
    for shown in (readable(left), readable(json.dumps(json.loads(left), ensure_ascii=False))):
        for text in named:
            assert text.casefold() not in shown
            assert text.casefold() not in re.sub(f"[\ud800-\udfff\ufffd{LOST}]", "", shown)
        if numbers:
            runs = [digits(run) for run in re.findall(r"\d(?:[\s().\-/\u2010-\u2015]{0,5}\d)*", shown)]
            for number in numbers:
                assert not any(digits(number) in run for run in runs)
    if mode != "drop":
        assert tokens[0] in redacted


SUBJECT_KEYS = ("receiver", "recipient", "unicity")
# Hypothesis also draws strings of the code under test, and a member with one of these keys is personal data.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="@%\\0123456789\n\r"), max_size=20).filter(
    lambda text: text not in SUBJECT_KEYS
)


@examples(100, derandomize=True)
@given(
    texts=st.lists(TEXTS, min_size=5, max_size=5),
    values=st.lists(addresses, min_size=2, max_size=2, unique_by=str.casefold),
    space=st.sampled_from(["", " ", "  \t"]),
    data=st.data(),
)
def test_all_other_bytes_are_kept(
    texts: list[str], values: list[str], space: str, data: st.DataObject
) -> None:
    """Isolated values, written in any way that JSON allows, are replaced by their tokens."""
    ways = [data.draw(st.sampled_from(SPELLINGS[:3])), *(data.draw(spelled) for _ in range(4))]
    a, b = values

    def event(written: list[str]) -> str:
        t = [plain(text) for text in texts]
        return (
            f'{{{space}{ENVELOPE},{space}"source":{{"detail":'
            f'{{"activation"{space}:{{"recipient":"{written[0]}",'
            f'"stamp":{{"id":"{t[0]}"}},"receiver":{{"type":"x"}}}},'
            f'"{t[1]} {written[1]} ":[1e5,{space}"<{written[2]}>"'
            f',"{t[2]}",-0.0,true],"bounce":{{"{t[3]}":"{t[4]} {written[3]}; {written[4]}>"}}}}}}}}'
        )

    raw = event([way(value) for way, value in zip(ways, (a, a, b, a, b), strict=True)])
    expected = event([PSEUDONYMS.token(value) for value in (a, a, b, a, b)])
    assert redact_event(raw, policy("pseudonymize")) == expected


@examples(100, derandomize=True)
@given(texts=st.lists(TEXTS, min_size=4, max_size=4), space=st.sampled_from(["", " "]))
def test_an_event_without_personal_data_stays_as_it_is(texts: list[str], space: str) -> None:
    a, b, c, d = (json.dumps(text) for text in texts)
    event = f'{{{space}{ENVELOPE},{space}{a}:[{b},{{"x":{c}}},12345678901, 1E400],"source":{d}}}'
    for mode in REDACTING_MODES:
        assert redact_event(event, policy(mode)) == event


def test_undocumented_members_with_a_subjects_key_identify_the_subject() -> None:
    receiver = '"receiver":{"type":"id","value":"jo"}'
    event = f'{{"source":{{"detail":{{"reply":{{{receiver},"unicity":"An na"}}}}}},"x":"is An NA"}}'
    redacted = redact_event(event, policy("pseudonymize"))
    for text, times in (("jo", 1), ("An na", 2)):
        assert redacted.count(PSEUDONYMS.token(text)) == times
    assert redact_event(event, policy("drop")) == (
        '{"source":{"detail":{"reply":{"receiver":{"type":"id"}}}},"x":"is [dropped]"}'
    )


def test_numbers_that_are_the_targets_id_are_replaced() -> None:
    event = '{"source":{"detail":{"activation":{"receiver":{"value":13579135}}}},"x":{"n":13579135,"m":7}}'
    token = PSEUDONYMS.token("13579135")
    assert redact_event(event, policy("pseudonymize")) == event.replace("13579135", f'"{token}"')
    assert redact_event(event, policy("drop")) == (
        '{"source":{"detail":{"activation":{"receiver":{}}}},"x":{"n":"[dropped]","m":7}}'
    )


@pytest.mark.parametrize(
    ("members", "left"),
    [
        ('"data":{"a":"b"},"kind":"x"', '"kind":"x"'),
        ('"kind":"x", "data":1 ,"id":"y"', '"kind":"x" ,"id":"y"'),
        ('"data":[1],"data":2', ""),
        ('"data":1,"kind":"x","data":2', '"kind":"x"'),
        ('"data":1,"recipient":"a@b.c","kind":"x"', '"kind":"x"'),
        ('"recipient":{"type":"id","value":"v"},"data":{}', '"recipient":{"type":"id"}'),
        ('"recipient":{"value":["v"],"new":{"at":["w"]},"type":"id"}', '"recipient":{"type":"id"}'),
        ('"recipient":["v",{"w":1}],"kind":"x"', '"kind":"x"'),
    ],
)
def test_members_are_removed_with_their_commas(members: str, left: str) -> None:
    event = '{{"source":{{"detail":{{"execution":{{{}}}}}}}}}'
    assert redact_event(event.format(members), policy("drop")) == event.format(left)


def test_invalid_escapes_and_lone_surrogates_are_no_error() -> None:
    odd = '"\\ud83d \\u12 a\\ud83d@b.c \\q@b.c"'
    event = f'{{"source":{{"detail":{{"activation":{{"recipient":"a\\ud83d@b.c"}}}}}},"x":{odd}}}'
    token = PSEUDONYMS.token("a\ud83d@b.c")
    redacted = redact_event(event, policy("pseudonymize"))
    assert redacted.count(token) == 2
    assert "b.c" not in redacted
    assert redact_event(event, policy("pseudonymize+domain")).count(f"{token}@b.c") == 2


@pytest.mark.parametrize("mode", REDACTING_MODES)
@pytest.mark.parametrize("half", LONE_SURROGATES)
@pytest.mark.parametrize(
    "text",
    [
        "{0}anna@example.com",
        "anna@example.com{0}",
        "an{0}na@example.com",
        "anna{0}@example.com",
        "anna@{0}example.com",
        "anna@{0}.example.com",
        "anna@exam{0}ple.com",
        "anna@example{0}.com",
        "anna@example.{0}com",
        "%61nna@{0}example.com",
        "anna\\u0040{0}example.com",
        "anna\\\\u0040{0}example.com",
    ],
)
def test_addresses_with_lone_surrogates_are_redacted(text: str, half: str, mode: str) -> None:
    """As the recipient, in free text and as a key."""
    written = text.format(half)
    for event in (
        f'{{"source":{{"detail":{{"activation":{{"recipient":"{written}"}}}}}}}}',
        f'{{"source":{{"detail":{{"bounce":{{"status":{{"diagnostic":"to <{written}> from x"}}}}}}}}}}',
        f'{{"new":{{"{written}":[1]}}}}',
    ):
        redacted = redact_event(event, policy(mode))
        assert redacted != event
        json.loads(redacted)
        shown = re.sub(
            "[\ud800-\udfff\ufffd]", "", readable(json.dumps(json.loads(redacted), ensure_ascii=False))
        )
        assert "anna" not in shown
        assert "example.com" not in shown or mode == "pseudonymize+domain"
        redacted.encode()


def test_a_domain_with_a_lone_surrogate_is_not_kept() -> None:
    event = '{"x":"anna@exam\\ud83dple.com bob@example.com\\ud83d"}'
    tokens = PSEUDONYMS.token("anna@exam\ud83dple.com"), PSEUDONYMS.token("bob@example.com")
    assert redact_event(event, policy("pseudonymize+domain")) == (
        f'{{"x":"{tokens[0]} {tokens[1]}@example.com\\ud83d"}}'
    )


def test_long_strings_are_redacted_in_linear_time() -> None:
    halves = ("a@" + "\\ud83d" * 50_000, "a@b\\ud83d." * 20_000, "\\ud83d@" * 30_000)
    for text in (
        "a" * 300_000 + "@",
        "a@" * 100_000,
        "1-" * 100_000,
        "%41" * 50_000,
        '\\"' * 100_000,
        *halves,
    ):
        redact_event(f'{{"x":"{text}"}}', policy("pseudonymize"))
