from __future__ import annotations

import pytest

from airflow_provider_np6.privacy.pseudonyms import Pseudonyms
from tests.support.people import KEY
from tests.support.personal_events import PSEUDONYMS

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Example.com", " anna@example.com\t"),
        ("ΑΝΝΑΣ@example.com", "αννας@example.com"),
        ("+33 6 12-34.56 78", "0033612345678"),
        ("(+33) 612345678", "+33612345678"),
        ("06 12 34 56 78", "0612345678"),
        ("0013KDC0", "0013kdc0"),
        ("an\ud83dna@example.com", "an\ufffdna@example.com"),
        ("0612345678\udc00", "0612345678\ufffd"),
    ],
)
def test_values_that_differ_in_form_only_have_the_same_token(one: str, other: str) -> None:
    assert PSEUDONYMS.token(one) == PSEUDONYMS.token(other)
    assert PSEUDONYMS.tokens([one, "x", other])[::2] == [PSEUDONYMS.token(one)] * 2


def test_different_values_and_keys_have_different_tokens() -> None:
    texts = [
        "anna@example.com",
        "anna+x@example.com",
        "0612345678",
        "33612345678",
        "+33612345678",
        "straße",
        "strasse",
        "",
    ]
    assert len({*PSEUDONYMS.tokens(texts), *Pseudonyms(KEY[::-1]).tokens(texts)}) == 2 * len(texts)
