"""Who is compared: each way, what comes out of it, and where its events can be found again."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

from benchmarks.measuring import ROOT

PEERS = ROOT / ".venv-peers" / "bin" / "python"
"""The environment of tools that shall not meet Airflow's versions; ``make`` makes it."""

SHARE = 5
"""Slow ways get one in so many events, once it is seen that their time is linear."""


@dataclass(frozen=True)
class Entry:
    """One way.

    :param output: what comes out of it; ways of one output are compared with each other.
    :param way: how it is called.
    :param module: of :mod:`benchmarks`, that runs it.
    :param name: among the module's contenders.
    :param holds: where its events are: a pattern of files below its folder, ``postgres:column table``, an
        ``s3:`` key, or "" where nothing is kept.
    :param slow: whether it runs in every other round only.
    :param share: it gets one in so many events.
    :param peer: whether it runs in the peers' environment.
    :param programs: what must be installed on the machine.
    """

    output: str
    way: str
    module: str
    name: str
    holds: str = ""
    slow: bool = False
    share: int = 1
    peer: bool = False
    programs: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        return str(PEERS) if self.peer else sys.executable

    @property
    def lacks(self) -> str | None:
        """Why it cannot run here; None if it can."""
        if self.peer and not PEERS.exists():
            return "the peers' environment is not there"
        missing = [program for program in self.programs if not shutil.which(program)]
        return f"{' and '.join(missing)} not installed" if missing else None


OURS = "this provider"
BY_HAND = "by hand"
DLT = "dlt rest_api"


def _ours(output: str, holds: str, name: str = "") -> Entry:
    return Entry(output, OURS, "ours", name or output, holds)


def _by_hand(output: str, way: str = BY_HAND, name: str = "", *, holds: str, peer: bool = False) -> Entry:
    return Entry(output, way, "peers" if peer else "by_hand", name or output, holds, slow=True, peer=peer)


def _peer(output: str, way: str, module: str, name: str, holds: str) -> Entry:
    return Entry(output, way, module, name, holds, slow=True, share=SHARE, peer=True)


PACKING = ("curl", "zstd")

ENTRIES = (
    _ours("jsonl", "ours/type=*/**/*.jsonl"),
    _by_hand("jsonl", holds="hand.jsonl"),
    _peer("jsonl", DLT, "peers", "jsonl", "dlt/np6/bounces/*.jsonl"),
    _peer("jsonl", "Airbyte CDK (its messages)", "airbyte", "messages", "airbyte.jsonl"),
    _ours("jsonl.gz", "ours/type=*/**/*.jsonl.gz"),
    _by_hand("jsonl.gz", holds="hand.jsonl.gz"),
    _ours("jsonl.zst", "ours/type=*/**/*.jsonl.zst"),
    _by_hand("jsonl.zst", holds="hand.jsonl.zst"),
    Entry("jsonl.zst", "floor: curl, zstd -1", "floors", "curl | zstd -1", "curl.zst", programs=PACKING),
    _ours("parquet", "ours/type=*/**/*.parquet"),
    _by_hand("parquet", "by hand (pandas)", "pandas", holds="hand.parquet", peer=True),
    _peer("parquet", DLT, "peers", "parquet", "dlt/np6/bounces/*.parquet"),
    Entry("parquet", "floor: DuckDB, a local file", "floors", "duckdb", "duck.parquet"),
    _ours("postgres", "postgres:event_id np6_events"),
    _by_hand("postgres", "by hand (insert_rows)", holds="postgres:event_id np6_events"),
    _peer("postgres", DLT, "peers", "postgres", "postgres:id np6.bounces"),
    Entry("postgres", "floor: COPY of ready rows", "floors", "copy", "postgres:event_id np6_events"),
    _ours("s3", "s3:ours/", "s3"),
    Entry("s3", "HttpToS3Operator", "airflow_http", "s3", "s3:http_to_s3.json"),
    Entry("xcom", "HttpOperator", "airflow_http", "xcom", "xcom"),
    Entry("nothing", "floor: curl", "floors", "curl", programs=PACKING[:1]),
    _ours("jsonl, drop", "ours/type=*/**/*.jsonl"),
    _ours("jsonl, pseudonymize", "ours/type=*/**/*.jsonl"),
    _ours("jsonl.gz, drop", "ours/type=*/**/*.jsonl.gz"),
    _ours("jsonl.gz, pseudonymize", "ours/type=*/**/*.jsonl.gz"),
    Entry("promises", "read and dropped", "promises", "read"),
    Entry("promises", "proven and dropped", "promises", "proven"),
    Entry("promises", "proven, straight into a file", "promises", "straight", "straight.jsonl"),
)  # fmt: skip

OUTPUTS = tuple(dict.fromkeys(entry.output for entry in ENTRIES))
