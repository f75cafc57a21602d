"""One event of any shape, string by string: what must go is replaced where it is spelled, and all other
bytes stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_np6.privacy.escapes import read_json
from airflow_provider_np6.privacy.event_fields import Part
from airflow_provider_np6.privacy.pseudonyms import folded, normalised
from airflow_provider_np6.privacy.redaction import redacted
from airflow_provider_np6.privacy.scanner import Walk

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.policy import Policy
    from airflow_provider_np6.privacy.scanner import Found, Text


def redact(event: str, policy: Policy, found: Found | None = None) -> str:
    """``event``, a JSON object, without personal data.

    :param found: what stands in it, if that is known.
    """
    found = found or Walk(event, removes_own=policy.removes).found
    values = list(found.own_spelled(event))
    tokens = iter(policy.replacements(values))
    own = sorted({folded(value.strip()) for value in values} - {""})
    edits = [(*span, "") for span in found.removed]
    for text in found.texts:
        start, end, part, kind = text
        if part is Part.OWN and kind != "key":
            token = next(tokens)
            if kind == "number":
                edits.append((start, end, f'"{token}"'))
            elif read_json(event[start:end]).strip():
                edits.append((start, end, token))
        else:
            edits += edits_of(event, text, own, policy)
    edits.sort()
    pieces = []
    position = 0
    for start, end, new in edits:
        if start >= position:
            pieces += [event[position:start], new]
        position = max(position, end)
    return "".join([*pieces, event[position:]])


def identities(event: bytes) -> frozenset[str]:
    """Who an event is about: the :func:`normalised` values of its own recipient and target."""
    text = event.decode()
    found = Walk(text, removes_own=False).found
    return frozenset(filter(None, map(normalised, found.own_spelled(text))))


def edits_of(event: str, text: Text, own: Sequence[str], policy: Policy) -> list[tuple[int, int, str]]:
    """How a text or number changes that is not of the event's own identity.

    :param own: the values of the own identity, folded and stripped, none empty.
    """
    start, end, part, kind = text
    if part is Part.ENVELOPE or part is Part.DATA:
        return []
    spelled = event[start:end]
    if kind == "number":
        if part is Part.FREE and spelled in own:
            return [(start, end, f'"{policy.replacement(spelled)}"')]
        return []
    if part is Part.ID and not ("@" in spelled or "%" in spelled or "\\" in spelled):
        return []
    known = own if part is Part.FREE else ()
    new = redacted(spelled, known, policy.replacement, json=True, numbers=part is not Part.ID)
    return [] if new == spelled else [(start, end, new)]
