"""The documented shape of an event, around its own identity: structs that know every member and no other.

Where encoding them gives the very bytes that were decoded, nothing stands in these that the structs do not
show: no unknown member, no member twice, no escape that is not needed.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

Text = str | UnsetType


class Object(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Base of the documented objects, whose members come in the order of the documented samples."""


class Target(Object):
    type: Text = UNSET
    id: Text = UNSET
    value: Text = UNSET
    unicity: Text = UNSET
    hash: Text = UNSET


class Stamp(Object):
    time: int | UnsetType = UNSET
    id: Text = UNSET
    thread: Text = UNSET
    set: Text = UNSET


class Activation(Object):
    id: Text = UNSET
    kind: Text = UNSET
    receiver: Target | UnsetType = UNSET
    stamp: Stamp | UnsetType = UNSET
    recipient: Text = UNSET


class Execution(Object):
    id: Text = UNSET
    kind: Text = UNSET
    recipient: Target | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    stamp: Stamp | UnsetType = UNSET


class Detail(Object):
    activation: Activation | UnsetType = UNSET
    execution: Execution | UnsetType = UNSET
    bounce: Raw | UnsetType = UNSET
    cancellation: Raw | UnsetType = UNSET
    link: Raw | UnsetType = UNSET


class Source(Object):
    type: Text = UNSET
    detail: Detail | UnsetType = UNSET


class Event(Object):
    type: Text = UNSET
    id: Text = UNSET
    timestamp: int | UnsetType = UNSET
    identity: Raw | UnsetType = UNSET
    source: Source | UnsetType = UNSET


decode_lines = msgspec.json.Decoder(Event).decode_lines
encode_lines = msgspec.json.Encoder().encode_lines
