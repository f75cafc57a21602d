"""``python -m airflow_provider_np6.sandbox``: an NP6 on this machine, without an account."""

from __future__ import annotations

import argparse

from airflow_provider_np6.sandbox.account import FakeAccount
from airflow_provider_np6.sandbox.behavior import RateLimit, ServerBehavior
from airflow_provider_np6.sandbox.server import Sandbox


def main() -> None:
    """Respond to requests until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_np6.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8086, help="port to listen on (%(default)s)")
    parser.add_argument("--key", default="sandbox-key", help="the API key to accept (%(default)s)")
    parser.add_argument("--actions", type=int, default=4, metavar="N", help="number of actions (%(default)s)")
    parser.add_argument(
        "--events-per-day",
        type=int,
        metavar="N",
        help="the same number of events of each type for each action (as in a real account)",
    )
    parser.add_argument(
        "--seed", type=int, default=6, metavar="S", help="another seed, other events (%(default)s)"
    )
    parser.add_argument("--gzip", action="store_true", help="compress responses for clients that accept gzip")
    parser.add_argument("--rate", type=int, metavar="N", help="limit of requests per second (no limit)")
    parser.add_argument("--cap", type=int, metavar="N", help="most events in a response, silently (no cap)")
    parser.add_argument("--unsorted", action="store_true", help="ignore sort=asc and sort=desc")
    options = parser.parse_args()
    account = FakeAccount(seed=options.seed, actions=options.actions, events_per_day=options.events_per_day)
    try:
        sandbox = Sandbox(account, key=options.key, host=options.host, port=options.port, packed=options.gzip)
    except OSError as error:
        parser.error(
            f"Cannot listen on {options.host}:{options.port}: {error.strerror}. Choose another --port."
        )
    sandbox.behavior = ServerBehavior(
        max_events=options.cap, sorting="ignored" if options.unsorted else "honored"
    )
    if options.rate:
        sandbox.limit = RateLimit(options.rate)
    print(f"NP6 sandbox on {sandbox.url} with actions {', '.join(account.action_ids[:8])}", flush=True)
    try:
        sandbox.serve()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
