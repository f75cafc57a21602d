from __future__ import annotations

import json
import re
import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_np6.np6.config import Np6Config
from airflow_provider_np6.np6.verify import Events, Invalid
from airflow_provider_np6.privacy.fast import make_redactor
from airflow_provider_np6.privacy.policy import Policy, resolve_policy
from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from airflow_provider_np6.privacy.redacting_spool import RedactingSpool
from airflow_provider_np6.privacy.redaction import redact_event
from airflow_provider_np6.privacy.subjects import scan_identifiers
from airflow_provider_np6.sandbox import FakeAccount
from tests.support.people import (
    KEY,
    SPELLINGS,
    addresses,
    digits,
    hashes,
    ids,
    phones,
    plain,
    readable,
)

pytestmark = pytest.mark.core

SETTINGS = Np6Config(base_url="https://x", api_key="k", account="test", pseudonym_key=KEY)
PSEUDONYMS = Pseudonyms(KEY)
REPLACING = ("pseudonymize", "pseudonymize+domain", "drop")
ENVELOPE = '"id":"86bc0a5d-28cb-5128-af60-5efd273d7f75","timestamp":1614089582000'


def policy(mode: str) -> Policy:
    made = resolve_policy(mode, SETTINGS, "np6_default")
    assert made is not None
    return made


spelled = st.sampled_from(SPELLINGS)
between = st.sampled_from(
    ["", " ", "<", ">", ": ", "; to=", "é«", "\\r\\n", "550 5.1.1 ", "tel:", "mailto:", "“", "x "]
)


@st.composite
def strange_events(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    """An event that is not as documented; the addresses, ids and hashes in it; and the phone numbers."""
    own = draw(addresses)
    target, digest = draw(ids), draw(hashes)
    others = draw(st.lists(addresses, max_size=2))
    numbers = draw(st.lists(phones, max_size=2))

    def free() -> str:
        parts = draw(st.lists(st.sampled_from([own, target, digest, *others, *numbers]), max_size=3))
        text = draw(between)
        for part in parts:
            text += draw(spelled)(part) + " " + draw(between)
        return text

    send = f'"receiver":{{"type":"footprint","id":"{target}","unicity":"{plain(own)}","hash":"{digest}"}}'
    unknown = f'"{free()}":{{"a":["{free()}",{{"b":"{free()}"}},1.5e3,null],"type":"{free()}"}}'
    bounce = f'"bounce":{{"status":{{"diagnostic":"{free()}","mta":"{free()}"}},{unknown}}}'
    data = f'"execution":{{"data":{{"who":"{free()}","{free()}":[]}},"kind":"message"}}'
    recipient = f'"recipient":"{draw(spelled)(own)}"'
    identity = f'"identity":{{"type":"customer","agency":"{draw(spelled)(draw(addresses))}"}}'
    event = (
        f'{{{ENVELOPE},{identity},"source":{{"type":"email",'
        f'"detail":{{"activation":{{{send},{recipient}}},{bounce},{data}}}}},{unknown}}}'
    )
    named = [own, target, digest, *others]
    return event, named, numbers


@settings(max_examples=300, deadline=None, derandomize=True)
@given(case=strange_events(), mode=st.sampled_from(REPLACING))
def test_no_address_id_or_number_survives(case: tuple[str, list[str], list[str]], mode: str) -> None:
    event, named, numbers = case
    json.loads(event)
    found = redact_event(event, policy(mode))
    json.loads(found)
    assert "\n" not in found
    assert ENVELOPE in found
    assert '"data"' not in found
    tokens = [PSEUDONYMS.token(text) for text in named]
    left = found
    for token in re.findall("[0-9a-f]{32}", found):
        left = left.replace(token, " token ")
    for shown in (readable(left), readable(json.dumps(json.loads(left), ensure_ascii=False))):
        for text in named:
            assert text.casefold() not in shown
        if numbers:
            runs = [digits(run) for run in re.findall(r"\d(?:[\s().\-/\u2010-\u2015]{0,5}\d)*", shown)]
            for number in numbers:
                assert not any(digits(number) in run for run in runs)
    if mode != "drop":
        assert tokens[0] in found


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="@%\\0123456789\n\r"), max_size=20)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    texts=st.lists(TEXTS, min_size=5, max_size=5),
    values=st.lists(addresses, min_size=2, max_size=2, unique_by=str.casefold),
    space=st.sampled_from(["", " ", "  \t"]),
    data=st.data(),
)
def test_all_other_bytes_are_kept(
    texts: list[str], values: list[str], space: str, data: st.DataObject
) -> None:
    """Each value stands for itself, in the spelling of some JSON, and comes out as its token."""
    ways = [data.draw(st.sampled_from(SPELLINGS[:3])), *(data.draw(spelled) for _ in range(4))]
    a, b = values

    def event(one: list[str]) -> str:
        t = [plain(text) for text in texts]
        return (
            f'{{{space}{ENVELOPE},{space}"source":{{"detail":'
            f'{{"activation"{space}:{{"recipient":"{one[0]}",'
            f'"stamp":{{"id":"{t[0]}"}},"receiver":{{"type":"x"}}}},'
            f'"{t[1]} {one[1]} ":[1e5,{space}"<{one[2]}>"'
            f',"{t[2]}",-0.0,true],"bounce":{{"{t[3]}":"{t[4]} {one[3]}; {one[4]}>"}}}}}}}}'
        )

    whole = event([way(value) for way, value in zip(ways, (a, a, b, a, b), strict=True)])
    wanted = event([PSEUDONYMS.token(value) for value in (a, a, b, a, b)])
    assert redact_event(whole, policy("pseudonymize")) == wanted


