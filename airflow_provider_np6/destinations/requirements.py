"""What a pull must have in common with what is stored; the same on every destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_np6.np6.errors import Np6ConflictError, Np6PullAgainError
from airflow_provider_np6.np6.query import ALL_ACTIONS

if TYPE_CHECKING:
    from airflow_provider_np6.np6.query import EventQuery

_FORMS = {"by_action": "for single actions", "all_actions": "for all actions at once"}


class Common(Protocol):
    """What a destination's header records of all pulls into it."""

    @property
    def account(self) -> str:
        """Label of the account."""

    @property
    def personal_data(self) -> str:
        """Form of personal data: a mode, and for tokens a colon and the fingerprint of their key."""

    @property
    def erasures(self) -> int:
        """Version of the erasure list; 0 if nobody was erased."""


@dataclass(frozen=True)
class PullRequirements:
    """What a pull must have in common with the header; checked before any request, and again at the switch.

    :param query: what is pulled.
    :param account: label of its account.
    :param personal_data: its form of personal data.
    """

    query: EventQuery
    account: str
    personal_data: str

    @property
    def form(self) -> str:
        """The form of the pull's series."""
        return "all_actions" if self.query.action_id == ALL_ACTIONS else "by_action"

    def check_common(self, what: str, common: Common, form: str | None, erasures: int | None) -> None:
        """Refuse what may not be added.

        :param what: the destination, for errors.
        :param common: its header.
        :param form: the stored form of the pull's series; None if nothing of it is stored.
        :param erasures: version of the erasure list that the pull's events were filtered with; None before
            the first event.
        :raises Np6ConflictError: for another account, form of personal data or form of the series.
        :raises Np6PullAgainError: if persons were erased since the pull began.
        """
        context = self.query.description
        check_owner(what, common, self.account, context)
        _check_personal_data(what, common.personal_data, self.personal_data, context)
        if form is not None and form != self.form:
            raise Np6ConflictError(
                f"{what} has {self.query.event_type} pulled {_FORMS.get(form, form)}, and this pull"
                f" is {_FORMS[self.form]}",
                hint="Pull this event type in one form, or use two destinations.",
                context=context,
            )
        if erasures is not None and common.erasures != erasures:
            raise Np6PullAgainError(
                f"persons were erased from {what} during this pull",
                hint="The next try leaves them out.",
                context=context,
            )


def check_owner(what: str, common: Common, account: str, context: str = "") -> None:
    """Refuse what is another account's.

    :param what: the destination, for errors.
    :param common: its header.
    :param account: the connection's.
    :param context: the query's description, for errors.
    :raises Np6ConflictError: if the destination is another account's.
    """
    if common.account != account:
        raise Np6ConflictError(
            f"{what} has events of account {common.account!r}, this connection's is {account!r}",
            hint="Use one destination per account, or set the same extra account in both connections.",
            context=context,
        )


def _check_personal_data(what: str, stored: str, wanted: str, context: str) -> None:
    if stored == wanted:
        return
    mode, _, key = wanted.partition(":")
    if key and mode == stored.partition(":")[0]:
        raise Np6ConflictError(
            f"{what} has tokens of another pseudonym_key: {stored!r}, not {wanted!r}",
            hint="Give the connection the key of the first pull, or use another destination.",
            context=context,
        )
    raise Np6ConflictError(
        f"{what} was written with personal_data {stored!r}, and this pull's is {wanted!r}",
        hint="Pull with the same personal_data, or into another destination.",
        context=context,
    )
