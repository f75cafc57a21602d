"""The results as Markdown: the part of ``docs/performance.md`` between its two marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.contenders import OURS, OUTPUTS
from benchmarks.goals import Goal, Rates, goals, title

_MARKED = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end -->)", re.DOTALL)

_PROMISES = (
    # what, output, way, compared with
    ("the bytes read, and dropped", "promises", "read", None),
    ("+ complete, each once: every event proven", "promises", "proven and", 0),
    ("+ its line in a file", "promises", "proven, straight", 1),
    ("+ all or nothing: spool, sha256, manifest, publication", "jsonl", OURS, 2),
    ('`personal_data="drop"` instead of "keep"', "jsonl, drop", OURS, 3),
    ('`personal_data="pseudonymize"` instead of "keep"', "jsonl, pseudonymize", OURS, 3),
)


def with_figures(page: str, results: dict[str, Any]) -> str:
    """``page`` with its figures anew."""
    return _MARKED.sub(lambda _: figures(results), page)


def figures(results: dict[str, Any]) -> str:
    """All tables."""
    parts = [
        _machine(results),
        _contenders(results),
        "![Events a second, by output and way](performance.svg)",
        "### Goals",
        _goals(list(goals(results))),
        "### What each promise costs",
        _promises(results),
    ]
    if "growth" in results:
        parts += ["### Growth", _growth(results["growth"])]
    if "mapped" in results:
        parts += ["### Around a pull", _overheads(results)]
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Columns whose names begin with ``>`` are figures."""
    names = list(head)
    lines = [[name.lstrip(">") for name in names], ["---:" if name[:1] == ">" else "---" for name in names]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [*lines, *map(list, rows)])


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    rate = results["events"] / results["drained"]
    busy = (
        "\nIt was busy with other work: these figures show no more than that all runs."
        if machine["busy"]
        else ""
    )
    peers = f"\nPeers, in an environment of their own: {machine['peers']}." if machine["peers"] else ""
    return (
        f"Measured on {results['date']}: {machine['cores']}, {machine['memory']}, {machine['system']},"
        f" Python {machine['Python']}.\n"
        f"Versions: airflow-provider-np6 {results['version']}, {machine['versions']}.{peers}\n"
        f"{results['events']:,} bounces, {results['bytes'] / 1e6:,.0f} MB, from one server on loopback, which"
        f" needs {results['drained']:.2f} s for them ({rate:,.0f} events/s) where nothing is done with them."
        f"{busy if machine['busy'] else ''}"
    )


def _contenders(results: dict[str, Any]) -> str:
    head = (
        "into",
        "way",
        ">events",
        ">s",
        ">events/s",
        ">ours / this",
        ">peak MB",
        ">above imports",
        ">runs",
    )
    rows = sorted(
        (row for row in results["ways"] if row["output"] != "promises"),
        key=lambda row: OUTPUTS.index(row["output"]),
    )
    return _table(head, (_contender(row, Rates(results)) for row in rows))


def _contender(row: dict[str, Any], rates: Rates) -> Iterator[str]:
    yield title(row["output"])
    yield row["way"]
    if "void" in row:
        reason = " ".join(row["void"].replace("|", "/").split())
        yield from ("", f"void: {reason[-100:]}", *[""] * 5)
        return
    yield f"{row['events']:,}" + (f" (time by n^{row['exponent']:.2f})" if "exponent" in row else "")
    yield f"{row['seconds']:.2f}"
    yield f"{row['events'] / row['seconds']:,.0f}"
    ours = rates.rate(row["output"], OURS)
    yield f"{ours * row['seconds'] / row['events']:.1f}" if ours and row["way"] != OURS else ""
    memory = (f"{row['peak']:.0f}", f"{row['above']:.0f}")
    yield from (memory if "curl" not in row["way"] else ("", ""))
    yield str(row["rounds"])


def _goals(found: list[Goal]) -> str:
    return _table(("what", ">wanted", ">reached", "met"), map(_goal, found))


