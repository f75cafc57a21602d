"""Many events of documented shape at a time.

The event's own identity is replaced in structs, and the rest comes out as it came. The parts beside it
(what became of the send) stay bytes: they are alike but for the address in them, so what was found in one is
remembered without it. Whatever is not as documented is left to
:mod:`~airflow_provider_np6.privacy.events`, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter, contains
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import UNSET, Raw

from airflow_provider_np6.privacy.documented import (
    Detail,
    Event,
    Text,
    decode_lines,
    encode_lines,
)
from airflow_provider_np6.privacy.events import is_plain
from airflow_provider_np6.privacy.patterns import PHONE
from airflow_provider_np6.privacy.pseudonyms import folded
from airflow_provider_np6.privacy.shape import EVENT, Shape

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.policy import Policy

MAX_KNOWN = 4_096
"""Codes, and parts of events of each kind, that are remembered."""

MAX_PART = 4_096
"""Bytes of a part that is remembered."""

_MARK = b"\0"  # no JSON holds it unescaped
_NEVER = "\n"  # nor this
_AT, _AT_ESCAPED = "\1", b"\\u0001"
_TARGET = ("id", "value", "unicity", "hash")
_PARTS = {
    "identity": EVENT["identity"],
    **cast("Shape", cast("Shape", EVENT["source"])["detail"]),
}


class NotAsDocumentedError(Exception):
    """An event must be looked at string by string."""


class Documented:
    """Takes personal data out of documented events."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._codes: set[Text] = {UNSET}
        self._plain: dict[str, dict[bytes, str]] = {name: {} for name in _PARTS}

    def redacted(self, lines: bytes) -> list[bytes]:
        """The events without personal data.

        :param lines: one event a line, with a newline after each.
        :raises NotAsDocumentedError: if one of them is not as documented.
        """
        if b"%" in lines or _is_escaped_oddly(lines):
            raise NotAsDocumentedError
        try:
            events: list[Event] = decode_lines(lines)
        except (msgspec.DecodeError, RecursionError):
            raise NotAsDocumentedError from None
        if encode_lines(events) != lines:
            raise NotAsDocumentedError
        self._redact(events)
        found = encode_lines(events)
        if b"@" in found:  # in an action's id, say
            raise NotAsDocumentedError
        if self._policy.domains:
            found = found.replace(_AT_ESCAPED, b"@")
        return found.split(b"\n")[:-1]

    def _redact(self, events: list[Event]) -> None:
        """Take personal data out of events; the ``@`` of what stands for it is spelled as :data:`_AT`."""
        sources = _all_there(event.source for event in events)
        for identity in {bytes(part) for part in _all_there(event.identity for event in events)}:
            if identity not in self._plain["identity"]:
                self._learned("identity", identity)
        self._check_codes({event.type for event in events})
        self._check_codes({source.type for source in sources})
        details = [source.detail for source in sources if source.detail is not UNSET]
        activated = [detail for detail in details if detail.activation is not UNSET]
        executed = [detail for detail in details if detail.activation is UNSET]
        if activated:
            sends = _all_there(detail.activation for detail in activated)
            if any(detail.execution is not UNSET for detail in activated):
                raise NotAsDocumentedError
            own = _Own(self._policy, len(sends))
            own.replace(sends, "recipient")
            self._redact_sends(activated, sends, _all_there(send.receiver for send in sends), own)
        if executed:
            sends = _all_there(detail.execution for detail in executed)
            for send in sends:
                send.data = UNSET
            own = _Own(self._policy, len(sends))
            self._redact_sends(executed, sends, _all_there(send.recipient for send in sends), own)

    def _redact_sends(self, details: list[Detail], sends: list[Any], targets: list[Any], own: _Own) -> None:
        self._check_codes({send.kind for send in sends})
        self._check_codes({target.type for target in targets})
        for name in _TARGET:
            own.replace(targets, name)
        for name in ("bounce", "cancellation", "link"):
            parts = list(map(attrgetter(name), details))
            if parts.count(UNSET) < len(parts):
                self._redact_parts(details, name, parts, own)

    def _redact_parts(self, details: list[Detail], name: str, parts: list[Any], own: _Own) -> None:
        known, addresses = self._plain[name], own.addresses
        texts = []
        for at, raw in enumerate(parts):
            if raw is UNSET:
                texts.append("")
                continue
            part = bytes(raw)
            if b"@" in part:
                if not addresses[at]:
                    raise NotAsDocumentedError
                template = part.replace(addresses[at].encode(), _MARK)
                token = own.address_tokens[at].encode().replace(_AT.encode(), _AT_ESCAPED)
                setattr(details[at], name, Raw(template.replace(_MARK, token)))
                part = template
            texts.append(known.get(part) or self._learned(name, part))
        for values in own.others:
            if True in map(contains, texts, values):
                raise NotAsDocumentedError

    def _learned(self, name: str, template: bytes) -> str:
        """A part that needs no second look, folded; it is remembered.

        :raises NotAsDocumentedError: for one that must be looked at string by string.
        """
        text = template.decode()
        if (
            b"@" in template
            or len(template) > MAX_PART
            or not is_plain(text, _PARTS[name], self._policy, _MARK.decode())
        ):
            raise NotAsDocumentedError
        plain = self._plain[name]
        if len(plain) >= MAX_KNOWN:
            plain.clear()
        plain[template] = folded(text)
        return plain[template]

    def _check_codes(self, codes: set[Text]) -> None:
        new = codes - self._codes
        if any(PHONE.search(cast("str", code)) for code in new):
            raise NotAsDocumentedError
        if len(self._codes) < MAX_KNOWN:
            self._codes |= new


