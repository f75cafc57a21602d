"""What a later version of the provider wrote in a format of its own is left alone."""

from __future__ import annotations

from airflow_provider_np6.np6.errors import Np6ConflictError


def check_version(what: str, stored: int, known: int) -> None:
    """Refuse to read or replace what may mean something else than it seems.

    :param stored: version of the format, as it is recorded with the data.
    :param known: the highest one that this version of the provider reads.
    :raises Np6ConflictError: if ``stored`` is higher.
    """
    if stored > known:
        raise Np6ConflictError(
            f"{what} is of format {stored}, and this version of the provider knows none beyond {known}",
            cure="A later airflow-provider-np6 wrote it: install that one here too.",
        )
