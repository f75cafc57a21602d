"""The connection of a SQL destination: its hook, and its table as an Airflow asset."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_np6.np6.errors import Np6DestinationError, Np6InputError

_PORTS = {"postgres": 5432, "mysql": 3306}


def get_sql_hook(conn_id: str) -> Any:
    """The common-sql hook of a connection.

    :param conn_id: its id.
    :raises Np6InputError: if there is no such connection, or it is not one of a SQL database.
    :raises Np6DestinationError: if it cannot be looked up now.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except Exception as error:  # its class differs by version
        if "NotFound" in type(error).__name__:
            raise Np6InputError(
                f"connection {conn_id!r} does not exist",
                hint="Create it, or change the destination's conn_id.",
            ) from None
        raise Np6DestinationError(
            f"connection {conn_id!r} cannot be read: {type(error).__name__}",
            hint="Check Airflow's secrets backend.",
        ) from None
    try:
        hook = connection.get_hook()
    except Exception as error:
        raise Np6InputError(
            f"connection {conn_id!r} of type {connection.conn_type!r} has no hook: {type(error).__name__}",
            hint="Install the provider of its type.",
        ) from None
    if not isinstance(hook, DbApiHook):
        raise Np6InputError(
            f"connection {conn_id!r} is not one of a SQL database",
            hint="Its type must be one whose hook is a common-sql hook.",
        )
    return hook


def to_table_uri(conn_id: str, schema: str | None, table: str) -> str | None:
    """The table as an asset, by the conventions of Airflow's providers; see ``SqlDestination.asset_uri``."""
    connection = BaseHook.get_connection(conn_id)
    if connection.conn_type not in _PORTS or not connection.host or not connection.schema:
        return None
    server = f"{connection.conn_type}://{connection.host}:{connection.port or _PORTS[connection.conn_type]}"
    if connection.conn_type == "mysql":  # where a schema is a database
        return f"{server}/{schema or connection.schema}/{table}"
    return f"{server}/{connection.schema}/{schema or 'default'}/{table}"
