"""The test of a connection: one cheap request, and its outcome in a sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_provider_np6.np6.config import unknown_extras
from airflow_provider_np6.np6.errors import Np6Error, Np6NotFoundError
from airflow_provider_np6.np6.window import iso_seconds

if TYPE_CHECKING:
    from airflow_provider_np6.np6.config import Np6Config

Read = Callable[[], "tuple[Np6Config, dict[str, Any]]"]
"""Gives the connection's settings and its extras as they were written."""


def outcome_within(seconds: float, read: Read) -> tuple[bool, str]:
    """Whether the connection works, and a sentence on it; never the key."""
    outcome = (False, f"No response within {seconds} s: check the host and the worker's network.")

    def test() -> None:
        nonlocal outcome
        outcome = _outcome(read)

    thread = threading.Thread(target=test, daemon=True)
    thread.start()
    thread.join(seconds - 0.5)
    return outcome


def _outcome(read: Read) -> tuple[bool, str]:
    """Request the actions created from now on."""
    from airflow_provider_np6.np6.client import Np6Client, chunks

    where = ""
    try:
        config, extra = read()
        where = f"{config.base_url}: "
        unknown = unknown_extras(extra)
        if unknown:
            return False, f"The connection has an {'; an '.join(unknown)}."
        now = iso_seconds(time.time_ns() // 1_000_000)
        with (
            closing(Np6Client(config)) as client,
            client.get_ok("/actions", {"creation_start": now}, timeout=(5, 8)) as response,
        ):
            start = next(chunks(response), b"").lstrip()[:1]
        if start == b"[":
            return True, f"{config.base_url} accepts the API key."
        return False, f"{config.base_url} responds, but not as NP6 does: check the host."
    except Np6NotFoundError:
        return True, "NP6 responds, but has no list of actions for this account: the key cannot be verified."
    except Np6Error as error:
        return False, f"{where}{error}"
    except Exception as error:  # whatever else it is, its text may hold the key
        return False, f"The test failed: {type(error).__name__}."
