"""The manifest of a slice: what its data file holds.

``manifest.schema.json`` describes it to other programs.
"""

from __future__ import annotations

import builtins
import json
from dataclasses import asdict, dataclass

from airflow_provider_np6 import __version__
from airflow_provider_np6.np6.errors import Np6DestinationError, check_version
from airflow_provider_np6.np6.window import Window, parse_time

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What one slice holds. Times are ISO UTC with ms.

    :param data: path of the data file below the root; None for an empty slice.
    :param first_timestamp: smallest timestamp among the events, None if there are none.
    :param last_timestamp: largest timestamp.
    :param bytes: size of the data file.
    :param sha256: of the data file, in hexadecimal.
    :param requests: requests that the whole pull took.
    :param pulled_at: when the pull began.
    """

    event_type: str
    action_id: str
    classification: str
    window_start: str
    window_end: str
    format: str
    data: str | None
    events: int
    invalid: int
    first_timestamp: str | None
    last_timestamp: str | None
    bytes: int
    sha256: str | None
    requests: int
    pulled_at: str
    account: str
    personal_data: str
    provider_version: str = __version__
    version: int = VERSION

    @property
    def window(self) -> Window:
        """The slice's window."""
        return Window(
            parse_time("window_start", self.window_start), parse_time("window_end", self.window_end)
        )

    def encode(self) -> builtins.bytes:
        """As JSON, a field a line."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: builtins.bytes) -> Manifest:
        """Read one; fields that later releases added are passed over.

        :raises Np6DestinationError: if it is none.
        :raises Np6ConflictError: if it is of a later format.
        """
        try:
            fields = json.loads(data)
            check_version("a manifest", fields["version"], VERSION)
            return cls(**{name: fields[name] for name in cls.__dataclass_fields__})
        except (ValueError, TypeError, KeyError):
            raise Np6DestinationError("a manifest cannot be read", hint="Pull its window again.") from None
