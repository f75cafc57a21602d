"""Whether an Airflow runs, as its API server tells."""

from __future__ import annotations

import json
import urllib.request

PARTS = ("scheduler", "triggerer", "dag_processor")


def is_healthy(url: str, parts: tuple[str, ...] = PARTS) -> bool:
    """Whether it answers, and says that these parts run.

    :param url: of the API server, without a path.
    """
    try:
        with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=10) as answer:  # noqa: S310
            health = json.load(answer)
    except OSError:
        return False
    return all(health[part]["status"] == "healthy" for part in parts)
