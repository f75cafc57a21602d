"""Whom events are about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.privacy.detect import MIN_DIGITS
from airflow_provider_np6.privacy.escapes import NO_TEXT, Reading, readings
from airflow_provider_np6.privacy.pseudonyms import TOKEN, normalised
from airflow_provider_np6.privacy.scanner import Walk

if TYPE_CHECKING:
    from airflow_provider_np6.np6.verify import Item
    from airflow_provider_np6.privacy.pseudonyms import Pseudonyms

_RUN = re.compile(r"[a-z0-9]+")

Text = str | int | None


class _Target(msgspec.Struct, gc=False):
    id: Text = None
    value: Text = None
    unicity: Text = None
    hash: Text = None


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


def persons_of(item: Item) -> frozenset[str]:
    """The :func:`normalised` values by which an event tells whom it is about: its recipient, and the id,
    value, unicity and hash of its target.

    They are read where the documented samples have them; where nothing stands there, or the event has
    another shape, every place is looked at that may hold them.
    """
    try:
        event = _decode(item)
    except (msgspec.DecodeError, RecursionError):
        return identities(bytes(item))
    detail = event.source and event.source.detail
    found: set[str] = set()
    for send in (detail.activation, detail.execution) if detail else ():
        for part in (send.receiver, send.recipient) if send else ():
            values = (part.id, part.value, part.unicity, part.hash) if isinstance(part, _Target) else (part,)
            found.update(normalised(str(value)) for value in values if value is not None)
    found.discard("")
    return frozenset(found) or identities(bytes(item))


def identities(event: bytes) -> frozenset[str]:
    """Who an event is about: the :func:`normalised` values of its own recipient and target."""
    text = event.decode()
    found = Walk(text, removes_own=False).found
    return frozenset(filter(None, map(normalised, found.own_spelled(text))))


class Person:
    """One person, to be found in events that are stored.

    :param given: an address, unicity, id or hash, or under pseudonymize its token; whatever its case.
    :param recorded: in which form the destination holds personal data, see :class:`Policy`.
    :raises Np6InputError: if it says nothing, or nobody can be found in that form.
    """

    def __init__(self, given: str, recorded: str, pseudonyms: Pseudonyms) -> None:
        plain = normalised(given)
        if not plain:
            raise Np6InputError("a person to erase is empty", hint="Give an address, or another identity.")
        if recorded == "drop":
            raise Np6InputError(
                "the destination holds no identities: personal_data is 'drop', so nobody can be found in it",
                hint="There is nothing to erase; what stands in free texts was dropped too.",
            )
        key = recorded.partition(":")[2]
        if key and key != pseudonyms.fingerprint:
            raise Np6InputError(
                "the destination holds tokens of another pseudonym_key than the connection's",
                hint="Give the connection the key that it was begun with.",
            )
        token = pseudonyms.token(plain)
        self._pseudonymous = recorded != "keep"
        is_token = self._pseudonymous and TOKEN.fullmatch(plain)
        self.tokens = frozenset({token, plain} if is_token else {token})
        """What keeps the person out."""
        self.spelled = self.tokens if self._pseudonymous else frozenset({plain})
        """How the person is named in the destination."""

    def parts(self, spelled: str) -> list[str]:
        """What stands in a text in this order, however one of ``spelled`` is written in it: its runs of ASCII
        letters and digits; of what may be a phone number, each digit."""
        digits = spelled.removeprefix("+")
        if len(digits) >= MIN_DIGITS and digits.isdecimal():
            return list(digits)
        return _RUN.findall(spelled.lower())

    def is_in(self, persons: Iterable[str]) -> bool:
        """Whether these values, normalised, name the person."""
        if self._pseudonymous:
            return any(value.split("@", 1)[0] in self.spelled for value in persons)
        return not self.spelled.isdisjoint(persons)


def may_name(text: str, person: Person) -> bool:
    """Whether what was set aside may name a person, however it is spelled. What is no text may name anybody:
    nobody knows its encoding."""
    if text.startswith(NO_TEXT):
        return True
    patterns = [".{0,12}?".join(person.parts(spelled)) for spelled in person.spelled]
    return any(
        re.search(pattern, reading.text.lower(), re.DOTALL)
        for reading in (Reading(text), *readings(text, json=True))
        for pattern in patterns
    )


def concerned(items: Sequence[Item], persons: Collection[Person]) -> list[bool]:
    """Which of the stored events are about one of ``persons``."""
    found = map(persons_of, items)
    return [any(person.is_in(values) for person in persons) for values in found]
