"""Errors of drivers as ours: without the driver's text, which may have a row or a password."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_np6.destinations.sql.dialects import ErrorKind, TableDialect, get_state
from airflow_provider_np6.np6.errors import Np6DestinationError, Np6Error

_UNKNOWN = ("the statement failed", "Look it up in the database's own log, which names the statement.")
_DUPLICATE = (
    "rows that were to be replaced are still stored",
    "Look for a trigger, rule or row-level security policy that keeps rows, and for another unique key.",
)
"""A duplicate key is tried again with rows of the same ids deleted first; this is one that remains."""


def to_destination_error(
    place: str, dialect: TableDialect, error: Exception, what: str, permanent: type[Np6Error]
) -> Np6Error:
    """What a driver's error means to a user.

    :param place: the table, in a user's words.
    :param dialect: of its database.
    :param error: the driver's.
    :param what: what failed: ``cannot be read``.
    :param permanent: the class for errors that another try cannot fix.
    """
    state = get_state(error)
    code = type(error).__name__ + (f", SQLSTATE {state}" if state else "")
    kind = dialect.failure(error)
    explained = _DUPLICATE if kind is ErrorKind.DUPLICATE_KEY else dialect.explain(error)
    reason, hint = explained or _UNKNOWN
    is_permanent = kind in (ErrorKind.PERMANENT, ErrorKind.DUPLICATE_KEY)
    return (permanent if is_permanent else Np6DestinationError)(
        f"{place} {what}: {reason} ({code})", hint=hint
    )


def to_hint(statements: Sequence[str]) -> str:
    """Statements as an error prints them."""
    return "Run in the database:" + "".join(f"\n{statement};" for statement in statements)
