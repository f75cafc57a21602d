"""The ways that are compared: what each makes, and where its events are found again."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

from benchmarks.process import ROOT

PEERS = ROOT / ".venv-peers" / "bin" / "python"
"""The environment of tools that must not meet Airflow's versions; ``make`` makes it."""

OURS = "this provider"
BY_HAND = "by hand"
DLT = "dlt rest_api"
AIRBYTE = "Airbyte CDK"


@dataclass(frozen=True)
class Contender:
    """One way.

    :param output: what it makes; ways with the same output are compared with each other.
    :param way: its name.
    :param run: module, function and arguments; those of ``peers`` run in the peers' environment.
    :param holds: where its events are: a pattern of files in its folder, or after ``s3:`` in the bucket; a
        query after ``postgres:``; or "" where nothing is kept.
    """

    output: str
    way: str
    run: str
    holds: str = ""

    @property
    def is_slow(self) -> bool:
        """Whether it runs in every other round only."""
        return self.way.startswith((BY_HAND, DLT, AIRBYTE))

    @property
    def python(self) -> str:
        """The interpreter that has what it needs."""
        return str(PEERS) if self.run.startswith("peers ") else sys.executable

    @property
    def missing(self) -> str:
        """What it lacks here; "" if it can run."""
        programs = [self.python, *(name for name in ("curl", "zstd") if name in self.way)]
        return ", ".join(name for name in programs if not shutil.which(name))


TABLE = "postgres:SELECT event_id FROM np6_events"

CONTENDERS = (
    Contender("jsonl", OURS, "ours pull_into jsonl", "ours/type=*/**/*.jsonl"),
    Contender("jsonl", BY_HAND, "others lines jsonl", "hand.jsonl"),
    Contender("jsonl", DLT, "peers dlt jsonl", "dlt/np6/bounces/*.jsonl"),
    Contender("jsonl", f"{AIRBYTE} (its messages)", "peers airbyte", "airbyte.jsonl"),
    Contender("jsonl.gz", OURS, "ours pull_into jsonl.gz", "ours/type=*/**/*.jsonl.gz"),
    Contender("jsonl.gz", BY_HAND, "others lines jsonl.gz", "hand.jsonl.gz"),
    Contender("jsonl.zst", OURS, "ours pull_into jsonl.zst", "ours/type=*/**/*.jsonl.zst"),
    Contender("jsonl.zst", BY_HAND, "others lines jsonl.zst", "hand.jsonl.zst"),
    Contender("jsonl.zst", "floor: curl, zstd -1", "others curl zstd", "curl.zst"),
    Contender("parquet", OURS, "ours pull_into parquet", "ours/type=*/**/*.parquet"),
    Contender("parquet", f"{BY_HAND} (pandas)", "peers pandas", "hand.parquet"),
    Contender("parquet", DLT, "peers dlt parquet", "dlt/np6/bounces/*.parquet"),
    Contender("parquet", "floor: DuckDB, a local file", "others duckdb", "duck.parquet"),
    Contender("postgres", OURS, "ours pull_into postgres", TABLE),
    Contender("postgres", f"{BY_HAND} (insert_rows)", "others insert_rows", TABLE),
    Contender("postgres", DLT, "peers dlt postgres", "postgres:SELECT id FROM np6.bounces"),
    Contender("postgres", "floor: COPY of ready rows", "others copy", TABLE),
    Contender("s3", OURS, "ours pull_into jsonl keep s3://bench_s3@lake/ours", "s3:ours/type=*/**/*.jsonl"),
    Contender("s3", "HttpToS3Operator", "others http_operator s3", "s3:http_to_s3.json"),
    Contender("xcom", "HttpOperator", "others http_operator xcom", "xcom"),
    Contender("nothing", "floor: curl", "others curl"),
    Contender("jsonl, drop", OURS, "ours pull_into jsonl drop", "ours/type=*/**/*.jsonl"),
    Contender("jsonl, pseudonymize", OURS, "ours pull_into jsonl pseudonymize", "ours/type=*/**/*.jsonl"),
    Contender("jsonl.gz, drop", OURS, "ours pull_into jsonl.gz drop", "ours/type=*/**/*.jsonl.gz"),
    Contender(
        "jsonl.gz, pseudonymize", OURS, "ours pull_into jsonl.gz pseudonymize", "ours/type=*/**/*.jsonl.gz"
    ),
    Contender("promises", "read and dropped", "ours read"),
    Contender("promises", "verified and dropped", "ours verify"),
    Contender("promises", "verified, straight into a file", "ours verify straight.jsonl", "straight.jsonl"),
)

OUTPUTS = tuple(dict.fromkeys(contender.output for contender in CONTENDERS))
