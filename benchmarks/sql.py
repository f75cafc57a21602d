"""What landing bounces in PostgreSQL costs, against writing them by hand and against the server's own floor.

``python benchmarks/sql.py [--events 500000] [--rounds 5]`` starts a PostgreSQL server and one of the
sandbox's days on loopback, and prints a table of medians; each way runs in a process of its own, in turns.

* ours: the whole pull, and its transaction alone;
* by hand: ``requests.get(…).json()`` and the hook's ``insert_rows`` of the same columns;
* floor: a bare COPY of the rows that ours prepared, into an empty table with the same key and index.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.hostile import peak_megabytes
from tests.postgres import Postgres

DAY = 86_400_000
START = 20_000 * DAY
PREPARED = "np6-bench-prepared"


def body_of(events: int) -> bytes:
    """One day of bounces as NP6 would send them; a count that is not round, for that costs a request."""
    from airflow_provider_np6.sandbox import World

    world = World(events_per_day=events)
    found = world.events("bounces", world.action_ids[0], START, START + DAY)
    return b"[" + b",".join(event.json for event in found) + b"]"


def serve(body: bytes) -> int:
    """Answer each request with ``body``, on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    def answer() -> None:
        while True:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65_536)
                connection.sendall(head)
                connection.sendall(body)

    threading.Thread(target=answer, daemon=True).start()
    return int(listener.getsockname()[1])


def ours(port: int, folder: str) -> dict[str, float]:
    """A whole pull; the prepared rows are kept for the floor."""
    from airflow_provider_np6.destinations import SqlDestination
    from airflow_provider_np6.destinations.database import hook_of
    from airflow_provider_np6.np6.client import Np6Client
    from airflow_provider_np6.np6.pull import pull
    from airflow_provider_np6.np6.query import EventQuery
    from airflow_provider_np6.np6.settings import Np6Settings
    from airflow_provider_np6.np6.window import Window

    client = Np6Client(Np6Settings(base_url=f"http://127.0.0.1:{port}", api_key="key", account="bench"))
    query = EventQuery.checked("bounces", "000PE4", Window(START, START + DAY))
    destination: Any = SqlDestination("bench")
    hook_of("bench")  # a worker has Airflow and its provider loaded
    begun = time.perf_counter()
    with destination.open(query, "bench") as landing:
        proof = pull(client, query, landing.spool)
        pulled = time.perf_counter()
        landing.publish(proof)
        ended = time.perf_counter()
        peak = peak_megabytes()
        landing.spool.file.seek(0)
        with (Path(folder) / PREPARED).open("wb") as kept:
            while block := landing.spool.file.read(1 << 20):
                kept.write(block)
    return {"whole": ended - begun, "load": ended - pulled, "peak": peak, "events": proof.events}


