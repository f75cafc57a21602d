"""The reports of a fan-out's pulls as one, for the task that closes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_provider_np6.destinations.files import layout

SUMMED = (
    *("events", "previous_events", "duplicates", "invalid", "erased"),
    *("bytes_read", "bytes_written", "requests"),
)

NAMED = 20
"""Failed pulls that an error names at most."""


def summarize_reports(
    reports: Iterable[Mapping[str, Any]] | None,
    action_ids: Iterable[str] | None,
    event_types: Iterable[str],
) -> dict[str, Any]:
    """One report of all pulls, of the same size however many there were: for an asset event's extra.

    A mapped task's output lacks the instances that failed, on Airflow 2 and 3 alike: they are what is left
    of ``action_ids`` times ``event_types``. Called in a task with ``trigger_rule="all_done"``::

        outlet_events[asset].extra.update(summarize_reports(reports, action_ids, event_types))

    :param reports: what :class:`~airflow_provider_np6.operators.events.Np6EventsOperator` returned, mapped.
    :param action_ids: what it was mapped over; None if the task that lists them failed.
    :param event_types: likewise.
    :return: ``event_types``, number of ``actions``, ``window_start`` and ``window_end`` of all windows
        together, the earliest ``pulled_at``, sums of what reports count, ``slices`` (outcome to number),
        ``destination``, and ``manifests``, the folder that all manifests are below, or ``table``.
    :raises AirflowFailException: naming the pulls that failed, such as ``bounces · 000PEB``.
    :raises AirflowSkipException: if there was nothing to pull.
    """
    if action_ids is None:
        raise AirflowFailException("Nothing was pulled: the task that lists the actions has failed.")
    expected = list(product(event_types, action_ids))
    if not expected:
        raise AirflowSkipException("There was nothing to pull.")
    pulled = list(reports or [])
    found = {(report["event_type"], report["action_id"]) for report in pulled}
    failed = [" · ".join(pair) for pair in expected if pair not in found]
    if failed:
        more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        raise AirflowFailException(
            f"{len(failed)} of {len(expected)} pulls failed: {', '.join(failed[:NAMED])}{more}."
            " What the others pulled is stored. Read the logs of those that failed, and clear them: this task"
            " runs again."
        )
    return _sum(pulled)


def _sum(reports: list[Mapping[str, Any]]) -> dict[str, Any]:
    first = reports[0]
    manifests, _, below = str(first.get("manifests", "")).partition(f"/{layout.MANIFESTS}/")
    slices: Counter[str] = Counter()
    for report in reports:
        slices.update(report["slices"])
    return {
        "event_types": sorted({report["event_type"] for report in reports}),
        "actions": len({report["action_id"] for report in reports}),
        "window_start": min(report["window_start"] for report in reports),
        "window_end": max(report["window_end"] for report in reports),
        "pulled_at": min(report["pulled_at"] for report in reports),
        **{name: sum(report.get(name, 0) for report in reports) for name in SUMMED},
        "slices": dict(slices),
        "destination": first["destination"],
        **({"manifests": f"{manifests}/{layout.MANIFESTS}"} if below else {}),
        **({"table": first["table"]} if "table" in first else {}),
    }