@settings(max_examples=100, deadline=None, derandomize=True)
@given(texts=st.lists(TEXTS, min_size=4, max_size=4), space=st.sampled_from(["", " "]))
def test_an_event_without_personal_data_stays_as_it_is(texts: list[str], space: str) -> None:
    spelled_texts = [json.dumps(text) for text in texts]
    one, two, three, four = spelled_texts
    event = f'{{{space}{ENVELOPE},{space}{one}:[{two},{{"x":{three}}},12345678901, 1E400],"source":{four}}}'
    for mode in REPLACING:
        assert redact_event(event, policy(mode)) == event


def targets(value: Any) -> list[dict[str, Any]]:
    unicity, other, digest = value
    return [
        {"type": "footprint", "id": other, "unicity": unicity, "hash": digest},
        {"type": "id", "value": other},
        {"type": "unicity", "unicity": unicity},
        {},
    ]


diagnostics = st.sampled_from(
    [
        "unable to route: no mail hosts for domain",
        "550 5.1.1 <{a}>: user unknown\r\n",
        "{a}",
        "x{a} {A}",
        "{b} and {a}",
        "{t} 452 4.2.2 boîte pleine «quota» 📫 {a}",
        "call {n}",
        "{a}{a}",
        "100 % of {a}",
        "'{a}'\u0001",
        "http://x.y/?u={a}&t={t}",
        "",
        "a @ b, c:\\temp",
        "user unknown {l}",
    ]
)


@st.composite
def documented_events(draw: st.DrawFn) -> bytes:
    """An event of documented shape, as compact as NP6's, but with values of all kinds."""
    a, b, n, t = draw(addresses), draw(addresses), draw(phones), draw(ids)
    unicity = draw(st.sampled_from([a, a, a.upper(), b, n, t, "", " ", "unknown", "5", "detail"]))
    target = draw(st.sampled_from(targets((unicity, t, draw(hashes)))))

    def text() -> str:
        return draw(diagnostics).format(a=a, A=a.upper(), b=b, n=n, t=t, l=t.lower())

    stamp = {"time": 1, "id": draw(st.sampled_from(["7bb105bd", b, t])), "thread": "x"}
    kind = draw(st.sampled_from(["message", "message", "call 0612345678", b]))
    detail: dict[str, Any]
    if draw(st.booleans()):
        activation = {"id": draw(st.sampled_from(["000PE4", "12345678"])), "kind": kind, "receiver": target}
        activation["stamp"] = stamp
        activation["recipient"] = draw(st.sampled_from([a, a, n, f" {a}", a.upper()]))
        detail = {"activation": activation}
    else:
        detail = {"execution": {"id": "000PE4", "kind": kind, "recipient": target}}
        if draw(st.booleans()):
            detail["execution"]["data"] = {"foo": 1, "bar": [a, n]}
        detail["execution"]["stamp"] = stamp
    if draw(st.booleans()):
        status = {"type": "sync", "code": {"enhanced": "5.1.1"}, "diagnostic": text(), "mta": text()}
        detail["bounce"] = {"status": status, "analysis": {"verdict": "hard", "subject": {"type": kind}}}
    if draw(st.booleans()):
        detail["cancellation"] = {"type": "x", "value": {"type": "render", "message": text()}}
    if draw(st.booleans()):
        detail["link"] = {"type": "x", "url": text()}
    identity = {
        "type": "customer",
        "agency": draw(st.sampled_from(["DEMO", "DEMO", b])),
        "customer": "02800000",
    }
    event = {"type": "bounce", "id": "86bc", "timestamp": 5, "identity": identity}
    event["source"] = {"type": "email", "detail": detail}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class Kept:
    """A spool that keeps what it gets."""

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.invalid: list[Invalid] = []

    def begin(self, pulled_at: int) -> None:
        pass

    def write(self, events: Events) -> None:
        self.items += map(bytes, events.items)

    def set_aside(self, invalid: Invalid) -> None:
        self.invalid.append(invalid)

    def restart(self) -> None:
        self.items.clear()


