"""The subjects of events: the persons that events are about, and the identifiers that name them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.privacy.detect import MIN_DIGITS
from airflow_provider_np6.privacy.escapes import BASE64_PREFIX, Decoding, decodings
from airflow_provider_np6.privacy.pseudonyms import TOKEN, normalize
from airflow_provider_np6.privacy.scanner import scan_event

if TYPE_CHECKING:
    from airflow_provider_np6.np6.events import Item
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

_RUN = re.compile(r"[a-z0-9]+")
_RECEIVER, _RECIPIENT = b'"receiver"', b'"recipient"'

_Value = str | int | None


class _Target(msgspec.Struct, gc=False):
    type: _Value = None
    id: _Value = None
    value: _Value = None
    unicity: _Value = None
    hash: _Value = None


class _Send(msgspec.Struct, gc=False):
    receiver: _Target | None = None
    recipient: str | _Target | None = None


class _Detail(msgspec.Struct, gc=False):
    activation: _Send | None = None
    execution: _Send | None = None


class _Source(msgspec.Struct, gc=False):
    detail: _Detail | None = None


class _Event(msgspec.Struct, gc=False):
    source: _Source | None = None


_decode = msgspec.json.Decoder(_Event).decode


def identifiers(item: Item) -> frozenset[str]:
    """The values that identify an event's subject, each in the form of :func:`normalize`.

    They are the event's recipient, and the id, value, unicity and hash of its target. If none is where the
    documented samples have it, or one may be written twice, all places are scanned: see
    :func:`scan_identifiers`.

    :param item: an event.
    """
    raw = bytes(item)
    try:
        event = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return scan_identifiers(raw)
    values = set(map(normalize, _documented_values(raw, event)))
    values.discard("")
    return frozenset(values) or scan_identifiers(raw)


def _documented_values(raw: bytes, event: _Event) -> list[str]:
    """The values where the documented samples have them; none if one may be written twice, because of what
    an object has twice, the last is decoded alone."""
    values: list[str] = []
    counts = {_RECEIVER: 0, _RECIPIENT: 0}
    detail = event.source and event.source.detail
    for send in (detail.activation, detail.execution) if detail else ():
        if send is None:
            continue
        for key, target in ((_RECEIVER, send.receiver), (_RECIPIENT, send.recipient)):
            if target is None:
                continue
            counts[key] += 1
            found = [target] if isinstance(target, str) else _target_values(raw, key, target)
            if not found:
                return []
            values += found
    is_once = all(count < 2 and raw.count(key) == count for key, count in counts.items())
    # The letters of a key may be written as escapes.
    is_escaped = b"\\u00" in raw and (b"\\u006" in raw or b"\\u007" in raw)
    return values if is_once and not is_escaped else []


def _target_values(raw: bytes, key: bytes, target: _Target) -> list[str]:
    """The values of a target; none if it has more members than were decoded, by the quotes in it.

    :param key: of the target in the event.
    """
    quotes = 0 if target.type is None else 4
    values: list[str] = []
    for value in (target.id, target.value, target.unicity, target.hash):
        if isinstance(value, str):
            quotes += 4
            values.append(value)
        elif value is not None:
            quotes += 2
            values.append(str(value))
    begin = raw.find(key) + len(key)
    return values if raw.count(b'"', begin, raw.find(b"}", begin)) == quotes else []


def scan_identifiers(item: Item) -> frozenset[str]:
    """The same for an event of any shape; slower.

    :param item: an event.
    """
    event = bytes(item).decode()
    values = scan_event(event, removes_subject=False).identifiers(event)
    return frozenset(filter(None, map(normalize, values)))


class Subject:
    """A person to find in stored events.

    :param identifier: an address, unicity, id or hash, in any letter case; where personal data is
        pseudonymized also a token.
    :param personal_data: the form in which the destination has personal data, see
        :attr:`Policy.recorded`.
    :param pseudonyms: of the connection's key.
    :raises Np6InputError: if the identifier is empty, or nobody can be found in that form.
    """

    def __init__(self, identifier: str, personal_data: str, pseudonyms: Pseudonyms) -> None:
        value = normalize(identifier)
        if not value:
            raise Np6InputError(
                "the identifier of a person to erase is empty", hint="Give an address, or another identifier."
            )
        if personal_data == "drop":
            raise Np6InputError(
                "the destination has no identifiers: personal_data is 'drop', so nobody can be found in it",
                hint="There is nothing to erase: addresses in free text were dropped too.",
            )
        fingerprint = personal_data.partition(":")[2]
        if fingerprint and fingerprint != pseudonyms.fingerprint:
            raise Np6InputError(
                "the destination has tokens of another pseudonym_key than the connection's",
                hint="Give the connection the key of the first pull.",
            )
        token = pseudonyms.token(value)
        self._is_pseudonymized = personal_data != "keep"
        is_token = self._is_pseudonymized and TOKEN.fullmatch(value)
        self.tokens = frozenset({token, value} if is_token else {token})
        """The subject's entries on an erasure list."""
        self._stored = self.tokens if self._is_pseudonymized else frozenset({value})

    def is_among(self, values: Iterable[str]) -> bool:
        """Whether an event with these identifiers is about the subject.

        :param values: as :func:`identifiers` returns them.
        """
        if self._is_pseudonymized:
            return any(value.split("@", 1)[0] in self._stored for value in values)
        return not self._stored.isdisjoint(values)

    def is_maybe_in(self, stored: str) -> bool:
        """Whether an invalid event may name the subject, in whatever form.

        :param stored: the event as it was set aside. If it is not text, it may name anybody: its encoding is
            unknown.
        """
        if stored.startswith(BASE64_PREFIX):
            return True
        patterns = [".{0,12}?".join(parts) for parts in self.search_parts()]
        return any(
            re.search(pattern, decoding.text.lower(), re.DOTALL)
            for decoding in (Decoding(stored), *decodings(stored, json=True))
            for pattern in patterns
        )

    def search_parts(self) -> list[list[str]]:
        """For each stored form of the subject's identifier: strings that occur in this order wherever it is
        written, however it is escaped.

        They are its runs of ASCII letters and digits, in lower case; of a possible phone number, each digit.
        """
        return [_search_parts(value) for value in sorted(self._stored)]


def _search_parts(value: str) -> list[str]:
    digits = value.removeprefix("+")
    if len(digits) >= MIN_DIGITS and digits.isdecimal():
        return list(digits)
    return _RUN.findall(value.lower())


def match_subjects(items: Sequence[Item], subjects: Collection[Subject]) -> list[bool]:
    """For each stored event, whether it is about one of the subjects.

    :param items: the events.
    :param subjects: who is searched for.
    """
    return [any(subject.is_among(values) for subject in subjects) for values in map(identifiers, items)]
