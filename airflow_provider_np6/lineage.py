"""What lineage records of a pull: where it reads, where it writes, how much, and with which columns.

Never a key, an address or an event; and nothing at all, without a word, where no one listens.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_np6.assets import SCHEME
from airflow_provider_np6.destinations import FileDestination, SqlDestination, resolve_destination
from airflow_provider_np6.destinations.base import optional_field
from airflow_provider_np6.destinations.schema import COLUMNS
from airflow_provider_np6.hooks.np6 import Np6Hook
from airflow_provider_np6.np6.errors import Np6Error
from airflow_provider_np6.np6.query import EventQuery
from airflow_provider_np6.np6.window import Window

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage as Lineage

    from airflow_provider_np6.destinations.base import Destination

log = logging.getLogger(__name__)

ENVELOPE = (
    ("id", "string"),
    ("type", "string"),
    ("timestamp", "bigint"),
    ("identity", "struct"),
    ("source", "struct"),
)
"""What all events have in common (documented), which is all that can be said of raw lines."""

_TYPES = {"key": "string", "text": "string", "timestamp": "timestamp", "count": "bigint", "payload": "string"}

_ANY_TIME = Window(0, 1)  # no path depends on it, and a task that starts has none yet


@dataclass(frozen=True)
class DatasetName:
    """A data set as OpenLineage names it."""

    namespace: str
    name: str

    @property
    def uri(self) -> str:
        return f"{self.namespace}/{self.name}"


def openlineage(
    np6_conn_id: str,
    event_type: object,
    action_id: object,
    destination: object,
    report: Mapping[str, Any] | None = None,
) -> Lineage[Any, Any] | None:
    """A pull's lineage; None without the OpenLineage provider, and for arguments that name nothing.

    :param report: what the task returned; without one, or where nothing was pulled, nothing is said of rows
        and bytes.
    """
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    from airflow.providers.common.compat.openlineage.facet import InputDataset

    try:
        query = EventQuery.checked(event_type, action_id, _ANY_TIME)
        goal = resolve_destination(destination)
        read, written = source(Np6Hook(np6_conn_id), query), sink(goal)
    except (Np6Error, AirflowException):
        return None  # the task itself fails with it, and says why
    return OperatorLineage(
        inputs=[InputDataset(namespace=read.namespace, name=read.name)],
        outputs=[] if written is None else [_output(written, goal, report)],
    )


def hook_lineage(hook: Np6Hook, query: EventQuery, published: Sequence[str]) -> None:
    """Report to Airflow's collector, once each, what was read and which files or table were published.

    Whatever it says to that: it refuses some URIs, and the pull is done.
    """
    from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

    try:
        collector = get_hook_lineage_collector()
        if published:
            collector.add_input_asset(context=hook, uri=source(hook, query).uri)
        for uri in published:
            collector.add_output_asset(context=hook, uri=uri)
    except Exception as error:
        log.warning("Lineage of %s is not reported: %s", query.description, type(error).__name__)


def source(hook: Np6Hook, query: EventQuery) -> DatasetName:
    """``np6://<host>`` and ``actions/<id>/events/<type>``, the API's own path."""
    return DatasetName(f"{SCHEME}://{urlsplit(hook.config.base_url).netloc}", query.path.lstrip("/"))


def sink(destination: Destination) -> DatasetName | None:
    """A file destination is one data set, named after its root as its asset is: OpenLineage leaves partitions
    out of names. A table is what its database's hook says; None where the hook says nothing."""
    if isinstance(destination, FileDestination):
        url = urlsplit(destination.asset_uri)
        local = url.scheme == "file"
        return DatasetName(
            "file" if local else f"{url.scheme}://{url.netloc}", url.path if local else url.path[1:] or "/"
        )
    if isinstance(destination, SqlDestination):
        return _table(destination)
    return None


def _table(destination: SqlDestination) -> DatasetName | None:
    from airflow_provider_np6.destinations.sql.connection import get_sql_hook

    hook = get_sql_hook(destination.conn_id)
    connection = hook.get_connection(destination.conn_id)
    info = hook.get_openlineage_database_info(connection)
    if info is None:
        return None
    schema = optional_field(destination.schema) or hook.get_openlineage_default_schema()
    database = info.database
    if database is None and schema is None:
        schema = connection.schema  # MySQL, whose databases are schemas
    namespace = f"{info.scheme}://{info.authority}" if info.authority else info.scheme
    return DatasetName(namespace, ".".join(part for part in (database, schema, destination.table) if part))


def _output(written: DatasetName, destination: Destination, report: Mapping[str, Any] | None) -> Any:
    from airflow.providers.common.compat.openlineage.facet import (
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    fields = [SchemaDatasetFacetFields(name=name, type=type_) for name, type_ in _columns(destination)]
    statistics: dict[str, Any] = {}
    if report is not None and "events" in report and report.get("outcome") != "superseded":
        statistics["outputStatistics"] = OutputStatisticsOutputDatasetFacet(
            rowCount=report["events"], size=report.get("bytes_written")
        )
    return OutputDataset(
        namespace=written.namespace,
        name=written.name,
        facets={"schema": SchemaDatasetFacet(fields=fields)},
        outputFacets=statistics,
    )


def _columns(destination: Destination) -> list[tuple[str, str]]:
    if isinstance(destination, FileDestination) and destination.format != "parquet":
        return list(ENVELOPE)
    files = isinstance(destination, FileDestination)
    return [(one.name, _TYPES[one.kind]) for one in COLUMNS if not (files and one.name == "pulled_at")]
