"""Where events go."""

from __future__ import annotations

from airflow_provider_np6.destinations.base import Destination
from airflow_provider_np6.destinations.files.destination import FileDestination
from airflow_provider_np6.destinations.sql.destination import SqlDestination
from airflow_provider_np6.np6.errors import Np6InputError

__all__ = ["FileDestination", "SqlDestination"]


def resolve_destination(value: object) -> Destination:
    """The destination that an operator's argument stands for, once rendered.

    :raises Np6InputError: if it is neither a URI nor a destination object.
    """
    if isinstance(value, Destination):
        return value
    if isinstance(value, str):
        return FileDestination(value)
    raise Np6InputError(
        f"destination is of type {type(value).__name__}",
        hint="Give a URI, a FileDestination or an SqlDestination; from another task, a URI.",
    )
