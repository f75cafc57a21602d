"""dlt, Airbyte's CDK, and pandas behind ``json()``, in an environment of their own.

They verify and record nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.others import COLUMNS, fetch, to_row

if TYPE_CHECKING:
    from benchmarks.process import Job


def pandas(job: Job) -> Iterator[Any]:
    """The columns of a bounce, and its text, as Parquet."""
    import pandas as pd
    import pyarrow  # noqa: F401 - loaded before the clock runs
    import requests  # noqa: F401

    yield
    table = pd.DataFrame([to_row(event) for event in fetch(job)], columns=COLUMNS)
    for name in ("occurred_at", "sent_at"):
        table[name] = pd.to_datetime(table[name], unit="ms", utc=True)
    table.to_parquet(job.folder / "hand.parquet", compression="zstd")
    yield {}


def dlt(job: Job, output: str) -> Iterator[Any]:
    """dlt's ``rest_api`` source: tables of its own, normalized to any depth."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"  # plain lines, as the others write
    import dlt
    from dlt.sources.rest_api import rest_api_source

    if output == "postgres":
        destination: Any = dlt.destinations.postgres(os.environ["NP6_BENCH_POSTGRES"])
    else:
        destination = dlt.destinations.filesystem((job.folder / "dlt").as_uri())
    work = str(job.folder / "work")
    pipeline = dlt.pipeline("bench", pipelines_dir=work, destination=destination, dataset_name="np6")
    endpoint = {"path": "", "data_selector": "$", "paginator": "single_page"}
    source = rest_api_source(
        {"client": {"base_url": job.url}, "resources": [{"name": "bounces", "endpoint": endpoint}]}
    )
    yield
    pipeline.run(source, loader_file_format=None if output == "postgres" else output)
    yield {}


_AIRBYTE = """
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [bounces]}
spec: {type: Spec, connection_specification: {type: object, properties: {}}}
streams:
- type: DeclarativeStream
  name: bounces
  primary_key: [id]
  schema_loader:
    {type: InlineSchemaLoader, schema: {type: object, additionalProperties: true, properties: {}}}
  retriever:
    type: SimpleRetriever
    requester: {type: HttpRequester, url_base: "URL", path: /}
    record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
"""


def airbyte(job: Job) -> Iterator[Any]:
    """Airbyte's declarative source; a root array has an empty ``field_path``. It only sends messages to a
    destination's process: here they go to a file."""
    import yaml  # type: ignore[import-untyped]
    from airbyte_cdk.entrypoint import launch
    from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

    stream = {"name": "bounces", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    selected = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    config, catalog = job.folder / "config.json", job.folder / "catalog.json"
    config.write_text("{}")
    catalog.write_text(json.dumps({"streams": [selected]}))
    source = ConcurrentDeclarativeSource(
        catalog=ConfiguredAirbyteCatalogSerializer.load({"streams": [selected]}),
        config={},
        state=[],
        source_config=yaml.safe_load(_AIRBYTE.replace("URL", job.url)),
    )
    yield
    # As a shell would redirect it: the CDK writes to the process's own standard output.
    sys.stdout.flush()
    standard_output = os.dup(1)
    with (job.folder / "airbyte.jsonl").open("wb") as file:
        os.dup2(file.fileno(), 1)
    launch(source, ["read", "--config", str(config), "--catalog", str(catalog)])
    sys.stdout.flush()
    os.dup2(standard_output, 1)
    yield {}
