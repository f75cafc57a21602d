"""The manifest of a day: the slices that are stored of it, and the one switch between old and new.

``manifest.schema.json`` describes it to other programs.
"""

from __future__ import annotations

import builtins
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property

from airflow_provider_np6 import __version__
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, check_version
from airflow_provider_np6.np6.window import Window, parse_time

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One pull's part of a day. Times are ISO UTC with ms.

    :param window_start: start of its window.
    :param window_end: end of its window (exclusive).
    :param data: path of the data file below the root; None if there are no events.
    :param format: of the data file.
    :param events: number of events in the data file.
    :param invalid: number of invalid events that were set aside.
    :param quarantine: path of the file with these below the root; None if there are none.
    :param quarantine_sha256: of that file, in hexadecimal.
    :param first_timestamp: smallest timestamp among the events, None if there are none.
    :param last_timestamp: largest timestamp.
    :param bytes: size of the data file.
    :param sha256: of the data file, in hexadecimal.
    :param requests: requests that the whole pull took.
    :param pulled_at: time of the pull's first response, by NP6's clock.
    :param expired: whether its events were removed by ``expire``.
    :param token: of the pull that published it.
    """

    window_start: str
    window_end: str
    data: str | None
    format: str
    events: int
    invalid: int
    quarantine: str | None
    quarantine_sha256: str | None
    first_timestamp: str | None
    last_timestamp: str | None
    bytes: int
    sha256: str | None
    requests: int
    pulled_at: str
    expired: bool
    token: str

    @cached_property
    def window(self) -> Window:
        """The slice's window."""
        return Window(
            parse_time("window_start", self.window_start), parse_time("window_end", self.window_end)
        )

    @property
    def names(self) -> list[str]:
        """Its data and quarantine files."""
        return [name for name in (self.data, self.quarantine) if name]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is stored of one event type and action on one UTC day.

    :param event_type: path of the event type.
    :param action_id: the action's id, or ``"*"`` for pulls of all actions.
    :param classification: classes of robots, for hits only; "" for none.
    :param date: the UTC day, ``2026-11-22``.
    :param slices: in order of time; none means that nothing is stored.
    :param removed: files that no manifest names and that are being removed.
    :param erasures: version of the erasure list that all slices were filtered with; 0 for none.
    :param token: random, so that no two manifests are equal.
    """

    event_type: str
    action_id: str
    classification: str
    date: str
    slices: Sequence[Slice]
    removed: Sequence[str]
    erasures: int
    token: str
    provider_version: str = __version__
    version: int = VERSION

    @property
    def names(self) -> set[str]:
        """The files that it names as current."""
        return {name for slice_ in self.slices for name in slice_.names}

    def overlapping(self, window: Window) -> list[Slice]:
        """The slices that a window touches, in order of time."""
        return [slice_ for slice_ in self.slices if slice_.window.overlaps(window)]

    def with_slices(
        self, slices: Iterable[Slice], *, erasures: int, orphans: Iterable[str] = (), gone: Iterable[str] = ()
    ) -> Manifest:
        """The manifest that replaces this one.

        :param slices: all that are stored from then on.
        :param erasures: version of the erasure list that all of them were filtered with.
        :param orphans: files that no manifest names, to be removed.
        :param gone: files that were listed as removed in this or an earlier manifest and no longer existed
            after that.
        """
        new = replace(
            self,
            slices=tuple(sorted(slices, key=lambda slice_: slice_.window_start)),
            erasures=erasures,
            token=make_token(),
            provider_version=__version__,
        )
        removed = (set(self.removed) - set(gone)) | (self.names - new.names) | (set(orphans) - new.names)
        return replace(new, removed=tuple(sorted(removed)))

    def encode(self) -> builtins.bytes:
        """To JSON, one field per line."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: builtins.bytes, path: str) -> Manifest:
        """From JSON; fields that later releases added are ignored.

        :param path: of the manifest, for errors.
        :raises Np6DestinationError: if it is not a manifest.
        :raises Np6ConflictError: if it is of a later format.
        """
        try:
            record = json.loads(data)
            check_version(f"the manifest {path}", record["version"], VERSION)
            slices = tuple(
                Slice(**{field.name: slice_[field.name] for field in _SLICE_FIELDS})
                for slice_ in record["slices"]
            )
            for slice_ in slices:
                slice_.window  # noqa: B018 - its times are checked
            known = {field.name: record[field.name] for field in _FIELDS}
            return cls(**{**known, "slices": slices, "removed": tuple(record["removed"])})
        except Np6ConflictError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Np6DestinationError(
                f"the manifest {path} cannot be read",
                hint="Restore it from a backup, or remove it and pull its day again.",
            ) from None


_FIELDS = fields(Manifest)
_SLICE_FIELDS = fields(Slice)


def make_token() -> str:
    """A random token, hexadecimal."""
    return secrets.token_hex(8)