class _Own:
    """The own identities of some events.

    :param addresses: for each event the one of its values that is an address, "" if none is.
    :param address_tokens: what stands for it.
    :param others: further values, in lower case: in each list one an event.
    """

    def __init__(self, policy: Policy, events: int) -> None:
        self._policy = policy
        self.addresses = [""] * events
        self.address_tokens = [""] * events
        self.others: list[list[str]] = []

    def replace(self, objects: Sequence[Any], name: str) -> None:
        """Replace the member ``name`` of ``objects``, one an event, where it is there."""
        column: list[Text] = list(map(attrgetter(name), objects))
        missing = column.count(UNSET)
        if missing == len(column):
            return
        values = cast("list[str]", [value for value in column if value is not UNSET] if missing else column)
        if "" in values or values != list(map(str.strip, values)):
            raise NotAsDocumentedError
        tokens = self._policy.replacements(values)
        if self._policy.domains:
            tokens = [token.replace("@", _AT) for token in tokens]
        if missing:
            given = iter(tokens)
            tokens = ["" if value is UNSET else next(given) for value in column]
            column = ["" if value is UNSET else value for value in column]
        self._note(cast("list[str]", column), tokens)
        removes = self._policy.removes
        for one, token in zip(objects, tokens, strict=True):
            if token:
                setattr(one, name, UNSET if removes else token)

    def _note(self, column: list[str], tokens: list[str]) -> None:
        """Remember values, to look for them in what stands beside."""
        joined = "".join(column)
        if "@" not in joined:
            if not (joined.isascii() and joined.isalnum()):  # it may overlap with an address
                raise NotAsDocumentedError
            self.others.append([value.lower() or _NEVER for value in column])
        elif all("@" in value for value in column) and not any(self.addresses):
            self.addresses, self.address_tokens = column, tokens
        else:
            self._note_one_by_one(column, tokens)

    def _note_one_by_one(self, column: list[str], tokens: list[str]) -> None:
        others = [_NEVER] * len(column)
        for at, (value, token) in enumerate(zip(column, tokens, strict=True)):
            if "@" in value:
                if self.addresses[at] not in ("", value):
                    raise NotAsDocumentedError
                self.addresses[at], self.address_tokens[at] = value, token
            elif value.isascii() and value.isalnum():
                others[at] = value.lower()
            elif value:
                raise NotAsDocumentedError
        self.others.append(others)


def _is_escaped_oddly(lines: bytes) -> bool:
    """Whether something may be spelled by a number, in JSON or in a text."""
    at = lines.find(b"\\")
    while at >= 0:
        if lines[at + 1] in b"\\u":
            return True
        at = lines.find(b"\\", at + 2)
    return False


def _all_there(values: Iterable[Any]) -> list[Any]:
    found = list(values)
    if UNSET in found:
        raise NotAsDocumentedError
    return found