def spooled(items: list[bytes], mode: str) -> list[bytes]:
    kept = Kept()
    spool = RedactingSpool(kept, policy(mode))
    spool.begin(0)
    spool.write(Events(items, [0] * len(items)))
    first = list(kept.items)
    spool.restart()
    spool.write(Events(items, [0] * len(items)))
    assert kept.items == first  # what was learned of the first changes nothing
    return first


@settings(max_examples=300, deadline=None, derandomize=True)
@given(events=st.lists(documented_events(), min_size=1, max_size=4), mode=st.sampled_from(REPLACING))
def test_batches_and_single_events_agree(events: list[bytes], mode: str) -> None:
    alone = [redact_event(event.decode(), policy(mode)).encode() for event in events]
    assert spooled(events, mode) == alone


BOUNCE = (
    '{"type":"bounce","id":"86bc","timestamp":5,"identity":{},"source":{"type":"email","detail":'
    '{"activation":{"id":"000PE4","kind":"message","receiver":{"type":"id","value":"0013KDC0"},'
    '"recipient":"anna@np6.com"},"bounce":{"status":{"diagnostic":"TEXT"}}}}}'
)


@pytest.mark.parametrize("text", ["{0}{0}", "{0}.{0}", "{0} {0}", "x{0}", "{0}.", "<{0}>{0}", "0{1}0", "{1}"])
def test_a_batch_and_single_events_agree_on_neighbours(text: str) -> None:
    event = BOUNCE.replace("TEXT", text.format("anna@np6.com", "0013kdc0"))
    found = redact_event(event, policy("pseudonymize"))
    assert "anna" not in found
    assert "0013" not in found
    assert spooled([event.encode()], "pseudonymize") == [found.encode()]


@pytest.mark.parametrize("mode", REPLACING)
@pytest.mark.parametrize(
    ("target", "recipient", "text"),
    [
        ("0013KDC0", "tom@np6.com", "550 \\tom@np6.com"),  # a tab, and om@np6.com
        ("0013KDC0", "nanna@np6.com", "550\\r\\nanna@np6.com"),
        ("0013KDC0", "anna@np6.com", "anna@np6.com\\u0065u"),
        ("ab", "62/x@np6.com", "%61%62/x@np6.com"),
        ("ab", "%61%62/x@np6.com", "<%61%62/x@np6.com>"),
        ("ab", "u0062/x@np6.com", "\\\\u0061\\\\u0062/x@np6.com"),
        ("ab", "\\\\u0061\\\\u0062/x@np6.com", "<\\\\u0061\\\\u0062/x@np6.com>"),
        ("x/a", "a/b@np6.com", "x/a/b@np6.com"),
        ("0013KDC0", "anna@", "anna%40 is gone"),
        ("0013KDC0", " anna@np6.com", "550: anna@np6.com"),
        ("0013KDC0", "anna@np6.com\u00a0", "<anna@np6.com\u00a0(gone)"),
        ("0013KDC0", "", "gone"),
    ],
)
def test_a_batch_and_single_events_agree_on_what_an_address_is_part_of(
    mode: str, target: str, recipient: str, text: str
) -> None:
    event = BOUNCE.replace("0013KDC0", target).replace("anna@np6.com", recipient).replace("TEXT", text)
    found = redact_event(event, policy(mode))
    json.loads(found)
    assert spooled([event.encode()] * 2, mode) == [found.encode()] * 2


