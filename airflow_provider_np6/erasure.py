"""One person's events taken out of a destination, and kept out of it.

To be called from a task or a script, never with an address in a DAG's file or a templated field: Airflow
keeps those. See ``docs/personal-data.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_np6.destinations import resolve_destination
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.errors import Np6InputError
from airflow_provider_np6.privacy.policy import get_pseudonyms
from airflow_provider_np6.provider_info import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.base import Destination


def erase(
    destination: str | Destination, *persons: str, np6_conn_id: str = DEFAULT_CONN_ID
) -> dict[str, int]:
    """Remove the events that are about persons, of every event type and action, and keep them out.

    An event is about a person if its own recipient, or its target's id, value, unicity or hash, is what is
    given, whatever the letters' case. Files are rewritten one by one, with their manifests; in SQL each
    slice is one short transaction. From then on, an erasure list beside the data has tokens of the persons:
    later pulls of any window drop their events and report how many.

    :param destination: as :class:`~airflow_provider_np6.operators.events.Np6EventsOperator` takes it.
    :param persons: addresses, or other identities; where personal data is pseudonymized also their tokens.
    :param np6_conn_id: connection of type ``np6`` whose extra ``pseudonym_key`` makes the tokens.
    :return: numbers only: ``events`` removed, and ``files`` or ``windows`` that had them.
    :raises Np6InputError: without a key or a person, or where ``personal_data`` is ``drop``.
    :raises Np6ConflictError: if the destination is another account's.
    :raises Np6DestinationError: if it broke off; to be called again then.
    """
    if not persons:
        raise Np6InputError("no person to erase is given", hint="Give an address, or another identity.")
    config = Np6Hook(np6_conn_id).config
    pseudonyms = get_pseudonyms(config, np6_conn_id, "erased persons are kept out with a keyed list")
    return resolve_destination(destination).erase(persons, pseudonyms, config.account)
