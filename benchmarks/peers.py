"""dlt's ``rest_api`` source, and pandas behind ``json()``: in an environment of their own.

They prove nothing and record nothing; dlt makes tables of its own, normalised to any depth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.by_hand import COLUMNS, fetched, row

if TYPE_CHECKING:
    from benchmarks.measuring import Contender, Place


def dlt_rest_api(output: str, place: Place) -> Iterator[Any]:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"  # plain lines, as the others write
    import dlt
    from dlt.sources.rest_api import rest_api_source

    if output == "postgres":
        address = os.environ["NP6_BENCH_POSTGRES"]
        destination: Any = dlt.destinations.postgres(address)
        file_format = None
    else:
        destination = dlt.destinations.filesystem((place.folder / "dlt").as_uri())
        file_format = output
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=str(place.folder / "work"), destination=destination, dataset_name="np6"
    )
    endpoint = {"path": "", "data_selector": "$", "paginator": "single_page"}
    source = rest_api_source(
        {"client": {"base_url": place.url}, "resources": [{"name": "bounces", "endpoint": endpoint}]}
    )
    yield
    pipeline.run(source, loader_file_format=file_format)
    yield {"events": pipeline.last_trace.last_normalize_info.row_counts["bounces"]}


def pandas_parquet(place: Place) -> Iterator[Any]:
    """The columns of a bounce, and its text, as Parquet."""
    import pandas as pd
    import pyarrow  # noqa: F401 - loaded before the clock runs
    import requests  # noqa: F401

    yield
    table = pd.DataFrame([row(event) for event in fetched(place)], columns=list(COLUMNS))
    for name in ("occurred_at", "sent_at"):
        table[name] = pd.to_datetime(table[name], unit="ms", utc=True)
    table.to_parquet(place.folder / "hand.parquet", compression="zstd")
    yield {"events": len(table)}


CONTENDERS: Mapping[str, Contender] = {
    "jsonl": partial(dlt_rest_api, "jsonl"),
    "parquet": partial(dlt_rest_api, "parquet"),
    "postgres": partial(dlt_rest_api, "postgres"),
    "pandas": pandas_parquet,
}
