"""What a tree of files holds for one query, and what may not be added to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.destinations.base import check_personal_data
from airflow_provider_np6.destinations.files import layout
from airflow_provider_np6.destinations.files.manifest import VERSION, Manifest
from airflow_provider_np6.np6.errors import Np6ConflictError, Np6DestinationError, check_version
from airflow_provider_np6.np6.query import ALL_ACTIONS, EventQuery
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.files.storage import Store
    from airflow_provider_np6.privacy.subjects import Erased


class Tree:
    """The slices of one query, known by their names; nothing is opened to find them."""

    def __init__(self, store: Store, query: EventQuery, account: str, personal_data: str) -> None:
        self.store = store
        self.query = query
        self.account = account
        self.personal_data = personal_data
        self.erased = self.read_erased()

    def read_erased(self) -> Erased | None:
        """The persons that the tree keeps out, as its list says now."""
        if layout.ERASED not in self.store.names(""):
            return None
        from airflow_provider_np6.privacy.subjects import Erased

        return Erased.decode(self.store.read("", layout.ERASED))

    def check_erased(self) -> None:
        """:raises Np6DestinationError: if somebody was erased since the pull began."""
        if self.read_erased() != self.erased:
            raise Np6DestinationError(
                "persons were erased from the tree while this pull was under way",
                hint="The next try keeps them out.",
                context=self.query.description,
            )

    def recorded(self) -> dict[str, Any] | None:
        """What the tree says of itself, in any case ``account`` and ``personal_data``; None if nothing was
        ever pulled into it.

        :raises Np6ConflictError: if all of it is of a later format.
        """
        if layout.ACCOUNT not in self.store.names(""):
            return None
        recorded = {"personal_data": "keep", **json.loads(self.store.read("", layout.ACCOUNT))}
        check_version("the tree", recorded.get("version", 1), VERSION)
        return recorded

    def check_account(self) -> None:
        """Refuse a tree of another account, or with personal data in another form.

        :raises Np6ConflictError: then.
        """
        recorded = self.recorded()
        if recorded is not None:
            self.check_owner(recorded["account"], self.query.description)
            check_personal_data(
                "the tree", recorded["personal_data"], self.personal_data, self.query.description
            )

    def check_owner(self, owner: str, where: str = "") -> None:
        """:raises Np6ConflictError: if the tree is another account's."""
        if owner != self.account:
            raise Np6ConflictError(
                f"the tree holds events of account {owner!r}, this connection's is {self.account!r}",
                hint="Give each account a tree of its own, or both connections the same extra account.",
                context=where,
            )

    def record_account(self) -> None:
        if layout.ACCOUNT not in self.store.names(""):
            data = json.dumps({"account": self.account, "personal_data": self.personal_data}).encode() + b"\n"
            self.store.put(self.written("", layout.ACCOUNT, data), "", layout.ACCOUNT)

    def check_format(self, folder: str, name: str) -> None:
        """:raises Np6ConflictError: if the manifest of that name is of a later format."""
        folder = f"{layout.MANIFESTS}/{folder}"
        try:
            Manifest.decode(self.store.read(folder, name))
        except Np6ConflictError as error:
            raise error.at(self.store.path(folder, name)) from None
        except (Np6DestinationError, FileNotFoundError):
            return  # one that cannot be read is replaced; one that is gone was replaced just now

    def check_slices(self) -> None:
        """Refuse what would leave two slices that both claim a moment, or replace what is not understood.

        :raises Np6ConflictError: if a stored slice crosses or contains one of the window's, or belongs to
            a pull of all actions where this is one of a single action, or the other way round; or if the
            manifest of one that is to be replaced is of a later format.
        """
        for window in self.query.window.days():
            stored = self.manifests(window)
            for name, slice_ in stored.items():
                if slice_.overlaps(window):
                    self.check_format(layout.partition(self.query, window), name)
            if _is_claimed(window, stored.values()):
                self._refuse_crossed()
            rival = self._rival(window)
            if rival is not None:
                raise Np6ConflictError(
                    f"the tree holds events of this time pulled for {layout.action_key(rival)}",
                    hint="Pull all actions at once or each by itself, or use two trees.",
                    context=self.query.description,
                )

    def is_claimed(self, window: Window) -> bool:
        """Whether a stored slice crosses or contains ``window``, one slice's own, without being it; or may
        hold the same events, pulled for all actions where this is one of a single action, or the other way
        round."""
        return _is_claimed(window, self.manifests(window).values()) or self._rival(window) is not None

    def _refuse_crossed(self) -> None:
        """Name the smallest window that would be taken: it covers every slice that it touches."""
        wanted = self.query.window
        while True:
            stored = [
                slice_
                for day in wanted.days()
                for slice_ in self.manifests(day).values()
                if slice_.overlaps(wanted)
            ]
            grown = reduce(Window.union, stored, wanted)
            if grown == wanted:
                break
            wanted = grown
        raise Np6ConflictError(
            "the tree holds a slice that this window covers only in part",
            hint=f"Pull {wanted} or more.",
            context=self.query.description,
        )

    def _rival(self, window: Window) -> str | None:
        """A partition that may hold the same events of ``window``, which lies in one day."""
        for action in self._rivals():
            if any(slice_.overlaps(window) for slice_ in self.manifests(window, action).values()):
                return action
        return None

    def _rivals(self) -> list[str]:
        """Partitions that may hold the same events: all actions' for one action, each one's for all."""
        if self.query.action_id != ALL_ACTIONS:
            return [ALL_ACTIONS]
        names = self.store.names(f"{layout.MANIFESTS}/{layout.type_key(self.query)}")
        actions = [name.removeprefix("action=") for name in names if name.startswith("action=")]
        return [action for action in actions if action != layout.ALL_ACTIONS_KEY]

    def manifests(self, window: Window, action: str | None = None) -> dict[str, Window]:
        query = (
            self.query
            if action is None
            else EventQuery(self.query.event_type, action, self.query.window, self.query.classification)
        )
        names = self.store.names(f"{layout.MANIFESTS}/{layout.partition(query, window)}")
        return layout.parse_windows(name for name in names if name.endswith(".json"))

    def remove_replaced(self, window: Window, kept: Collection[str | None]) -> None:
        """Remove what ``window`` contains, but ``kept`` names: manifests first, then what they told of.

        Data files that overlap it and have no manifest are debris of a pull that failed; so are uploads
        that never ended.
        """
        folder = layout.partition(self.query, window)
        for name, give_up in self.store.unfinished(folder):
            if any(window.contains(begun) for begun in layout.parse_windows([name]).values()):
                give_up()
        for name, stored in self.manifests(window).items():
            if window.contains(stored) and name not in kept:
                self.store.remove(f"{layout.MANIFESTS}/{folder}", name)
        quarantined = f"{layout.QUARANTINE}/{folder}"
        for name, stored in layout.parse_windows(self.store.names(quarantined)).items():
            if window.contains(stored) and name not in kept:
                self.store.remove(quarantined, name)
        proven = set(self.manifests(window).values())
        for name, stored in layout.parse_windows(self.store.names(folder)).items():
            debris = stored not in proven and stored.overlaps(window)
            if (debris or window.contains(stored)) and name not in kept:
                self.store.remove(folder, name)

    def written(self, folder: str, name: str, data: bytes) -> Path:
        """A temporary with ``data``, to become ``folder/name``."""
        temporary = self.store.temporary(folder, name)
        temporary.write_bytes(data)
        return temporary


def _is_claimed(window: Window, stored: Iterable[Window]) -> bool:
    return any(slice_.overlaps(window) and not window.contains(slice_) for slice_ in stored)