def test_members_named_as_an_identity_are_one_where_they_are_not_documented_too() -> None:
    receiver = '"receiver":{"type":"id","value":"jo"}'
    event = f'{{"source":{{"detail":{{"reply":{{{receiver},"unicity":"An na"}}}}}},"x":"is An NA"}}'
    found = redact_event(event, policy("pseudonymize"))
    for text, times in (("jo", 1), ("An na", 2)):
        assert found.count(PSEUDONYMS.token(text)) == times
    assert redact_event(event, policy("drop")) == (
        '{"source":{"detail":{"reply":{"receiver":{"type":"id"}}}},"x":"is [dropped]"}'
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@NP6.com", " anna@np6.com\t"),
        ("ΑΝΝΑΣ@np6.com", "αννας@np6.com"),
        ("+33 6 12-34.56 78", "0033612345678"),
        ("(+33) 612345678", "+33612345678"),
        ("06 12 34 56 78", "0612345678"),
        ("0013KDC0", "0013kdc0"),
    ],
)
def test_what_differs_in_spelling_alone_has_one_token(one: str, other: str) -> None:
    assert PSEUDONYMS.token(one) == PSEUDONYMS.token(other)
    assert PSEUDONYMS.tokens([one, "x", other])[::2] == [PSEUDONYMS.token(one)] * 2


def test_what_differs_in_more_has_tokens_of_its_own() -> None:
    texts = [
        "anna@np6.com",
        "anna+x@np6.com",
        "0612345678",
        "33612345678",
        "+33612345678",
        "straße",
        "strasse",
        "",
    ]
    assert len({*PSEUDONYMS.tokens(texts), *Pseudonyms(KEY[::-1]).tokens(texts)}) == 2 * len(texts)


@pytest.mark.parametrize("mode", REPLACING)
@pytest.mark.parametrize("event_type", ["bounces", "cancellations", "responses/stop"])
def test_the_sandboxs_events_go_in_batches_and_agree(event_type: str, mode: str) -> None:
    items = [event.json for event in FakeAccount().events(event_type, None, 0, 86_400_000)]
    whole = make_redactor(policy(mode))(items)
    assert whole == [redact_event(item.decode(), policy(mode)).encode() for item in items]
    assert all(b"@" not in item for item in whole) or mode == "pseudonymize+domain"
    assert (whole == items) == (event_type == "responses/stop")


OWN = '"receiver":{"type":"id","value":"0013KDC0"},"recipient":"anna@np6.com"'
LIKE_IT = f'{{"type":"x","id":"a","timestamp":1,"source":{{"detail":{{"activation":{{{OWN}}}}}}}}}'
ODD = [
    LIKE_IT.replace(",", ", "),
    LIKE_IT.replace("anna", "\\u0061nna"),
    LIKE_IT.replace("anna@np6.com", 'anna\\\\","recipient":"bob@np6.com'),
    LIKE_IT.replace("anna@np6.com", 'anna\\",\\"x\\":\\"@np6.com'),
    LIKE_IT.replace("anna@np6.com", 'anna@np6.com\\" y'),
    LIKE_IT.replace(OWN, '"recipient":"anna@np6.com"'),
    LIKE_IT.replace(OWN, '"recipient":"anna@np6.com","kind":"x"'),
    LIKE_IT.replace("}}}}", ',"recipient":"bob"}}}}'),
    LIKE_IT.replace("anna@np6.com", ""),
    LIKE_IT.replace("anna@np6.com", "\u00a0"),
    LIKE_IT.replace("anna@np6.com", "+33 6 12 34 56 78"),
    LIKE_IT.replace('"anna@np6.com"', "33612345678"),
    LIKE_IT.replace('"a"', '"a@b.c"'),
    LIKE_IT.replace('"x"', '"a%40b.c"'),
    LIKE_IT.replace('"x"', '"0612345678"'),
    LIKE_IT.replace('"type":"x",', '"type":"x","recipient":"bob@np6.com",'),
    LIKE_IT.replace("}}}}", ',"recipient":"bob@np6.com"}}}}'),
    LIKE_IT.replace("}}}}", ',"unicity":{"a":["bob"]}}}}}'),
    LIKE_IT.replace("}}}}", '},"bounce":{"status":{"diagnostic":"<anna@np6.com> 0013kdc0 %61nna"}}}}}'),
    LIKE_IT.replace("}}}}", '},"bounce":{"status":{"diagnostic":"a caf\\u00e9, 100 %, 0013kdc\\u0030"}}}}}'),
    LIKE_IT.replace("}}}}", '},"more":[7,13579135,{"anna@np6.com":null}]}}}'),
    LIKE_IT.replace(OWN, f'{OWN},"data":{{"a":[{{"b":[[[[[[[["anna"]]]]]]]]}}]}}').replace(
        "activation", "execution"
    ),
    LIKE_IT.replace(OWN, f'"data":"\\"}}",{OWN}').replace("activation", "execution"),
    LIKE_IT.replace(OWN, OWN.replace('"value":', '"value":"0013KDC0","value":')),
    LIKE_IT.replace(OWN, '"recipient":["anna@np6.com","bob"]'),
    LIKE_IT.replace(OWN, '"recipient":["anna\\","]'),
    '{"timestamp":1,"id":"a"}',
]
WITHIN = [
    LIKE_IT[:-1] + f',"copy":{LIKE_IT}}}',
    f'{{"copy":{LIKE_IT}}}',
    f'{{"copy":[{LIKE_IT},{LIKE_IT}],"id":"a","timestamp":1}}',
]


