"""One event of any shape, string by string: what must go is replaced where it is spelled, and all other
bytes stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_np6.privacy.pseudonyms import folded, normalised
from airflow_provider_np6.privacy.redaction import is_alone, redacted
from airflow_provider_np6.privacy.shape import EVENT, Part, Shape, below, is_documented
from airflow_provider_np6.privacy.spellings import read_json

if TYPE_CHECKING:
    from airflow_provider_np6.privacy.patterns import Span
    from airflow_provider_np6.privacy.policy import Policy

_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?|[{}\[\]]|[^\s{}\[\],:"]++', re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]")


class _Text(NamedTuple):
    """A string without its quotes, a key, or a number."""

    start: int
    end: int
    part: Part
    kind: str


@dataclass(slots=True)
class _Frame:
    """An object or array that is open.

    :param place: what stands in it.
    :param key: where its current member's key begins.
    :param value: what stands in the current member.
    :param end: where its last member ends.
    :param kept: whether one of its members stays.
    :param gone: where members that go begin, while none before them stays.
    """

    is_object: bool
    place: Shape | Part
    key: int = 0
    value: Shape | Part = Part.FREE
    end: int = 0
    kept: bool = False
    gone: int | None = None


def redact(event: str, policy: Policy) -> str:
    """``event``, a JSON object, without personal data."""
    walk = _Walk(event, EVENT, removes_own=policy.removes)
    own = walk.own()
    edits = [(*span, "") for span in walk.removed]
    for text in walk.texts:
        edits += _edits(event, text, own, policy)
    edits.sort()
    pieces = []
    position = 0
    for start, end, new in edits:
        if start >= position:
            pieces += [event[position:start], new]
        position = max(position, end)
    return "".join([*pieces, event[position:]])


def is_plain(part: str, place: Shape | Part, policy: Policy, mark: str) -> bool:
    """Whether a part of an event holds no personal data but, where ``mark`` stands, the event's own.

    Each mark must stand by itself in a text that the event's own values are looked for in.
    """
    walk = _Walk(part, place, removes_own=policy.removes)
    if walk.removed or any(_edits(part, text, [], policy) for text in walk.texts):
        return False
    marks = [at for at, character in enumerate(part) if character == mark]
    free = [text for text in walk.texts if text.part is Part.FREE and text.kind != "number"]
    filled = part.replace(mark, "x")  # two marks side by side are one word
    return all(
        is_alone(filled, at, at + 1) and any(text.start <= at < text.end for text in free) for at in marks
    )


def identities(event: bytes) -> frozenset[str]:
    """Who an event is about: the :func:`normalised` values of its own recipient and target."""
    text = event.decode()
    walk = _Walk(text, EVENT, removes_own=False)
    return frozenset(filter(None, map(normalised, walk.own_spelled())))


class _Walk:
    """All texts of an event, each with what it stands for, and what goes without being replaced."""

    def __init__(self, event: str, place: Shape | Part, *, removes_own: bool) -> None:
        self.texts: list[_Text] = []
        self.removed: list[Span] = []
        self._event = event
        self._removes_own = removes_own
        self._frames: list[_Frame] = [_Frame(is_object=False, place=place)]
        for token in _TOKEN.finditer(event):
            self._take(token)

    def own_spelled(self) -> Iterator[str]:
        """The values of the event's own identity."""
        for text in self.texts:
            if text.part is Part.OWN and text.kind != "key":
                spelled = self._event[text.start : text.end]
                yield read_json(spelled) if text.kind == "string" else spelled

    def own(self) -> list[str]:
        """The same, as :func:`redacted` wants them."""
        return sorted({folded(value.strip()) for value in self.own_spelled()} - {""})

    def _take(self, token: re.Match[str]) -> None:
        frame = self._frames[-1]
        mark = token[0][0]
        if token[2] is not None and frame.is_object:
            self._key(frame, token)
        elif mark in "{[":
            place = frame.value if frame.is_object else frame.place
            self._frames.append(_Frame(is_object=mark == "{", place=place))
        elif mark in "}]":
            self._frames.pop()
            if frame.gone is not None:
                self.removed.append((frame.gone, frame.end))
            self._member(self._frames[-1], token.end(), is_object=mark == "}")
        else:
            self._scalar(frame, token)

    def _key(self, frame: _Frame, token: re.Match[str]) -> None:
        key = read_json(token[1])
        frame.key = token.start()
        frame.value = below(frame.place, key)
        if not is_documented(frame.place, key):
            self.texts.append(_Text(*token.span(1), Part.FREE, "key"))

    def _scalar(self, frame: _Frame, token: re.Match[str]) -> None:
        place = frame.value if frame.is_object else frame.place
        part = Part.FREE if isinstance(place, dict) else place
        if token[1] is not None:
            self.texts.append(_Text(*token.span(1), part, "string"))
        elif _NUMBER.match(token[0]):
            self.texts.append(_Text(*token.span(), part, "number"))
        self._member(frame, token.end(), is_object=False)

    def _member(self, frame: _Frame, end: int, *, is_object: bool) -> None:
        """A member of an object ends."""
        if not frame.is_object:
            return
        goes = frame.value is Part.DATA or (
            self._removes_own and frame.value is Part.OWN and (not is_object or frame.place is Part.OWN)
        )
        if goes and frame.kept:
            self.removed.append((frame.end, end))
        elif goes:
            frame.gone = frame.key if frame.gone is None else frame.gone
        else:
            if frame.gone is not None:
                self.removed.append((frame.gone, frame.key))
                frame.gone = None
            frame.kept = True
        frame.end = end


def _edits(event: str, text: _Text, own: list[str], policy: Policy) -> list[tuple[int, int, str]]:
    """How one text changes, if it does."""
    start, end, part, kind = text
    if part in (Part.ENVELOPE, Part.DATA):
        return []
    spelled = event[start:end]
    if kind == "number":
        if part is Part.OWN or (part is Part.FREE and spelled in own):
            return [(start, end, f'"{policy.replacement(spelled)}"')]
        return []
    if part is Part.OWN and kind == "string":
        value = read_json(spelled)
        new = policy.replacement(value) if value.strip() else spelled
    else:
        known = own if part is Part.FREE else ()
        new = redacted(spelled, known, policy.replacement, json=True, numbers=part is not Part.ID)
    return [] if new == spelled else [(start, end, new)]