def by_hand(port: int, _: str) -> dict[str, float]:
    """What people write: the whole answer decoded, rows of the same columns inserted by the hook."""
    import requests
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations.columns import COLUMNS

    def at(event: Any, *steps: str) -> Any:
        for step in steps:
            event = event.get(step) if isinstance(event, dict) else None
        return event

    def moment(ms: int) -> str:
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(ms // 1000))}.{ms % 1000:03}+00"

    hook: Any = BaseHook.get_hook("bench")
    begun = time.perf_counter()
    rows = []
    for event in requests.get(f"http://127.0.0.1:{port}/", timeout=600).json():
        detail = at(event, "source", "detail") or {}
        activation, bounce = detail.get("activation") or {}, detail.get("bounce") or {}
        rows.append(
            (
                event["id"],
                "bounces",
                "",
                event.get("type"),
                "000PE4",
                moment(event["timestamp"]),
                at(event, "source", "type"),
                at(event, "identity", "agency"),
                at(event, "identity", "customer"),
                at(activation, "stamp", "id"),
                at(activation, "stamp", "thread"),
                moment(activation["stamp"]["time"]),
                activation.get("recipient"),
                at(activation, "receiver", "value"),
                at(activation, "receiver", "unicity"),
                at(activation, "receiver", "hash"),
                at(bounce, "analysis", "verdict"),
                at(bounce, "status", "type"),
                at(bounce, "status", "code", "enhanced"),
                at(bounce, "status", "diagnostic"),
                at(bounce, "status", "mta"),
                at(bounce, "analysis", "subject", "type"),
                at(bounce, "analysis", "subject", "detail", "type"),
                None,
                None,
                None,
                json.dumps(event),
                moment(START),
            )
        )
    hook.insert_rows("np6_events", rows, [column.name for column in COLUMNS])
    return {"whole": time.perf_counter() - begun, "peak": peak_megabytes(), "events": len(rows)}


def floor(_: int, folder: str) -> dict[str, float]:
    """A bare COPY of the prepared file."""
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations.database import Database
    from airflow_provider_np6.destinations.dialects.postgresql import Postgresql

    hook: Any = BaseHook.get_hook("bench")
    table = Database(hook, None, "np6_events").events
    with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
        begun = time.perf_counter()
        with (Path(folder) / PREPARED).open("rb") as prepared:
            Postgresql().bulk_load(cursor, table.quoted, table.column_list, prepared)
        connection.commit()
        return {"whole": time.perf_counter() - begun}


WAYS = {"ours": ours, "by hand": by_hand, "floor": floor}


def empty_tables() -> None:
    """The tables as a first pull would make them, and nothing dead in them."""
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_np6.destinations.database import Database

    hook: Any = BaseHook.get_hook("bench")
    database = Database(hook, None, "np6_events")
    with closing(hook.get_conn()) as connection, connection.cursor() as cursor:
        for table in (database.events, database.windows, database.quarantine):
            cursor.execute(f"DROP TABLE IF EXISTS {table.quoted}")
            for statement in table.creation:
                cursor.execute(statement)
        connection.commit()
        connection.autocommit = True
        cursor.execute("CHECKPOINT")  # what an earlier run left to be written costs this one nothing


def measure(events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of each way's figures."""
    port = serve(body_of(events))
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with Postgres() as server:
        os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(server.database())
        for number in range(rounds):
            for way in WAYS:
                if way == "by hand" and number % 2:
                    continue  # it takes most of the time, and varies least
                empty_tables()
                command = [
                    sys.executable,
                    "-W",
                    "ignore",
                    __file__,
                    "--run",
                    way,
                    str(port),
                    str(server.folder),
                ]
                printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                runs[way].append(json.loads(printed.splitlines()[-1]))
    return {
        way: {name: statistics.median(run[name] for run in found) for name in found[0]}
        for way, found in runs.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=500_000, help="bounces in the window (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each way (%(default)s)")
    parser.add_argument("--run", nargs=3, metavar=("WAY", "PORT", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        way, port, folder = given.run
        print("\n" + json.dumps(WAYS[way](int(port), folder)))
        return 0
    few = measure(given.events // 10 + 1, 1)["ours"]
    found = measure(given.events + 1, given.rounds)
    mine, hand, bare = found["ours"], found["by hand"], found["floor"]["whole"]
    print(f"| {mine['events']:,.0f} bounces into PostgreSQL | s | against a bare COPY | peak MB |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| ours, the whole pull | {mine['whole']:.1f} | {mine['whole'] / bare:.2f} | {mine['peak']:.0f} |")
    print(f"| ours, the transaction | {mine['load']:.1f} | {mine['load'] / bare:.2f} | |")
    print(f"| ours, a tenth of the events | {few['whole']:.1f} | | {few['peak']:.0f} |")
    by_hand_row = f"{hand['whole']:.1f} | {hand['whole'] / bare:.2f} | {hand['peak']:.0f}"
    print(f"| `json()` and `insert_rows` | {by_hand_row} |")
    print(f"| bare COPY of the same rows | {bare:.1f} | 1.00 | |")
    print(f"\nOurs takes 1/{hand['whole'] / mine['whole']:.1f} of the time of writing it by hand.")
    fast = hand["whole"] >= 3 * mine["whole"] and mine["whole"] <= 2 * bare and mine["load"] <= 1.25 * bare
    return int(not fast)


if __name__ == "__main__":
    sys.exit(main())
