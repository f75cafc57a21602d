"""What is recorded once for a whole destination root: account, form of personal data, erasure list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.base import check_personal_data
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import VERSION
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, check_version

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.privacy.erasure_filter import ErasureList


class Header:
    """The header of a destination root, and what a pull must have in common with it.

    :param store: where the root is.
    :param account: the pull's account.
    :param personal_data: the pull's form of personal data.
    """

    def __init__(self, store: Store, account: str, personal_data: str) -> None:
        self.store = store
        self.account = account
        self.personal_data = personal_data
        self.erased = self.read_erasure_list()

    def read_erasure_list(self) -> ErasureList | None:
        """The erasure list as it is stored now; None if nobody was erased."""
        if layout.ERASED not in self.store.names(""):
            return None
        from airflow_provider_np6.privacy.erasure_filter import ErasureList

        return ErasureList.decode(self.store.read("", layout.ERASED))

    def check_erasure_list(self, context: str) -> None:
        """:raises Np6DestinationError: if somebody was erased since the pull began."""
        if self.read_erasure_list() != self.erased:
            raise Np6DestinationError(
                "persons were erased from the destination during this pull",
                hint="The next try leaves them out.",
                context=context,
            )

    def recorded(self) -> dict[str, Any] | None:
        """The stored header, in any case ``account`` and ``personal_data``; None if nothing was ever pulled.

        :raises Np6ConflictError: if it is of a later format.
        """
        if layout.ACCOUNT not in self.store.names(""):
            return None
        recorded = {"personal_data": "keep", **json.loads(self.store.read("", layout.ACCOUNT))}
        check_version("the destination", recorded.get("version", 1), VERSION)
        return recorded

    def check(self, context: str) -> None:
        """Refuse a root of another account, or with another form of personal data.

        :raises Np6ConflictError: then.
        """
        recorded = self.recorded()
        if recorded is not None:
            self.check_owner(recorded["account"], context)
            check_personal_data("the destination", recorded["personal_data"], self.personal_data, context)

    def check_owner(self, owner: str, context: str = "") -> None:
        """:raises Np6ConflictError: if the root is another account's."""
        if owner != self.account:
            raise Np6ConflictError(
                f"the destination has events of account {owner!r}, this connection's is {self.account!r}",
                hint="Use one destination per account, or set the same extra account in both connections.",
                context=context,
            )

    def record(self) -> None:
        """Write the header, unless there is one."""
        if layout.ACCOUNT not in self.store.names(""):
            data = json.dumps({"account": self.account, "personal_data": self.personal_data}).encode() + b"\n"
            self.store.put(self.spooled("", layout.ACCOUNT, data), "", layout.ACCOUNT)

    def spooled(self, folder: str, name: str, data: bytes) -> Path:
        """A temporary file with ``data``, to become ``folder/name``."""
        temporary = self.store.temporary(folder, name)
        temporary.write_bytes(data)
        return temporary
