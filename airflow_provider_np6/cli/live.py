"""``check --live``: what NP6's documentation leaves open, asked of the account."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from airflow_provider_np6.cli.printing import console, print_json, table, tracked
from airflow_provider_np6.cli.running import EXIT_MISMATCH, EXIT_OK

if TYPE_CHECKING:
    from airflow_provider_np6.conformance import Finding
    from airflow_provider_np6.np6.config import Np6Config

_COLOURS = {"ok": "green", "with care": "yellow", "mismatch": "red", "not shown": "dim"}


def examined(config: Np6Config, action_id: str) -> list[Finding]:
    """The findings of an account, with a bar while it is asked."""
    from airflow_provider_np6.conformance import QUESTIONS, examine
    from airflow_provider_np6.np6.client import Np6Client

    with closing(Np6Client(config)) as client:
        findings = examine(client, action_id, now=time.time_ns() // 1_000_000)
        return list(tracked(findings, len(QUESTIONS), "Asking"))


def tell(findings: Sequence[Finding], action_id: str, *, as_json: bool) -> int:
    """Print the findings; the exit code."""
    from airflow_provider_np6.conformance import Verdict

    well = all(found.verdict != Verdict.MISMATCH for found in findings)
    if as_json:
        print_json({"ok": well, "action_id": action_id, "findings": [asdict(found) for found in findings]})
    else:
        shown = table("what", "known", "assumed", "seen", "verdict")
        for found in findings:
            verdict = f"[{_COLOURS[found.verdict]}]{found.verdict}[/]"
            shown.add_row(found.question, found.mark, found.assumed, found.seen, verdict)
        console().print(shown)
    return EXIT_OK if well else EXIT_MISMATCH
