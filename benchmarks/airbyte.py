"""Airbyte's declarative source, in an environment of its own: a root array, by an empty ``field_path``.

A source only sends messages to a destination's process: here its messages go to a file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measuring import Contender, Place


def _manifest(place: Place) -> dict[str, Any]:
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["bounces"]},
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "bounces",
                "primary_key": ["id"],
                "schema_loader": {
                    "type": "InlineSchemaLoader",
                    "schema": {"type": "object", "additionalProperties": True, "properties": {}},
                },
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {"type": "HttpRequester", "url_base": place.url, "path": "/"},
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": []},
                    },
                },
            }
        ],
    }


def messages(place: Place) -> Iterator[Any]:
    from airbyte_cdk.entrypoint import launch
    from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

    stream = {"name": "bounces", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"streams": [{"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}]}
    config, catalog = place.folder / "config.json", place.folder / "catalog.json"
    config.write_text("{}")
    catalog.write_text(json.dumps(chosen))
    source = ConcurrentDeclarativeSource(
        catalog=ConfiguredAirbyteCatalogSerializer.load(chosen),
        config={},
        state=[],
        source_config=_manifest(place),
    )
    yield
    with _standard_output_in(place.folder / "airbyte.jsonl"):
        launch(source, ["read", "--config", str(config), "--catalog", str(catalog)])
    yield {}


@contextmanager
def _standard_output_in(path: Path) -> Iterator[None]:
    """As a shell would redirect it: the CDK writes to the process's own."""
    sys.stdout.flush()
    kept = os.dup(1)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


CONTENDERS: Mapping[str, Contender] = {"messages": messages}
