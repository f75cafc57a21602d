"""``python -m airflow_provider_np6.sandbox``: an NP6 to try things with."""

from __future__ import annotations

import argparse

from airflow_provider_np6.sandbox.account import FakeAccount
from airflow_provider_np6.sandbox.limit import Limit
from airflow_provider_np6.sandbox.server import Sandbox


def main() -> None:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_np6.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8086, help="port to listen on (%(default)s)")
    parser.add_argument("--key", required=True, help="the API key to accept")
    parser.add_argument("--actions", type=int, default=4, metavar="N", help="number of actions (%(default)s)")
    parser.add_argument(
        "--events-per-day",
        type=int,
        default=200,
        metavar="N",
        help="events of each type of each action (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=6, metavar="S", help="another seed, other events (%(default)s)"
    )
    parser.add_argument("--gzip", action="store_true", help="answer in gzip where the client takes it")
    parser.add_argument("--rate", type=int, metavar="N", help="requests to answer in a second (any number)")
    given = parser.parse_args()
    world = FakeAccount(seed=given.seed, actions=given.actions, events_per_day=given.events_per_day)
    try:
        sandbox = Sandbox(world, key=given.key, host=given.host, port=given.port, packed=given.gzip)
    except OSError as error:
        parser.error(f"{given.host}:{given.port} cannot be listened on: {error.strerror}; see --port")
    if given.rate:
        sandbox.limit = Limit(given.rate)
    print(f"NP6 sandbox on {sandbox.url} with actions {', '.join(world.action_ids[:8])}", flush=True)
    try:
        sandbox.serve()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
