"""What the machine itself needs, with nothing proven, recorded or made ready for a second try."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from benchmarks.ours import PREPARED

if TYPE_CHECKING:
    from airflow_provider_np6.destinations.schema import Column
    from benchmarks.measuring import Contender, Place


def curl(place: Place) -> Iterator[Any]:
    """The answer, thrown away."""
    yield
    subprocess.run(["curl", "-sS", "-o", "/dev/null", place.url], check=True)  # noqa: S607
    yield {}


def curl_zstd(place: Place) -> Iterator[Any]:
    """The answer as it comes, packed by another process."""
    yield
    with (place.folder / "curl.zst").open("wb") as file:
        curl = subprocess.Popen(["curl", "-sS", place.url], stdout=subprocess.PIPE)  # noqa: S607
        subprocess.run(["zstd", "-1", "-q", "-c"], stdin=curl.stdout, stdout=file, check=True)  # noqa: S607
        curl.wait()
    yield {}


def copy(place: Place) -> Iterator[Any]:
    """A bare COPY of the rows that our pull made ready, into an empty table with the same key and index."""
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations.sql.database import Database
    from airflow_provider_np6.destinations.sql.dialects import TableName
    from airflow_provider_np6.destinations.sql.dialects.postgresql import PostgresDialect

    hook: Any = BaseHook.get_hook("bench")
    table = Database(hook, TableName(None, "np6_events")).events
    with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
        yield
        with (place.folder / PREPARED).open("rb") as prepared:
            PostgresDialect().bulk_load(cursor, table.quoted, table.column_list, prepared)
        connection.commit()
        yield {}


def duckdb(place: Place) -> Iterator[Any]:
    """DuckDB with every core: the columns of a bounce, and its text, from the same bytes in a local file."""
    import duckdb

    from airflow_provider_np6.destinations.schema import FOUND

    def value(column: Column) -> str:
        found = ", ".join(f"json->>'$.{'.'.join(path)}'" for path in column.paths)
        text = f"COALESCE({found})" if len(column.paths) > 1 else found
        return f"make_timestamp(({text})::BIGINT * 1000)" if column.kind == "timestamp" else text

    columns = ", ".join(f"{value(column)} AS {column.name}" for column in FOUND)
    with duckdb.connect() as database:
        yield
        database.execute(
            f"COPY (SELECT {columns}, json::VARCHAR AS payload FROM"
            f" read_json_objects('{place.body}', format = 'array'))"
            f" TO '{place.folder / 'duck.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
        yield {}


CONTENDERS: Mapping[str, Contender] = {
    "curl": curl,
    "curl | zstd -1": curl_zstd,
    "copy": copy,
    "duckdb": duckdb,
}