def _goal(goal: Goal) -> tuple[str, ...]:
    unit = "%" if goal.unit == "%" else f" {goal.unit}" if goal.unit not in ("times", "") else ""
    bounds = [f"{bound:g}" for bound in (goal.least, goal.most) if bound is not None]
    sign = "" if len(bounds) == 2 else "≥ " if goal.least is not None else "≤ "
    wanted = f"{sign}{' to '.join(bounds)}{unit}"
    if goal.reached is None:
        return goal.what, wanted, "not measured", ""
    digits = ".0f" if goal.unit not in ("times", "") else ".2f" if goal.reached < 10 else ".1f"
    return goal.what, wanted, f"{goal.reached:{digits}}{unit}", "yes" if goal.is_met else "no"


def _promises(results: dict[str, Any]) -> str:
    rates = Rates(results)
    rows = [rates.row(output, way) for _, output, way, _ in _PROMISES]
    cells = []
    for (what, _, _, before), row in zip(_PROMISES, rows, strict=True):
        if row is None:
            continue
        other = rows[before] if before is not None else None
        adds = f"{row['seconds'] - other['seconds']:+.2f}" if other else ""
        cells.append((what, f"{row['seconds']:.2f}", adds, f"{row['peak']:.0f}"))
    return _table(("into plain lines", ">s", ">adds s", ">peak MB"), cells)


def _growth(growth: dict[str, Any]) -> str:
    head = ("into", ">events", ">s", ">events/s", ">peak MB", ">above imports")
    rows = (
        (title(row["output"]), f"{row['events']:,}", f"{row['seconds']:.2f}",
         f"{row['events'] / row['seconds']:,.0f}", f"{row['peak']:.0f}", f"{row['above']:.0f}")
        for row in sorted(growth["rows"], key=lambda row: (row["output"], row["events"]))
    )  # fmt: skip
    return "\n\n".join([_table(head, rows), *map(_trend, growth["trends"])])


def _trend(trend: dict[str, Any]) -> str:
    if "exponent" not in trend:
        return f"{title(trend['output'])}: too few counts for a trend."
    return (
        f"{title(trend['output'])}: time grows by n^{trend['exponent']:.3f} from 100,000 to"
        f" {trend['events']:,} events (n^{trend['exponent of all']:.3f} from 10,000), peak memory changes by"
        f" {trend['memory']:.1%}."
    )


def _overheads(results: dict[str, Any]) -> str:
    return "\n".join(
        [_importing(results["importing"]), _mapped(results["mapped"]), _backfill(results["backfill"])]
    )


def _importing(importing: dict[str, Any]) -> str:
    ms = importing["ms"]
    return f"- A DAG file with the operator takes {ms:.0f} ms more than one with `BaseOperator` only."


def _mapped(mapped: dict[str, Any]) -> str:
    nothing, ours, pull = (mapped[name] * 1_000 for name in ("nothing", "ours", "pull"))
    return (
        f"- A mapped instance takes {ours:.0f} ms under `dag.test()`: a bare pull of the same events takes"
        f" {pull:.0f} ms, and an instance that does nothing {nothing:.0f} ms: the operator itself adds"
        f" {ours - pull - nothing:.0f} ms."
    )


def _backfill(backfill: dict[str, Any]) -> str:
    counted = backfill["counted"]
    each, all_ = counted["each"], counted["all"]
    return (
        f"- A backfill of {backfill['days']} days, {backfill['actions']} actions and {backfill['types']}"
        f" event types sends {backfill['each action']:,} requests, or {backfill['all actions']:,}"
        ' with `action_id="*"`: one a window, and one more where the count is a multiple of 100, taken as one'
        f" window in a hundred. Counted on {counted['days']} days and {counted['actions']} actions:"
        f" {each['requests']} requests for {each['windows']} windows, {each['round counts']} of them with"
        f' such a count; with `"*"` {all_["requests"]} for {all_["windows"]},'
        f" {all_['round counts']} with such a count."
    )