@pytest.mark.parametrize("odd", [ODD, [*ODD, *WITHIN]], ids=["odd", "copies"])
@pytest.mark.parametrize("mode", REPLACING)
def test_odd_events_among_others_are_as_if_alone(mode: str, odd: list[str]) -> None:
    """Whichever event comes first and is learned from, and whatever it is between."""
    for first in (LIKE_IT, *odd):
        items = [first, LIKE_IT, *odd, LIKE_IT, *reversed(odd)]
        alone = [redact_event(item, policy(mode)) for item in items]
        assert [item.decode() for item in spooled([item.encode() for item in items], mode)] == alone


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    cases=st.lists(st.one_of(strange_events().map(lambda case: case[0].encode()), documented_events())),
    order=st.randoms(use_true_random=False),
    mode=st.sampled_from(REPLACING),
)
def test_events_of_all_kinds_agree(cases: list[bytes], order: Random, mode: str) -> None:
    items = [*cases, *cases]
    order.shuffle(items)
    assert spooled(items, mode) == [redact_event(item.decode(), policy(mode)).encode() for item in items]


def test_numbers_that_are_a_targets_id_go() -> None:
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
def test_members_go_with_their_commas(members: str, left: str) -> None:
    event = '{{"source":{{"detail":{{"execution":{{{}}}}}}}}}'
    assert redact_event(event.format(members), policy("drop")) == event.format(left)


def test_damaged_escapes_and_lone_surrogates_are_no_failure() -> None:
    odd = '"\\ud83d \\u12 a\\ud83d@b.c \\q@b.c"'
    event = f'{{"source":{{"detail":{{"activation":{{"recipient":"a\\ud83d@b.c"}}}}}},"x":{odd}}}'
    token = PSEUDONYMS.token("a\ud83d@b.c")
    found = redact_event(event, policy("pseudonymize"))
    assert found.count(token) == 2
    assert "b.c" not in found
    assert redact_event(event, policy("pseudonymize+domain")).count(f"{token}@b.c") == 2


def test_a_long_text_takes_no_long_time() -> None:
    for text in ("a" * 300_000 + "@", "a@" * 100_000, "1-" * 100_000, "%41" * 50_000, '\\"' * 100_000):
        redact_event(f'{{"x":"{text}"}}', policy("pseudonymize"))


def test_long_texts_of_which_none_is_like_another_are_not_all_remembered() -> None:
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


def test_an_events_identities_are_told_normalised() -> None:
    event = (
        b'{"source":{"detail":{"activation":{"receiver":{"type":"id","value":7,"hash":""},'
        b'"recipient":" Anna\\u0040NP6.com"}}}}'
    )
    assert scan_identifiers(event) == {"7", "anna@np6.com"}


def test_of_what_is_set_aside_no_event_is_kept() -> None:
    kept = Kept()
    RedactingSpool(kept, policy("drop")).set_aside(Invalid(b"anna@np6.com", "is not valid JSON", 3, 5, "abc"))
    assert kept.invalid == [Invalid(None, "is not valid JSON", 3, 5, "abc")]
